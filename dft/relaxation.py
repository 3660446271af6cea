"""How force fields relax a crystal: BFGS that begins with a fair guess of how stiff atoms and cell are.

ASE's defaults suit molecules. Its cell filter counts a strain in angstroms times the number of atoms, so that a strain
of 2 % is the longest step allowed, and the first Hessian takes the cell for a hundred times as stiff as it is; most of
a relaxation is then spent on learning the cell. docs/probes.md has the measurement.
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


class CellFilter(UnitCellFilter):
    """Atoms and cell, a strain counted in angstroms times the square root of the number of atoms."""

    def __init__(self, atoms: Atoms, **kwargs: Any) -> None:
        super().__init__(atoms, **{"cell_factor": len(atoms) ** 0.5, **kwargs})


class CellBFGS(BFGS):
    """BFGS whose first Hessian tells atoms from cell.

    Converged is what ASE's own filter would call so: the forces, and the virial divided by the number of atoms.
    """

    def initialize(self) -> None:
        """Set the first Hessian."""
        super().initialize()
        self.H0 = np.eye(len(self.H0)) * ATOM_STIFFNESS
        if isinstance(self.atoms, UnitCellFilter):
            n_atoms = len(self.atoms.atoms)
            self.H0[-9:, -9:] = np.eye(9) * CELL_STIFFNESS * n_atoms / self.atoms.cell_factor**2

    def gradient_converged(self, gradient: np.ndarray) -> bool:
        """Whether every force, eV/Å, is below the limit; the last nine are the cell's."""
        scaled = np.array(gradient)
        if isinstance(self.atoms, UnitCellFilter):
            scaled[-9:] *= self.atoms.cell_factor / len(self.atoms.atoms)
        return bool(super().gradient_converged(scaled))
