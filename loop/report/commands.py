"""What `loop map` does, free of the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loop.records import CampaignRecord
from loop.report import found
from loop.report.energies import read_energies
from loop.report.hull_map import draw_hull_map, save_map
from loop.report.interactive import write_interactive
from loop.report.levels import at_level
from loop.report.points import (
    MapNote,
    MapPoint,
    count_compositions,
    note_from_record,
    points_from_record,
    points_from_table,
    with_level,
)
from vae.phase_fields import PhaseField


@dataclass(frozen=True)
class MapOptions:
    """How a map looks and what is said about it.

    Attributes:
        mark: Formulas of new phases, drawn in magenta.
        size: ``paper``, ``slide`` or ``poster``.
        colours: ``red``, ``colour-blind`` or ``grey``.
        level: Of a table, its level of theory in words for the caption; of a campaign, the name of the level to show
            instead of the highest.
        source: Where a table's competing phases come from, in words, for the caption.
        section: Two or three end members, such as ``("Li2S", "SnS2", "LiCl")``, for a section through the field.
    """

    mark: Sequence[str] = ()
    size: str = "paper"
    colours: str = "red"
    level: str = ""
    source: str = ""
    section: Sequence[str] = ()


def map_command(
    energies: Path, field: str, out: Path, json_file: Path | None = None, options: MapOptions | None = None
) -> str:
    """Draw the hull map of a table of energies.

    Args:
        energies: CSV with ``composition,total_energy_eV`` and, if wished, ``role``.
        field: Such as ``Li-Sn-S-Cl``.
        out: The figure; .png, .svg, .pdf, or .html for an interactive one.
        json_file: Where to write ``[{"composition": as given, "e_above_hull": eV/atom}, ...]``, in the rows' order.
        options: How it looks.

    Returns:
        One line that says what was made.

    Raises:
        ValueError: In one sentence, for every mistake in the table or the options.
        FileNotFoundError: If there is no table.
    """
    options = options or MapOptions()
    phase_field = PhaseField.parse(field)
    table = read_energies(energies, phase_field)
    points = with_level(points_from_table(table, phase_field), options.level)
    source = options.source or f"rows of {Path(energies).name}"
    note = MapNote(options.level, source, count_compositions(points), n_structures=len(points))
    _draw(points, phase_field, out, note, options, options.mark)
    _write_json(json_file, table.compositions, points)
    return f"{out}: {field}, {len(points)} energies at {note.n_compositions} compositions"


def map_campaign(
    record: CampaignRecord, field: str, out: Path, json_file: Path | None = None, options: MapOptions | None = None
) -> str:
    """Draw the hull map of a field that a campaign has explored; the phases nearest to the hull are marked.

    Args:
        record: The campaign.
        field: Such as ``Li-Sn-S-Cl``.
        out: As for `map_command`.
        json_file: As for `map_command`: the probes, then the competing phases.
        options: How it looks; marks given replace the campaign's own.

    Returns:
        One line that says what was made.

    Raises:
        ValueError: If the campaign has not explored the field, or nothing can be drawn.
    """
    options = options or MapOptions()
    phase_field = PhaseField.parse(field)
    explored = {each.phase_field: each for each in record.fields}
    if str(phase_field) not in explored:
        names = ", ".join(explored) or "none yet"
        raise ValueError(f"the campaign has not explored {phase_field}; explored: {names}")
    one = at_level(explored[str(phase_field)], options.level)
    points = points_from_record(one)
    _draw(
        points, phase_field, out, note_from_record(one, points), options, options.mark or found.near_hull(one, record)
    )
    _write_json(json_file, [point.formula for point in points], points)
    return f"{out}: {phase_field}, {len(points)} energies at {count_compositions(points)} compositions"


def _draw(
    points: Sequence[MapPoint], field: PhaseField, out: Path, note: MapNote, options: MapOptions, mark: Sequence[str]
) -> None:
    if Path(out).suffix.lower() == ".html":
        write_interactive(points, field, Path(out), note, mark, options.colours, options.section)
    else:
        save_map(draw_hull_map(points, field, note, mark, options.size, options.colours, options.section), out)


def _write_json(path: Path | None, compositions: Sequence[str], points: Sequence[MapPoint]) -> None:
    if path is None:
        return
    rows = [
        {"composition": text, "e_above_hull": point.e_above_hull}
        for text, point in zip(compositions, points, strict=True)
    ]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
