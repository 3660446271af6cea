"""CP2K as a level of theory: its settings, and what they need on the machine."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from jobflow import Maker

#: The variable by which pymatgen finds the basis sets, and the way to make the folder.
DATA_VARIABLE = "PMG_CP2K_DATA_DIR"
SETUP = "loop doctor --setup cp2k"

#: How far the tails of the basis functions are followed. atomate2's 1e-12 and 1e-16 change the energy of LiCl by
#: 3e-6 eV/atom and take three times as long.
_REACH = {"eps_default": 1e-10, "eps_pgf_orb": 1e-8}


@dataclass(frozen=True)
class Cp2kSettings:
    """What may be set of a CP2K level; all of it is part of the level's identity.

    Attributes:
        relax: What is relaxed: cell (and positions), positions, or none.
        basis: Family of Gaussian basis sets; the number of valence electrons is added.
        cutoff: Plane-wave cut-off of the density, Ry; the same for all elements, so that grid errors cancel.
        kpoint_density: k-points per Å⁻³ of reciprocal space; odd meshes about Γ.
        spin_polarized: Whether spins are free; without, CP2K is faster, and wrong for magnetic phases such as O2.
        smearing: Whether the occupations follow Fermi and Dirac at 300 K, which metals need.
        input: Further keys of pymatgen's `DftSet`, such as ``{alpha: 0.4}`` for the mixing.
    """

    relax: Literal["cell", "positions", "none"] = "cell"
    basis: str = "TZVP-MOLOPT-PBE-GTH"
    cutoff: float = 600.0
    kpoint_density: float = 30.0
    spin_polarized: bool = True
    smearing: bool = True
    input: dict[str, Any] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Refuse what no calculation can be made of.

        Raises:
            ValueError: Naming the setting.
        """
        if self.relax not in ("cell", "positions", "none"):
            raise ValueError(
                f"setting 'relax' of level_of_theory {name!r} is {self.relax!r}, choose from cell, positions, none"
            )
        for key, value in (("cutoff", self.cutoff), ("kpoint_density", self.kpoint_density)):
            if value <= 0:
                raise ValueError(f"setting {key!r} of level_of_theory {name!r} is {value}, and must be positive")

    def maker(self) -> Maker:
        """atomate2 Maker of the calculation."""
        from dft import cp2k_jobs
        from dft.cp2k_inputs import CellOptInputs, RelaxInputs, StaticInputs

        kinds: dict[str, tuple[Any, Any]] = {
            "cell": (CellOptInputs, cp2k_jobs.CellOpt),
            "positions": (RelaxInputs, cp2k_jobs.Relax),
            "none": (StaticInputs, cp2k_jobs.Static),
        }
        inputs, maker = kinds[self.relax]
        own = {"basis": self.basis, "kpoint_density": self.kpoint_density}
        return maker(input_set_generator=inputs(user_input_settings=self._inputs(), **own))

    def _inputs(self) -> dict[str, Any]:
        return {
            "xc_functionals": "PBE",
            "cutoff": self.cutoff,
            "spin_polarized": self.spin_polarized,
            "smearing": self.smearing,
            **_REACH,
            **self.input,
        }


def basis_and_potential(element: str, basis: str) -> dict[str, Any]:
    """Hashes, in pymatgen's folder, of an element's basis set and of the pseudopotential with as many electrons.

    Args:
        element: Symbol.
        basis: Family, such as ``DZVP-MOLOPT-SR-GTH``.

    Raises:
        ValueError: If the folder is missing, or has no such basis set or no PBE pseudopotential for it.
    """
    data = _element_data(_data_folder(), element)
    found = {key: entry for key, entry in data.get("basis_sets", {}).items() if basis in _names(entry)}
    for key, entry in sorted(found.items(), key=lambda item: -(item[1]["info"]["electrons"] or 0)):
        wanted = f"GTH-PBE-q{entry['info']['electrons']}"
        potentials = {k: p for k, p in data.get("potentials", {}).items() if p["name"] == wanted}
        if potentials:
            family = "UZH" in entry["filename"]
            best = min(potentials, key=lambda k: (("UZH" in potentials[k]["filename"]) != family, k))
            return {"basis": key, "potential": best, "aux_basis": None}
    raise ValueError(f"no basis set {basis} with a PBE pseudopotential for {element} in {_data_folder()}")


def _names(entry: dict[str, Any]) -> Iterator[str]:
    """A basis set's names without the number of electrons."""
    for name in (entry["name"], *entry["alias_names"]):
        yield name.rpartition("-q")[0] or name


def _data_folder() -> Path:
    from pymatgen.core import SETTINGS

    folder = os.getenv("CP2K_DATA_DIR") or os.getenv(DATA_VARIABLE) or SETTINGS.get(DATA_VARIABLE)
    if not folder or not (Path(str(folder)) / "Li").is_file():
        where = f"in {folder}, which {DATA_VARIABLE} names" if folder else f"({DATA_VARIABLE} is not set)"
        raise ValueError(f"pymatgen has no basis sets for CP2K {where}: run `{SETUP}`")
    return Path(str(folder))


@cache
def _element_data(folder: Path, element: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path = folder / element
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader) if path.is_file() else {}


def missing(settings: Cp2kSettings, elements: Collection[str] = ()) -> str:
    """What CP2K lacks on this machine, as half a sentence with the way out; empty if nothing.

    Args:
        settings: Of the level.
        elements: Those whose basis set and pseudopotential are needed.
    """
    program = _command()[0]
    if not shutil.which(program):
        return f"no program {program!r} on the path: install it (apt-get install cp2k) or set ATOMATE2_CP2K_CMD"
    try:
        for element in elements or ("Li",):
            basis_and_potential(element, settings.basis)
    except ValueError as error:
        return str(error)
    return ""


def engine_version() -> str:
    """CP2K's own version, such as ``2023.1``; part of the identity, since energies change with it."""
    return _version_of(tuple(_command()))


@cache
def _version_of(command: tuple[str, ...]) -> str:
    try:
        told = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = [line.split() for line in told.splitlines() if "CP2K version" in line]
    return lines[0][-1] if lines else "unknown"


def _command() -> list[str]:
    from atomate2 import SETTINGS

    return shlex.split(os.path.expandvars(SETTINGS.CP2K_CMD)) or [""]


def prepare_basis_sets(folder: Path, source: Path | None = None) -> Path:
    """Make the folder in which pymatgen looks for CP2K's basis sets and pseudopotentials.

    Args:
        folder: Made anew; nothing is written elsewhere.
        source: CP2K's data folder; looked for beside the program and in Debian's place if not given.

    Raises:
        ValueError: If there is no source, or the folder exists and holds something else.
    """
    from pymatgen.cli.pmg_config import setup_cp2k_data

    found = source or next(filter(_holds_basis_sets, _likely_sources()), None)
    if found is None or not _holds_basis_sets(found):
        raise ValueError(f"no CP2K data folder{f' in {source}' if source else ''}: apt-get install cp2k-data")
    if (folder / "Li").is_file():
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} exists and holds something else: name another folder with --dir")
    partial = folder.with_name(f".{folder.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with redirect_stdout(io.StringIO()):  # it names every file it reads
        setup_cp2k_data([str(found), str(partial)])
    return partial.replace(folder)  # the folder takes its name only when it is whole


def _holds_basis_sets(folder: Path) -> bool:
    return (folder / "BASIS_MOLOPT").is_file()


def _likely_sources() -> Iterator[Path]:
    program = shutil.which(_command()[0])
    if program:
        prefix = Path(program).resolve().parents[1]
        yield from (prefix / "share/cp2k", prefix / "share/cp2k/data", prefix / "data")
    yield Path("/usr/share/cp2k")
