"""The campaign as Markdown, for a repository or an electronic lab notebook."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from loop.records import CampaignRecord, FieldRecord
from loop.report import found, readable, view
from loop.report.citations import citations
from loop.report.field_maps import draw_fields
from loop.report.levels import level_table
from loop.report.page import write_structures
from loop.report.tables import write_tables
from loop.report.winners import winners
from loop.units import cpu_time

#: Compositions listed per field; the tables beside the text hold all.
_ROWS = 12


def write_markdown(record: CampaignRecord, folder: Path) -> Path:
    """Write ``report.md`` with its maps, tables and structures beside it.

    Args:
        record: The campaign, empty, in progress or complete.
        folder: Where to; made if it is missing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(record, folder / "tables")
    write_structures(record, folder / "structures")
    maps = {name: not drawn.missing for name, drawn in draw_fields(record, folder / "maps").items()}
    path = folder / "report.md"
    path.write_text("\n\n".join(_paragraphs(record, maps)) + "\n", encoding="utf-8")
    return path


def _paragraphs(record: CampaignRecord, maps: dict[str, bool]) -> Iterable[str]:
    page = view.page_view(record)
    yield f"# {text(record.name)}"
    yield f"{page.state} Level of theory: {text(page.level)}. Made {page.made}."
    yield "## What was found"
    if not page.found:
        yield "Nothing yet: no probe has an energy."
    else:
        near = f"within {readable.mev(page.stable_below)} meV/atom of the competing phases"
        yield f"{len(page.near)} of {len(page.found)} computed compositions lie {near}."
        yield f"Where the lowest structures came from: {text(winners(page.found)) or 'not recorded'}."
        yield _found_table(page.found[:_ROWS])
    for field in page.fields:
        yield from _field_paragraphs(field, maps[field.phase_field])
    yield "## Ranking"
    for cycle in record.cycles:
        chosen = "; ".join(f"{text(name)} ({text(reason)})" for name, reason in cycle.proposals.items())
        trained = f"trained on {cycle.n_training} known fields, {cycle.n_candidates} candidates"
        yield f"Cycle {cycle.number}: {trained}. {chosen}"
    yield "## Budget"
    yield f"{cpu_time(page.cpu_hours)}; calculations: {readable.plain(page.states) or 'none'}."
    if page.failures:
        yield "## What failed, and why"
        rows = [(row["phase_field"], row["composition"], row["state"], row["reason"]) for row in page.failures]
        yield _table(("Field", "Composition", "State", "Reason"), rows)
    yield "## Settings and citations"
    yield f"Settings {text(record.settings_hash)}; versions: {text(readable.plain(record.versions))}."
    yield "\n".join(
        f"- {each.what}: {each.text}, doi [{each.doi}](https://doi.org/{each.doi})" for each in citations(record)
    )


def _field_paragraphs(field: FieldRecord, has_map: bool) -> Iterable[str]:
    name = field.phase_field
    yield f"## {name}: {field.verdict}"
    yield text(field.reason or "No verdict yet.")
    if has_map:
        yield f"![Energy above hull over {name}](maps/{name}.png)"
    if probes := found.found_in(field):
        yield _found_table(probes[:_ROWS])
    if compared := level_table(field):
        yield text(compared.in_words())
        rows = [(formula, *(readable.mev(e, signed=True) for e in energies)) for formula, energies in compared.rows]
        yield _table(("From competing phases (meV/atom)", *compared.levels), rows)
    table = f"[tables/probes_{name}.csv](tables/probes_{name}.csv)"
    yield f"All probes: {table}. Competing phases: {text(field.competing_source)}."


def _found_table(probes: Sequence[found.Found]) -> str:
    head = (
        "Composition",
        "Field",
        "From competing phases (meV/atom)",
        "Above hull (meV/atom)",
        "Decomposes into",
        "Structure",
    )
    rows = [
        (
            each.formula,
            each.phase_field,
            readable.mev(each.e_above_competing, signed=True),
            readable.mev(each.e_above_hull),
            each.decomposition,
            Markup(f"[CIF](structures/{each.file_name})") if each.structure else "",
        )
        for each in probes
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([text(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text(value: object) -> str:
    """Text that Markdown and HTML leave as it is; what is marked up already stays so."""
    if isinstance(value, Markup):
        return str(value)
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", str(value)).replace("\n", " ")
