"""The hull map as one HTML file: hover to read a calculation, click to see its structure; no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from loop.report import interpolation, structures
from loop.report.embedding import json_for_script
from loop.report.formulas import field_formula, html
from loop.report.geometry import geometry_of
from loop.report.hull_map import placed
from loop.report.plotly_map import interactive_figure, lettered
from loop.report.points import MapNote, MapPoint
from vae.phase_fields import PhaseField

_CONFIG = {
    "displaylogo": False,
    "responsive": True,
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
    """Write a map as HTML, plotly included (about 5 MB).

    Args:
        points: As for `draw_hull_map`.
        field: As for `draw_hull_map`.
        path: The file.
        note: What the map rests on, written beneath it.
        mark: Formulas of new phases, drawn in magenta.
        colours: ``red``, ``colour-blind`` or ``grey``.
        section: Two or three end members of a section.

    Raises:
        ValueError: As `draw_hull_map`.
    """
    geometry = geometry_of(field, section)
    shown = placed(points, geometry)
    figure, veiled = interactive_figure(points, field, geometry, mark, colours)
    # of several at one formula the lowest is shown
    ordered = sorted(shown, key=lambda item: -item[0].e_above_hull)
    data = {point.formula: _viewer_entry(point, field) for point, _ in ordered if point.structure}
    symbols = {symbol for each in data.values() for symbol in each["symbols"]}
    environment = Environment(loader=PackageLoader("loop.report"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("map.html.j2").render(
        field=field,
        note=note.text() if note else "",
        legend=[(letter, html(field_formula(text, field.elements))) for letter, text in lettered(mark)],
        veiled=f"{interpolation.SPARSE_BEYOND:g}" if veiled else "",
        plot=figure.to_html(full_html=False, include_plotlyjs=True, div_id="map", config=_CONFIG),
        data=json_for_script({"structures": data, "looks": structures.element_looks(symbols)}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _viewer_entry(point: MapPoint, field: PhaseField) -> dict[str, Any]:
    names = {"formula": point.formula, "file": f"{field}_{point.formula}.cif"}
    return structures.compact(point.structure or {}) | names
