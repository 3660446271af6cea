"""What a map shows: compositions with their energies above the hull, from a table or from a campaign's records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.hull import build_phase_diagram, distances_from, hull_points, require_one_level
from dft.section import above_section
from loop.field_hull import labelled_entry
from loop.records import FieldRecord
from loop.report.energies import EnergyTable
from loop.report.formulas import field_formula
from vae.phase_fields import PhaseField

#: A competing phase this near to the hull of the competing phases is shown as a known compound, eV/atom.
KNOWN_WITHIN = 0.001


@dataclass(frozen=True)
class MapPoint:
    """One computed composition.

    Attributes:
        formula: In the order of the field's elements, reduced.
        e_above_hull: Distance from the hull of all entries, eV/atom.
        e_above_competing: Distance from the hull of the competing phases alone, eV/atom; negative for a new phase.
        role: Whether a probe or a competing phase.
        energy_per_atom: Total energy, eV/atom, where it is known.
        decomposition: Formulas and fractions of atoms of the phases it decomposes into.
        generator: How its structure was built, in words.
        level: Identity of the level of theory.
        structure: Its structure as a pymatgen dictionary, where there is one.
        key: Whatever finds it again in its table, such as a calculation's hash.
    """

    formula: str
    e_above_hull: float
    e_above_competing: float
    role: Literal["probe", "competing"] = "probe"
    energy_per_atom: float | None = None
    decomposition: Mapping[str, float] = field(default_factory=dict)
    generator: str = ""
    level: str = ""
    structure: Mapping[str, Any] | None = None
    key: str = ""

    @property
    def composition(self) -> Composition:
        """Its composition."""
        return Composition(self.formula)

    @property
    def is_known(self) -> bool:
        """Whether it is a competing phase on the hull of the competing phases."""
        return self.role == "competing" and self.e_above_competing <= KNOWN_WITHIN


#: States in which a calculation has ended without an energy, and those in which it has not ended.
WITHOUT_ENERGY = ("failed", "unconverged", "rejected")
UNDER_WAY = ("proposed", "approved", "submitted", "running")
#: A point and its place in the plane of the map.
Placed = tuple[MapPoint, tuple[float, float]]


@dataclass(frozen=True)
class MapNote:
    """What a map rests on, printed with it.

    Attributes:
        level: The level of theory in words.
        competing_source: Where the competing phases came from, in words.
        n_compositions: Distinct compositions with an energy.
        n_structures: Structures behind them.
        n_failed: Calculations without an energy.
        error_band: Known error of energies above the hull at this level, eV/atom; zero where unknown.
        remark: Anything else, such as that the campaign is still running.
    """

    level: str = ""
    competing_source: str = ""
    n_compositions: int = 0
    n_structures: int = 0
    n_failed: int = 0
    error_band: float = 0.0
    remark: str = ""

    def text(self) -> str:
        """The note as one paragraph."""
        band = f", error of energies above the hull about {self.error_band * 1000:.0f} meV/atom"
        level = f"Level of theory: {level_in_words(self.level)}{band if self.error_band else ''}."
        structures = f" from {self.n_structures} {_plural('structure', self.n_structures)}" if self.n_structures else ""
        counts = f"{self.n_compositions} {_plural('composition', self.n_compositions)}{structures}"
        failed = f"{self.n_failed or 'no'} {_plural('calculation', self.n_failed or 1)} without an energy."
        source = f"Competing phases: {self.competing_source or 'source not stated'}."
        return " ".join(filter(None, [level, f"{counts}; {failed}", source, self.remark]))


def level_in_words(level: str) -> str:
    """The identity of a level of theory as a list of its parts."""
    return level.replace("|", ", ") or "not stated"


def _plural(word: str, n: int) -> str:
    return word if n == 1 else word + "s"


def points_from_table(table: EnergyTable, phase_field: PhaseField) -> list[MapPoint]:
    """One point per row, in the order of the rows; every row, probe or competing phase, is in the hull."""
    probes = [entry for entry, probe in zip(table.entries, table.is_probe, strict=True) if probe]
    above = hull_points([*table.competing, *probes], table.competing)
    competing, new = iter(above[: len(table.competing)]), iter(above[len(table.competing) :])
    return [
        MapPoint(
            formula=field_formula(text, phase_field.elements),
            e_above_hull=point.e_above_hull,
            e_above_competing=point.e_above_competing,
            role="probe" if probe else "competing",
            energy_per_atom=point.energy_per_atom,
            decomposition=point.decomposition,
        )
        for text, probe in zip(table.compositions, table.is_probe, strict=True)
        for point in [next(new) if probe else next(competing)]
    ]


def points_from_record(record: FieldRecord) -> list[MapPoint]:
    """The probes and competing phases of an explored field that have an energy, the probes first."""
    elements = PhaseField.parse(record.phase_field).elements
    probes = [
        MapPoint(
            formula=field_formula(str(row["composition"]), elements),
            e_above_hull=float(row["e_above_hull"]),
            e_above_competing=float(row["e_above_competing"]),
            decomposition=row.get("decomposition") or {},
            **_provenance(row, record),
        )
        for row in finished(record.probes, "e_above_hull")
    ]
    return probes + _competing_points(record, elements)


def _competing_points(record: FieldRecord, elements: Sequence[str]) -> list[MapPoint]:
    rows = finished(record.competing, "energy_per_atom")
    above = _above_full_hull(record, rows)
    return [
        MapPoint(
            formula=field_formula(str(row["formula"]), elements),
            e_above_hull=above.get(i, float(row["e_above_hull"])),
            e_above_competing=float(row["e_above_hull"]),
            role="competing",
            **{**_provenance(row, record), "generator": _how_found(row)},
        )
        for i, row in enumerate(rows)
        if pd.notna(row.get("e_above_hull"))
    ]


def _above_full_hull(record: FieldRecord, rows: list[dict]) -> dict[int, float]:
    """Competing phases against the hull of all entries, where a new phase lies below what was known.

    The phases that were on the hull of the competing phases, and the new ones, span it.
    """
    probes = finished(record.probes, "energy_per_atom")
    below = [row for row in probes if pd.notna(row.get("e_above_competing")) and row["e_above_competing"] < 0]
    new, competing = [_entry(row, record) for row in below], [_entry(row, record) for row in rows]
    if new and record.section:
        above_all = above_section([*competing, *new], record.section)[: len(rows)]
        return {i: distance for i, distance in enumerate(above_all) if distance is not None}
    if not new or not any(entry.is_element for entry in competing):
        return {}
    require_one_level([*competing, *new])  # those above the hull are no part of the diagram below
    known = [pd.isna(row.get("e_above_hull")) or float(row["e_above_hull"]) <= KNOWN_WITHIN for row in rows]
    stable = [entry for entry, is_known in zip(competing, known, strict=True) if is_known]
    diagram = build_phase_diagram([*stable, *new])
    return {i: max(0.0, distance) for i, distance in enumerate(distances_from(diagram, competing))}


def _entry(row: dict, record: FieldRecord) -> ComputedEntry:
    return labelled_entry(str(row.get("composition") or row["formula"]), row["energy_per_atom"], _level(row, record))


def _level(row: dict, record: FieldRecord) -> str:
    """Identity of a calculation's level of theory; its field's if the table has no such column."""
    return str(row["level"]) if row.get("level") else level_of(record)


def _provenance(row: dict, record: FieldRecord) -> dict[str, Any]:
    structure = row.get("structure")
    return {
        "generator": str(row.get("generator") or ""),
        "level": _level(row, record),
        "structure": structure if isinstance(structure, dict) else None,
        "key": str(row.get("hash") or ""),
        "energy_per_atom": float(row["energy_per_atom"]) if pd.notna(row.get("energy_per_atom")) else None,
    }


def _how_found(row: dict) -> str:
    """How the structure of a competing phase was built, and how its formula came if no list has it."""
    return "; ".join(str(row[name]) for name in ("generator", "choice") if row.get(name))


def finished(table: pd.DataFrame, energy: str) -> list[dict]:
    """The rows of a record's table that are done and have an energy, as dictionaries."""
    if table.empty or energy not in table:
        return []
    done = table["state"].eq("done") if "state" in table else True
    return table[done & table[energy].notna()].to_dict("records")


def note_from_record(record: FieldRecord, points: Sequence[MapPoint], remark: str = "") -> MapNote:
    """What the map of an explored field rests on; `points` are those of `points_from_record`."""
    if record.section:
        ends = ", ".join(record.section)
        remark = f"{remark} Hull over the section {ends} alone, without the elements and what lies outside it.".strip()
    tables = [table for table in (record.probes, record.competing) if not table.empty]
    states = Counter(state for table in tables if "state" in table for state in table["state"])
    failed = sum(states[state] for state in WITHOUT_ENERGY)
    waiting = sum(states[state] for state in UNDER_WAY)
    if waiting:
        remark = f"{waiting} {_plural('calculation', waiting)} still to end. {remark}".strip()
    structures = sum(int(table["n_structures"].fillna(0).sum()) for table in tables if "n_structures" in table)
    return MapNote(
        level=level_of(record),
        competing_source=record.competing_source,
        n_compositions=count_compositions(points),
        n_structures=structures,
        n_failed=failed,
        error_band=record.error_band,
        remark=remark,
    )


def level_of(record: FieldRecord) -> str:
    """Identity of the level of theory of a field: its verdict's, or its calculations' while there is none."""
    named = [table["level"].dropna() for table in (record.probes, record.competing) if "level" in table]
    return record.level or next((str(column.iloc[0]) for column in named if len(column)), "")


def count_compositions(points: Iterable[MapPoint]) -> int:
    """How many distinct compositions there are."""
    return len({point.formula for point in points})


def with_level(points: Iterable[MapPoint], level: str) -> list[MapPoint]:
    """The same points, labelled with a level of theory."""
    return [replace(point, level=level) for point in points]
