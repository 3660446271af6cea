"""The page of a campaign: one HTML file that opens from disk, with its maps and tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from loop.records import CampaignRecord
from loop.report import charts, found, readable, structures, view
from loop.report.citations import citations
from loop.report.embedding import json_for_script
from loop.report.field_maps import FieldMap, draw_fields
from loop.report.formulas import html
from loop.report.levels import file_stem, level_table
from loop.report.points import level_in_words
from loop.report.tables import write_tables
from loop.report.winners import winners
from loop.units import cpu_time, duration


def build_report(record: CampaignRecord, folder: Path) -> Path:
    """Make figures, tables and page from the records alone.

    Args:
        record: The campaign, empty, in progress or complete.
        folder: Gets ``index.html``, ``maps/<field>.png`` and ``.svg``, ``tables/*.csv``, ``structures/*.cif``.

    Returns:
        The page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(record, folder / "tables")
    write_structures(record, folder / "structures")
    maps = draw_fields(record, folder / "maps")
    page = folder / "index.html"
    page.write_text(render(record, maps), encoding="utf-8")
    return page


def write_structures(record: CampaignRecord, folder: Path) -> list[Path]:
    """The structures behind the energies of the probes, as CIF: ``<field>_<formula>.cif``, the lowest at each."""
    probes = [probe for field in record.fields for probe in found.found_in(field) if probe.structure]
    return [structures.write_cif(probe.structure or {}, folder / probe.file_name) for probe in probes]


def render(record: CampaignRecord, maps: dict[str, FieldMap]) -> str:
    """The page as text; everything that comes from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("loop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        formula=html,
        mev=readable.mev,
        number=readable.number,
        duration=duration,
        cpu_time=cpu_time,
        plain=readable.plain,
        sentence=readable.sentence,
        whole=readable.whole,
    )
    environment.filters.update(level_table=level_table, stem=lambda lower: file_stem(lower, top=False))
    environment.filters.update(winners=winners, level=level_in_words, file_name=lambda path: Path(path).name)
    page = view.page_view(record)
    spent, near = _sums([each.cpu_hours for each in page.spent]), _sums([each.near for each in page.spent])
    return environment.get_template("page.html.j2").render(
        view=page,
        maps=maps,
        bump=charts.bump_chart(record),
        latent=charts.latent_map(record),
        budget=charts.found_against_spent(spent, [round(n) for n in near]),
        citations=citations(record),
        data=json_for_script(viewer_data(page.found)),
    )


def viewer_data(probes: Sequence[found.Found]) -> dict[str, dict]:
    """What the structure viewer needs: structures by their key, and how to draw each element."""
    shown = {probe.id: structures.compact(probe.structure) for probe in probes if probe.structure}
    symbols = {symbol for each in shown.values() for symbol in each["symbols"]}
    names = {probe.id: {"formula": probe.formula, "file": probe.file_name} for probe in probes if probe.structure}
    return {
        "structures": {key: each | names[key] for key, each in shown.items()},
        "looks": structures.element_looks(symbols),
    }


def _sums(values: Sequence[float]) -> list[float]:
    return [sum(values[: i + 1]) for i in range(len(values))]
