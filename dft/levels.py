"""Levels of theory: an identity that every entry carries, a known error, and the atomate2 Makers that compute it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from jobflow import Maker


@dataclass(frozen=True)
class LevelOfTheory:
    """Engine, functional, checkpoint and settings under one name.

    Attributes:
        name: Short name, as in the configuration.
        identity: All that decides an energy at this level; entries of different identities never share a hull.
        error_band: Mean absolute error of energies above the hull against published DFT, eV/atom.
        error_source: What the band was measured on.
        calculator: Function in `dft.engines` that returns the calculator.
        calculator_kwargs: Its arguments.
        fmax: Force limit of a relaxation, cell included, eV/Å.
        max_steps: Most relaxation steps.
    """

    name: str
    identity: str
    error_band: float
    error_source: str
    calculator: str
    calculator_kwargs: dict[str, Any] = field(default_factory=dict)
    fmax: float = 0.05
    max_steps: int = 300

    def static_maker(self) -> Maker:
        """atomate2 Maker of a single point."""
        from atomate2.forcefields.jobs import ForceFieldStaticMaker

        return ForceFieldStaticMaker(name=f"{self.name} static", **self._common())

    def relax_maker(self, steps: int | None = None) -> Maker:
        """atomate2 Maker of a relaxation of cell and positions; `steps` makes it a coarse one."""
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        return ForceFieldRelaxMaker(
            name=f"{self.name} relax", steps=steps or self.max_steps, relax_cell=True, **self._common()
        )

    def _common(self) -> dict[str, Any]:
        return {
            "force_field_name": {"@module": "dft.engines", "@callable": self.calculator},
            "calculator_kwargs": dict(self.calculator_kwargs),
            "relax_kwargs": {"fmax": self.fmax, "final_atoms_object_file": None},
        }


def _chgnet() -> LevelOfTheory:
    fmax = 0.05
    return LevelOfTheory(
        name="chgnet",
        identity=f"chgnet-0.3.0|chgnet=={version('chgnet')}|FIRE|fmax={fmax}|cell=free",
        error_band=0.024,
        error_source="MAE of energies above the hull against published DFT (doi 10.1038/s41467-021-25343-7), "
        "13 compositions of Li-Sn-S-Cl",
        calculator="chgnet",
        calculator_kwargs={"model_name": "0.3.0"},
        fmax=fmax,
    )


_LEVELS = {"chgnet": _chgnet}


def level(name: str) -> LevelOfTheory:
    """The level of theory of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in _LEVELS:
        raise ValueError(f"level_of_theory {name!r} is unknown, choose from {sorted(_LEVELS)}")
    return _LEVELS[name]()
