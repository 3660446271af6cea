"""Levels of theory: an identity that every entry carries, a known error, and the atomate2 Makers that compute it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobflow import Maker

    from dft.first_principles import FirstPrinciplesLevel


@dataclass(frozen=True)
class LevelOfTheory:
    """A force field, its checkpoint and the settings of its relaxations under one name.

    Attributes:
        name: Short name, as in the configuration.
        model: The checkpoint, such as ``chgnet-0.3.0``.
        package: The installed package that runs it.
        error_band: Mean absolute error of energies above the hull against published DFT, eV/atom.
        error_source: What the band was measured on.
        calculator: Function in `dft.engines` that returns the calculator.
        calculator_kwargs: Its arguments.
        learned: Elements of the structures that the checkpoint has learned from; empty for any. Those of a checkpoint
            that the user names are in its file.
        fmax: Force limit of a relaxation, cell included, eV/Å.
        max_steps: Most relaxation steps.
    """

    name: str
    model: str
    package: str
    error_band: float
    error_source: str
    calculator: str
    calculator_kwargs: dict[str, Any] = field(default_factory=dict)
    learned: tuple[str, ...] = ()
    fmax: float = 0.05
    max_steps: int = 300

    @property
    def identity(self) -> str:
        """All that decides an energy at this level; entries of different identities never share a hull."""
        relaxed = f"CellBFGS-2|fmax={self.fmax:g}|cell=free"
        steps = "" if self.max_steps == LevelOfTheory.max_steps else f"|max_steps={self.max_steps}"
        return f"{self.model}|{self.package}=={version(self.package)}|{relaxed}{steps}"

    def static_maker(self) -> Maker:
        """atomate2 Maker of a single point."""
        from atomate2.forcefields.jobs import ForceFieldStaticMaker

        return ForceFieldStaticMaker(name=f"{self.name} static", **self._common())

    def relax_maker(self) -> Maker:
        """atomate2 Maker of a relaxation of cell and positions."""
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        from dft.relaxation import CellBFGS, CellFilter

        maker = ForceFieldRelaxMaker(name=f"{self.name} relax", steps=self.max_steps, **self._common())
        maker.optimizer_kwargs = {"optimizer": CellBFGS}  # a third of the force calls of ASE's own, docs/probes.md
        maker.relax_kwargs["cell_filter"] = CellFilter
        return maker

    def require(self, elements: Collection[str]) -> None:
        """Refuse elements that the checkpoint has not learned: of some it would give an energy all the same.

        Raises:
            ValueError: Naming them, or if a checkpoint that the user names cannot be used.
        """
        learned: Collection[str] = self.learned
        if self.name == "mace" and elements:
            from dft.engines import elements_of_mace

            learned = elements_of_mace(**self.calculator_kwargs)
        if learned and (lacking := [symbol for symbol in dict.fromkeys(elements) if symbol not in learned]):
            raise ValueError(
                f"level_of_theory {self.name!r} ({self.model}) has not learned {', '.join(lacking)}: "
                "leave them out or choose another level"
            )

    def _common(self) -> dict[str, Any]:
        return {
            "force_field_name": {"@module": "dft.engines", "@callable": self.calculator},
            "calculator_kwargs": dict(self.calculator_kwargs),
            "relax_kwargs": {"fmax": self.fmax, "final_atoms_object_file": None},
        }


def _elements_of_mptrj() -> tuple[str, ...]:
    """The 89 elements of the Materials Project's trajectories, from which CHGNet and SevenNet-l3i5 have learned.

    Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi 10.1038/s42256-023-00716-3.
    """
    from ase.data import chemical_symbols

    return tuple(e for e in chemical_symbols[1:95] if e not in ("Po", "At", "Rn", "Fr", "Ra"))


_PUBLISHED = "against published DFT (doi 10.1038/s41467-021-25343-7), Li-Sn-S-Cl"


def _chgnet(model_name: str = "0.3.0") -> LevelOfTheory:
    return LevelOfTheory(
        name="chgnet",
        model=f"chgnet-{model_name}",
        package="chgnet",
        error_band=0.040,
        error_source=f"MAE of energies above the hull at 165 compositions {_PUBLISHED}",
        calculator="chgnet",
        calculator_kwargs={"model_name": model_name},
        learned=_elements_of_mptrj(),
    )


def _chgnet_r2scan() -> LevelOfTheory:
    return replace(
        _chgnet("r2scan"),
        name="chgnet-r2scan",
        error_source="taken to be that of chgnet-0.3.0; not measured",
        learned=tuple(e for e in _elements_of_mptrj() if e != "Yb"),  # its reference energy has not been fitted
    )


def _sevennet() -> LevelOfTheory:
    _require("sevenn", "sevennet", "sevennet")
    return LevelOfTheory(
        name="sevennet",
        model="sevennet-l3i5",
        package="sevenn",
        error_band=0.024,
        error_source=f"MAE of energies above the hull at 165 compositions, relaxed from CHGNet's minima, {_PUBLISHED}",
        calculator="sevennet",
        calculator_kwargs={"model": "7net-l3i5"},
        learned=_elements_of_mptrj(),
    )


def _mace(checkpoint: str = "", head: str = "") -> LevelOfTheory:
    _require("mace-torch", "mace", "mace")
    path = Path(checkpoint).expanduser()
    if not checkpoint:
        raise ValueError("level_of_theory 'mace' needs a checkpoint: set checkpoint to the path of a MACE model file")
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {checkpoint!r} of level_of_theory 'mace' is no file: give a MACE model")
    if not _is_torch_file(path):
        raise ValueError(f"checkpoint {checkpoint!r} of level_of_theory 'mace' is no PyTorch model: give a MACE model")
    return LevelOfTheory(
        name="mace",
        model=f"mace-{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}{f'-{head}' if head else ''}",
        package="mace-torch",
        error_band=0.040,
        error_source="taken to be CHGNet's; not measured for the checkpoint",
        calculator="mace",
        calculator_kwargs={"checkpoint": str(path.resolve()), **({"head": head} if head else {})},
    )


def _is_torch_file(path: Path) -> bool:
    """Whether a file has the layout that `torch.save` writes; nothing in it is unpickled to find out."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/data.pkl") for name in archive.namelist())


def _lennard_jones() -> LevelOfTheory:
    return LevelOfTheory(
        name="lennard-jones",
        model="lennard-jones-1",
        package="ase",
        error_band=0.0,
        error_source="a model to try out a cluster with: its energies say nothing about any real compound",
        calculator="lennard_jones",
    )


_LEVELS: dict[str, Callable[..., LevelOfTheory]] = {
    "chgnet": _chgnet,
    "chgnet-r2scan": _chgnet_r2scan,
    "lennard-jones": _lennard_jones,
    "mace": _mace,
    "sevennet": _sevennet,
}


#: Those that are force fields.
FORCE_FIELDS = tuple(_LEVELS)

#: Those that are real DFT, see `dft.first_principles`.
FIRST_PRINCIPLES = ("cp2k", "cp2k-static", "vasp", "vasp-r2scan")

_OVERRIDES = ["fmax", "max_steps"]

#: The names of all levels.
NAMES = (*FORCE_FIELDS, *FIRST_PRINCIPLES)


def level(name: str, checkpoint: str = "", **overrides: Any) -> LevelOfTheory | FirstPrinciplesLevel:
    """The level of theory of that name.

    Args:
        name: See the error for the choice.
        checkpoint: Model file, for the levels that take one.
        **overrides: For a force field `fmax` (eV/Å) and `max_steps`, for MACE also `head`; for CP2K and VASP the fields
            of `Cp2kSettings` and `VaspSettings`. The identity changes with what decides an energy.

    Raises:
        ValueError: If the level or an override is unknown, or its engine or checkpoint is missing.
        FileNotFoundError: If the checkpoint is no file.
    """
    if name not in NAMES:
        raise ValueError(f"level_of_theory {name!r} is unknown, choose from {sorted(NAMES)}")
    if checkpoint and name != "mace":
        raise ValueError(f"level_of_theory {name!r} takes no checkpoint: leave it out or choose 'mace'")
    if name in FIRST_PRINCIPLES:
        from dft.first_principles import first_principles_level

        return first_principles_level(name, **overrides)
    return force_field(name, checkpoint, **overrides)


def check_overrides(name: str, overrides: dict[str, Any]) -> None:
    """Refuse settings that a level does not have, whether or not its engine is installed.

    Raises:
        ValueError: Naming level and setting.
    """
    if name not in NAMES:
        raise ValueError(f"level_of_theory {name!r} is unknown, choose from {sorted(NAMES)}")
    if name in FIRST_PRINCIPLES:
        from dft.first_principles import engine_settings

        engine_settings(name, overrides)
        return
    choices = [*_OVERRIDES, *(["head"] if name == "mace" else [])]
    for key, value in overrides.items():
        if key not in choices:
            raise ValueError(f"setting {key!r} of level_of_theory {name!r} is unknown, choose from {choices}")
        if key == "head":
            if not (isinstance(value, str) and value):
                raise ValueError(f"setting 'head' of level_of_theory 'mace' is {value!r}, and must be a name")
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ValueError(f"setting {key!r} of level_of_theory {name!r} is {value!r}, and must be a positive number")


def force_field(name: str, checkpoint: str = "", **overrides: Any) -> LevelOfTheory:
    """As `level`, of force fields alone.

    Raises:
        ValueError: If it is none, and as `level` does.
        FileNotFoundError: If the checkpoint is no file.
    """
    if name not in FORCE_FIELDS:
        raise ValueError(f"level_of_theory {name!r} is no force field: choose from {sorted(FORCE_FIELDS)}")
    check_overrides(name, overrides)
    chosen = {"checkpoint": checkpoint, "head": overrides.pop("head", "")} if name == "mace" else {}
    return replace(_LEVELS[name](**chosen), **overrides)


def _require(package: str, extra: str, name: str) -> None:
    try:
        version(package)
    except PackageNotFoundError:
        raise ValueError(
            f"level_of_theory {name!r} needs the package {package!r}: pip install 'phaseloop[{extra}]'"
        ) from None
