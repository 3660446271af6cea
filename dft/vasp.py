"""VASP as a level of theory: the Materials Project's relaxations and static step through atomate2."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jobflow import Maker

from dft.corrections import MP2020

#: INCAR tags that say how VASP shares out its work and what it writes, and change no energy.
_OF_THE_MACHINE = frozenset(
    {"KPAR", "LAECHG", "LCHARG", "LELF", "LPLANE", "LSCALAPACK", "LSCALU", "LVTOT", "LWAVE", "NCORE", "NPAR", "NSIM"}
)


@dataclass(frozen=True)
class VaspSettings:
    """What may be set of a VASP level; all of it is part of the level's identity.

    Attributes:
        functional: GGA: PBE, with U where the Materials Project has one; r2SCAN.
        incar: INCAR tags that replace those of the Materials Project in every step.
        kpoints: Settings of pymatgen's input sets for the k-points, such as ``{reciprocal_density: 100}``.
        potcar_functional: Set of POTCARs, such as ``PBE_54``; empty for the Materials Project's own.
        corrections: ``MP2020`` for the Materials Project's corrections of energies with its settings; empty for none.
    """

    functional: Literal["GGA", "r2SCAN"] = "GGA"
    incar: dict[str, Any] = field(default_factory=dict)
    kpoints: dict[str, Any] = field(default_factory=dict)
    potcar_functional: str = ""
    corrections: str = ""

    def check(self, name: str) -> None:
        """Refuse corrections that do not fit the other settings.

        Args:
            name: Of the level, for the error.

        Raises:
            ValueError: Naming the setting.
        """
        if self.corrections not in ("", MP2020):
            raise ValueError(
                f"setting 'corrections' of level_of_theory {name!r} is {self.corrections!r}, and must be {MP2020} or "
                "left out"
            )
        if not self.corrections:
            return
        if self.functional != "GGA":
            raise ValueError(f"level_of_theory {name!r} takes no corrections: {MP2020} was fitted to GGA and GGA+U")
        if other := sorted(tag for tag in self._tags if tag in ("GGA", "METAGGA") or tag.startswith("LDAU")):
            raise ValueError(
                f"{MP2020} corrections of level_of_theory {name!r} need the Materials Project's functional and U: "
                f"leave {', '.join(other)} out of its incar"
            )
        if self.potcar_functional:
            raise ValueError(
                f"{MP2020} corrections of level_of_theory {name!r} need the Materials Project's POTCARs: leave "
                "potcar_functional out"
            )

    @property
    def as_the_materials_project(self) -> bool:
        """Whether energies may stand beside those of the Materials Project: its settings, and its corrections."""
        return self.corrections == MP2020 and not self.kpoints and not self._tags - _OF_THE_MACHINE

    @property
    def _tags(self) -> set[str]:
        return {tag.upper() for tag in self.incar}

    def maker(self) -> Maker:
        """atomate2 Maker of double relaxation and static step, or of pre-relaxation, relaxation and static step."""
        from atomate2.vasp import powerups
        from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker, MPMetaGGADoubleRelaxStaticMaker

        maker: Any = MPGGADoubleRelaxStaticMaker() if self.functional == "GGA" else MPMetaGGADoubleRelaxStaticMaker()
        if self.incar:
            maker = powerups.update_user_incar_settings(maker, self.incar)
        if self.kpoints:
            maker = powerups.update_user_kpoints_settings(maker, self.kpoints)
        if self.potcar_functional:
            maker = powerups.update_user_potcar_functional(maker, self.potcar_functional)
        return maker


def missing(settings: VaspSettings, elements: Collection[str] = ()) -> str:
    """What VASP lacks on this machine, as half a sentence with the way out; empty if nothing.

    Args:
        settings: Of the level.
        elements: Those whose POTCARs are needed.
    """
    if mixed := _mixed(settings, elements):
        return mixed
    from atomate2 import SETTINGS

    program = (shlex.split(os.path.expandvars(SETTINGS.VASP_CMD)) or [""])[0]
    if not shutil.which(program):
        return f"no program {program!r} on the path: install it or set ATOMATE2_VASP_CMD"
    folder = _potcar_folder()
    if folder is None:
        return "no POTCAR files: set PMG_VASP_PSP_DIR to the folder that 'pmg config -p' has made"
    functional, symbols = _potcars(settings)
    absent = sorted(symbols.get(e, e) for e in elements if not _has_potcar(folder, functional, symbols.get(e, e)))
    return f"no POTCAR {', '.join(absent)} of the set {functional} in {folder}" if absent else ""


def _mixed(settings: VaspSettings, elements: Collection[str]) -> str:
    """Why energies would not compare: the Materials Project's U goes to a metal in an oxide or fluoride, not in others.

    Its corrections make up for that.
    """
    from pymatgen.io.vasp.sets import MPRelaxSet

    if settings.functional != "GGA" or settings.corrections or settings.incar.get("LDAU") is False:
        return ""
    with_u = MPRelaxSet.CONFIG["INCAR"]["LDAUU"]
    anions = [e for e in elements if e in with_u]
    metals = sorted({e for anion in anions for e, u in with_u[anion].items() if u and e in elements})
    if not metals:
        return ""
    return (
        f"{', '.join(metals)} would have a U beside {', '.join(anions)} and none elsewhere, which no hull can hold "
        f"together: set level_settings: {{vasp: {{corrections: {MP2020}}}}} or {{vasp: {{incar: {{LDAU: false}}}}}}, "
        "choose 'vasp-r2scan', or leave these out"
    )


def _potcar_folder() -> Path | None:
    from pymatgen.core import SETTINGS

    folder = os.getenv("PMG_VASP_PSP_DIR") or SETTINGS.get("PMG_VASP_PSP_DIR")
    return Path(str(folder)).expanduser() if folder and Path(str(folder)).expanduser().is_dir() else None


def _potcars(settings: VaspSettings) -> tuple[str, dict[str, str]]:
    """The set of POTCARs and its symbol for each element, as the Materials Project chose them."""
    from pymatgen.io.vasp.sets import MPRelaxSet, MPScanRelaxSet

    chosen: Any = MPRelaxSet if settings.functional == "GGA" else MPScanRelaxSet
    functional = settings.potcar_functional or chosen.CONFIG.get("POTCAR_FUNCTIONAL") or "PBE"
    return functional, chosen.CONFIG["POTCAR"]


def _has_potcar(folder: Path, functional: str, symbol: str) -> bool:
    from pymatgen.io.vasp.inputs import PotcarSingle

    inside = folder / PotcarSingle.functional_dir.get(functional, functional)
    places = [inside / f"POTCAR.{symbol}", inside / symbol / "POTCAR"]
    return any(Path(f"{place}{ending}").is_file() for place in places for ending in ("", ".gz", ".bz2", ".xz", ".Z"))
