"""What this machine can run, and what each missing thing needs."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from dft.execute import usable_cores
from dft.levels import FIRST_PRINCIPLES
from loop.errors import UserError

#: Packages that come as extras: what for, distribution, extra.
OPTIONAL = (
    ("SevenNet", "sevenn", "sevennet"),
    ("MACE", "mace-torch", "mace"),
    ("random crystals", "pyxtal", "random"),
    ("Materials Project client", "mp-api", "mp"),
    ("slides", "python-pptx", "slides"),
)


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes:
        what: Its name.
        ok: Whether it is there.
        found: What was found.
        remedy: What to do if it is missing and wanted.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at packages, engines, pseudopotentials, keys, and ask stores and queue; nothing is written."""
    from loop.doctor_cluster import cluster_findings

    return [
        *_packages(),
        _engine_weights(),
        *(_optional(*each) for each in OPTIONAL),
        _program("CP2K", ("cp2k.psmp", "cp2k.popt", "cp2k"), "apt-get install cp2k"),
        _folder_setting("CP2K basis sets", "PMG_CP2K_DATA_DIR", "loop doctor --setup cp2k --dir DIR"),
        *(_level(name) for name in FIRST_PRINCIPLES),
        _program("VASP", ("vasp_std", "vasp"), "your group's licensed VASP on PATH, or VASP_CMD in ~/.atomate2.yaml"),
        _folder_setting("VASP POTCARs", "PMG_VASP_PSP_DIR", "pmg config -p FOLDER DIR, then add it to ~/.pmgrc.yaml"),
        *cluster_findings(),
        _key_of_materials_project(),
        Finding("cores", True, str(usable_cores())),
        Finding("SQLite", sqlite3.sqlite_version_info >= (3, 24), sqlite3.sqlite_version, "needs 3.24 or later"),
        _free_space(),
    ]


def _packages() -> list[Finding]:
    names = ("phaseloop", "torch", "pymatgen", "ase", "atomate2", "jobflow", "fireworks", "chgnet")
    return [_package(name) for name in names]


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", f'pip install "{name}"')


def _optional(what: str, package: str, extra: str) -> Finding:
    found = _package(package)
    return Finding(what, found.ok, found.found, "" if found.ok else f'pip install "phaseloop[{extra}]"')


def _engine_weights() -> Finding:
    spec = find_spec("chgnet")
    root = Path(spec.origin).parent if spec and spec.origin else None
    weights = sorted(root.glob("pretrained/0.3.0/*.tar")) if root else []
    found = f"{weights[0].name} in its package" if weights else "no weights"
    return Finding("CHGNet weights", bool(weights), found, "" if weights else 'pip install "chgnet>=0.4"')


def _level(name: str) -> Finding:
    """Whether a campaign can use a DFT level here; which elements it has data for is asked when a campaign starts."""
    from dft.first_principles import missing

    reason = missing(name)
    return Finding(f"level {name}", not reason, "can run" if not reason else "cannot run", reason)


def set_up(what: str, folder: Path | None) -> list[str]:
    """Prepare what a level needs; nothing is written outside `folder`.

    Args:
        what: cp2k: pymatgen's folder of basis sets and pseudopotentials.
        folder: Where; `cp2k-data` here if not given.

    Returns:
        Lines that say what was made, and what is left to the user.

    Raises:
        UserError: If there is nothing of that name to prepare, or it cannot be.
    """
    if what != "cp2k":
        raise UserError(f"--setup: {what!r} is unknown, choose from ['cp2k']")
    from dft.cp2k import DATA_VARIABLE, prepare_basis_sets

    try:
        made = prepare_basis_sets((folder or Path("cp2k-data")).resolve())
    except (ValueError, OSError) as error:
        raise UserError(f"--setup cp2k: {error}") from None
    return [
        f"CP2K basis sets for pymatgen are in {made}; before a campaign:",
        f"  export {DATA_VARIABLE}={made}",
        f"or, for good, in your own configuration: pmg config --add {DATA_VARIABLE} {made}",
    ]


def _program(what: str, names: tuple[str, ...], remedy: str) -> Finding:
    path = next(filter(None, map(shutil.which, names)), None)
    return Finding(what, path is not None, path or "not on PATH", "" if path else remedy)


def _folder_setting(what: str, key: str, remedy: str) -> Finding:
    from pymatgen.core import SETTINGS

    folder = SETTINGS.get(key)
    ok = bool(folder) and Path(str(folder)).is_dir()
    found = str(folder) if ok else f"{key} is not set" if not folder else f"{key} names no folder: {folder}"
    return Finding(what, ok, found, "" if ok else remedy)


def _key_of_materials_project() -> Finding:
    from dft.databases import has_key

    remedy = "" if has_key() else "MP_API_KEY, from materialsproject.org/api; only for its phases"
    return Finding("Materials Project key", has_key(), "set" if has_key() else "not set", remedy)


def _free_space() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("free space here", free > 1, f"{free:.0f} GiB", "" if free > 1 else "a campaign needs about 1 GiB")
