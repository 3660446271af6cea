"""The energy-above-hull map of a phase field, as in Vasylenko et al., Nat. Commun. 12, 5561 (2021)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from pymatgen.core import Composition

from loop.report import interpolation
from loop.report.formulas import field_formula, mathtext
from loop.report.geometry import Square, geometry_of
from loop.report.labels import BACKING, place_labels
from loop.report.points import MapNote, MapPoint
from loop.report.styles import NEW_PHASE, Style, ground, style
from vae.phase_fields import PhaseField

#: The colour bar ends here at the latest, meV/atom; above it the ground is palest.
_SCALE_LIMIT = 200.0
#: Lines of equal energy, meV/atom.
_CONTOURS = (25, 50, 100)
#: Grid points along a side of the ground; few calculations leave nothing for a fine grid to show.
_FEW, _COARSE, _FINE = 60, 101, 201
#: More calculations than this get smaller tripods.
_CROWDED = 250
#: Beyond the square there is room for the labels of the compounds on its edges.
_XLIM, _YLIM = (-0.05, 1.05), (-0.085, 1.085)
_ASPECT = (_YLIM[1] - _YLIM[0]) / (_XLIM[1] - _XLIM[0])
#: Text stays text in SVG and PDF, so that it can be searched and edited.
_TEXT_AS_TEXT: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "phaseloop"}


def draw_hull_map(
    points: Sequence[MapPoint],
    field: PhaseField,
    note: MapNote | None = None,
    mark: Sequence[str] = (),
    size: str = "paper",
    colours: str = "red",
) -> Figure:
    """Draw the map: a tripod for every calculation on a ground that is dark near the hull.

    Of several energies at one place the lowest counts. The ground covers the computed compositions and nothing beyond
    them; it is hatched where it rests on few. With fewer than three places, or all on one line, there is no ground and
    the places are coloured themselves.

    Args:
        points: Probes and competing phases with their energies above the hull.
        field: Two cations and two anions.
        note: What the map rests on, written beneath it.
        mark: Formulas of new phases, drawn in magenta with a letter.
        size: ``paper``, ``slide`` or ``poster``.
        colours: ``red``, ``colour-blind`` or ``grey``.

    Raises:
        ValueError: If the field has no such map, a formula lies outside it or has no place on the map, or nothing
            can be shown.
    """
    geometry, sizes = geometry_of(field), style(size)
    shown = [(point, place) for point in points if (place := geometry.place(point.composition)) is not None]
    if not shown:
        raise ValueError(f"no map of {field}: no computed composition holds a cation and an anion")
    marked = [(text, _place_of(text, field, geometry)) for text in mark]
    n_hidden = len({point.formula for point in points}) - len({point.formula for point, _ in shown})
    places = np.array([place for _, place in shown])
    energies = np.array([point.e_above_hull for point, _ in shown]) * 1000
    unique, lowest = interpolation.lowest_per_place(places, energies)
    surface = interpolation.interpolate(unique, lowest, _FINE if len(unique) > _FEW else _COARSE)
    caption = _caption(note, sizes, n_hidden, surface)
    figure, axes, bar = _layout(sizes, len(caption) + bool(mark))
    colour_map, scale = ground(colours), _scale(lowest)
    _draw_ground(axes, unique, lowest, surface, colour_map, scale)
    _draw_tripods(axes, unique, sizes)
    _draw_marks(axes, marked, sizes, NEW_PHASE[colours])
    _dress_axes(axes, geometry, sizes)
    figure.draw_without_rendering()
    _draw_known(axes, shown, marked, sizes)
    _draw_bar(figure, bar, colour_map, scale, bool(lowest.max() > _SCALE_LIMIT), sizes)
    _write_caption(figure, _legend(marked, field), caption, sizes, NEW_PHASE[colours])
    return figure


def save_map(figure: Figure, path: Path, dpi: int | None = None) -> Path:
    """Save as PNG, SVG or PDF, by the ending of the path; text stays text in SVG and PDF.

    Raises:
        ValueError: If the ending is none of these.
    """
    path = Path(path)
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise ValueError(f"{path} ends in {path.suffix!r}: choose .png, .svg or .pdf")
    # no date, so that the same records give the same file
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix.lower()[1:])
    options: dict[str, Any] = {"pil_kwargs": {"compress_level": 4}} if path.suffix.lower() == ".png" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(_TEXT_AS_TEXT):
        figure.savefig(path, dpi=dpi or figure.dpi, metadata=metadata, **options)
    return path


def _place_of(text: str, field: PhaseField, geometry: Square) -> tuple[float, float]:
    try:
        composition = Composition(text)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{text!r} cannot be marked: it is no formula") from error
    outside = sorted(set(composition.get_el_amt_dict()) - set(field.elements))
    if outside:
        raise ValueError(f"{text!r} cannot be marked: {', '.join(outside)} is not in the field {field}")
    place = geometry.place(composition)
    if place is None:
        raise ValueError(f"{text!r} cannot be marked: it needs a cation and an anion of {field} to have a place")
    return place


def _scale(lowest: np.ndarray) -> Normalize:
    """From the hull to the highest ground, in steps of 25 meV/atom."""
    return Normalize(0.0, float(np.clip(np.ceil(lowest.max() / 25) * 25, 25, _SCALE_LIMIT)))


def _layout(sizes: Style, n_lines: int) -> tuple[Figure, Axes, Axes]:
    """A figure with the map, the colour bar and room for the caption; lengths in inches."""
    em = sizes.font / 72
    left, right, top, bottom = 4.9 * em, 6.6 * em, 0.8 * em, 3.6 * em
    tall = sizes.side * _ASPECT
    height = tall + top + bottom + (1.25 * n_lines + 1.2) * em * 0.86
    width = sizes.side + left + right
    figure = Figure(figsize=(width, height), dpi=sizes.dpi, facecolor="white")
    FigureCanvasAgg(figure)
    base = (height - top - tall) / height
    axes = figure.add_axes((left / width, base, sizes.side / width, tall / height))
    bar = figure.add_axes(((left + sizes.side + 0.8 * em) / width, base, 1.1 * em / width, tall / height))
    return figure, axes, bar


def _draw_ground(
    axes: Axes,
    places: np.ndarray,
    energies: np.ndarray,
    surface: interpolation.Ground | None,
    colours: Colormap,
    scale: Normalize,
) -> None:
    """Draw the ground, or coloured places where there is none."""
    if surface is None:
        look: dict[str, Any] = {
            "cmap": colours,
            "norm": scale,
            "edgecolors": "black",
            "linewidths": 0.5,
            "zorder": 2,
            "gid": "places",
        }
        axes.scatter(places[:, 0], places[:, 1], c=energies, s=90, **look)
        return
    image = axes.imshow(
        surface.energy,
        origin="lower",
        extent=(0, 1, 0, 1),
        cmap=colours,
        norm=scale,
        interpolation="bilinear",
        aspect="auto",
    )
    image.set_clip_path(Polygon(surface.outline, transform=axes.transData))
    image.set_gid("ground")
    inside = np.where(surface.inside, surface.energy, np.nan)
    lines: dict[str, Any] = {"colors": "black", "linewidths": 0.35, "alpha": 0.55, "zorder": 2}
    axes.contour(surface.x, surface.y, inside, levels=_CONTOURS, **lines)
    if _is_sparse(surface):
        sparse = np.where(surface.inside, surface.distance, 0.0)
        levels = [interpolation.SPARSE_BEYOND, 2.0]
        axes.contourf(surface.x, surface.y, sparse, levels=levels, colors="none", hatches=["/////"], zorder=3).set(
            hatch_linewidth=0.4, edgecolor="#8c8c8c", linewidth=0, gid="sparse"
        )


def _is_sparse(surface: interpolation.Ground | None) -> bool:
    return surface is not None and bool(surface.distance[surface.inside].max() > interpolation.SPARSE_BEYOND)


def _draw_tripods(axes: Axes, places: np.ndarray, sizes: Style) -> None:
    shrink = min(1.0, (_CROWDED / len(places)) ** 0.4)
    look: dict[str, Any] = {
        "color": "black",
        "ms": sizes.tripod * shrink,
        "mew": sizes.line * shrink,
        "zorder": 4,
        "gid": "tripods",
    }
    (tripods,) = axes.plot(*places.T, "1", **look)
    tripods.set_path_effects([withStroke(linewidth=2.4 * sizes.line * shrink, foreground="white", alpha=0.75)])


def _draw_marks(axes: Axes, marked: Sequence[tuple[str, tuple[float, float]]], sizes: Style, colour: str) -> None:
    for letter, (_, place) in zip(ascii_lowercase, marked, strict=False):
        (tripod,) = axes.plot(*place, "1", color=colour, ms=1.8 * sizes.tripod, mew=2.2 * sizes.line, zorder=7)
        tripod.set_path_effects([withStroke(linewidth=4.4 * sizes.line, foreground="white")])
        tripod.set_gid(f"mark-{letter}")
        offset = (0.75 * sizes.font, 0.35 * sizes.font)
        text = axes.annotate(
            letter, place, xytext=offset, textcoords="offset points", color=colour, weight="bold", zorder=9
        )
        text.set(fontsize=1.15 * sizes.font, bbox=BACKING)


def _dress_axes(axes: Axes, geometry: Square, sizes: Style) -> None:
    axes.set(xlim=_XLIM, ylim=_YLIM, facecolor="#e9e9ec")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    labels = ["0", "0.25", "0.5", "0.75", "1"]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.tick_params(labelsize=sizes.font, width=sizes.line, length=2.5 * sizes.line + 1)
    for spine in axes.spines.values():
        spine.set_linewidth(sizes.line)
    x, y = geometry.axis_labels
    axes.set_xlabel(x, fontsize=1.1 * sizes.font, labelpad=0.3 * sizes.font)
    axes.set_ylabel(y, fontsize=1.1 * sizes.font, labelpad=0.3 * sizes.font)


def _draw_known(
    axes: Axes,
    shown: Sequence[tuple[MapPoint, tuple[float, float]]],
    marked: Sequence[tuple[str, tuple[float, float]]],
    sizes: Style,
) -> None:
    """Known compounds at their places; those that share one share a label."""
    by_place: dict[tuple[float, float], list[str]] = {}
    for point, (x, y) in sorted(shown, key=lambda item: item[0].formula):
        names = by_place.setdefault((round(x, 6), round(y, 6)), []) if point.is_known else []
        if point.is_known and point.formula not in names:
            names.append(point.formula)
    if not by_place:
        return
    places = np.array(list(by_place))
    axes.scatter(
        places[:, 0],
        places[:, 1],
        s=sizes.tripod**2 * 0.6,
        facecolors="white",
        edgecolors="black",
        linewidths=sizes.line,
        zorder=5,
        clip_on=False,
        gid="known",
    )
    texts = [mathtext(", ".join(names)) for names in by_place.values()]
    pixels = _pixels(axes)
    keep = [*_boxes(axes, places, 0.42 * sizes.tripod * pixels), *_mark_boxes(axes, marked, sizes)]
    tripods = _boxes(axes, np.array([place for _, place in shown]), 0.35 * sizes.tripod * pixels)
    place_labels(axes, places, texts, 0.92 * sizes.font, keep, tripods if len(tripods) < 1000 else ())


def _pixels(axes: Axes) -> float:
    """Pixels per point."""
    return float(axes.figure.dpi) / 72


def _boxes(axes: Axes, places: np.ndarray, radius: float) -> list[Bbox]:
    return [Bbox([centre - radius, centre + radius]) for centre in axes.transData.transform(places)]


def _mark_boxes(axes: Axes, marked: Sequence[tuple[str, tuple[float, float]]], sizes: Style) -> list[Bbox]:
    reach = 1.6 * sizes.font * _pixels(axes)
    centres = [axes.transData.transform(place) for _, place in marked]
    return [Bbox([(x - 0.6 * reach, y - 0.7 * reach), (x + reach, y + 0.9 * reach)]) for x, y in centres]


def _draw_bar(figure: Figure, bar: Axes, colours: Colormap, scale: Normalize, above: bool, sizes: Style) -> None:
    extend = "max" if above else "neither"
    colour_bar = figure.colorbar(ScalarMappable(scale, colours), cax=bar, extend=extend, extendfrac=0.03)
    colour_bar.set_label("Energy above hull (meV/atom)", fontsize=1.1 * sizes.font)
    colour_bar.ax.tick_params(labelsize=sizes.font, width=sizes.line, length=2.5 * sizes.line + 1)
    colour_bar.outline.set_linewidth(sizes.line)
    for level in _CONTOURS:
        if level < (scale.vmax or 0):
            colour_bar.ax.axhline(level, color="black", lw=0.35, alpha=0.55)


def _legend(marked: Sequence[tuple[str, tuple[float, float]]], field: PhaseField) -> str:
    """The letters of the new phases and their formulas."""
    names = (mathtext(field_formula(text, field.elements)) for text, _ in marked)
    return "    ".join(f"{letter}  {name}" for letter, name in zip(ascii_lowercase, names, strict=False))


def _caption(note: MapNote | None, sizes: Style, n_hidden: int, surface: interpolation.Ground | None) -> list[str]:
    """What the map rests on, in lines that fit beneath it."""
    if note is None:
        return []
    text = note.text()
    if n_hidden:
        text += f" {n_hidden} without a cation or an anion have no place here."
    if surface is None:
        text += " Too few places for a ground between them."
    elif _is_sparse(surface):
        text += f" Hatched: further than {interpolation.SPARSE_BEYOND:g} from any calculation."
    return textwrap.wrap(text, int((sizes.side * 72 / sizes.font + 9) / (0.86 * 0.53)))


def _write_caption(figure: Figure, legend: str, lines: Sequence[str], sizes: Style, colour: str) -> None:
    em = sizes.font / 72
    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"fontsize": 0.86 * sizes.font, "va": "bottom", "ha": "left", "linespacing": 1.25}
    x, y = 1.2 * em / width, 0.4 * em / height
    figure.text(x, y, "\n".join(lines), gid="caption", **look)
    if legend:
        y += 1.25 * len(lines) * 0.86 * em / height
        figure.text(x, y, legend, color=colour, gid="legend", **look)


def places_on_image(
    figure: Figure, points: Sequence[MapPoint], field: PhaseField, height: float
) -> list[tuple[float, float, MapPoint]]:
    """Where the lowest calculation at each place lies on a picture of the map, pixels from the left and the top.

    Args:
        figure: A drawn map; its resolution is that of the picture.
        points: As drawn.
        field: As drawn.
        height: Of the picture, pixels.
    """
    geometry = geometry_of(field)
    best: dict[tuple[float, float], MapPoint] = {}
    for point in sorted(points, key=lambda point: point.e_above_hull):
        place = geometry.place(point.composition)
        if place is not None:
            best.setdefault((round(place[0], 6), round(place[1], 6)), point)
    pixels = figure.axes[0].transData.transform(np.array(list(best)).reshape(-1, 2))
    return [(float(x), height - float(y), point) for (x, y), point in zip(pixels, best.values(), strict=True)]
