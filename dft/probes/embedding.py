"""Positions for atoms of which the bonds are known: these at their lengths, all other pairs apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize

#: Stiffness of bonds, eV/Å², and of other atoms' repulsion, eV Å²: it bends bonds and hardly stretches them.
_STIFFNESS, _REPULSION = 50.0, 0.5

#: Relative change of energy at which it ends.
_FLAT = 1e-6


@dataclass(frozen=True)
class Springs:
    """Pairs of atoms, the bonded ones first, for a molecule or for one period of a chain along z.

    Attributes:
        pairs: Indices, shape (n_pairs, 2).
        shifts: By how many periods the first atom of each pair is moved, shape (n_pairs,).
        lengths: Of the bonds, Å, shape (n_bonds,).
    """

    pairs: np.ndarray
    shifts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(
        cls, bonds: Sequence[tuple[int, int, int]], lengths: Sequence[float], apart: Iterable[tuple[int, int, int]]
    ) -> Springs:
        """From pairs, each with its shift."""
        every = np.array([*bonds, *apart], dtype=int).reshape(-1, 3)
        return cls(every[:, :2], every[:, 2], np.array(lengths))

    def settled(
        self, starts: Iterable[np.ndarray], period: float = 0.0, most_steps: int = 1000
    ) -> tuple[np.ndarray, float]:
        """The positions, Å, shape (n_atoms, 3), of least energy that any start leads to, and the period of a chain.

        Args:
            starts: Positions to begin with.
            period: To begin with; zero for a molecule.
            most_steps: After which it ends in any case.
        """
        tail = [period] if period else []
        options = {"ftol": _FLAT, "maxiter": most_steps}
        found = [
            minimize(self._strain, [*start.ravel(), *tail], jac=True, method="L-BFGS-B", options=options)
            for start in starts
        ]
        best = min(found, key=lambda one: one.fun)
        n = len(best.x) // 3
        positions = best.x[: 3 * n].reshape(n, 3)
        return positions - positions.mean(axis=0), abs(float(best.x[-1])) if period else 0.0

    def _strain(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        n, n_bonds = len(flat) // 3, len(self.lengths)
        positions = flat[: 3 * n].reshape(n, 3)
        between = positions[self.pairs[:, 0]] - positions[self.pairs[:, 1]]
        if len(flat) > 3 * n:
            between[:, 2] += self.shifts * flat[-1]
        x, y, z = between.T
        distance = np.maximum(np.sqrt(x * x + y * y + z * z), 1e-3)
        off, far = distance[:n_bonds] - self.lengths, distance[n_bonds:]
        slope = np.concatenate([2 * _STIFFNESS * off, -2 * _REPULSION / far**3])
        pull = (slope / distance)[:, None] * between
        gradient = np.bincount(self._coordinates, np.concatenate([pull, -pull]).ravel(), 3 * n)
        stretch = [(pull[:, 2] * self.shifts).sum()] if len(flat) > 3 * n else []
        energy = float(_STIFFNESS * (off**2).sum() + _REPULSION * (far**-2).sum())
        return energy, np.concatenate([gradient, stretch])

    @cached_property
    def _coordinates(self) -> np.ndarray:
        """Which coordinate each component of the pairs' forces acts on: those on their first atoms, then the second."""
        return (3 * self.pairs.T.ravel()[:, None] + np.arange(3)).ravel()
