"""A crystal relaxed as rigid ions, charged spheres that attract and repel: what a structure starts from.

On the sites of a lattice bonds are as long as the lattice has them, and the energy of a first single point says little
about where a relaxation will end. A rigid-ion model costs next to nothing and mends the worst of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Composition, Element, Lattice, Structure
from scipy.optimize import minimize
from scipy.special import erfc

from dft.compositions import ANION_CHARGES, oxidation_states
from dft.probes.electrostatics import BORN_EXPONENT, at_contact, neighbours
from dft.probes.volumes import has_anions, ionic_radius, most_volume

#: Charges are damped by this, 1/Å, and end smoothly at this distance, Å (Fennell & Gezelter, J. Chem. Phys. 124, 234104
#: (2006), doi 10.1063/1.2206581): a plain sum over pairs comes as near to Ewald's as a start needs.
_DAMPING, _CUTOFF = 0.2, 7.0

#: Slope of the damping where it begins, 1/Å; the damped 1/r at the cut-off, 1/Å, and its slope, 1/Å².
_GAUSS = 2 * _DAMPING / np.sqrt(np.pi)
_EDGE = erfc(_DAMPING * _CUTOFF) / _CUTOFF
_EDGE_SLOPE = -_EDGE / _CUTOFF - _GAUSS * np.exp(-((_DAMPING * _CUTOFF) ** 2)) / _CUTOFF

#: e²/(4 pi eps0), eV Å.
_COULOMB = 14.399645

#: Evaluations between two looks for neighbours, and how often these are looked for.
_EVALUATIONS, _LISTS = 15, 6

#: Charges that differ by less are the same.
_SAME = 1e-3

#: Electronegativity above which a non-metal is no ion even where it is a cation: boron's is 2.04, silicon's 1.90.
_COVALENT = 2.03

#: Equal anions nearer than so many times twice their covalent radius are bonded: 1.16 to 1.38 in AFLOW's pyrites and
#: marcasites as the ions' energy scales them, 1.5 and more between full ions. And the largest such radius, Å.
_BONDED, _LARGEST = 1.4, 1.4

#: Bonds of dumbbells in the same unit: 0.98 (NiS2) to 1.03 (FeS2); with AFLOW's position of the anions the larger cell
#: of RuS2 has 1.06.
_BOND = 1.05

#: How far beyond the cut-off neighbours are looked for, Å.
_SKIN = 1.0


def relaxed_as_ions(structure: Structure, with_cell: bool = True) -> Structure:
    """The structure of a salt after at most ninety evaluations of a rigid-ion model.

    Args:
        structure: Ordered.
        with_cell: Whether the cell may change.

    Returns:
        A new structure, no larger than `most_volume`; of what is no salt (`are_ions`) the same one.
    """
    charges = oxidation_states(structure.composition)
    if not are_ions(structure.composition, charges) or _has_pairs(structure, charges):
        return structure
    model = RigidIons.of(structure, charges)
    cell, positions = structure.lattice.matrix, structure.cart_coords
    for _ in range(_LISTS):
        cell, positions = model.descended(cell, positions, with_cell)
    relaxed = Structure(Lattice(cell), structure.species, positions, coords_are_cartesian=True)
    if with_cell and relaxed.volume > most_volume(structure.composition):
        relaxed.scale_lattice(most_volume(structure.composition))
    return relaxed


def stiffness_as_ions(structure: Structure) -> np.ndarray | None:
    """Second derivatives of the energy of a salt's ions, by positions and strain, as `RigidIons.stiffness` has them.

    Nothing for what is no salt (`are_ions`) or has bonded anions.
    """
    try:
        charges = oxidation_states(structure.composition)
        if not are_ions(structure.composition, charges) or _has_pairs(structure, charges):
            return None
        return RigidIons.of(structure, charges).stiffness(structure.lattice.matrix, structure.cart_coords)
    except ValueError:  # an element without an oxidation state or a radius
        return None


def are_ions(composition: Composition, charges: Mapping[str, float]) -> bool:
    """Whether a compound is one of metals and of anions with their full charge.

    Others have bonds that no charge tells of: alloys, compounds without a metal, and phosphides such as LiP5.
    """
    anions = {symbol: charge for symbol, charge in charges.items() if charge < 0}
    full = all(abs(charge - ANION_CHARGES.get(symbol, np.inf)) < _SAME for symbol, charge in anions.items())
    has_metal = any(Element(symbol).is_metal for symbol in charges)
    return bool(anions) and full and has_metal and max(charges.values()) > 0


def scale_to_bonds(structure: Structure, charges: Mapping[str, float]) -> None:
    """Give the dumbbells of equal anions, of pyrite and marcasite, the length of a single bond, by scaling in place.

    By the energy of ions that repel each other such structures start far too large. Where the anions stand apart as
    full ions do, as in CaCl2, nothing is changed.
    """
    shortest = float(np.min(_between_equal_anions(structure, charges), initial=np.inf))
    if has_anions(structure.composition) and _BOND < shortest < _BONDED:
        structure.scale_lattice(structure.volume * (_BOND / shortest) ** 3)


def _has_pairs(structure: Structure, charges: Mapping[str, float]) -> bool:
    """Whether two equal anions are bonded, as in pyrite and marcasite: as ions they would leave each other."""
    return bool(np.any(_between_equal_anions(structure, charges) < _BONDED))


def _between_equal_anions(structure: Structure, charges: Mapping[str, float]) -> np.ndarray:
    """Distances of neighbours as a fraction of twice their covalent radius."""
    i, j, _, distance = structure.get_neighbor_list(2 * _BONDED * _LARGEST)
    symbols = np.array([site.specie.symbol for site in structure])
    radii = np.array([covalent_radii[atomic_numbers[symbol]] if charges[symbol] < 0 else np.nan for symbol in symbols])
    pairs = (symbols[i] == symbols[j]) & ~np.isnan(radii[i])
    return distance[pairs] / (2 * radii[i[pairs]])


def are_covalent(composition: Composition) -> bool:
    """Whether a cation is a non-metal, such as the phosphorus of a phosphate: its bonds are more than charges."""
    charges = oxidation_states(composition)
    return any(charge > 0 and (Element(s).X > _COVALENT and not Element(s).is_metal) for s, charge in charges.items())


@dataclass(frozen=True)
class RigidIons:
    """Charged spheres with Born's repulsion.

    Attributes:
        charges: Of the ions, shape (n,).
        radii: Ionic radii, Å, shape (n,).
    """

    charges: np.ndarray
    radii: np.ndarray

    @classmethod
    def of(cls, structure: Structure, charges: dict[str, float]) -> RigidIons:
        """The model for the ions of a structure."""
        symbols = [site.specie.symbol for site in structure]
        radii = [ionic_radius(symbol, charges[symbol]) for symbol in symbols]
        return cls(np.array([charges[symbol] for symbol in symbols]), np.array(radii))

    def descended(self, cell: np.ndarray, positions: np.ndarray, with_cell: bool) -> tuple[np.ndarray, np.ndarray]:
        """Cell and positions, Å, after some evaluations with one list of neighbours."""
        n = len(positions)
        target = self.target(cell, positions, with_cell)
        start = np.concatenate([positions.ravel(), np.zeros(9)])
        options = {"maxfun": _EVALUATIONS, "maxls": 5}
        found = minimize(target, start, jac=True, method="L-BFGS-B", options=options)
        deformation = np.eye(3) + found.x[3 * n :].reshape(3, 3) / np.sqrt(n)
        return cell @ deformation, found.x[: 3 * n].reshape(n, 3) @ deformation

    def target(
        self, cell: np.ndarray, positions: np.ndarray, with_cell: bool = True
    ) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Energy, eV, and its derivatives, by positions (Å) and then strain, of ions that keep their neighbours.

        A strain counts times the square root of the number of ions, as the moves of all of them that it makes.
        """
        n, pairs = len(positions), self._pairs(cell, positions)

        def energy(flat: np.ndarray) -> tuple[float, np.ndarray]:
            moved, deformation = flat[: 3 * n].reshape(n, 3), np.eye(3) + flat[3 * n :].reshape(3, 3) / np.sqrt(n)
            undeformed = moved[pairs.second] - moved[pairs.first] + pairs.apart
            total, by_vector = pairs.energy(undeformed @ deformation)
            by_position = pairs.gathered(by_vector @ deformation.T, n)
            by_strain = with_cell * (undeformed.T @ by_vector) / np.sqrt(n)
            return total, np.concatenate([by_position.ravel(), by_strain.ravel()])

        return energy

    def stiffness(self, cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Second derivatives of `target` where it begins, symmetric, shape (3n + 9, 3n + 9)."""
        n, pairs = len(positions), self._pairs(cell, positions)
        vectors = positions[pairs.second] - positions[pairs.first] + pairs.apart
        curvature = pairs.curvature(vectors)
        forces = pairs.gathered(pairs.energy(vectors)[1], n)
        mixed = pairs.gathered(np.einsum("pab,pc->pacb", curvature, vectors).reshape(-1, 27), n).reshape(3 * n, 9)
        for axis in range(3):  # a strain moves an ion's neighbours, and turns the force between them
            mixed[axis::3, 3 * axis : 3 * axis + 3] += forces
        strain = np.einsum("pab,pc,pd->cadb", curvature, vectors, vectors, optimize=True).reshape(9, 9)
        return np.block([[pairs.coupled(curvature, n), mixed / np.sqrt(n)], [mixed.T / np.sqrt(n), strain / n]])

    def _pairs(self, cell: np.ndarray, positions: np.ndarray) -> _Pairs:
        i, j, images, _ = neighbours(cell, positions, _CUTOFF + _SKIN)
        upward = (images @ [1e4, 1e2, 1.0]) > 0  # of a pair and its mirror image one
        once = (i < j) | ((i == j) & upward)
        i, j = i[once], j[once]
        contact = self.radii[i] + self.radii[j]
        product = self.charges[i] * self.charges[j]
        return _Pairs(i, j, images[once] @ cell, _COULOMB * product, contact, at_contact(product, contact))


@dataclass(frozen=True)
class _Pairs:
    """Neighbours: indices, lattice vectors between them (Å), product of charges (eV Å), contact (Å), repulsion (eV)."""

    first: np.ndarray
    second: np.ndarray
    apart: np.ndarray
    charges: np.ndarray
    contact: np.ndarray
    strength: np.ndarray

    def energy(self, vectors: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy, eV, and its derivative by the vector of each pair, eV/Å."""
        distance, damped, _, repulsion, by_distance = self._radial(vectors)
        energy = self.charges * (damped - _EDGE - _EDGE_SLOPE * (distance - _CUTOFF)) + repulsion
        near = distance < _CUTOFF
        return float(energy[near].sum()), np.where(near, by_distance / distance, 0.0)[:, None] * vectors

    def curvature(self, vectors: np.ndarray) -> np.ndarray:
        """Second derivatives by the vector of each pair, eV/Å², shape (pairs, 3, 3)."""
        distance, damped, gauss, repulsion, by_distance = self._radial(vectors)
        bend = 2 * (damped + gauss) / distance**2 + 2 * _DAMPING**2 * gauss
        along = self.charges * bend + BORN_EXPONENT * (BORN_EXPONENT + 1) * repulsion / distance**2
        across = by_distance / distance
        unit = vectors / distance[:, None]
        parallel = (along - across)[:, None, None] * unit[:, :, None] * unit[:, None, :]
        return (distance < _CUTOFF)[:, None, None] * (across[:, None, None] * np.eye(3) + parallel)

    def _radial(self, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
        """Distance, Å; damped 1/r and its Gaussian, 1/Å; repulsion, eV; the energy's derivative by distance, eV/Å."""
        distance = np.sqrt(np.einsum("pa,pa->p", vectors, vectors))
        gauss = _GAUSS * np.exp(-((_DAMPING * distance) ** 2))
        damped = erfc(_DAMPING * distance) / distance
        slope = -(damped + gauss) / distance
        repulsion = self.strength * (self.contact / distance) ** BORN_EXPONENT
        by_distance = self.charges * (slope - _EDGE_SLOPE) - BORN_EXPONENT * repulsion / distance
        return distance, damped, gauss, repulsion, by_distance

    def gathered(self, by_vector: np.ndarray, n: int) -> np.ndarray:
        """Derivatives by the positions of `n` ions, from those by the vectors of pairs."""
        columns = [np.bincount(self.second, c, n) - np.bincount(self.first, c, n) for c in by_vector.T]
        return np.column_stack(columns)

    def coupled(self, curvature: np.ndarray, n: int) -> np.ndarray:
        """Second derivatives by the positions of `n` ions, shape (3n, 3n), from those by the vectors of pairs."""
        ends = ((self.first, self.first, 1), (self.second, self.second, 1))
        across = ((self.first, self.second, -1), (self.second, self.first, -1))
        columns = [
            sum(sign * np.bincount(one * n + other, c, n * n) for one, other, sign in (*ends, *across))
            for c in curvature.reshape(-1, 9).T
        ]
        return np.column_stack(columns).reshape(n, n, 3, 3).transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
