"""Competing phases whose energies are the Materials Project's own, at the one level of theory that matches them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedStructureEntry

from dft.databases import matching_entries, material_id
from dft.workflows import structure_hash
from loop.calculation_log import Calculation
from loop.competing_phases import CompetingPhases
from loop.config import Settings
from loop.errors import UserError
from loop.ladder import Rung

if TYPE_CHECKING:
    from dft.first_principles import FirstPrinciplesLevel

#: What a source of competing phases says of them.
AS_THEY_ARE = "the Materials Project's own energies of all its phases, with the corrections of 2020"


def takes_energies(settings: Settings, rung: Rung) -> bool:
    """Whether nothing that the Materials Project knows is computed at a level, by `competing.energies`."""
    return settings.competing.energies == "materials_project" and rung.level.name == "vasp"


def taken_energies(phases: CompetingPhases, rung: Rung) -> list[Calculation]:
    """The phases of a field with their energies, the lowest of each formula; none at a level that computes them.

    Raises:
        UserError: If the answer of the Materials Project cannot be used.
    """
    if not takes_energies(phases.campaign.settings, rung):
        return []
    try:
        entries = matching_entries(phases.answer, cast("FirstPrinciplesLevel", rung.level))
    except (ValueError, OSError) as error:
        raise UserError(f"competing.energies: {error}") from None
    by_formula: dict[str, list[ComputedStructureEntry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.energy_per_atom):
        by_formula.setdefault(entry.composition.reduced_formula, []).append(entry)
    return [_calculation(formula, found, rung) for formula, found in sorted(by_formula.items())]


def without_taken(items: Iterable[Calculation], taken: Iterable[Calculation]) -> list[Calculation]:
    """Those of the items that are still to be computed."""
    known = {("competing", calculation.composition) for calculation in taken}
    return [item for item in items if (item.role, Composition(item.composition).reduced_formula) not in known]


def _calculation(formula: str, entries: list[ComputedStructureEntry], rung: Rung) -> Calculation:
    probes = [
        {"structure": json.loads(entry.structure.to_json()), "generator": f"Materials Project: {material_id(entry)}"}
        for entry in entries
    ]
    lowest = {
        **probes[0],
        "generator": f"{probes[0]['generator']}, its energy as it is there",
        "energy_per_atom": float(entries[0].energy_per_atom),
        "n_atoms": len(entries[0].structure),
    }
    identity = structure_hash(probes, rung.identity, {"energies": [entry.energy for entry in entries]})
    return Calculation(identity, "competing", formula, probes, taken=lowest)
