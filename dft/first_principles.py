"""Levels of theory that are real DFT: CP2K and VASP through atomate2, for the structures that a screening leaves."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from jobflow import Flow, Maker, job
from pymatgen.core import Structure

from dft import cp2k, vasp
from dft.corrections import corrected, entry_of_task
from dft.cp2k import Cp2kSettings
from dft.custodian_logs import why_unconverged
from dft.guards import why_rejected
from dft.probes.base import ProbeStructure
from dft.vasp import VaspSettings


@dataclass(frozen=True)
class FirstPrinciplesLevel:
    """A DFT engine with functional, pseudopotentials and input sets under one name.

    Attributes:
        name: Short name, as in the configuration.
        identity: All that decides an energy at this level.
        error_band: Known error of energies above the hull, eV/atom.
        error_source: What the band rests on.
        settings: Of the engine.
    """

    name: str
    identity: str
    error_band: float
    error_source: str
    settings: Cp2kSettings | VaspSettings

    @property
    def package(self) -> str:
        """The installed package that writes its inputs and reads its outputs."""
        return "atomate2"

    def maker(self) -> Maker:
        """atomate2 Maker of the calculation: one job, or a flow."""
        return self.settings.maker()


#: DFT against experiment: the scale of a hull's own error.
_DFT_ERROR = 0.024
_DFT_SOURCE = (
    "standard deviation of GGA+U reaction energies between ternary oxides against experiment "
    "(Hautier et al., Phys. Rev. B 85, 155208 (2012), doi 10.1103/PhysRevB.85.155208)"
)

_SETTINGS: dict[str, Cp2kSettings | VaspSettings] = {
    "cp2k": Cp2kSettings(),
    "cp2k-static": Cp2kSettings(relax="none"),
    "vasp": VaspSettings(),
    "vasp-r2scan": VaspSettings(functional="r2SCAN"),
}

NAMES = tuple(_SETTINGS)


def first_principles_level(name: str, **overrides: Any) -> FirstPrinciplesLevel:
    """The DFT level of that name.

    Args:
        name: One of `NAMES`.
        **overrides: Settings of its engine; the identity changes with them.

    Raises:
        ValueError: If a setting is unknown or impossible, or the program or its data are missing, with what to do.
    """
    settings = engine_settings(name, overrides)
    if reason := missing(name, overrides=overrides):
        raise ValueError(f"level_of_theory {name!r} cannot run here: {reason}")
    return FirstPrinciplesLevel(name, _identity(settings), _DFT_ERROR, _DFT_SOURCE, settings)


def engine_settings(name: str, overrides: dict[str, Any]) -> Cp2kSettings | VaspSettings:
    """The settings of a DFT level's engine.

    Raises:
        ValueError: If the level is none of `NAMES`, or a setting is unknown or of another kind than its default.
    """
    if name not in _SETTINGS:
        raise ValueError(f"level_of_theory {name!r} is no DFT level, choose from {list(NAMES)}")
    default = _SETTINGS[name]
    known = [f.name for f in fields(default) if f.name != "functional"]
    for key, value in overrides.items():
        if key not in known:
            raise ValueError(f"setting {key!r} of level_of_theory {name!r} is unknown, choose from {known}")
        before = getattr(default, key)
        kinds = (int, float) if isinstance(before, float) else (type(before),)
        if not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(before, bool)):
            kind = type(before).__name__
            raise ValueError(f"setting {key!r} of level_of_theory {name!r} is {value!r}, and must be a {kind}")
    numbers = {key: float(value) for key, value in overrides.items() if isinstance(getattr(default, key), float)}
    settings = replace(default, **{**overrides, **numbers})
    settings.check(name)
    return settings


def missing(name: str, elements: Collection[str] = (), overrides: dict[str, Any] | None = None) -> str:
    """What a DFT level lacks on this machine, as half a sentence with the way out; empty if nothing.

    Args:
        name: One of `NAMES`.
        elements: Those whose basis sets or POTCARs are needed.
        overrides: As of `first_principles_level`.
    """
    settings = engine_settings(name, overrides or {})
    if isinstance(settings, Cp2kSettings):
        return cp2k.missing(settings, elements)
    return vasp.missing(settings, elements)


def _identity(settings: Cp2kSettings | VaspSettings) -> str:
    """Engine, functional and every setting; VASP's own version is not known before it has run."""
    told = "|".join(
        f"{key}={json.dumps(value, sort_keys=True) if isinstance(value, dict) else value}"
        for key, value in asdict(settings).items()
        if value not in ({}, "")
    )
    if isinstance(settings, Cp2kSettings):
        return f"cp2k {cp2k.engine_version()}|PBE|GTH|{told}|atomate2=={version('atomate2')}"
    return f"vasp|as the Materials Project|{told}|atomate2=={version('atomate2')}"


@dataclass
class FirstPrinciplesMaker(Maker):
    """Maker for the DFT energy of a composition: structures of the level before, each in an atomate2 calculation.

    Attributes:
        name: Name of the flow.
        level: Identity of the level of theory.
        calculation: atomate2 Maker.
        corrections: Name of those that energies get; empty for none.
    """

    name: str = "first principles"
    level: str = ""
    calculation: Maker = field(default_factory=Maker)
    corrections: str = ""

    @classmethod
    def from_level(cls, level: FirstPrinciplesLevel) -> FirstPrinciplesMaker:
        """The Maker of a DFT level."""
        corrections = level.settings.corrections if isinstance(level.settings, VaspSettings) else ""
        return cls(level=level.identity, calculation=level.maker(), corrections=corrections)

    def load_engine(self) -> None:
        """Nothing: every calculation starts a program of its own."""

    @property
    def funnel(self) -> dict[str, Any]:
        """What beside the level and the structures decides the result, for `structure_hash`: nothing."""
        return {}

    def make(self, probes: list[ProbeStructure]) -> Flow:
        """Compute every structure and keep the lowest; one calculation that fails fails the composition.

        Args:
            probes: Survivors of a screening, the lowest first.

        Returns:
            A flow whose output has the keys of `dft.workflows.ScreeningMaker`'s.

        Raises:
            ValueError: If there is no structure.
        """
        if not probes:
            raise ValueError("first principles: no structure has survived the level before")
        calculations = [self.calculation.make(probe.structure) for probe in probes]
        summary = summarise([c.output for c in calculations], probes, self.level, self.corrections)
        return Flow([*calculations, summary], output=summary.output, name=self.name)


@job
def summarise(documents: list[Any], probes: list[ProbeStructure], level: str, corrections: str = "") -> dict[str, Any]:
    """atomate2 task documents of CP2K or VASP as the plain values that a screening gives; the lowest energy counts."""
    results = [_result(document, probe, corrections) for document, probe in zip(documents, probes, strict=True)]
    best = min(results, key=lambda r: (r["state"] != "done", r["energy_per_atom"] or 0.0))
    keys = ("generator", "energy_per_atom", "state", "reason")
    return {
        **best,
        "force_calls": 0,
        "force_seconds": 0.0,
        "n_structures": len(probes),
        "level": level,
        "survivors": [
            {key: r[key] for key in ("generator", "energy_per_atom", "structure")}
            for r in sorted(results, key=lambda r: r["energy_per_atom"] or 0.0)
            if r["state"] == "done"
        ],
        "trail": [{"stage": "final", **{key: r[key] for key in keys}} for r in results],
    }


def _result(document: Any, probe: ProbeStructure, corrections: str) -> dict[str, Any]:
    document = dict(document)  # of one of pydantic's models, or as it is
    output = dict(document["output"])
    structure, energy, forces = (output.get(key) for key in ("structure", "energy_per_atom", "forces"))
    structure = structure if isinstance(structure, Structure) else Structure.from_dict(structure or {})
    max_force = float(np.linalg.norm(np.array(forces), axis=1).max()) if forces is not None and len(forces) else None
    reason = why_rejected(probe.structure, structure)
    state = "rejected" if reason else "done"
    if unconverged := why_unconverged(document):
        state, reason = "unconverged", unconverged
    if energy is None or not np.isfinite(energy):
        state, reason = "failed", "the calculation gave no energy"
    elif state == "done" and corrections:
        try:
            energy = corrected(entry_of_task(document, structure)).energy_per_atom
        except ValueError as error:
            state, reason = "failed", str(error)
    return {
        "state": state,
        "reason": reason,
        "energy_per_atom": energy if state == "done" else None,
        "n_atoms": len(structure),
        "structure": json.loads(structure.to_json()),
        "generator": probe.generator,
        "max_force": max_force,
    }
