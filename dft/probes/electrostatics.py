"""Electrostatic energy of ions on the sites of a lattice, and the swaps of ions that lower it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.core.ewald import EwaldSummation
from pymatgen.optimization.neighbors import find_points_in_spheres

from dft.probes.volumes import ionic_radius

#: Decimals to which the shape of a cell and fractional coordinates are told apart.
_DIGITS = 9

#: Matrices kept in a process; 0.1 MB each at 100 sites.
_KEPT_MATRICES = 512

#: Å: edge of the cube whose volume the cell has while its matrix is made.
_WORKING_LENGTH = 8.0

#: eV by which a swap must lower the energy.
LEAST_GAIN = 1e-6


def unit_charge_matrix(cell: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """Ewald matrix of a set of sites: charges q on them have the energy q·M·q.

    Equal sites in a cell of equal shape have the same matrix but for a factor, the inverse of the length. It is
    made once in a process and kept, since compositions of one size share their supercells.

    Args:
        cell: Lattice vectors as rows, Å, shape (3, 3).
        frac: Fractional coordinates, shape (n, 3).

    Returns:
        Symmetric matrix, eV per squared elementary charge, shape (n, n); exact for charges that sum to zero.
    """
    length = abs(float(np.linalg.det(cell))) ** (1 / 3)
    shape = np.round(cell / length, _DIGITS)
    return _matrix_of_shape(tuple(shape.ravel().tolist()), np.round(frac, _DIGITS).tobytes()) / length


@lru_cache(maxsize=_KEPT_MATRICES)
def _matrix_of_shape(shape: tuple[float, ...], frac: bytes) -> np.ndarray:
    """The Ewald matrix, eV Å, in a cell of unit volume; read-only, because it is shared."""
    positions = np.frombuffer(frac).reshape(-1, 3)
    cell = np.reshape(shape, (3, 3)) * _WORKING_LENGTH
    charges = {"charge": [1.0] * len(positions)}
    sites = Structure(Lattice(cell), ["H"] * len(positions), positions, site_properties=charges)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unit charges on every site are not neutral, and need not be
        matrix = EwaldSummation(sites, acc_factor=8.0).total_energy_matrix
    matrix = 0.5 * _WORKING_LENGTH * (matrix + matrix.T)
    matrix.setflags(write=False)
    return matrix


def swap_descents(
    matrix: np.ndarray, charges: np.ndarray, sublattice: np.ndarray, max_swaps: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Swap the two ions of a sublattice that lower the energy most, again and again until no swap lowers it.

    Several arrangements descend side by side, each on its own: one at a time would spend its time between numpy's
    calls rather than in them.

    Args:
        matrix: From `unit_charge_matrix`, eV, shape (n, n).
        charges: Charge on each site of each arrangement, zero where it is vacant, shape (k, n).
        sublattice: Ions are swapped within equal labels only, shape (n,).
        max_swaps: Most swaps of an arrangement.

    Returns:
        Per arrangement the order in which its ions now stand on the sites (site i holds what stood on site
        order[i]), shape (k, n), and its energy, eV, shape (k,).
    """
    k, n = charges.shape
    order, q = np.tile(np.arange(n), (k, 1)), np.array(charges, dtype=float)
    first, second = np.triu_indices(n, 1)
    allowed = sublattice[first] == sublattice[second]
    first, second = first[allowed], second[allowed]
    if len(first):
        curvature = matrix[first, first] + matrix[second, second] - 2 * matrix[first, second]
        going = np.arange(k)
        for _ in range(max_swaps):
            now = q[going]
            potential = now @ matrix
            moved = now.take(second, axis=1) - now.take(first, axis=1)  # what the first site gains if the two swap
            rise = potential.take(first, axis=1) - potential.take(second, axis=1)
            gain = moved * (2 * rise + moved * curvature)
            best = np.argmin(np.round(gain, _DIGITS), axis=1)  # the same of equal swaps on every machine
            lower = gain[np.arange(len(going)), best] < -LEAST_GAIN
            going, best = going[lower], best[lower]
            if not len(going):
                break
            i, j = first[best], second[best]
            order[going, i], order[going, j] = order[going, j], order[going, i]
            q[going, i], q[going, j] = q[going, j], q[going, i]
    return order, np.einsum("ki,ij,kj->k", q, matrix, q)


#: Exponent of the Born repulsion between ions.
BORN_EXPONENT = 9

#: Its strength in eV Å: 0.47 would stand rocksalt at the sum of the ionic radii (Madelung's 1.7476 x 14.40 / (6 x 9));
#: nine tenths of that come nearer to CHGNet's minima, within 4 % in volume on average (docs/probes.md).
BORN_STRENGTH = 0.42


def born_minimum(structure: Structure, charges: dict[str, float]) -> tuple[float, float]:
    """As `balance_of_ions`, of a structure.

    Args:
        structure: Ordered.
        charges: Charge by symbol.
    """
    symbols = [site.specie.symbol for site in structure]
    cell = structure.lattice.matrix
    q = np.array([charges[symbol] for symbol in symbols])
    electrostatic = float(q @ unit_charge_matrix(cell, structure.frac_coords) @ q)
    return balance_of_ions(cell, structure.cart_coords, symbols, charges, electrostatic)


def balance_of_ions(
    cell: np.ndarray, positions: np.ndarray, symbols: Sequence[str], charges: dict[str, float], electrostatic: float
) -> tuple[float, float]:
    """Energy and scale of a crystal of ions at the volume where attraction and Born repulsion balance.

    Args:
        cell: Lattice vectors as rows, Å, shape (3, 3).
        positions: Cartesian, Å, shape (n, 3).
        symbols: One per site.
        charges: Charge by symbol; the repulsion acts between spheres of the ionic radii, r_i + r_j.
        electrostatic: Electrostatic energy of the cell, eV.

    Returns:
        Energy, eV/atom, and the factor on all lengths that minimises it; where the ions do not attract, or nothing
        repels them, their electrostatic energy and 1.

    Source:
        Born & Landé, Verh. Dtsch. Phys. Ges. 20, 210 (1918).
    """
    attraction = -electrostatic
    if attraction <= 0:
        return -attraction / len(symbols), 1.0
    q = np.array([charges[symbol] for symbol in symbols])
    radius = np.array([ionic_radius(symbol, charge) for symbol, charge in zip(symbols, q, strict=True)])
    i, j, _, distance = neighbours(cell, positions, 2.5 * 2 * float(radius.max()))
    contact = radius[i] + radius[j]
    repulsion = 0.5 * float(np.sum(at_contact(q[i] * q[j], contact) * (contact / distance) ** BORN_EXPONENT))
    if repulsion <= 0:  # ions too small to meet, as H(+)
        return -attraction / len(symbols), 1.0
    scale = (BORN_EXPONENT * repulsion / attraction) ** (1 / (BORN_EXPONENT - 1))
    return -attraction / scale * (1 - 1 / BORN_EXPONENT) / len(symbols), scale


def at_contact(products: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """Born repulsion, eV, of pairs of ions that touch.

    Args:
        products: Of the two charges; like small ones repel each other as those of a half do.
        contact: Sum of the two radii, Å.
    """
    return BORN_STRENGTH * np.maximum(np.abs(products), 0.5) / contact


def neighbours(
    cell: np.ndarray, positions: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of sites within reach, each from both ends: indices, lattice vectors between them, and distances, Å."""
    points = np.ascontiguousarray(positions, dtype=float)
    i, j, images, distance = find_points_in_spheres(
        points, points, r=reach, pbc=np.ones(3, dtype=np.int64), lattice=np.ascontiguousarray(cell, dtype=float)
    )
    apart = distance > 1e-8  # not a site and itself
    return i[apart], j[apart], images[apart], distance[apart]
