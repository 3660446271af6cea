"""Entries at one level of theory -> phase diagram, energy above the hull, decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.decomposition import Decomposition, Entry, decompose

#: Where an entry carries the identity of its level of theory: ``entry.data[LEVEL_KEY]``.
LEVEL_KEY = "level_of_theory"
#: eV/atom: an entry no higher than this may be a corner of the hull.
_ON_THE_HULL = 1e-6


@dataclass(frozen=True)
class HullPoint:
    """One entry seen against the hull.

    Attributes:
        formula: Formula as it was given, such as ``Li3SnS3Cl``.
        energy_per_atom: Total energy, eV/atom.
        e_above_hull: Distance from the hull of all entries, eV/atom, never negative.
        e_above_competing: Distance from the hull of the competing phases alone, eV/atom; negative for a new
            phase that is more stable than every mixture of them.
        decomposition: Formulas of the phases it decomposes into and their fractions of atoms (hull of all entries).
        competing_decomposition: The same among the competing phases alone.
    """

    formula: str
    energy_per_atom: float
    e_above_hull: float
    e_above_competing: float
    decomposition: dict[str, float]
    competing_decomposition: dict[str, float]


def build_phase_diagram(entries: Sequence[Entry], level: str | None = None) -> PhaseDiagram:
    """Phase diagram of entries that all share one level of theory.

    Args:
        entries: Total energies in eV, all with the same `LEVEL_KEY` in their data, or all without, as from a table
            whose user answers for it.
        level: Identity of the level of theory that the hull is for; entries of another are refused.

    Raises:
        ValueError: If two levels of theory meet, an energy is not finite, or an element has no reference entry.
    """
    _require_references(entries, level)
    return PhaseDiagram(list(entries))


def _require_references(entries: Sequence[Entry], level: str | None) -> None:
    stated = require_one_level(entries, level)
    elements = {element for entry in entries for element in entry.composition.elements}
    referenced = {entry.composition.elements[0] for entry in entries if entry.composition.is_element}
    missing = sorted(str(element) for element in elements - referenced)
    if missing:
        at_level = f" at level {stated}" if stated else ""
        raise ValueError(f"no elemental reference entry for {missing}{at_level}")


def require_one_level(entries: Sequence[Entry], level: str | None = None) -> str | None:
    """The level of theory that all entries share, as every hull demands; none if none of them states one.

    Args:
        entries: Total energies in eV.
        level: The level that it must be, if it matters.

    Raises:
        ValueError: If there is no entry, two levels of theory meet, or an energy is not finite.
    """
    if not entries:
        raise ValueError("no entries: a hull needs at least one reference entry per element")
    levels = {_level(entry) for entry in entries} | ({level} if level else set())
    if len(levels) > 1:
        names = sorted("no stated level" if each is None else each for each in levels)
        raise ValueError(f"one hull, one level of theory: entries at {names} cannot be mixed")
    for entry in entries:
        if not np.isfinite(entry.energy):
            raise ValueError(f"the energy of {entry.composition.reduced_formula} is {entry.energy}, not a number")
    return next(iter(levels))


def hull_points(probes: Sequence[Entry], competing: Sequence[Entry], level: str | None = None) -> list[HullPoint]:
    """Energies above the hull of probes, with the probes in the hull and against the competing phases alone.

    Args:
        probes: Entries of probe structures; several may share a composition.
        competing: Entries of the competing phases, elements included, at the same level of theory.
        level: Identity of the level, for error messages.

    Returns:
        One point per probe, in their order.

    Raises:
        ValueError: As `build_phase_diagram`.
    """
    _require_references([*competing, *probes], level)
    alone = build_phase_diagram(competing, level)
    # What lies above the hull of the competing phases is no corner of the hull of all, and is left out of building it.
    above = distances_from(alone, probes)
    corners = [probe for probe, distance in zip(probes, above, strict=True) if distance <= _ON_THE_HULL]
    everything = build_phase_diagram([*competing, *corners], level) if corners else alone
    return distances(probes, everything, alone)


def distances(probes: Sequence[Entry], everything: PhaseDiagram, alone: PhaseDiagram) -> list[HullPoint]:
    """Entries seen against the hull of all entries, and against that of the competing phases alone.

    Raises:
        ValueError: If one lies outside the chemical system of a hull.
    """
    competing_decompositions, above_competing = _above(alone, probes)
    same = everything is alone
    decompositions, above = (competing_decompositions, above_competing) if same else _above(everything, probes)
    return [
        HullPoint(
            formula=_formula(probe),
            energy_per_atom=float(probe.energy_per_atom),
            e_above_hull=max(0.0, float(above[i])),
            e_above_competing=float(above_competing[i]),
            decomposition=_by_formula(decompositions[i]),
            competing_decomposition=_by_formula(competing_decompositions[i]),
        )
        for i, probe in enumerate(probes)
    ]


def distances_from(diagram: PhaseDiagram, entries: Sequence[Entry]) -> list[float]:
    """Signed distances of entries from a hull that need not hold them, eV/atom.

    Raises:
        ValueError: If one lies outside the chemical system of the hull.
    """
    return [float(distance) for distance in _above(diagram, entries)[1]]


def _above(diagram: PhaseDiagram, entries: Sequence[Entry]) -> tuple[list[Decomposition], np.ndarray]:
    """Decompositions of entries and their signed distances from a hull that need not hold them, eV/atom."""
    decompositions, hull = decompose(diagram, [entry.composition for entry in entries])
    return decompositions, np.array([entry.energy_per_atom for entry in entries]) - hull


def lowest_per_composition(entries: Sequence[Entry]) -> list[Entry]:
    """The entry of lowest energy per atom at each reduced composition, in order of first appearance."""
    best: dict[Composition, Entry] = {}
    for entry in entries:
        key = entry.composition.fractional_composition
        if key not in best or entry.energy_per_atom < best[key].energy_per_atom:
            best[key] = entry
    return list(best.values())


def _level(entry: Entry) -> str | None:
    return entry.data.get(LEVEL_KEY) if isinstance(entry, ComputedEntry) else None


def _by_formula(decomposition: Decomposition) -> dict[str, float]:
    return {_formula(entry): round(float(x), 6) for entry, x in decomposition.items() if x > 1e-6}


def _formula(entry: Entry) -> str:
    """Of the compound itself, where a section gives it in terms of end members."""
    return getattr(entry, "original_entry", entry).composition.reduced_formula
