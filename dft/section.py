"""A section through a field: the hull over two or more compounds as end members, where the elements do not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pymatgen.analysis.phase_diagram import CompoundPhaseDiagram, PDEntry, TransformedPDEntry
from pymatgen.core import Composition

from dft.hull import Entry, HullPoint, distances, require_one_level

#: Amounts of an end member below this are none.
_TOLERANCE = 1e-6


def in_section(composition: Composition | str, end_members: Sequence[str]) -> bool:
    """Whether a composition is a mixture of the end members, none of them taken negatively."""
    wanted = Composition(composition).fractional_composition
    ends = [Composition(formula).fractional_composition for formula in end_members]
    elements = sorted({e for c in (wanted, *ends) for e in c.elements})
    matrix = np.array([[end[e] for end in ends] for e in elements])
    target = np.array([wanted[e] for e in elements])
    amounts = np.linalg.lstsq(matrix, target, rcond=None)[0]
    return bool(np.abs(matrix @ amounts - target).max() < _TOLERANCE and amounts.min() > -_TOLERANCE)


def build_section(
    entries: Sequence[Entry], end_members: Sequence[str], level: str | None = None
) -> CompoundPhaseDiagram:
    """Phase diagram over end members, of the entries that lie between them; distances per atom, as on any other hull.

    Args:
        entries: Total energies in eV at one level of theory; those outside the section take no part.
        end_members: Formulas, such as ``["LiCl", "NaCl"]``.
        level: Identity of the level, for error messages.

    Raises:
        ValueError: If two levels meet, an energy is not finite, the end members are not independent, or one has no
            entry.
    """
    check_end_members(end_members)
    stated = require_one_level(entries, level)
    inside = [entry for entry in entries if in_section(entry.composition, end_members)]
    present = {entry.composition.reduced_formula for entry in inside}
    lacking = [formula for formula in end_members if Composition(formula).reduced_formula not in present]
    if lacking:
        at_level = f" at level {stated}" if stated else ""
        raise ValueError(f"no entry for the end members {lacking} of the section{at_level}")
    plain = [PDEntry(entry.composition, entry.energy) for entry in inside]
    return CompoundPhaseDiagram(plain, [Composition(formula) for formula in end_members])


def check_end_members(end_members: Sequence[str]) -> None:
    """Refuse end members that span no section.

    Raises:
        ValueError: If there are fewer than two, one is no formula, or one is a mixture of the others.
    """
    if len(end_members) < 2:
        raise ValueError(f"a section needs two end members or more, not {list(end_members)}")
    try:
        compositions = [Composition(formula, strict=True).fractional_composition for formula in end_members]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{list(end_members)} are no end members: {error}") from None
    elements = sorted({element for c in compositions for element in c.elements})
    matrix = np.array([[c[e] for e in elements] for c in compositions])
    if np.linalg.matrix_rank(matrix, tol=_TOLERANCE) < len(end_members):
        raise ValueError(f"the end members {list(end_members)} are not independent: one is a mixture of the others")


def section_points(
    probes: Sequence[Entry], competing: Sequence[Entry], end_members: Sequence[str], level: str | None = None
) -> list[HullPoint]:
    """As `dft.hull.hull_points`, over end members.

    Args:
        probes: Entries inside the section; several may share a composition.
        competing: Entries of the competing phases, end members included, at the same level of theory.
        end_members: Formulas.
        level: Identity of the level, for error messages.

    Returns:
        One point per probe, in their order.

    Raises:
        ValueError: As `build_section`, or if a probe lies outside.
    """
    everything = build_section([*competing, *probes], end_members, level)
    alone = build_section(competing, end_members, level)
    return distances([_between(probe, alone) for probe in probes], everything, alone)


def above_section(entries: Sequence[Entry], end_members: Sequence[str]) -> list[float | None]:
    """Distance of each entry from the hull of all of them, eV/atom; none for an entry outside the section."""
    diagram = build_section(entries, end_members)
    inside = [in_section(entry.composition, end_members) for entry in entries]
    return [
        float(diagram.get_e_above_hull(_between(entry, diagram)) or 0.0) if within else None
        for entry, within in zip(entries, inside, strict=True)
    ]


def _between(entry: Entry, diagram: CompoundPhaseDiagram) -> TransformedPDEntry:
    if not in_section(entry.composition, [c.formula for c in diagram.terminal_compositions]):
        raise ValueError(f"{entry.composition.reduced_formula} lies outside the section of its hull")
    return TransformedPDEntry(PDEntry(entry.composition, entry.energy), diagram.species_mapping)
