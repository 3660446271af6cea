"""The compositions that a campaign found, the nearest to the hull first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from pymatgen.core import Composition

from loop.records import CampaignRecord, FieldRecord
from loop.report.formulas import field_formula, in_words
from loop.report.points import finished
from vae.phase_fields import PhaseField

#: Used where the settings do not say otherwise, eV/atom.
_STABLE_BELOW = 0.025
#: As many letters as a map can carry.
_MOST_MARKS = 6


@dataclass(frozen=True)
class Found:
    """One computed probe composition.

    Attributes:
        formula: In the order of the field.
        phase_field: Its field.
        cycle: When it was explored.
        e_above_hull: eV/atom, of all entries.
        e_above_competing: eV/atom from the competing phases alone, signed.
        decomposition: In words, among the competing phases.
        generator: How the structure was built.
        n_atoms: Atoms in its cell.
        key: Hash of its calculation.
        output: File of the raw output.
        structure: Pymatgen dictionary, if there is one.
    """

    formula: str
    phase_field: str
    cycle: int
    e_above_hull: float
    e_above_competing: float
    decomposition: str
    generator: str
    n_atoms: int | None
    key: str
    output: str
    structure: dict[str, Any] | None

    @property
    def id(self) -> str:
        """What tells it from all others on the page."""
        return f"{self.phase_field} {self.formula}"

    @property
    def holds_every_element(self) -> bool:
        """Whether none of its field's elements is lacking."""
        return set(PhaseField.parse(self.phase_field).elements) <= set(Composition(self.formula).as_dict())

    @property
    def file_name(self) -> str:
        """Of its CIF."""
        return f"{self.phase_field}_{self.formula}.cif"


def found_in(record: FieldRecord) -> list[Found]:
    """The lowest finished probe at each composition of a field, the nearest to the competing phases first."""
    elements = PhaseField.parse(record.phase_field).elements
    best: dict[str, Found] = {}
    rows = sorted(finished(record.probes, "e_above_competing"), key=lambda row: row["e_above_competing"])
    for row in rows:
        probe = _found(row, record, elements)
        best.setdefault(probe.formula, probe)
    return list(best.values())


def _found(row: dict[str, Any], record: FieldRecord, elements: tuple[str, ...]) -> Found:
    parts = row.get("competing_decomposition")
    structure = row.get("structure")
    return Found(
        formula=field_formula(str(row["composition"]), elements),
        phase_field=record.phase_field,
        cycle=record.cycle,
        e_above_hull=float(row["e_above_hull"]),
        e_above_competing=float(row["e_above_competing"]),
        decomposition=in_words(parts, elements) if isinstance(parts, dict) else "",
        generator=str(row.get("generator") or ""),
        n_atoms=None if pd.isna(row.get("n_atoms")) else int(row["n_atoms"]),
        key=str(row.get("hash") or ""),
        output=str(row.get("output") or ""),
        structure=structure if isinstance(structure, dict) else None,
    )


def near_hull(record: FieldRecord, campaign: CampaignRecord) -> list[str]:
    """Formulas of the probes near the hull, the nearest first, for the magenta letters of the map."""
    limit = stable_below(campaign)
    near = [probe.formula for probe in found_in(record) if probe.e_above_competing <= limit]
    return near[:_MOST_MARKS]


def stable_below(record: CampaignRecord) -> float:
    """What counts as near the hull in this campaign, eV/atom."""
    value = _search(record.settings, "stable_below")
    return float(value) if value is not None else _STABLE_BELOW


def _search(settings: dict[str, Any], key: str) -> Any:
    """The value of a key at any depth."""
    if key in settings:
        return settings[key]
    nested = (_search(value, key) for value in settings.values() if isinstance(value, dict))
    return next((value for value in nested if value is not None), None)
