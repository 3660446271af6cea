"""Salts of molecular anions: LiPO3, Li4P2O7, Li2SO4, LiPF6, Li2P2S6, and of bonded atoms of one element, Li2O2, K2S3.

A lattice of ions gives the phosphorus of a phosphate a hole like that of any cation, and its oxygen no bond to share.
Here the anion is drawn as a molecule with a charge (`dft.probes.molecules`), one in a cell, and the other ions go where
the screened potential of all that is there already is lowest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product
from typing import TypeVar

import numpy as np
from pymatgen.core import Composition, Element, Structure

from dft.compositions import oxidation_states
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.lattices import NEIGHBOURING_CELLS
from dft.probes.molecules import (
    MONOVALENT,
    PACKINGS,
    Molecule,
    drawn,
    embedded,
    packing_cell,
    turned_to_fit,
    usual_first,
)
from dft.probes.polyanions import polyanion
from dft.probes.volumes import ionic_radius, least_volume, rattled, rough_volume

_Anion = TypeVar("_Anion", bound=Molecule)

#: Volume to start from, as a multiple of that of close-packed ions; of which each further try has so many times more.
_ROOM, _MORE_ROOM, _TRIES = 1.35, 1.12, 4

#: Points of the grid of positions along each lattice vector, and length over which charges are screened, Å.
_GRID, _SCREENING = 8, 3.0

#: Least distance of two ions, as a fraction of the sum of their radii, and of like charges, Å.
_NEAREST, _LIKE_CHARGES = 0.85, 2.3

#: Other atoms that a centre has at most, where the rest of them may be ions of their own.
_FOUR = 4


def molecular_ions(
    composition: Composition, settings: ProbeSettings, rng: np.random.Generator
) -> Iterator[ProbeStructure]:
    """Structures of a salt, one molecular anion in a cell; none where no such anion holds its non-metals."""
    charges = oxidation_states(composition)
    rest_of = dict(salts(composition, settings.max_atoms, drawn))
    rest_of.update(filter(None, [polyanion(composition, settings.max_atoms)]))
    usual = {m: rest_of[m] for m in usual_first(rest_of)}
    return around("molecular ions", usual, charges, settings, rng)


def around(
    kind: str,
    rest_of: Mapping[Molecule, Mapping[str, int]],
    charges: Mapping[str, float],
    settings: ProbeSettings,
    rng: np.random.Generator,
) -> Iterator[ProbeStructure]:
    """Structures of anions, one in a cell, and the ions that are left around it.

    Args:
        kind: How they are called.
        rest_of: Number of the other ions, by anion; in each packing the anions come in this order.
        charges: Of the ions.
        settings: How many structures.
        rng: Turns the anions.
    """
    built = [(m, embedded(m, rng)) for m in rest_of]
    structures = (
        (with_ions(m, rest_of[m], partial(_turned, m, positions, name, rng), charges), f"{m.label}, {name}")
        for name, (m, positions) in product(PACKINGS, built)
    )
    return first_placed(kind, structures, settings, rng)


def first_placed(
    kind: str, structures: Iterable[tuple[Structure | None, str]], settings: ProbeSettings, rng: np.random.Generator
) -> Iterator[ProbeStructure]:
    """The first structures, each with its label, that `with_ions` found room in, atoms displaced."""
    found = (
        ProbeStructure(rattled(structure, settings.rattle, rng), f"{kind}: {label}")
        for structure, label in structures
        if structure is not None
    )
    return islice(found, settings.n_structures)


def _turned(
    molecule: Molecule, positions: np.ndarray, name: str, rng: np.random.Generator, volume: float
) -> tuple[np.ndarray, np.ndarray]:
    cell = packing_cell(name, volume)
    return cell, turned_to_fit(positions, cell, molecule.symbols, rng)


def salts(
    composition: Composition,
    most: int,
    draw: Callable[[Mapping[str, int], int, int], Iterable[tuple[int, _Anion]]],
    metal: str = "",
) -> Iterator[tuple[_Anion, dict[str, int]]]:
    """Molecular anions that some formula units make, each with the ions that are left.

    Args:
        composition: Of the salt.
        most: Atoms in a cell.
        draw: Draws the anions of a formula unit's atoms, such as `dft.probes.molecules.drawn`.
        metal: The centre of the anions, less electronegative than their other atoms; none for a non-metal.
    """
    charges = oxidation_states(composition)
    amounts = {s: round(n) for s, n in composition.reduced_composition.get_el_amt_dict().items()}
    metals = {s: n for s, n in amounts.items() if Element(s).is_metal and charges[s] > 0 and s != metal}
    others = {s: n for s, n in amounts.items() if s not in metals}
    if not metals or len(others) < 2:
        return
    centre = metal or min(others, key=lambda symbol: Element(symbol).X)
    if charges[centre] <= 0 or any(charges[s] >= 0 for s in others if s != centre):
        return
    for free in _free(others, centre):
        group = {s: n - free.get(s, 0) for s, n in others.items() if n > free.get(s, 0)}
        charge = sum(n * charges[s] for s, n in metals.items()) + sum(n * charges[s] for s, n in free.items())
        for units, molecule in draw(group, most, round(charge)):
            rest = {s: units * n for s, n in {**free, **metals}.items()}
            if len(molecule.symbols) + sum(rest.values()) <= most:
                yield molecule, rest


def _free(others: Mapping[str, int], centre: str) -> list[dict[str, int]]:
    """Which atoms are ions of their own: none, the halogens, or those beyond four at a centre."""
    halogens = {s: n for s, n in others.items() if s in MONOVALENT}
    beyond, excess = {}, sum(others.values()) - others[centre] - _FOUR * others[centre]
    for symbol in sorted(others, key=lambda s: (s not in MONOVALENT, -Element(s).X)):
        if symbol != centre and excess > 0:
            beyond[symbol] = min(excess, others[symbol])
            excess -= beyond[symbol]
    every = [{}, halogens, beyond]
    return [free for k, free in enumerate(every) if free not in every[:k]]


def with_ions(
    molecule: Molecule,
    rest: Mapping[str, int],
    pack: Callable[[float], tuple[np.ndarray, np.ndarray]],
    charges: Mapping[str, float],
) -> Structure | None:
    """One anion in a cell and the other ions around it; nothing if there is no room.

    Args:
        molecule: The anion.
        rest: Number of the other ions.
        pack: Gives for a volume, Å³, the cell and the anion's positions in it, Å.
        charges: Of the ions.
    """
    ions_left = [s for s in sorted(rest, key=lambda s: charges[s]) for _ in range(rest[s])]
    whole = Composition(Counter([*molecule.symbols, *ions_left]))
    volume = least_volume(whole) or _ROOM * rough_volume(whole, charges)
    for _ in range(_TRIES):
        cell, positions = pack(volume)
        ions = Structure(cell, molecule.symbols, positions, coords_are_cartesian=True)
        if _fill(ions, ions_left, charges):
            return ions
        volume *= _MORE_ROOM
    return None


def _fill(ions: Structure, symbols: Sequence[str], charges: Mapping[str, float]) -> bool:
    """Add ions one after another, in place, each at the point of lowest energy; whether all found one."""
    steps = np.arange(_GRID) / _GRID
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = NEIGHBOURING_CELLS @ ions.lattice.matrix
    points = ((grid @ ions.lattice.matrix)[:, None] + shifts[None]).astype(np.float32)
    along = np.ascontiguousarray(np.moveaxis(points, -1, 0))  # sums of whole arrays, not of three numbers each
    energy = np.zeros(len(grid))
    nearest: list[np.ndarray] = []
    for symbol in symbols:
        for site in list(ions)[len(nearest) :]:
            x, y, z = (far - at for far, at in zip(along, site.coords.astype(np.float32), strict=True))
            distance = np.maximum(np.sqrt(x * x + y * y + z * z), 0.1)
            energy += charges[site.specie.symbol] * (np.exp(-distance / _SCREENING) / distance).sum(axis=1)
            nearest.append(distance.min(axis=1))
        apart = [_least_distance(symbol, site.specie.symbol, charges) for site in ions]
        free = np.all([far >= least for far, least in zip(nearest, apart, strict=True)], axis=0)
        if not free.any():
            return False
        ions.append(symbol, grid[np.where(free, charges[symbol] * energy, np.inf).argmin()])
    return True


def _least_distance(first: str, second: str, charges: Mapping[str, float]) -> float:
    """Of two ions, Å."""
    if charges[first] * charges[second] > 0:
        return _LIKE_CHARGES
    return _NEAREST * (ionic_radius(first, charges[first]) + ionic_radius(second, charges[second]))
