"""How force fields relax a crystal: BFGS that begins with a fair guess of how stiff atoms and cell are.

ASE's defaults suit molecules: the first Hessian takes the cell for a hundred times as stiff as it is, and most of a
relaxation is spent on learning it. With a fair guess half the force calls are left. What the guess must not do is to
let a soft cell run ahead of its atoms, as that of molecules in a box: so the strain of a step has a limit of its own.
docs/probes.md has the measurement.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import UnitCellFilter
from ase.optimize import BFGS

#: Curvature along an atom's coordinate, eV/Å²: that of soft ions. ASE's default is 70.
ATOM_STIFFNESS = 20.0

#: Curvature along a strain, eV per atom: 12 is a modulus of 96 GPa at 20 Å³ per atom.
CELL_STIFFNESS = 12.0

#: Largest change of a component of the strain in one step.
STRAIN_STEP = 0.02


class CellFilter(UnitCellFilter):
    """Atoms and cell, a strain counted in angstroms times the square root of the number of atoms."""

    def __init__(self, atoms: Atoms, **kwargs: Any) -> None:
        super().__init__(atoms, **{"cell_factor": len(atoms) ** 0.5, **kwargs})
        self._forces: np.ndarray | None = None

    def set_positions(self, *args: Any, **kwargs: Any) -> None:
        """Move the atoms and strain the cell: positions in the undeformed cell and deformation, shape (n + 3, 3)."""
        self._forces = None
        super().set_positions(*args, **kwargs)

    def get_forces(self, **kwargs: Any) -> np.ndarray:
        """On atoms and cell, eV/Å, shape (n + 3, 3); worked out once per move, while optimizers ask three times."""
        if self._forces is None:
            self._forces = super().get_forces(**kwargs)
        return self._forces.copy()


class CellBFGS(BFGS):
    """BFGS whose first Hessian tells atoms from cell, and whose steps strain the cell no more than `STRAIN_STEP`.

    Converged is what ASE's own filter would call so: the forces, and the virial divided by the number of atoms.
    """

    def initialize(self) -> None:
        """Set the first Hessian."""
        super().initialize()
        self.H0 = np.eye(len(self.H0)) * ATOM_STIFFNESS
        if cell := self._cell:
            self.H0[-9:, -9:] = np.eye(9) * CELL_STIFFNESS * len(cell.atoms) / cell.cell_factor**2

    def determine_step(self, dpos: np.ndarray, steplengths: np.ndarray) -> np.ndarray:
        """The step, Å, within ASE's limit; a strain beyond its own is scaled back, the atoms move as they would."""
        step = np.array(super().determine_step(dpos, steplengths))
        if cell := self._cell:
            strain = np.abs(step[-9:]).max() / cell.cell_factor
            step[-9:] *= min(1.0, STRAIN_STEP / max(strain, 1e-12))
        return step

    def gradient_converged(self, gradient: np.ndarray) -> bool:
        """Whether every force, eV/Å, is below the limit; the last nine are the cell's."""
        scaled = np.array(gradient)
        if cell := self._cell:
            scaled[-9:] *= cell.cell_factor / len(cell.atoms)
        return bool(super().gradient_converged(scaled))

    def log(self, gradient: np.ndarray) -> None:
        """Nothing: atomate2 throws the lines away, and writing them takes a tenth of a step, forces aside."""

    @property
    def _cell(self) -> UnitCellFilter | None:
        return self.atoms if isinstance(self.atoms, UnitCellFilter) else None
