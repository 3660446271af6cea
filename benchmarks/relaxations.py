"""Full relaxations of probe structures by force calls and energy: ASE's BFGS, which levels use, and two others.

    python benchmarks/relaxations.py [--level chgnet] [--structures 2] [--json out.json]

All start from the same structures and end at the same limit: forces, and the virial divided by the number of atoms,
below 0.05 eV/Å; no field is one that published energies are compared with. The Frechet filter's criterion is its own.
`CellBFGS` begins with a fair guess of how stiff atoms and cell are. It is not used: docs/probes.md says why.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.filters import FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS, FIRE
from pymatgen.core import Composition

from dft import engines
from dft.levels import LevelOfTheory, force_field
from dft.probes import ProbeSettings, build_probes

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


WAYS = {"BFGS": (BFGS, UnitCellFilter), "CellBFGS": (CellBFGS, CellFilter), "FIRE, Frechet": (FIRE, FrechetCellFilter)}

#: Two compositions of each of four kinds of salts.
FORMULAS = ("Na3ZrS3Cl", "Na2ZrS2Cl2", "Mg2AlO2F3", "MgAlO2F", "KSbSeI2", "K2SbSe2I", "Li6PS5Cl", "YClO")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", default="chgnet")
    parser.add_argument("--structures", type=int, default=2, help="of each of eight compositions")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = force_field(arguments.level)
    calculator = getattr(engines, chosen.calculator)(**chosen.calculator_kwargs)
    settings = ProbeSettings(max_atoms=16, n_structures=arguments.structures, generators=("ordered",))
    rows = []
    for formula in FORMULAS:
        for probe in build_probes(Composition(formula), settings, 0):
            atoms = probe.structure.to_ase_atoms()
            found = {name: relaxed(atoms, calculator, chosen, *way) for name, way in WAYS.items()}
            rows.append({"composition": formula, "generator": probe.generator, "atoms": len(atoms), **found})
            print(rows[-1], flush=True)
    print(json.dumps(figures := summary(rows), indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, **figures}, indent=1) + "\n")


def relaxed(atoms: Atoms, calculator: Any, chosen: LevelOfTheory, optimizer: Any, cell_filter: Any) -> dict[str, Any]:
    """Force calls of one relaxation, and the energy where it ends, eV/atom."""
    copy = atoms.copy()
    copy.calc = calculator
    run = optimizer(cell_filter(copy), logfile=None)
    converged = bool(run.run(fmax=chosen.fmax, steps=chosen.max_steps))
    return {"calls": run.nsteps + 1, "energy": float(copy.get_potential_energy()) / len(copy), "converged": converged}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """By way: mean force calls; how far it ends above BFGS, meV/atom; how many end more than 2 higher and lower."""
    found = {}
    for way in WAYS:
        above = np.array([1000 * (row[way]["energy"] - row["BFGS"]["energy"]) for row in rows])
        found[way] = {
            "structures": len(rows),
            "mean calls": float(np.mean([row[way]["calls"] for row in rows])),
            "not converged": sum(not row[way]["converged"] for row in rows),
            "above BFGS, meV/atom": [round(float(above.mean()), 1), round(float(np.median(above)), 1)],
            "more than 2 higher, lower": [int((above > 2).sum()), int((above < -2).sum())],
        }
    return found


if __name__ == "__main__":
    main()
