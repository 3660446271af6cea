"""The energy-above-hull map of a phase field, as in Vasylenko et al., Nat. Commun. 12, 5561 (2021)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from pymatgen.core import Composition

from loop.report import interpolation
from loop.report.canvas import caption_lines, draw_bar, dress, lay_out, legend_of, write_caption
from loop.report.formulas import field_formula, mathtext
from loop.report.geometry import Geometry, geometry_of
from loop.report.ground import SCALE_LIMIT, draw_ground, interpolated, is_sparse, scale_of
from loop.report.labels import place_labels
from loop.report.line_map import draw_line
from loop.report.points import MapNote, MapPoint, Placed
from loop.report.styles import NEW_PHASE, Style, ground, style
from loop.report.tie_lines import tie_lines
from vae.phase_fields import PhaseField

#: More calculations than this get smaller tripods.
_CROWDED = 250
#: Text stays text in SVG and PDF, so that it can be searched and edited.
_TEXT_AS_TEXT: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "phaseloop"}


def draw_hull_map(
    points: Sequence[MapPoint],
    field: PhaseField,
    note: MapNote | None = None,
    mark: Sequence[str] = (),
    size: str = "paper",
    colours: str = "red",
    section: Sequence[str] = (),
) -> Figure:
    """Draw the map: a tripod for every calculation on a ground that is dark near the hull.

    Of several energies at one place the lowest counts. The ground covers the computed compositions and nothing beyond
    them; it is hatched where it rests on few. With fewer than three places, or all on one line, there is no ground and
    the places are coloured themselves.

    Args:
        points: Probes and competing phases with their energies above the hull.
        field: The phase field; `geometry_of` says which map it gets.
        note: What the map rests on, written beneath it.
        mark: Formulas of new phases, drawn in magenta with a letter.
        size: ``paper``, ``slide`` or ``poster``.
        colours: ``red``, ``colour-blind`` or ``grey``.
        section: Two or three end members of a section through the field, instead of the whole field.

    Raises:
        ValueError: If the field has no such map, a formula lies outside it or has no place on the map, or nothing
            can be shown.
    """
    geometry, sizes, magenta = geometry_of(field, section), style(size), NEW_PHASE.get(colours, "")
    if not points:
        raise ValueError(f"no map of {field}: nothing was computed")
    shown = placed(points, geometry)
    if not shown:
        raise ValueError(f"no map of {field}: every computed composition lacks {geometry.without}")
    marked = [(text, mark_place(text, field, geometry)) for text in mark]
    places = np.array([place for _, place in shown])
    energies = np.array([point.e_above_hull for point, _ in shown]) * 1000
    unique, lowest = interpolation.lowest_per_place(places, energies)
    surface = interpolated(unique, lowest, geometry)
    # a line shows every energy, the other maps the lowest at each place
    coloured = energies if geometry.kind == "line" else lowest
    colour_map, scale = ground(colours), scale_of(coloured)
    caption = caption_lines(note, sizes, _absent(points, shown, geometry), _ground_remark(surface, geometry))
    figure, axes, bar = lay_out(sizes, geometry, len(caption) + bool(mark))
    dress(axes, geometry, sizes)
    if geometry.kind == "line":
        draw_line(axes, shown, marked, geometry, colour_map, scale, sizes, magenta)
    else:
        draw_ground(axes, unique, lowest, surface, colour_map, scale, sizes)
        joined = tie_lines(points, geometry)
        _draw_tie_lines(axes, joined, geometry, sizes)
        _draw_tripods(axes, unique, sizes)
        axes.apply_aspect()
        taken = _draw_marks(axes, marked, geometry, sizes, magenta)
        stable = {end for pair in joined for end in pair} - {field_formula(text, field.elements) for text in mark}
        reach = 0.42 if surface else 1.0  # of what a label keeps clear of, in tripods: circles, or coloured discs
        _draw_known(axes, shown, stable, taken, geometry, sizes, reach)
    draw_bar(figure, bar, colour_map, scale, bool(coloured.max() > SCALE_LIMIT), sizes)
    write_caption(figure, legend_of(mark, field), caption, sizes, magenta)
    return figure


def save_map(figure: Figure, path: Path, dpi: int | None = None) -> Path:
    """Save as PNG, SVG or PDF, by the ending of the path; text stays text in SVG and PDF.

    Raises:
        ValueError: If the ending is none of these.
    """
    path = Path(path)
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise ValueError(f"{path} ends in {path.suffix!r}: choose .png, .svg, .pdf or .html")
    # no date, so that the same records give the same file
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix.lower()[1:])
    options: dict[str, Any] = {"pil_kwargs": {"compress_level": 4}} if path.suffix.lower() == ".png" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(_TEXT_AS_TEXT):
        figure.savefig(path, dpi=dpi or figure.dpi, metadata=metadata, **options)
    return path


def places_on_image(
    figure: Figure, points: Sequence[MapPoint], field: PhaseField, height: float
) -> list[tuple[float, float, MapPoint]]:
    """Where the lowest calculation at each place lies on a picture of the map, pixels from the left and the top.

    Args:
        figure: A drawn square or triangle; its resolution is that of the picture.
        points: As drawn.
        field: As drawn.
        height: Of the picture, pixels.
    """
    best: dict[tuple[float, float], MapPoint] = {}
    for point, place in sorted(placed(points, geometry_of(field)), key=lambda item: item[0].e_above_hull):
        best.setdefault((round(place[0], 6), round(place[1], 6)), point)
    pixels = figure.axes[0].transData.transform(np.array(list(best)).reshape(-1, 2))
    return [(float(x), height - float(y), point) for (x, y), point in zip(pixels, best.values(), strict=True)]


def placed(points: Sequence[MapPoint], geometry: Geometry) -> list[Placed]:
    """The points that have a place, with it."""
    return [(point, place) for point in points if (place := geometry.place(point.composition)) is not None]


def mark_place(text: str, field: PhaseField, geometry: Geometry) -> tuple[float, float]:
    """Place of a new phase.

    Raises:
        ValueError: If it is no formula, lies outside the field or has no place.
    """
    try:
        composition = Composition(text)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{text!r} cannot be marked: it is no formula") from error
    outside = sorted(set(composition.get_el_amt_dict()) - set(field.elements))
    if outside:
        raise ValueError(f"{text!r} cannot be marked: {', '.join(outside)} is not in the field {field}")
    place = geometry.place(composition)
    if place is None:
        raise ValueError(f"{text!r} cannot be marked: it lacks {geometry.without}")
    return place


def _absent(points: Sequence[MapPoint], shown: Sequence[Placed], geometry: Geometry) -> str:
    n = len({point.formula for point in points}) - len({point.formula for point, _ in shown})
    verbs = ("lacks", "is") if n == 1 else ("lack", "are")
    return f"{n} that {verbs[0]} {mathtext(geometry.without)} {verbs[1]} not shown." if n else ""


def _ground_remark(surface: interpolation.Ground | None, geometry: Geometry) -> str:
    if geometry.kind == "line":
        return "Formation energies from the ends; lines: the hull between them."
    if surface is None:
        return "Too few places for a ground between them."
    sides = f"Sides: {geometry.sides}." if geometry.sides else ""
    hatch = f"Hatched: further than {interpolation.SPARSE_BEYOND:g} from any calculation."
    return " ".join(filter(None, [sides, hatch if is_sparse(surface) else ""]))


# On a triangle the plain `Axes` methods take places in the plane, mpltern's own would take three coordinates.


def _draw_tie_lines(axes: Axes, pairs: Sequence[tuple[str, str]], geometry: Geometry, sizes: Style) -> None:
    for pair in pairs:
        ends = np.array([geometry.place(Composition(formula)) for formula in pair], dtype=float)
        Axes.plot(axes, ends[:, 0], ends[:, 1], color="black", lw=0.85 * sizes.line, zorder=3, gid="tie-line")


def _draw_tripods(axes: Axes, places: np.ndarray, sizes: Style) -> None:
    """Black tripods, each on a wider white one, so that they show on every ground."""
    shrink = min(1.0, (_CROWDED / len(places)) ** 0.4)
    look: dict[str, Any] = {"ms": sizes.tripod * shrink, "zorder": 4, "clip_on": False}
    halo = {"color": "white", "mew": 2.4 * sizes.line * shrink, "alpha": 0.75, "gid": "halo"}
    Axes.plot(axes, places[:, 0], places[:, 1], "1", **halo, **look)
    Axes.plot(axes, places[:, 0], places[:, 1], "1", color="black", mew=sizes.line * shrink, gid="tripods", **look)


def _draw_marks(
    axes: Axes, marked: Sequence[tuple[str, tuple[float, float]]], geometry: Geometry, sizes: Style, colour: str
) -> list[Bbox]:
    """New phases with their letters; the boxes that they take up."""
    if not marked:
        return []
    places = np.array([place for _, place in marked])
    for letter, (x, y) in zip(ascii_lowercase, places, strict=False):
        look: dict[str, Any] = {"color": colour, "ms": 1.8 * sizes.tripod, "mew": 2.2 * sizes.line, "zorder": 7}
        (tripod,) = Axes.plot(axes, [x], [y], "1", clip_on=False, gid=f"mark-{letter}", **look)
        tripod.set_path_effects([withStroke(linewidth=4.4 * sizes.line, foreground="white")])
    taken = _boxes(axes, places, 0.7 * sizes.tripod * _pixels(axes))
    letters = ascii_lowercase[: len(marked)]
    bold = {"color": colour, "weight": "bold"}
    labels = place_labels(axes, places, letters, 1.15 * sizes.font, taken, frame=geometry.frame, look=bold)
    return [*taken, *(label.get_window_extent() for label in labels if label.get_visible())]


def _draw_known(
    axes: Axes,
    shown: Sequence[Placed],
    stable: Collection[str],
    taken: Sequence[Bbox],
    geometry: Geometry,
    sizes: Style,
    reach: float,
) -> None:
    """Known compounds at their places, and the names of what tie lines join; those of one place share a label."""
    by_place = _names_by_place(shown, stable)
    circles = np.array([place for point, place in shown if point.is_known]).reshape(-1, 2)
    look: dict[str, Any] = {"facecolors": "white", "edgecolors": "black", "linewidths": sizes.line, "zorder": 5}
    if len(circles):
        circles = np.unique(np.round(circles, 6), axis=0)
        size = sizes.tripod**2 * 0.6
        Axes.scatter(axes, circles[:, 0], circles[:, 1], s=size, clip_on=False, gid="known", **look)
    if not by_place:
        return
    corners = set(geometry.parts) if geometry.kind == "triangle" else set()
    texts = [mathtext(", ".join(name for name in names if name not in corners)) for names in by_place.values()]
    pixels = _pixels(axes)
    keep = [*_boxes(axes, np.array(list(by_place)), reach * sizes.tripod * pixels), *taken]
    tripods = _boxes(axes, np.array([place for _, place in shown]), 0.35 * sizes.tripod * pixels)
    rather = tripods if len(tripods) < 1000 else ()
    place_labels(axes, np.array(list(by_place)), texts, 0.92 * sizes.font, keep, rather, geometry.frame)


def _names_by_place(shown: Sequence[Placed], stable: Collection[str]) -> dict[tuple[float, float], list[str]]:
    by_place: dict[tuple[float, float], list[str]] = {}
    for point, (x, y) in sorted(shown, key=lambda item: item[0].formula):
        if point.is_known or point.formula in stable:
            names = by_place.setdefault((round(x, 6), round(y, 6)), [])
            if point.formula not in names:
                names.append(point.formula)
    return by_place


def _pixels(axes: Axes) -> float:
    """Pixels per point."""
    return float(axes.figure.dpi) / 72


def _boxes(axes: Axes, places: np.ndarray, radius: float) -> list[Bbox]:
    return [Bbox([centre - radius, centre + radius]) for centre in axes.transData.transform(places)]
