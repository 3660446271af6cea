"""What `loop map` does, free of the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from loop.report.energies import read_energies
from loop.report.hull_map import draw_hull_map, save_map
from loop.report.interactive import write_interactive
from loop.report.points import MapNote, count_compositions, points_from_table, with_level
from vae.phase_fields import PhaseField


def map_command(
    energies: Path,
    field: str,
    out: Path,
    json_file: Path | None = None,
    mark: Sequence[str] = (),
    size: str = "paper",
    colours: str = "red",
    level: str = "",
    source: str = "",
    section: Sequence[str] = (),
) -> str:
    """Draw the hull map of a table of energies.

    Args:
        energies: CSV with ``composition,total_energy_eV`` and, if wished, ``role``.
        field: Such as ``Li-Sn-S-Cl``.
        out: The figure; .png, .svg, .pdf, or .html for an interactive one.
        json_file: Where to write ``[{"composition": as given, "e_above_hull": eV/atom}, ...]``, in the rows' order.
        mark: Formulas of new phases, drawn in magenta.
        size: ``paper``, ``slide`` or ``poster``.
        colours: ``red``, ``colour-blind`` or ``grey``.
        level: The level of theory, in words, for the caption.
        source: Where the competing phases come from, in words, for the caption.
        section: Two or three end members, such as ``("Li2S", "SnS2", "LiCl")``, for a section through the field.

    Returns:
        One line that says what was made.

    Raises:
        ValueError: In one sentence, for every mistake in the table or the options.
        FileNotFoundError: If there is no table.
    """
    phase_field = PhaseField.parse(field)
    table = read_energies(energies, phase_field)
    points = points_from_table(table, phase_field)
    n_compositions = count_compositions(points)
    note = MapNote(level, source or f"rows of {Path(energies).name}", n_compositions, n_structures=len(points))
    points = with_level(points, level)
    if Path(out).suffix.lower() == ".html":
        write_interactive(points, phase_field, Path(out), note, mark, colours, section)
    else:
        save_map(draw_hull_map(points, phase_field, note, mark, size, colours, section), out)
    if json_file is not None:
        rows = [
            {"composition": text, "e_above_hull": point.e_above_hull}
            for text, point in zip(table.compositions, points, strict=True)
        ]
        Path(json_file).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return f"{out}: {field}, {len(points)} energies at {n_compositions} compositions"
