"""The hull map as one HTML file: hover to read a calculation, click to see its structure; no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from loop.report import structures
from loop.report.embedding import json_for_script
from loop.report.formulas import field_formula, html, in_words
from loop.report.geometry import CORNERS, Geometry, geometry_of
from loop.report.hull_map import interpolated, mark_place, placed, scale_of
from loop.report.points import MapNote, MapPoint, Placed
from loop.report.styles import NEW_PHASE, ground
from vae.phase_fields import PhaseField

_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "sendDataToCloud", "sendChartToCloud"],
}


def write_interactive(
    points: Sequence[MapPoint],
    field: PhaseField,
    path: Path,
    note: MapNote | None = None,
    mark: Sequence[str] = (),
    colours: str = "red",
    section: Sequence[str] = (),
) -> Path:
    """Write a square or triangular map as HTML, plotly included (about 5 MB).

    Args:
        points: As for `draw_hull_map`.
        field: As for `draw_hull_map`.
        path: The file.
        note: What the map rests on, written beneath it.
        mark: Formulas of new phases, drawn in magenta.
        colours: ``red``, ``colour-blind`` or ``grey``.
        section: Three end members of a section.

    Raises:
        ValueError: As `draw_hull_map`; and for a line, which has no interactive form.
    """
    geometry = geometry_of(field, section)
    if geometry.kind == "line":
        raise ValueError(f"{path}: a line has no interactive map, choose .png, .svg or .pdf")
    shown = lowest_at_each_place(placed(points, geometry))
    if not shown:
        raise ValueError(f"no map of {field}: no computed composition has a place on it")
    figure = _figure(shown, field, geometry, mark, colours)
    data = {point.formula: _viewer_entry(point, field) for point, _ in shown if point.structure}
    symbols = {symbol for each in data.values() for symbol in each["symbols"]}
    environment = Environment(loader=PackageLoader("loop.report"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("map.html.j2").render(
        field=field,
        note=note.text() if note else "",
        legend=[html(field_formula(text, field.elements)) for text in mark],
        plot=figure.to_html(full_html=False, include_plotlyjs=True, div_id="map", config=_CONFIG),
        data=json_for_script({"structures": data, "looks": structures.element_looks(symbols)}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


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


def _figure(shown: list[Placed], field: PhaseField, geometry: Geometry, mark: Sequence[str], colours: str) -> Any:
    import plotly.graph_objects as go

    places = np.array([place for _, place in shown])
    energies = np.array([point.e_above_hull for point, _ in shown]) * 1000
    top = float(scale_of(energies).vmax or 0)
    colour_map = ground(colours)
    scale = [[x, "rgb({},{},{})".format(*(round(255 * c) for c in colour_map(x)[:3]))] for x in np.linspace(0, 1, 12)]
    surface = interpolated(places, energies, geometry)
    figure = go.Figure()
    if surface is not None:
        values = np.where(surface.inside, np.round(surface.energy, 1), np.nan)
        bar = {"title": {"text": "Energy above hull (meV/atom)", "side": "right"}}
        look = {"colorscale": scale, "zmin": 0, "zmax": top, "colorbar": bar, "hoverinfo": "skip", "zsmooth": "best"}
        figure.add_trace(go.Heatmap(x=surface.x, y=surface.y, z=values, **look))
        halo = {"symbol": "y-down-open", "size": 10, "color": "rgba(255,255,255,0.8)", "line": {"width": 4}}
        figure.add_trace(go.Scatter(x=places[:, 0], y=places[:, 1], mode="markers", marker=halo, hoverinfo="skip"))
    figure.add_trace(_tripods(go, shown, field, energies, scale, top, surface is None))
    figure.add_trace(_known(go, [(point, place) for point, place in shown if point.is_known], field))
    for text in mark:
        x, y = mark_place(text, field, geometry)
        look = {"symbol": "y-down-open", "size": 17, "color": NEW_PHASE[colours], "line": {"width": 4}}
        name = str(html(field_formula(text, field.elements)))
        figure.add_trace(go.Scatter(x=[x], y=[y], mode="markers", marker=look, name=name, hovertext=name))
    _frame(figure, geometry)
    return figure


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


def _known(go: Any, known: list[Placed], field: PhaseField) -> Any:
    """Known compounds with their formulas, away from the edge they lie on."""
    return go.Scatter(
        x=[place[0] for _, place in known],
        y=[place[1] for _, place in known],
        mode="markers+text",
        marker={"symbol": "circle", "size": 9, "color": "white", "line": {"width": 1.6, "color": "black"}},
        text=[str(html(point.formula)) for point, _ in known],
        textposition=["top center" if place[1] > 0.5 else "bottom center" for _, place in known],
        textfont={"size": 14, "color": "black"},
        hovertext=[hover_text(point, field) for point, _ in known],
        hoverinfo="text",
        customdata=[point.formula for point, _ in known],
        cliponaxis=False,
    )


def _frame(figure: Any, geometry: Geometry) -> None:
    """Axes: a square's own, or the outline and corners of a triangle."""
    figure.update_layout(height=760, width=880, showlegend=False, template="plotly_white", font={"size": 15})
    figure.update_layout(margin={"t": 40, "l": 70, "r": 20, "b": 70})
    if geometry.kind == "square":
        figure.update_xaxes(title=geometry.labels[0], range=[-0.06, 1.06])
        figure.update_yaxes(title=geometry.labels[1], range=[-0.09, 1.09], scaleanchor="x")
        return
    outline = np.vstack([CORNERS, CORNERS[:1]])
    figure.add_scatter(x=outline[:, 0], y=outline[:, 1], mode="lines", line={"color": "black"}, hoverinfo="skip")
    anchors = [("center", "bottom"), ("right", "top"), ("left", "top")]
    for (x, y), part, (side, edge) in zip(CORNERS, geometry.parts, anchors, strict=True):
        text = str(html(part))
        figure.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor=side, yanchor=edge, font={"size": 18})
    figure.update_xaxes(visible=False, range=[-0.7, 0.7])
    figure.update_yaxes(visible=False, range=[-0.1, 1.1], scaleanchor="x")


def _viewer_entry(point: MapPoint, field: PhaseField) -> dict[str, Any]:
    names = {"formula": point.formula, "file": f"{field}_{point.formula}.cif"}
    return structures.compact(point.structure or {}) | names
