"""The interactive map as a plotly figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np
from markupsafe import escape
from pymatgen.core import Composition

from loop.report.formulas import field_formula, html, in_words
from loop.report.geometry import CORNERS, Geometry
from loop.report.ground import interpolated, is_sparse, scale_of
from loop.report.hull_map import mark_place, placed
from loop.report.interpolation import SPARSE_BEYOND, Ground
from loop.report.line_map import on_line
from loop.report.points import MapPoint, Placed
from loop.report.styles import NEW_PHASE, ground
from loop.report.tie_lines import tie_lines
from vae.phase_fields import PhaseField

_BAR = {"title": {"text": "Energy above hull (meV/atom)", "side": "right"}}


def interactive_figure(
    points: Sequence[MapPoint], field: PhaseField, geometry: Geometry, mark: Sequence[str], colours: str
) -> tuple[Any, bool]:
    """The map, and whether some of its ground is veiled because it lies far from every calculation.

    Raises:
        ValueError: If nothing can be shown.
    """
    import plotly.graph_objects as go

    shown = lowest_at_each_place(placed(points, geometry))
    if not shown:
        raise ValueError(f"no map of {field}: no computed composition has a place on it")
    places = np.array([place for _, place in shown])
    energies = np.array([point.e_above_hull for point, _ in shown]) * 1000
    scale = scale_of(energies)
    colour_map = ground(colours)
    shades = [[x, "rgb({},{},{})".format(*(round(255 * c) for c in colour_map(x)[:3]))] for x in np.linspace(0, 1, 12)]
    if geometry.kind == "line":
        return _line_figure(go, placed(points, geometry), field, geometry, mark, shades, colours), False
    surface = interpolated(places, energies, geometry)
    figure = go.Figure()
    if surface is not None:
        figure.add_traces(_ground(go, surface, shades, float(scale.vmax or 0)))
        halo = {"symbol": "y-down-open", "size": 10, "color": "rgba(255,255,255,0.8)", "line": {"width": 4}}
        figure.add_trace(go.Scatter(x=places[:, 0], y=places[:, 1], mode="markers", marker=halo, hoverinfo="skip"))
    figure.add_traces(_tie_lines(go, points, geometry))
    figure.add_trace(_tripods(go, shown, field, energies, shades, float(scale.vmax or 0), surface is None))
    figure.add_trace(_known(go, placed(points, geometry), field, geometry))
    for letter, text in lettered(mark):
        figure.add_trace(_new_phase(go, letter, text, field, geometry, NEW_PHASE[colours]))
    _frame(figure, geometry)
    return figure, surface is not None and is_sparse(surface)


def lettered(mark: Sequence[str]) -> Iterator[tuple[str, str]]:
    """New phases with their letters."""
    return zip(ascii_lowercase, mark, strict=False)


def lowest_at_each_place(shown: Sequence[Placed]) -> list[Placed]:
    """The lowest of the points at each place."""
    best: dict[tuple[float, float], Placed] = {}
    for point, place in sorted(shown, key=lambda item: item[0].e_above_hull):
        best.setdefault((round(place[0], 6), round(place[1], 6)), (point, place))
    return list(best.values())


def hover_text(point: MapPoint, field: PhaseField) -> str:
    """What a calculation says of itself: formula, energy, decomposition, how it was made; escaped."""
    lines = [
        f"<b>{html(point.formula)}</b> ({'competing phase' if point.role == 'competing' else 'probe'})",
        f"{point.e_above_hull * 1000:.1f} meV/atom above the hull",
        f"{point.e_above_competing * 1000:+.1f} meV/atom from the competing phases",
    ]
    if point.decomposition:
        lines.append(f"decomposes into {html(in_words(dict(point.decomposition), field.elements))}")
    lines += [str(escape(text)) for text in (point.generator, point.level.replace("|", ", ")) if text]
    return "<br>".join(lines)


def _ground(go: Any, surface: Ground, shades: list, top: float) -> list[Any]:
    """Colours between the calculations, and a grey veil where none is near."""
    values = np.where(surface.inside, np.round(surface.energy, 1), np.nan)
    look = {"colorscale": shades, "zmin": 0, "zmax": top, "colorbar": _BAR, "hoverinfo": "skip", "zsmooth": "best"}
    traces = [go.Heatmap(x=surface.x, y=surface.y, z=values, name="ground", **look)]
    if is_sparse(surface):
        veil = np.where(surface.inside & (surface.distance > SPARSE_BEYOND), 1.0, np.nan)
        grey = {"colorscale": [[0, "#9a9aa5"], [1, "#9a9aa5"]], "showscale": False, "opacity": 0.45}
        traces.append(go.Heatmap(x=surface.x, y=surface.y, z=veil, hoverinfo="skip", name="sparse", **grey))
    return traces


def _tie_lines(go: Any, points: Sequence[MapPoint], geometry: Geometry) -> list[Any]:
    lines = []
    for pair in tie_lines(points, geometry):
        ends = np.array([geometry.place(Composition(formula)) for formula in pair], dtype=float)
        look = {"mode": "lines", "line": {"color": "black", "width": 1.2}, "hoverinfo": "skip", "name": "tie line"}
        lines.append(go.Scatter(x=ends[:, 0], y=ends[:, 1], **look))
    return lines


def _tripods(
    go: Any, shown: list[Placed], field: PhaseField, energies: np.ndarray, scale: list, top: float, fill: bool
) -> Any:
    look: dict[str, Any] = {"symbol": "y-down-open", "size": 10, "color": "black", "line": {"width": 1.6}}
    if fill:
        look = {"symbol": "circle", "size": 15, "color": energies, "colorscale": scale, "cmin": 0, "cmax": top}
    return go.Scatter(
        x=[place[0] for _, place in shown],
        y=[place[1] for _, place in shown],
        mode="markers",
        marker=look,
        name="calculation",
        customdata=[point.formula for point, _ in shown],
        hovertext=[hover_text(point, field) for point, _ in shown],
        hoverinfo="text",
    )


def _known(go: Any, shown: Sequence[Placed], field: PhaseField, geometry: Geometry) -> Any:
    """Known compounds with their formulas, away from the edge they lie on; those of one place share a label."""
    by_place: dict[tuple[float, float], list[MapPoint]] = {}
    for point, (x, y) in sorted(shown, key=lambda item: item[0].e_above_hull):
        if point.is_known and point.formula not in [each.formula for each in by_place.get((x, y), [])]:
            by_place.setdefault((x, y), []).append(point)
    corners = geometry.parts if geometry.kind == "triangle" else ()
    names = [sorted(point.formula for point in those if point.formula not in corners) for those in by_place.values()]
    return go.Scatter(
        x=[x for x, _ in by_place],
        y=[y for _, y in by_place],
        mode="markers+text",
        marker={"symbol": "circle", "size": 9, "color": "white", "line": {"width": 1.6, "color": "black"}},
        text=[", ".join(str(html(name)) for name in those) for those in names],
        textposition=[_outwards(place, geometry) for place in by_place],
        textfont={"size": 14, "color": "black"},
        hovertext=["<br><br>".join(hover_text(point, field) for point in those) for those in by_place.values()],
        hoverinfo="text",
        customdata=[those[0].formula for those in by_place.values()],
        cliponaxis=False,
        name="known",
    )


def _outwards(place: tuple[float, float], geometry: Geometry) -> str:
    x, y = place
    if geometry.kind == "triangle" and y > 1e-6:
        return "middle left" if x < 0 else "middle right"
    return "top center" if y > 0.5 else "bottom center"


def _new_phase(go: Any, letter: str, text: str, field: PhaseField, geometry: Geometry, colour: str) -> Any:
    x, y = mark_place(text, field, geometry)
    marker = {"symbol": "y-down-open", "size": 17, "color": colour, "line": {"width": 4}}
    name = str(html(field_formula(text, field.elements)))
    font = {"color": colour, "size": 20, "weight": "bold"}
    look = {"mode": "markers+text", "marker": marker, "text": [letter], "textfont": font, "textposition": "middle left"}
    return go.Scatter(x=[x], y=[y], name=name, hovertext=name, hoverinfo="text", **look)


def _line_figure(
    go: Any,
    shown: list[Placed],
    field: PhaseField,
    geometry: Geometry,
    mark: Sequence[str],
    shades: list,
    colours: str,
) -> Any:
    """Formation energies between two ends, coloured by their energy above the hull."""
    energies = np.array([point.e_above_hull for point, _ in shown]) * 1000
    x, y, corners, hull = on_line(shown, geometry)
    raised = [(point, (place, height)) for (point, _), place, height in zip(shown, x, y, strict=True)]
    tripods = _tripods(go, raised, field, energies, shades, float(scale_of(energies).vmax or 0), fill=True)
    tripods.marker.colorbar = _BAR
    names = [str(html(shown[i][0].formula)) for i in corners]
    look = {"mode": "text", "textposition": "bottom center", "hoverinfo": "skip", "name": "known"}
    figure = go.Figure(
        [
            go.Scatter(x=hull[0], y=hull[1], mode="lines", line={"color": "black"}, hoverinfo="skip", name="tie line"),
            tripods,
            go.Scatter(x=x[corners], y=y[corners], text=names, **look),
        ]
    )
    for letter, text in lettered(mark):
        at = mark_place(text, field, geometry)[0]
        figure.add_vline(x=at, line_color=NEW_PHASE[colours], annotation_text=f"<b>{letter}</b>")
    _frame(figure, geometry)
    return figure


def _frame(figure: Any, geometry: Geometry) -> None:
    """Axes: a square's own, or the outline and corners of a triangle."""
    figure.update_layout(height=760, autosize=True, showlegend=False, template="plotly_white", font={"size": 15})
    figure.update_layout(margin={"t": 40, "l": 70, "r": 20, "b": 70}, font_color="#1b1b1f")
    if geometry.kind == "line":
        figure.update_xaxes(title=geometry.labels[0], range=[-0.06, 1.06])
        figure.update_yaxes(title="Formation energy (meV/atom)")
        return
    if geometry.kind == "square":
        figure.update_xaxes(title=geometry.labels[0], range=[-0.06, 1.06], constrain="domain")
        figure.update_yaxes(title=geometry.labels[1], range=[-0.09, 1.09], scaleanchor="x", constrain="domain")
        return
    outline = np.vstack([CORNERS, CORNERS[:1]])
    figure.add_scatter(x=outline[:, 0], y=outline[:, 1], mode="lines", line={"color": "black"}, hoverinfo="skip")
    anchors = [("center", "bottom", 0, 8), ("right", "top", -4, -8), ("left", "top", 4, -8)]
    for (x, y), part, (side, edge, dx, dy) in zip(CORNERS, geometry.parts, anchors, strict=True):
        look = {"showarrow": False, "xanchor": side, "yanchor": edge, "xshift": dx, "yshift": dy, "font": {"size": 18}}
        figure.add_annotation(x=x, y=y, text=str(html(part)), **look)
    figure.update_xaxes(visible=False, range=[-0.75, 0.75], constrain="domain")
    figure.update_yaxes(visible=False, range=[-0.1, 1.1], scaleanchor="x", constrain="domain")
