"""Electrostatic energy of ions on the sites of a lattice, and the swaps of ions that lower it."""

from __future__ import annotations

import warnings

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.core.ewald import EwaldSummation

from dft.probes.volumes import ionic_radius


def unit_charge_matrix(cell: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """Ewald matrix of a set of sites, made once: charges q on them have the energy q·M·q.

    Args:
        cell: Lattice vectors as rows, Å, shape (3, 3).
        frac: Fractional coordinates, shape (n, 3).

    Returns:
        Symmetric matrix, eV per squared elementary charge, shape (n, n); exact for charges that sum to zero.
    """
    sites = Structure(Lattice(cell), ["H"] * len(frac), frac, site_properties={"charge": [1.0] * len(frac)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unit charges on every site are not neutral, and need not be
        matrix = EwaldSummation(sites, acc_factor=8.0).total_energy_matrix
    return 0.5 * (matrix + matrix.T)


def swap_descent(
    matrix: np.ndarray, charges: np.ndarray, sublattice: np.ndarray, max_swaps: int = 200
) -> tuple[np.ndarray, float]:
    """Swap the two ions of a sublattice that lower the energy most, again and again until no swap lowers it.

    Args:
        matrix: From `unit_charge_matrix`, eV, shape (n, n).
        charges: Charge on each site, zero where it is vacant, shape (n,).
        sublattice: Ions are swapped within equal labels only, shape (n,).
        max_swaps: Most swaps.

    Returns:
        The order in which the ions now stand on the sites (site i holds what stood on site order[i]), shape (n,),
        and the energy, eV.
    """
    order, q = np.arange(len(charges)), np.array(charges, dtype=float)
    allowed = sublattice[:, None] == sublattice[None, :]
    curvature = np.diag(matrix)[:, None] + np.diag(matrix)[None, :] - 2 * matrix
    for _ in range(max_swaps):
        potential = matrix @ q
        moved = q[None, :] - q[:, None]  # what site i gains if i and j swap
        gain = 2 * moved * (potential[:, None] - potential[None, :]) + moved**2 * curvature
        gain[~allowed] = 0.0
        i, j = np.unravel_index(np.argmin(gain), gain.shape)
        if gain[i, j] > -1e-6:
            break
        order[[i, j]], q[[i, j]] = order[[j, i]], q[[j, i]]
    return order, float(q @ matrix @ q)


#: Exponent of the Born repulsion between ions.
BORN_EXPONENT = 9

#: Its strength in eV Å: 0.47 would stand rocksalt at the sum of the ionic radii (Madelung's 1.7476 x 14.40 / (6 x 9));
#: nine tenths of that leave the volumes of CHGNet's minima without bias (docs/probes.md).
BORN_STRENGTH = 0.42


def born_minimum(structure: Structure, charges: dict[str, float]) -> tuple[float, float]:
    """Energy and scale of a structure of ions at the volume where attraction and Born repulsion balance.

    Args:
        structure: Ordered.
        charges: Charge by symbol; the repulsion acts between spheres of the ionic radii, r_i + r_j.

    Returns:
        Energy, eV/atom, and the factor on all lengths that minimises it; where the ions do not attract each other,
        their electrostatic energy and 1.

    Source:
        Born & Landé, Verh. Dtsch. Phys. Ges. 20, 210 (1918).
    """
    q = np.array([charges[site.specie.symbol] for site in structure])
    radius = np.array([ionic_radius(site.specie.symbol, charge) for site, charge in zip(structure, q, strict=True)])
    attraction = -float(q @ unit_charge_matrix(structure.lattice.matrix, structure.frac_coords) @ q)
    i, j, _, distance = structure.get_neighbor_list(2.5 * 2 * float(radius.max()))
    contact = radius[i] + radius[j]
    strength = BORN_STRENGTH * np.maximum(np.abs(q[i] * q[j]), 0.5) / contact
    repulsion = 0.5 * float(np.sum(strength * (contact / distance) ** BORN_EXPONENT))
    if attraction <= 0:
        return -attraction / len(structure), 1.0
    scale = (BORN_EXPONENT * repulsion / attraction) ** (1 / (BORN_EXPONENT - 1))
    return -attraction / scale * (1 - 1 / BORN_EXPONENT) / len(structure), scale
