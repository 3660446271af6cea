"""Levels of theory that are real DFT: CP2K and VASP through atomate2, for the structures that a screening leaves."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jobflow import Flow, Maker, job
from pymatgen.core import Structure

from dft.guards import why_rejected
from dft.probes.base import ProbeStructure


@dataclass(frozen=True)
class FirstPrinciplesLevel:
    """A DFT engine with functional, pseudopotentials and input sets under one name.

    Attributes:
        name: Short name, as in the configuration.
        identity: All that decides an energy at this level.
        error_band: Known error of energies above the hull, eV/atom.
        error_source: What the band rests on.
        relax: Whether positions and cell are relaxed, or the structure is taken as it comes.
    """

    name: str
    identity: str
    error_band: float
    error_source: str
    relax: bool

    def maker(self) -> Maker:
        """atomate2 Maker of the calculation: one job, or a flow."""
        return _cp2k_maker(self.relax) if self.name.startswith("cp2k") else _vasp_maker(self.name)


#: DFT against experiment: the scale of a hull's own error.
_DFT_ERROR = 0.024
_DFT_SOURCE = (
    "standard deviation of GGA+U reaction energies between ternary oxides against experiment "
    "(Hautier et al., Phys. Rev. B 85, 155208 (2012), doi 10.1103/PhysRevB.85.155208)"
)

NAMES = ("cp2k", "cp2k-static", "vasp", "vasp-r2scan")


def first_principles_level(name: str) -> FirstPrinciplesLevel:
    """The DFT level of that name.

    Raises:
        ValueError: If its program or its data are missing, told with what to do.
    """
    reason = missing(name)
    if reason:
        raise ValueError(f"level_of_theory {name!r} cannot run here: {reason}")
    what = {
        "cp2k": "cp2k|PBE|GTH|MOLOPT|cell and positions relaxed",
        "cp2k-static": "cp2k|PBE|GTH|MOLOPT|as it comes",
        "vasp": "vasp|PBE, GGA+U as the Materials Project|double relaxation and static",
        "vasp-r2scan": "vasp|r2SCAN as the Materials Project|double relaxation and static",
    }[name]
    identity = f"{what}|atomate2=={version('atomate2')}"
    return FirstPrinciplesLevel(name, identity, _DFT_ERROR, _DFT_SOURCE, relax=name != "cp2k-static")


def missing(name: str) -> str:
    """What a DFT level lacks on this machine, as half a sentence with the way out; empty if nothing.

    Raises:
        ValueError: If the level is none of `NAMES`.
    """
    if name not in NAMES:
        raise ValueError(f"level_of_theory {name!r} is no DFT level, choose from {list(NAMES)}")
    from atomate2 import SETTINGS

    command = SETTINGS.CP2K_CMD if name.startswith("cp2k") else SETTINGS.VASP_CMD
    program = shlex.split(command)[0]
    if not shutil.which(program):
        variable = "ATOMATE2_CP2K_CMD" if name.startswith("cp2k") else "ATOMATE2_VASP_CMD"
        return f"no program {program!r} on the path: install it or set {variable}"
    return _missing_cp2k_data() if name.startswith("cp2k") else _missing_potcars()


def _missing_cp2k_data() -> str:
    folder = _pymatgen_setting("PMG_CP2K_DATA_DIR", "CP2K_DATA_DIR")
    if not folder or not any(Path(folder).glob("**/*")):
        return (
            "pymatgen has no basis sets for CP2K: run 'pmg config --cp2k <data folder of cp2k> DIR' and set "
            "PMG_CP2K_DATA_DIR to DIR"
        )
    return ""


def _missing_potcars() -> str:
    folder = _pymatgen_setting("PMG_VASP_PSP_DIR", "PMG_VASP_PSP_DIR")
    if not folder or not Path(folder).is_dir():
        return "no POTCAR files: set PMG_VASP_PSP_DIR to the folder that 'pmg config -p' has made"
    return ""


def _pymatgen_setting(key: str, variable: str) -> str:
    from pymatgen.core import SETTINGS

    return str(os.getenv(variable) or SETTINGS.get(key) or "")


def _cp2k_maker(relax: bool) -> Maker:
    from atomate2.cp2k.jobs.core import CellOptMaker, StaticMaker

    return CellOptMaker() if relax else StaticMaker()


def _vasp_maker(name: str) -> Maker:
    from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker, MPMetaGGADoubleRelaxStaticMaker

    return MPGGADoubleRelaxStaticMaker() if name == "vasp" else MPMetaGGADoubleRelaxStaticMaker()


@dataclass
class FirstPrinciplesMaker(Maker):
    """Maker for the DFT energy of a composition: the best structure of the level before, in an atomate2 calculation.

    Attributes:
        name: Name of the flow.
        level: Identity of the level of theory.
        calculation: atomate2 Maker.
    """

    name: str = "first principles"
    level: str = ""
    calculation: Maker = field(default_factory=Maker)

    @classmethod
    def from_level(cls, level: FirstPrinciplesLevel) -> FirstPrinciplesMaker:
        """The Maker of a DFT level."""
        return cls(level=level.identity, calculation=level.maker())

    def make(self, probes: list[ProbeStructure]) -> Flow:
        """Compute the first structure.

        Args:
            probes: Survivors of a screening, the lowest first.

        Returns:
            A flow whose output has the keys of `dft.workflows.ScreeningMaker`'s.

        Raises:
            ValueError: If there is no structure.
        """
        if not probes:
            raise ValueError("first principles: no structure has survived the level before")
        calculation = self.calculation.make(probes[0].structure)
        summary = summarise(calculation.output, probes[0], self.level)
        return Flow([calculation, summary], output=summary.output, name=self.name)


@job
def summarise(document: Any, probe: ProbeStructure, level: str) -> dict[str, Any]:
    """An atomate2 task document of CP2K or VASP as the plain values that a screening gives."""
    output: dict[str, Any] = document["output"] if isinstance(document, dict) else dict(document.output)
    structure, energy, forces = (output.get(key) for key in ("structure", "energy_per_atom", "forces"))
    structure = structure if isinstance(structure, Structure) else Structure.from_dict(structure or {})
    max_force = float(np.linalg.norm(np.array(forces), axis=1).max()) if forces is not None and len(forces) else None
    reason = why_rejected(probe.structure, structure)
    state = "rejected" if reason else "done"
    if energy is None or not np.isfinite(energy):
        state, reason = "failed", "the calculation gave no energy"
    return {
        "state": state,
        "reason": reason,
        "energy_per_atom": energy if state == "done" else None,
        "n_atoms": len(structure),
        "structure": json.loads(structure.to_json()),
        "generator": probe.generator,
        "max_force": max_force,
        "force_calls": 0,
        "force_seconds": 0.0,
        "n_structures": 1,
        "level": level,
        "survivors": [],
        "trail": [
            {
                "generator": probe.generator,
                "stage": "final",
                "energy_per_atom": energy,
                "state": state,
                "reason": reason,
            }
        ],
    }
