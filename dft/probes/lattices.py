"""Anion packings, their tetrahedral and octahedral sites, and supercells of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

import numpy as np

PACKING_NAMES = {"AB": "fcc", "ABC": "fcc", "ABA": "hcp", "ABACA": "double hcp", "ABAB": "9R", "bcc": "bcc"}

#: Primitive cell of the cubic close packing, in units of the cubic one.
FCC_CELL = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])

#: A cell and those around it, in lattice vectors, shape (27, 3).
NEIGHBOURING_CELLS = np.array(list(product((-1, 0, 1), repeat=3)))

#: Sums of three vectors, up to the sign of the whole.
_SIGNS = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])

_LAYER = {"A": np.array([0.0, 0.0]), "B": np.array([1 / 3, 2 / 3]), "C": np.array([2 / 3, 1 / 3])}


@dataclass(frozen=True)
class SiteLattice:
    """Sites of a packing in a unit cell; lengths in units that only their ratios matter of.

    Attributes:
        cell: Lattice vectors as rows, shape (3, 3).
        anions: Fractional coordinates of the packing sites, shape (n, 3).
        tetrahedral: Of the tetrahedral sites.
        octahedral: Of the octahedral sites, those of every second gap between the layers left out.
        layered: Of these, if the number of layers is even: filled alone they make slabs with empty gaps between.
    """

    cell: np.ndarray
    anions: np.ndarray
    tetrahedral: np.ndarray
    octahedral: np.ndarray
    layered: np.ndarray

    def supercell(self, hnf: np.ndarray) -> SiteLattice:
        """The lattice repeated by an integer matrix, its cell vectors reduced."""
        matrix = _reduced_matrix(hnf, self.cell)
        shifts = _lattice_points(matrix)
        parts = (self.anions, self.tetrahedral, self.octahedral, self.layered)
        repeated = [_repeat(frac, shifts, matrix) for frac in parts]
        return SiteLattice(matrix @ self.cell, *repeated)


def packing(name: str) -> SiteLattice:
    """A close packing from its layers (the last letter says where the next cell begins), or ``bcc``.

    Close-packed spheres hold one octahedral and two tetrahedral sites each, body-centred ones three and six.

    Raises:
        ValueError: If the name is neither ``bcc`` nor a sequence of differing letters A, B, C.
    """
    if name == "bcc":
        return _body_centred()
    if len(name) < 2 or set(name) - set(_LAYER) or any(a == b for a, b in pairwise(name)):
        raise ValueError(f"packing {name!r} is unknown: give 'bcc' or layers such as 'AB' (fcc) or 'ABA' (hcp)")
    height, n = np.sqrt(2 / 3), len(name) - 1
    plane = np.array([[1.0, 0.0], [-0.5, np.sqrt(0.75)]])
    cell = np.zeros((3, 3))
    cell[:2, :2] = plane
    cell[2] = [*((_LAYER[name[-1]] - _LAYER[name[0]]) @ plane), n * height]
    anions: list[tuple[str, float]] = []
    tetrahedral: list[tuple[str, float]] = []
    octahedral: list[tuple[str, float]] = []
    layered: list[tuple[str, float]] = []
    for i, (low, high) in enumerate(pairwise(name)):
        (third,) = set("ABC") - {low, high}
        anions.append((low, i))
        tetrahedral += [(low, i + 0.75), (high, i + 0.25)]
        (layered if n % 2 == 0 and i % 2 == 0 else octahedral).append((third, i + 0.5))

    def frac(sites: list[tuple[str, float]]) -> np.ndarray:
        cart = np.array([[*(_LAYER[letter] @ plane), z * height] for letter, z in sites]).reshape(-1, 3)
        return cart @ np.linalg.inv(cell) % 1.0

    return SiteLattice(cell, frac(anions), frac(tetrahedral), frac(octahedral), frac(layered))


def supercells(lattice: SiteLattice, size: int, n: int, rng: np.random.Generator) -> list[SiteLattice]:
    """Supercells that differ in shape: the most compact one, then others drawn from all.

    Compact cells keep the periodic images apart, so that a decoration is not forced into rods and sheets; in long ones
    are the crystals that are just these, and repeat after an ion or two along the other vectors.

    Args:
        lattice: The unit cell.
        size: Unit cells in a supercell.
        n: How many, at most.
        rng: Draws them.
    """
    ordered = _by_compactness(tuple(lattice.cell.ravel().tolist()), size)
    drawn = sorted(rng.permutation(len(ordered) - 1)[: n - 1] + 1)
    return [lattice.supercell(ordered[i]) for i in (0, *drawn)]


def supercell_matrices(cell: np.ndarray, size: int) -> list[np.ndarray]:
    """The differently shaped supercells of `size` cells, the most compact first, each as the integers that make it.

    Args:
        cell: Lattice vectors as rows, shape (3, 3).
        size: Cells in a supercell.
    """
    return [_reduced_matrix(hnf, cell) for hnf in _by_compactness(tuple(cell.ravel().tolist()), size)]


def _reduced_matrix(hnf: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return np.rint(_reduced(hnf @ cell) @ np.linalg.inv(cell)).astype(int)


@cache
def _by_compactness(cell: tuple[float, ...], size: int) -> tuple[np.ndarray, ...]:
    """Matrices of the differently shaped supercells of `size` cells, the most compact shape first."""
    scored: dict[tuple[float, ...], np.ndarray] = {}
    for hnf in _hermite_normal_forms(size):
        scored.setdefault(_metric(_reduced(hnf @ np.reshape(cell, (3, 3)))), hnf)
    return tuple(scored[key] for key in sorted(scored))


def _body_centred() -> SiteLattice:
    cell = 0.5 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1.0]])
    axes = [np.roll([0.5, 0.25, 0.0], k) for k in range(3)] + [np.roll([0.25, 0.5, 0.0], k) for k in range(3)]
    octahedral = [np.roll([0.5, 0.0, 0.0], k) for k in range(3)]
    inverse = np.linalg.inv(cell)
    sites = (np.zeros((1, 3)), np.array(axes) @ inverse % 1.0, np.array(octahedral) @ inverse % 1.0, np.zeros((0, 3)))
    return SiteLattice(cell, *sites)


def _hermite_normal_forms(size: int) -> Iterator[np.ndarray]:
    """All integer matrices of determinant `size` whose rows make distinct superlattices of cell vectors as rows.

    Upper-triangular: the lower-triangular forms of the source make them of vectors as columns.

    Source:
        Hart & Forcade, Phys. Rev. B 77, 224115 (2008), doi 10.1103/PhysRevB.77.224115.
    """
    for a in (d for d in range(1, size + 1) if size % d == 0):
        for c in (d for d in range(1, size // a + 1) if (size // a) % d == 0):
            f = size // (a * c)
            for b in range(c):
                for d in range(f):
                    for e in range(f):
                        yield np.array([[a, b, d], [0, c, e], [0, 0, f]])


def _metric(cell: np.ndarray) -> tuple[float, ...]:
    """Squared lengths, longest first, and scalar products of the cell vectors: equal for equal shapes."""
    gram = cell @ cell.T
    products = np.abs(gram[np.triu_indices(3, 1)])
    return (*np.sort(np.diag(gram))[::-1].round(4).tolist(), *np.sort(products).round(4).tolist())


def _reduced(cell: np.ndarray) -> np.ndarray:
    """Short lattice vectors of the same lattice (pairwise and triple-sum reduction), right-handed."""
    cell = cell.copy()
    for _ in range(100):
        before = cell.copy()
        for i in range(3):
            for j in range(3):
                if i != j:
                    cell[i] -= np.rint(cell[i] @ cell[j] / (cell[j] @ cell[j])) * cell[j]
        longest = np.argmax((cell**2).sum(axis=1).round(9))
        sums = _SIGNS @ cell
        shortest = sums[np.argmin((sums**2).sum(axis=1).round(9))]
        if shortest @ shortest < cell[longest] @ cell[longest] - 1e-9:
            cell[longest] = shortest
        elif np.array_equal(before, cell):
            break
    return cell if np.linalg.det(cell) > 0 else -cell


def _lattice_points(matrix: np.ndarray) -> np.ndarray:
    """The integer translations inside a supercell, shape (determinant, 3)."""
    size = round(abs(np.linalg.det(matrix)))
    span = np.abs(matrix).sum(axis=0)
    grid = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), axis=-1).reshape(-1, 3)
    frac = grid @ np.linalg.inv(matrix)
    inside = np.all((frac > -1e-8) & (frac < 1 - 1e-8), axis=1)
    assert inside.sum() == size
    return grid[inside]


def _repeat(frac: np.ndarray, shifts: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return ((frac[:, None, :] + shifts[None, :, :]).reshape(-1, 3) @ np.linalg.inv(matrix)) % 1.0
