"""Sites of the frameworks that have names of their own: tetrahedral semiconductors, spinel, argyrodite, antiperovskite.

The packings reach most of them, but seldom draw them: their cations keep to a part of the holes, or their anions to no
close packing. Wyckoff positions from International Tables A; Fd-3m in its second origin choice, in the primitive cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial import Delaunay

from dft.probes.lattices import FCC_CELL, NEIGHBOURING_CELLS, SiteLattice, packing

_8A = np.array([[0.125] * 3, [0.875] * 3])
_16D = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
_32E = np.array([[s, s, s] for s in (0.25, 0.75)] + [np.roll([s, s, 1 - s], k) for s in (0.25, 0.75) for k in range(3)])
_NONE = np.zeros((0, 3))


def framework(name: str) -> SiteLattice:
    """Sites of a framework by its name in `FRAMEWORKS`.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in FRAMEWORKS:
        raise ValueError(f"framework {name!r} is unknown, choose from {sorted(FRAMEWORKS)}")
    return FRAMEWORKS[name]()


def _zincblende() -> SiteLattice:
    return _one_sense(packing("AB"))


def _wurtzite() -> SiteLattice:
    return _one_sense(packing("ABA"))


def _one_sense(lattice: SiteLattice) -> SiteLattice:
    """Only the tetrahedra that point one way, which share no faces: a site for each anion."""
    return replace(lattice, tetrahedral=lattice.tetrahedral[::2], octahedral=_NONE, layered=_NONE)


def _spinel() -> SiteLattice:
    """Anions on 32e, cations on 8a and 16d: no octahedron shares a face with a tetrahedron."""
    return SiteLattice(FCC_CELL, _32E, _8A, _16D, _NONE)


def _argyrodite() -> SiteLattice:
    """Anions as the atoms of MgCu2, as in Li6PS5Cl: every hole, 17 for three anions, is a tetrahedron."""
    anions = np.concatenate([_8A, _16D])
    return SiteLattice(FCC_CELL, anions, _centres_of_tetrahedra(FCC_CELL, anions), _NONE, _NONE)


def _antiperovskite() -> SiteLattice:
    """One anion in an octahedron of cations, the other among its corners, as in Li3OCl."""
    octahedra = np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    return SiteLattice(np.eye(3), np.array([[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]), _NONE, octahedra, _NONE)


def _centres_of_tetrahedra(cell: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """Centres of the tetrahedra of neighbouring sites that fill a cell, fractional, each once."""
    points = (frac[None] + NEIGHBOURING_CELLS[:, None]).reshape(-1, 3)
    centres = points[Delaunay(points @ cell).simplices].mean(axis=1)
    inside = centres[np.all((centres > -1e-6) & (centres < 1 - 1e-6), axis=1)]
    return np.unique(inside.round(6), axis=0)


#: Each framework by its name, in the order in which they are built.
FRAMEWORKS: dict[str, Callable[[], SiteLattice]] = {
    "zincblende": _zincblende,
    "wurtzite": _wurtzite,
    "spinel": _spinel,
    "argyrodite": _argyrodite,
    "antiperovskite": _antiperovskite,
}
