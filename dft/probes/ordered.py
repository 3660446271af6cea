"""Ordered lattices: anions on a packing, cations on its holes, arranged so that the electrostatic energy is low.

For every packing, kind of hole and supercell one Ewald matrix is made, and swap descents from random decorations
find arrangements of low energy, both anions ordered too. The electrostatic energy only arranges; which arrangement
is good is decided by the level of theory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from dft.compositions import oxidation_states
from dft.probes.base import AS_PLACED, FRAMEWORK, LAYERED, ProbeSettings, ProbeStructure
from dft.probes.electrostatics import balance_of_ions, born_minimum, swap_descents, unit_charge_matrix
from dft.probes.frameworks import FRAMEWORKS, framework
from dft.probes.lattices import PACKING_NAMES, SiteLattice, compact_supercells, packing
from dft.probes.rigid_ions import are_covalent, relaxed_as_ions
from dft.probes.volumes import has_anions, is_large_cation, least_volume, most_volume, rattled, rough_volume

#: Two arrangements of one supercell with energies nearer than this, eV/atom, are taken for the same.
SAME_ENERGY = 1e-4

#: Atoms in a cell that still relaxes in reasonable time; beyond it a formula is not doubled without need.
MODERATE_CELL = 18

#: Arrangements kept of each supercell and kind of hole.
N_ARRANGEMENTS = 3

#: Kinds of site (0 packing, 1 tetrahedral, 2 octahedral, 3 octahedral of every second gap) that each family may use.
#: Charges alone would never leave every second gap empty, as SnS2 and Li2SnCl6 do.
HOLES = {
    "tetrahedral": (0, 1),
    "octahedral": (0, 2, 3),
    "mixed": (0, 1, 2, 3),
    "layered octahedral": (0, 3),
}

#: More than there are families, which come in turn: so many structures hold one of each.
FAMILIES = 40

#: The framework that no packing holds: its anions are packed as the atoms of MgCu2. Many lithium conductors have it.
ARGYRODITE = "argyrodite"

#: Structures on it among those on packings, and how many of these come before.
N_ARGYRODITES, BEFORE_ARGYRODITES = 2, 2

#: Two layers of fcc: the same packing as ``AB``, there for its gaps alone.
TWO_LAYERS_OF_FCC = "ABC"


@dataclass(frozen=True)
class _Ions:
    """Ions of a cell: those on the packing and those in its holes, as symbols, with the charge of each element."""

    packed: tuple[str, ...]
    inside: tuple[str, ...]
    charges: dict[str, float]

    @cached_property
    def composition(self) -> Composition:
        """All of them."""
        return Composition(Counter(sorted(self.packed + self.inside)))


def ordered_lattices(
    composition: Composition, settings: ProbeSettings, rng: np.random.Generator
) -> list[ProbeStructure]:
    """Ordered-lattice structures of a composition, the families of lattices in turn, each by electrostatic energy.

    Two stand on argyrodite's anions, where these are as many as fill it.

    Raises:
        ValueError: If no packing has holes enough for the cations of the composition.
    """
    built = _arranged(composition, settings, settings.stackings, rng)
    if not built:
        raise ValueError(f"{composition.reduced_formula}: no packing of {settings.stackings} has a site for every ion")
    argyrodites = _arranged(composition, replace(settings, n_structures=N_ARGYRODITES), (ARGYRODITE,), rng)
    mixed = [*built[:BEFORE_ARGYRODITES], *argyrodites, *built[BEFORE_ARGYRODITES:]]
    return mixed[: settings.n_structures]


def frameworks(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """Ions in order on the frameworks of `dft.probes.frameworks`, in turn; none where no framework has sites enough."""
    return _arranged(composition, settings, tuple(FRAMEWORKS), rng)


def _arranged(
    composition: Composition, settings: ProbeSettings, lattices: tuple[str, ...], rng: np.random.Generator
) -> list[ProbeStructure]:
    families: dict[str, list[tuple[float, _Draft]]] = {}
    for cell_formula in cell_formulas(composition, settings):
        for large_packed in _packings_of_cations(composition):
            ions = _split(cell_formula, large_packed)
            for family, energy, draft in _families(ions, settings, lattices, rng):
                families.setdefault(family, []).append((energy, draft))
    for found in families.values():
        found.sort(key=lambda pair: round(pair[0], 9))  # mirror images stay in order on every machine
    if not families:
        return []
    further = FAMILIES * settings.layers_first
    drawn = list(islice(_in_turn(composition, families), settings.n_structures + further))
    chosen = _layers_first(drawn)[: settings.n_structures] if further else drawn
    covalent = are_covalent(composition)
    return [
        replace(probe, generator=f"{probe.generator}, {AS_PLACED}")
        if covalent and k % 2
        else _relaxed(probe, settings.rattle, rng)
        for k, probe in enumerate(chosen)
    ]


def _layers_first(ordered: list[ProbeStructure]) -> list[ProbeStructure]:
    """The best structure of each layered family, then all others in their order."""
    layered: dict[str, ProbeStructure] = {}
    for probe in ordered:
        if LAYERED in probe.generator:
            layered.setdefault(probe.generator, probe)
    return [*layered.values(), *(probe for probe in ordered if layered.get(probe.generator) is not probe)]


def _relaxed(probe: ProbeStructure, rattle: float, rng: np.random.Generator) -> ProbeStructure:
    """As rigid ions; between layers there is no cation to hold them, and their cell stays as it is."""
    relaxed = relaxed_as_ions(probe.structure, with_cell=LAYERED not in probe.generator)
    return replace(probe, structure=rattled(relaxed, rattle, rng))


def cell_formulas(composition: Composition, settings: ProbeSettings) -> list[Composition]:
    """The reduced formula multiplied up to `min_atoms`, and a larger cell of up to `MODERATE_CELL` atoms.

    An odd number of anions fits no hexagonal packing, so that it is doubled as far as `max_atoms` allows.
    """
    reduced = composition.reduced_composition
    n = round(reduced.num_atoms)
    charges = oxidation_states(reduced)
    odd = sum(amount for symbol, amount in reduced.get_el_amt_dict().items() if charges[symbol] < 0) % 2 == 1
    first = max(1, -(-settings.min_atoms // n))
    largest = max(first, (2 * n <= settings.max_atoms and odd) * 2, min(settings.max_atoms, MODERATE_CELL) // n)
    return [reduced * z for z in sorted({first, largest}) if n * z <= max(settings.max_atoms, n)]


def _packings_of_cations(composition: Composition) -> list[bool]:
    """Large cations are tried in the holes and, as in perovskites, in the packing; alloys have no holes."""
    return [False, True] if any(is_large_cation(symbol) for symbol in composition.get_el_amt_dict()) else [False]


def _split(cell: Composition, large_packed: bool) -> _Ions:
    charges = oxidation_states(cell)
    packed: list[str] = []
    inside: list[str] = []
    for symbol, amount in sorted(cell.get_el_amt_dict().items()):
        on_packing = charges[symbol] < 0 or (large_packed and is_large_cation(symbol)) or not has_anions(cell)
        (packed if on_packing else inside).extend([symbol] * round(amount))
    return _Ions(tuple(packed), tuple(inside), charges)


def _families(
    ions: _Ions, settings: ProbeSettings, lattices: tuple[str, ...], rng: np.random.Generator
) -> Iterator[tuple[str, float, _Draft]]:
    """Each arrangement with its family name and electrostatic energy in eV/atom."""
    for name in lattices:
        lattice = framework(name) if name in FRAMEWORKS else packing(name)
        if len(ions.packed) % len(lattice.anions):
            continue
        size = len(ions.packed) // len(lattice.anions)
        for cell in compact_supercells(lattice, size, settings.supercells, rng):
            sites = _Sites.of(cell, ions)
            for holes in _kinds_of_holes(name, ions):
                for energy, draft in _arrange(ions, sites, holes, settings, rng):
                    yield _family_name(name, holes, ions), energy, draft


def _kinds_of_holes(name: str, ions: _Ions) -> tuple[str, ...]:
    if not ions.inside:
        return () if name == TWO_LAYERS_OF_FCC or name in FRAMEWORKS else ("no",)
    if name in FRAMEWORKS:
        return ("mixed",)
    return ("layered octahedral",) if name == TWO_LAYERS_OF_FCC else tuple(HOLES)


def _family_name(name: str, holes: str, ions: _Ions) -> str:
    if name in FRAMEWORKS:
        return f"{FRAMEWORK}: {name}"
    what = "ions" if any(ions.charges[symbol] > 0 for symbol in ions.packed) else "anions"
    return f"ordered lattice: {PACKING_NAMES.get(name, name)} {what if ions.inside else 'atoms'}, {holes} cations"


@dataclass(frozen=True)
class _Sites:
    """All sites of a supercell at a rough volume, with their one Ewald matrix; kinds as in `HOLES`."""

    cell: np.ndarray
    frac: np.ndarray
    kind: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, lattice: SiteLattice, ions: _Ions) -> _Sites:
        volume = rough_volume(Composition(Counter(ions.packed + ions.inside)), ions.charges)
        cell = lattice.cell * (volume / np.linalg.det(lattice.cell)) ** (1 / 3)
        holes = [lattice.tetrahedral, lattice.octahedral, lattice.layered] if ions.inside else []
        parts = [lattice.anions, *holes]
        frac = np.concatenate(parts)
        kind = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return cls(cell, frac, kind, unit_charge_matrix(cell, frac))


def _arrange(
    ions: _Ions, sites: _Sites, holes: str, settings: ProbeSettings, rng: np.random.Generator
) -> list[tuple[float, _Draft]]:
    """The arrangements of lowest electrostatic energy on one supercell, `N_ARRANGEMENTS` at most."""
    used = np.isin(sites.kind, HOLES.get(holes, (0,)))
    sublattice = (sites.kind[used] > 0).astype(int)
    n_holes = int(sublattice.sum())
    if n_holes < len(ions.inside):
        return []
    species = np.array([*ions.packed, *ions.inside, *[""] * (n_holes - len(ions.inside))])
    matrix = sites.matrix[np.ix_(used, used)]
    holes_of, packing_of = np.flatnonzero(sublattice == 1), np.flatnonzero(sublattice == 0)
    starts = np.array(
        [np.concatenate([rng.permutation(packing_of), rng.permutation(holes_of)]) for _ in range(settings.restarts)]
    )
    charges = np.array([ions.charges.get(symbol, 0.0) for symbol in species])
    orders, energies = swap_descents(matrix, charges[starts], sublattice)
    found: dict[int, tuple[float, np.ndarray]] = {}
    for start, order, energy in zip(starts, orders, energies.tolist(), strict=True):
        found.setdefault(round(energy / len(ions.packed + ions.inside) / SAME_ENERGY), (energy, species[start[order]]))
    best = [found[key] for key in sorted(found)[:N_ARRANGEMENTS]]
    return [_at_minimum(sites, used, placed, ions, energy, settings.rattle, rng) for energy, placed in best]


@dataclass(frozen=True)
class _Draft:
    """A structure of which only the numbers are there: most arrangements are never built."""

    cell: np.ndarray
    positions: np.ndarray
    symbols: list[str]

    def structure(self) -> Structure:
        return Structure(Lattice(self.cell), self.symbols, self.positions, coords_are_cartesian=True)


def _at_minimum(
    sites: _Sites,
    used: np.ndarray,
    placed: np.ndarray,
    ions: _Ions,
    electrostatic: float,
    rattle: float,
    rng: np.random.Generator,
) -> tuple[float, _Draft]:
    """Ions as placed on the used sites, empty where vacant, at the volume of lowest energy, every one displaced."""
    filled = np.flatnonzero(placed != "")
    order = filled[np.argsort(placed[filled], kind="stable")]
    symbols, frac = placed[order].tolist(), sites.frac[used][order]
    energy, scale = balance_of_ions(sites.cell, frac @ sites.cell, symbols, ions.charges, electrostatic)
    cell = sites.cell * _with_room(scale, ions.composition, float(np.linalg.det(sites.cell)))
    return energy, _Draft(cell, frac @ cell + rng.normal(scale=rattle, size=frac.shape), symbols)


def scaled_to_minimum(structure: Structure, charges: dict[str, float]) -> tuple[float, Structure]:
    """Energy per atom (eV) of a structure of ions and the structure at the volume of that energy; alloys stay as is.

    Compounds of non-metals get the room that their molecules need, others at most a third more than their elements.

    Args:
        structure: Ordered; scaled in place.
        charges: Charge by symbol.
    """
    energy, scale = born_minimum(structure, charges)
    structure.scale_lattice(structure.volume * _with_room(scale, structure.composition, structure.volume) ** 3)
    return energy, structure


def _with_room(scale: float, composition: Composition, volume: float) -> float:
    """The factor on all lengths, within `least_volume` and `most_volume`; alloys stay as they are."""
    if not has_anions(composition):
        return 1.0
    return float(np.clip(scale, *((limit(composition) / volume) ** (1 / 3) for limit in (least_volume, most_volume))))


def _in_turn(composition: Composition, families: dict[str, list[tuple[float, _Draft]]]) -> Iterator[ProbeStructure]:
    """One structure of each family, then the next of each; those of equal size and energy are the same."""
    seen: set[tuple[int, int]] = set()
    depth = max(map(len, families.values()))
    ranked = sorted(families.items(), key=lambda item: item[1][0][0])
    for k in range(depth):
        for family, found in ranked:
            if k >= len(found):
                continue
            energy, draft = found[k]
            key = (len(draft.symbols), round(energy / SAME_ENERGY))
            if key not in seen:
                seen.add(key)
                structure = draft.structure()
                assert structure.composition.reduced_formula == composition.reduced_formula
                yield ProbeStructure(structure, family)
