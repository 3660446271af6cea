"""Ordered lattices: anions on a packing, cations on its holes, arranged so that the electrostatic energy is low.

For every packing, kind of hole and supercell one Ewald matrix is made, and swap descents from random decorations
find arrangements of low energy, both anions ordered too. The electrostatic energy only arranges; which arrangement
is good is decided by the level of theory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from pymatgen.core import Composition, Structure

from dft.compositions import oxidation_states
from dft.probes.arrangements import HOLES, SAME_ENERGY, Draft, Ions, Sites, arrange
from dft.probes.base import AS_PLACED, FRAMEWORK, LAYERED, ProbeSettings, ProbeStructure
from dft.probes.frameworks import FRAMEWORKS, framework
from dft.probes.lattices import PACKING_NAMES, packing, supercells
from dft.probes.rigid_ions import are_covalent, relaxed_as_ions
from dft.probes.volumes import displaced, has_anions, is_large_cation, noise_for

#: Atoms in a cell that still relaxes in reasonable time; beyond it a formula is not doubled without need.
MODERATE_CELL = 18

#: More than there are families in cells of either size, which come in turn: so many structures hold one of each.
FAMILIES = 80

#: The framework that no packing holds: its anions are packed as the atoms of MgCu2. Many lithium conductors have it.
ARGYRODITE = "argyrodite"

#: Structures on it among those on packings, and how many of these come before.
N_ARGYRODITES, BEFORE_ARGYRODITES = 2, 2

#: Two layers of fcc: the same packing as ``AB``, there for its gaps alone.
TWO_LAYERS_OF_FCC = "ABC"


def ordered_lattices(
    composition: Composition, settings: ProbeSettings, rng: np.random.Generator
) -> Iterator[ProbeStructure]:
    """Ordered-lattice structures of a composition, the families of lattices in turn, each by electrostatic energy.

    Two stand on argyrodite's anions, where these are as many as fill it.

    Raises:
        ValueError: If no packing has holes enough for the cations of the composition, in cells of the size allowed.
    """
    built = _arranged(composition, settings, settings.stackings, rng)
    if not built:
        raise ValueError(
            f"{composition.reduced_formula}: no packing has a site for every ion, "
            f"in cells of up to {settings.max_atoms} atoms"
        )
    argyrodites = _arranged(composition, replace(settings, n_structures=N_ARGYRODITES), (ARGYRODITE,), rng)
    mixed = [*built[:BEFORE_ARGYRODITES], *argyrodites, *built[BEFORE_ARGYRODITES:]]
    return (arranged.probe() for arranged in mixed[: settings.n_structures])


def frameworks(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> Iterator[ProbeStructure]:
    """Ions in order on the frameworks of `dft.probes.frameworks`, in turn; none where no framework has sites enough."""
    return (arranged.probe() for arranged in _arranged(composition, settings, tuple(FRAMEWORKS), rng))


@dataclass(frozen=True)
class _Arranged:
    """Ions in order, which nobody may ask for: relaxing them as rigid ions takes longer than arranging them.

    Attributes:
        structure: As the lattice has it.
        family: The lattice.
        noise: Displacements once they are relaxed, Å; none of what stays as placed.
    """

    structure: Structure
    family: str
    noise: np.ndarray | None

    def probe(self) -> ProbeStructure:
        """As rigid ions; between layers there is no cation to hold them, and their cell stays as it is."""
        if self.noise is None:
            return ProbeStructure(self.structure, f"{self.family}, {AS_PLACED}")
        relaxed = relaxed_as_ions(self.structure, with_cell=LAYERED not in self.family)
        return ProbeStructure(displaced(relaxed, self.noise), self.family)


def _arranged(
    composition: Composition, settings: ProbeSettings, lattices: tuple[str, ...], rng: np.random.Generator
) -> list[_Arranged]:
    families: dict[tuple[str, int], list[tuple[float, Draft]]] = {}
    for cell_formula in cell_formulas(composition, settings):
        for large_packed in _packings_of_cations(composition):
            ions = _split(cell_formula, large_packed)
            for family, energy, draft in _families(ions, settings, lattices, rng):
                families.setdefault((family, len(draft.symbols)), []).append((energy, draft))
    for found in families.values():
        found.sort(key=lambda pair: round(pair[0], 9))  # mirror images stay in order on every machine
    if not families:
        return []
    further = FAMILIES * settings.layers_first
    drawn = list(islice(_in_turn(composition, families), settings.n_structures + further))
    chosen = _layers_first(drawn)[: settings.n_structures] if further else drawn
    covalent = are_covalent(composition)
    return [
        _Arranged(structure, family, None if covalent and k % 2 else noise_for(structure, settings.rattle, rng))
        for k, (structure, family) in enumerate(chosen)
    ]


def _layers_first(ordered: list[tuple[Structure, str]]) -> list[tuple[Structure, str]]:
    """The best structure of each layered family, then all others in their order."""
    layered: dict[str, tuple[Structure, str]] = {}
    for drawn in ordered:
        if LAYERED in drawn[1]:
            layered.setdefault(drawn[1], drawn)
    return [*layered.values(), *(drawn for drawn in ordered if layered.get(drawn[1]) is not drawn)]


def cell_formulas(composition: Composition, settings: ProbeSettings) -> list[Composition]:
    """The reduced formula multiplied up to `min_atoms`, and a larger cell of up to `MODERATE_CELL` atoms.

    An odd number of anions fits no hexagonal packing, so that it is doubled as far as `max_atoms` allows.
    """
    reduced = composition.reduced_composition
    n = round(reduced.num_atoms)
    charges = oxidation_states(reduced)
    odd = sum(amount for symbol, amount in reduced.get_el_amt_dict().items() if charges[symbol] < 0) % 2 == 1
    first = max(1, min(-(-settings.min_atoms // n), settings.max_atoms // n))
    largest = max(first, (2 * n <= settings.max_atoms and odd) * 2, min(settings.max_atoms, MODERATE_CELL) // n)
    return [reduced * z for z in sorted({first, largest}) if n * z <= max(settings.max_atoms, n)]


def _packings_of_cations(composition: Composition) -> list[bool]:
    """Large cations are tried in the holes and, as in perovskites, in the packing; alloys have no holes."""
    return [False, True] if any(is_large_cation(symbol) for symbol in composition.get_el_amt_dict()) else [False]


def _split(cell: Composition, large_packed: bool) -> Ions:
    charges = oxidation_states(cell)
    packed: list[str] = []
    inside: list[str] = []
    for symbol, amount in sorted(cell.get_el_amt_dict().items()):
        on_packing = charges[symbol] < 0 or (large_packed and is_large_cation(symbol)) or not has_anions(cell)
        (packed if on_packing else inside).extend([symbol] * round(amount))
    return Ions(tuple(packed), tuple(inside), charges)


def _families(
    ions: Ions, settings: ProbeSettings, lattices: tuple[str, ...], rng: np.random.Generator
) -> Iterator[tuple[str, float, Draft]]:
    """Each arrangement with its family name and electrostatic energy in eV/atom."""
    for name in lattices:
        lattice = framework(name) if name in FRAMEWORKS else packing(name)
        if len(ions.packed) % len(lattice.anions):
            continue
        size = len(ions.packed) // len(lattice.anions)
        for cell in supercells(lattice, size, settings.supercells, rng):
            sites = Sites.of(cell, ions)
            for holes in _kinds_of_holes(name, ions):
                for energy, draft in arrange(ions, sites, holes, settings, rng):
                    yield _family_name(name, holes, ions), energy, draft


def _kinds_of_holes(name: str, ions: Ions) -> tuple[str, ...]:
    if not ions.inside:
        return () if name == TWO_LAYERS_OF_FCC or name in FRAMEWORKS else ("no",)
    if name in FRAMEWORKS:
        return ("mixed",)
    return ("layered octahedral",) if name == TWO_LAYERS_OF_FCC else tuple(HOLES)


def _family_name(name: str, holes: str, ions: Ions) -> str:
    if name in FRAMEWORKS:
        return f"{FRAMEWORK}: {name}"
    what = "ions" if any(ions.charges[symbol] > 0 for symbol in ions.packed) else "anions"
    return f"ordered lattice: {PACKING_NAMES.get(name, name)} {what if ions.inside else 'atoms'}, {holes} cations"


def _in_turn(
    composition: Composition, families: dict[tuple[str, int], list[tuple[float, Draft]]]
) -> Iterator[tuple[Structure, str]]:
    """One structure of each family and size of cell, then the next of each; of equal size and energy they are the same.

    A larger cell holds what the smaller one does, so that by energy alone the simpler structures would have no turn.
    """
    seen: set[tuple[int, int]] = set()
    depth = max(map(len, families.values()))
    ranked = sorted(families.items(), key=lambda item: (round(item[1][0][0], 9), item[0]))
    for k in range(depth):
        for (family, n_atoms), found in ranked:
            if k >= len(found):
                continue
            energy, draft = found[k]
            key = (n_atoms, round(energy / SAME_ENERGY))
            if key not in seen:
                seen.add(key)
                structure = draft.structure()
                assert structure.composition.reduced_formula == composition.reduced_formula
                yield structure, family
