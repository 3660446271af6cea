"""How force fields relax a crystal: BFGS that begins with a fair guess of how stiff atoms and cell are.

ASE's defaults suit molecules: the first Hessian takes the cell for a hundred times as stiff as it is, and most of a
relaxation is spent on learning it. With a fair guess half the force calls are left, and a third of them where rigid
ions, as in a salt, tell which motions are stiff. What the guess must not do is to let a soft cell run ahead of its
atoms, as that of molecules in a box: so the strain of a step has a limit of its own. docs/probes.md has the
measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import UnitCellFilter
from ase.optimize import BFGS
from pymatgen.io.ase import AseAtomsAdaptor

from dft.probes.rigid_ions import stiffness_as_ions

#: Curvature along an atom's coordinate, eV/Å²: that of soft ions. ASE's default is 70.
ATOM_STIFFNESS = 20.0

#: Curvature along a strain, eV per atom: 12 is a modulus of 96 GPa at 20 Å³ per atom.
CELL_STIFFNESS = 12.0

#: Of the stiffness that rigid ions have; and what is added to it along each coordinate, eV/Å², and strain, eV per atom:
#: full charges are too hard, and what holds the ions apart is not all that holds a crystal.
ION_SHARE, BESIDE_IONS, BESIDE_IONS_CELL = 0.3, 4.0, 2.5

#: The curvature along a step counts for at least this: as a share of what it was taken for (Powell, Lecture Notes in
#: Mathematics 630, 144 (1978), doi 10.1007/BFb0067703), and in eV/Å².
LEAST_SHARE, LEAST_STIFFNESS = 0.2, 0.5

#: Largest change of a component of the strain in one step.
STRAIN_STEP = 0.02

#: Steps before which no relaxation is given up, and over which its last gain counts; and how many times what BFGS
#: expects it may still gain.
EARLY, EXPECTED = 5, 2.0


class _HopelessError(Exception):
    """A relaxation will hardly end below the bar."""


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

    Converged are the forces on the atoms as they stand, and the virial divided by the number of atoms as ASE's own
    filter has it.

    Args:
        atoms: With a filter or without.
        bar: Energy, eV/atom. A relaxation that will hardly end below is given up, unconverged.
    """

    _is_salt = False

    def __init__(self, atoms: Any, *args: Any, bar: float = np.inf, **kwargs: Any) -> None:
        super().__init__(atoms, *args, **kwargs)
        self._bar = bar
        self._energies: list[float] = []

    def initialize(self) -> None:
        """Set the first Hessian: that of rigid ions, softened, for a salt."""
        super().initialize()
        if not (cell := self._cell):
            self.H0 = np.eye(len(self.H0)) * ATOM_STIFFNESS
            return
        ions = stiffness_as_ions(AseAtomsAdaptor.get_structure(cell.atoms))
        self._is_salt = ions is not None
        self.H0 = uniform_stiffness(len(cell.atoms)) if ions is None else _softened(ions)
        self.H0[-9:] *= len(cell.atoms) ** 0.5 / cell.cell_factor
        self.H0[:, -9:] *= len(cell.atoms) ** 0.5 / cell.cell_factor

    def update(self, pos: np.ndarray, forces: np.ndarray, pos0: np.ndarray | None, forces0: np.ndarray | None) -> None:
        """BFGS's; for a salt with a Hessian that stays positive.

        ASE's takes on any curvature that a step shows, down to -3e7 eV/Å² in Na2CO3, and stands still. Where there are
        no ions to tell what is stiff it is left so: a soft crystal of molecules finds its way by such steps.
        """
        if self._is_salt and pos0 is not None and forces0 is not None:
            forces = forces0 - self._damped(pos - pos0, forces0 - forces)
        super().update(pos, forces, pos0, forces0)

    def _damped(self, step: np.ndarray, change: np.ndarray) -> np.ndarray:
        """A change of the gradient that shows too little curvature is mixed with the expected one, as by Powell."""
        expected = self.H @ step
        curvature, by_now = step @ change, step @ expected
        least = max(LEAST_SHARE * by_now, LEAST_STIFFNESS * (step @ step))
        if curvature >= least:
            return change
        share = np.clip((by_now - least) / (by_now - curvature), 0.0, 1.0)
        return np.array(share * change + (1 - share) * expected)

    def step(self, gradient: np.ndarray | None = None) -> None:
        """One step; or none, and the last one, if this relaxation is given up."""
        try:
            super().step(gradient)
        except _HopelessError:
            self.max_steps = self.nsteps

    def determine_step(self, dpos: np.ndarray, steplengths: np.ndarray) -> np.ndarray:
        """The step, Å, within ASE's limit; a strain beyond its own is scaled back, the atoms move as they would."""
        if self._bar < np.inf:
            self._give_up_if_hopeless(dpos)
        step = np.array(super().determine_step(dpos, steplengths))
        if cell := self._cell:
            strain = np.abs(step[-9:]).max() / cell.cell_factor
            step[-9:] *= min(1.0, STRAIN_STEP / max(strain, 1e-12))
        return step

    def _give_up_if_hopeless(self, dpos: np.ndarray) -> None:
        atoms = cell.atoms if (cell := self._cell) else self.atoms
        self._energies.append(atoms.get_potential_energy() / len(atoms))
        if is_hopeless(self._energies, self.expected_gain(dpos) / len(atoms), self._bar):
            raise _HopelessError

    def expected_gain(self, dpos: np.ndarray) -> float:
        """What the full step, Å, gains if the Hessian is right, eV."""
        return 0.5 * float(self.forces0 @ dpos.ravel())

    def gradient_converged(self, gradient: np.ndarray) -> bool:
        """Whether every force, eV/Å, is below the limit; the last nine are the cell's, atoms are asked for theirs."""
        scaled = np.array(gradient)
        if cell := self._cell:
            scaled[-9:] *= cell.cell_factor / len(cell.atoms)
            scaled[:-9] = cell.atoms.get_forces().ravel()  # the filter's are multiplied by the deformation
        return bool(super().gradient_converged(scaled))

    def log(self, gradient: np.ndarray) -> None:
        """Nothing: atomate2 throws the lines away, and writing them takes a tenth of a step, forces aside."""

    @property
    def _cell(self) -> UnitCellFilter | None:
        return self.atoms if isinstance(self.atoms, UnitCellFilter) else None


def is_hopeless(energies: Sequence[float], expected: float, bar: float) -> bool:
    """Whether a relaxation will hardly end below a bar.

    It may gain as much as in its last steps, and twice what BFGS expects besides.

    Args:
        energies: At the start and after each step so far, eV/atom.
        expected: What BFGS's next step gains if its Hessian is right, eV/atom.
        bar: eV/atom.
    """
    if len(energies) <= EARLY:
        return False
    gained = max(0.0, energies[-1 - EARLY] - energies[-1])
    return energies[-1] - EXPECTED * expected - gained > bar


def uniform_stiffness(n: int) -> np.ndarray:
    """First Hessian of what is no salt.

    By positions, Å, and by strain times the square root of the number of atoms n; shape (3n + 9, 3n + 9).
    """
    return np.diag([ATOM_STIFFNESS] * (3 * n) + [CELL_STIFFNESS] * 9)


def _softened(ions: np.ndarray) -> np.ndarray:
    """The same from that of rigid ions; a mode along which they are unstable counts as hard as it is soft."""
    turned = np.append(np.arange(len(ions) - 9), len(ions) - 9 + np.arange(9).reshape(3, 3).T)  # as ASE's filter has it
    stiffness, modes = np.linalg.eigh(ions[np.ix_(turned, turned)])
    beside = [BESIDE_IONS] * (len(ions) - 9) + [BESIDE_IONS_CELL] * 9
    return np.array(ION_SHARE * (modes * np.abs(stiffness)) @ modes.T + np.diag(beside))
