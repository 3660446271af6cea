"""Full relaxations of probe structures by force calls and energy: ours, ASE's BFGS, and atomate2's default.

    python benchmarks/relaxations.py [--level chgnet] [--structures 2] [--json out.json]
    python benchmarks/relaxations.py --formulas LiPO2F2 LiBSO2 --generators ordered molecular-ions chains

All start from the same structures and end at the same limit: forces, and the virial divided by the number of atoms,
below 0.05 eV/Å; no field is one that published energies are compared with. The Frechet filter's criterion is its own.
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
from dft.levels import FORCE_FIELDS, LevelOfTheory, force_field
from dft.probes import ProbeSettings, build_probes
from dft.relaxation import CellBFGS, CellFilter, uniform_stiffness


class Unlimited(CellBFGS):
    """Ours with strains limited as ASE limits every step."""

    determine_step = BFGS.determine_step


class Undamped(CellBFGS):
    """Ours with ASE's update of the Hessian."""

    update = BFGS.update


class AllAlike(CellBFGS):
    """Ours with one stiffness for all atoms and one for the cell, as where there are no ions."""

    def initialize(self) -> None:
        """Set the first Hessian."""
        super().initialize()
        self._is_salt = False
        self.H0 = uniform_stiffness(len(self.atoms.atoms))


WAYS = {
    "ours": (CellBFGS, CellFilter),
    "no limit of strain": (Unlimited, CellFilter),
    "not damped": (Undamped, CellFilter),
    "stiffness not of ions": (AllAlike, CellFilter),
    "BFGS": (BFGS, UnitCellFilter),
    "FIRE, Frechet": (FIRE, FrechetCellFilter),
}

#: Two compositions of each of four kinds of salts.
FORMULAS = ("Na3ZrS3Cl", "Na2ZrS2Cl2", "Mg2AlO2F3", "MgAlO2F", "KSbSeI2", "K2SbSe2I", "Li6PS5Cl", "YClO")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", choices=FORCE_FIELDS, default="chgnet")
    parser.add_argument("--formulas", nargs="+", default=list(FORMULAS))
    parser.add_argument("--generators", nargs="+", default=["ordered"])
    parser.add_argument("--structures", type=int, default=2, help="of each composition")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = force_field(arguments.level)
    calculator = getattr(engines, chosen.calculator)(**chosen.calculator_kwargs)
    settings = ProbeSettings(max_atoms=16, n_structures=arguments.structures, generators=tuple(arguments.generators))
    rows = []
    for formula in arguments.formulas:
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
            "mean calls": float(np.mean(calls := [row[way]["calls"] for row in rows])),
            "median calls": float(np.median(calls)),
            "not converged": sum(not row[way]["converged"] for row in rows),
            "above BFGS, meV/atom": [round(float(above.mean()), 1), round(float(np.median(above)), 1)],
            "more than 2 higher, lower": [int((above > 2).sum()), int((above < -2).sum())],
        }
    return found


if __name__ == "__main__":
    main()
