"""Ions in order on the sites of one supercell, so that their electrostatic energy is low, at the volume they take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from dft.probes.base import ProbeSettings
from dft.probes.electrostatics import balance_of_ions, born_minimum, swap_descents, unit_charge_matrix
from dft.probes.lattices import SiteLattice
from dft.probes.volumes import has_anions, least_volume, most_volume, rough_volume

#: Two arrangements of one supercell with energies nearer than this, eV/atom, are taken for the same.
SAME_ENERGY = 1e-4

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


@dataclass(frozen=True)
class Ions:
    """Ions of a cell: those on the packing and those in its holes, as symbols, with the charge of each element."""

    packed: tuple[str, ...]
    inside: tuple[str, ...]
    charges: dict[str, float]

    @cached_property
    def composition(self) -> Composition:
        """All of them."""
        return Composition(Counter(sorted(self.packed + self.inside)))


@dataclass(frozen=True)
class Draft:
    """A structure of which only the numbers are there: most arrangements are never built."""

    cell: np.ndarray
    positions: np.ndarray
    symbols: list[str]

    def structure(self) -> Structure:
        """The structure itself."""
        return Structure(Lattice(self.cell), self.symbols, self.positions, coords_are_cartesian=True)


@dataclass(frozen=True)
class Sites:
    """All sites of a supercell at a rough volume, with their one Ewald matrix; kinds as in `HOLES`."""

    cell: np.ndarray
    frac: np.ndarray
    kind: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, lattice: SiteLattice, ions: Ions) -> Sites:
        """The sites of a lattice, scaled to the volume that the ions take as spheres."""
        volume = rough_volume(Composition(Counter(ions.packed + ions.inside)), ions.charges)
        cell = lattice.cell * (volume / np.linalg.det(lattice.cell)) ** (1 / 3)
        holes = [lattice.tetrahedral, lattice.octahedral, lattice.layered] if ions.inside else []
        parts = [lattice.anions, *holes]
        frac = np.concatenate(parts)
        kind = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return cls(cell, frac, kind, unit_charge_matrix(cell, frac))


def arrange(
    ions: Ions, sites: Sites, holes: str, settings: ProbeSettings, rng: np.random.Generator
) -> list[tuple[float, Draft]]:
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


def _at_minimum(
    sites: Sites,
    used: np.ndarray,
    placed: np.ndarray,
    ions: Ions,
    electrostatic: float,
    rattle: float,
    rng: np.random.Generator,
) -> tuple[float, Draft]:
    """Ions as placed on the used sites, empty where vacant, at the volume of lowest energy, every one displaced."""
    filled = np.flatnonzero(placed != "")
    order = filled[np.argsort(placed[filled], kind="stable")]
    symbols, frac = placed[order].tolist(), sites.frac[used][order]
    energy, scale = balance_of_ions(sites.cell, frac @ sites.cell, symbols, ions.charges, electrostatic)
    cell = sites.cell * _with_room(scale, ions.composition, float(np.linalg.det(sites.cell)))
    return energy, Draft(cell, frac @ cell + rng.normal(scale=rattle, size=frac.shape), symbols)


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
