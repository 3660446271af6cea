"""A Lennard-Jones potential between any elements: a model to try out a cluster with, that knows no chemistry."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from pymatgen.core import Element

#: Distance of lowest energy, in sums of covalent radii, and cut-off, in those distances.
REACH, CUTOFF = 1.15, 1.8

#: Depth of the well between atoms of one electronegativity, eV, and what a difference adds, eV per Pauling unit.
DEPTH, POLARITY = 0.15, 0.35


class LennardJones(Calculator):
    """Pairs attract each other the more, the more their electronegativities differ; energy and force end smoothly."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 (as ASE declares it)

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Energy (eV), forces (eV/Å) and stress (eV/Å³)."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        i, j, vector, distance = neighbor_list("ijDd", self.atoms, self._reach() * CUTOFF)
        lowest, depth = _pairs(tuple(self.atoms.numbers))
        energy, slope = _shifted(distance, lowest[i, j], depth[i, j])
        pull = (slope / distance)[:, None] * vector
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, pull)
        virial = 0.5 * np.einsum("pa,pb->ab", pull, vector) / self.atoms.get_volume()
        total = 0.5 * float(energy.sum())
        stress = virial.ravel()[[0, 4, 8, 5, 2, 1]]
        self.results = {"energy": total, "free_energy": total, "forces": forces, "stress": stress}

    def _reach(self) -> float:
        assert self.atoms is not None
        return 2 * REACH * float(covalent_radii[self.atoms.numbers].max())


@lru_cache(maxsize=64)
def _pairs(numbers: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of lowest energy (Å) and depth (eV) of each pair of atoms, shapes (n, n)."""
    radii = covalent_radii[list(numbers)]
    polarity = np.array([Element.from_Z(int(z)).X for z in numbers])
    return REACH * np.add.outer(radii, radii), DEPTH + POLARITY * np.abs(np.subtract.outer(polarity, polarity))


def _shifted(
    distance: NDArray[np.float64], lowest: NDArray[np.float64], depth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy (eV) and slope (eV/Å) of pairs, both zero from the cut-off on."""
    edge = CUTOFF * lowest
    energy, slope = _bare(distance, lowest, depth)
    at_edge, slope_at_edge = _bare(edge, lowest, depth)
    inside = distance < edge
    return (
        np.where(inside, energy - at_edge - (distance - edge) * slope_at_edge, 0.0),
        np.where(inside, slope - slope_at_edge, 0.0),
    )


def _bare(
    distance: NDArray[np.float64], lowest: NDArray[np.float64], depth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ratio = (lowest / distance) ** 6
    return depth * (ratio**2 - 2 * ratio), 12 * depth * (ratio - ratio**2) / distance
