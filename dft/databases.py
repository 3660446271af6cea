"""Competing phases with known structures: a folder of the user's files, and the Materials Project."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monty.json import MontyEncoder
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import SETTINGS, Composition
from pymatgen.entries.computed_entries import ComputedStructureEntry

from dft.corrections import MP2020, corrected
from dft.hull import LEVEL_KEY
from dft.probes.base import ProbeStructure
from dft.structure_files import StructureFolder, read_folder

if TYPE_CHECKING:
    from dft.first_principles import FirstPrinciplesLevel

#: Hulls of the Materials Project exist per thermo type; this is the one that its GGA and GGA+U calculations share.
THERMO_TYPE = "GGA_GGA+U"

NO_CLIENT = "the Materials Project needs the package 'mp-api': pip install 'phaseloop[mp]'"


@dataclass(frozen=True)
class KnownPhases:
    """Competing phases of a chemical system from one source.

    Attributes:
        structures: Candidate structures by reduced formula.
        set_aside: What the source holds and cannot be used: name and reason.
        source: Where they come from, in words, with version.
        nothing: Why the source holds no phase of the system, with the way out; empty if it holds some.
    """

    structures: dict[str, list[ProbeStructure]]
    set_aside: dict[str, str]
    source: str
    nothing: str = ""

    def lacking(self, elements: Collection[str]) -> list[str]:
        """The elements without a structure; the reduced formula of chlorine and some others is Cl2."""
        return [e for e in elements if not {e, Composition(e).reduced_formula} & self.structures.keys()]


def from_folder(folder: str | Path, elements: Collection[str]) -> KnownPhases:
    """Every structure of a folder whose elements are all in the field; those of other fields are counted.

    Raises:
        FileNotFoundError: If the folder holds no structures.
    """
    found = read_folder(folder, elements)
    phases: dict[str, list[ProbeStructure]] = {}
    for name, structure in found.structures.items():
        phases.setdefault(structure.composition.reduced_formula, []).append(ProbeStructure(structure, f"given: {name}"))
    source = f"{_structures(len(found.structures))} from {Path(folder).name}"
    if found.of_other_fields:
        source += f"; {len(found.of_other_fields)} of other fields"
    nothing = "" if found.structures else _nothing_fits(found, folder, elements)
    return KnownPhases(phases, found.set_aside, source, nothing)


def _nothing_fits(found: StructureFolder, folder: str | Path, elements: Collection[str]) -> str:
    """Why a folder holds no phase of a field, in one sentence with the way out."""
    left_out = {**found.set_aside, **found.of_other_fields}
    first = min(left_out)
    return (
        f"of {_structures(len(left_out))} in {folder} none fits {'-'.join(elements)} (the first is {first}: "
        f"{left_out[first]}): put structures of the field's phases there, or choose 'offline' or 'materials_project'"
    )


def _structures(n: int) -> str:
    return f"{n} structure{'' if n == 1 else 's'}"


def from_materials_project(
    elements: Collection[str], cache: str | Path, window: float = 0.05, max_atoms: int = 60, api_key: str | None = None
) -> KnownPhases:
    """Structures of the Materials Project within a window above its hull, kept in a file for the next time.

    A campaign takes the structures and computes them again at its level of theory; the energies in the file are for
    `matching_entries`.

    Args:
        elements: Of the field; every subsystem is asked for.
        cache: Folder for the answers, one file per chemical system and window.
        window: Largest energy above the Materials Project's hull, eV/atom.
        max_atoms: Most atoms in a primitive cell.
        api_key: Key; the variable MP_API_KEY or pymatgen's configuration if not given.

    Raises:
        ValueError: If mp-api is not installed or the Materials Project does not answer.
    """
    system = "-".join(sorted(elements))
    path = answer_of_materials_project(elements, cache, window)
    if not path.exists():
        answer = _ask(system, window, api_key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(answer))
        partial.replace(path)  # a file of that name is always whole
    return read_materials_project(path, max_atoms)


def answer_of_materials_project(elements: Collection[str], cache: str | Path, window: float) -> Path:
    """The file that `from_materials_project` keeps the answer in."""
    exactly = (1000 * Decimal(repr(float(window)))).normalize()  # 1000 * 0.0504 in floats has a tail of digits
    return Path(cache) / f"materials_project_{'-'.join(sorted(elements))}_{exactly:f}meV.json"


def read_materials_project(path: Path, max_atoms: int = 60) -> KnownPhases:
    """The phases in a file that `from_materials_project` has written."""
    answer = json.loads(path.read_text())
    phases: dict[str, list[ProbeStructure]] = {}
    set_aside: dict[str, str] = {}
    for entry in map(ComputedStructureEntry.from_dict, answer["entries"]):
        structure = entry.structure.get_primitive_structure()
        structure.remove_oxidation_states()
        name = material_id(entry)
        if len(structure) > max_atoms:
            set_aside[name] = f"its primitive cell has {len(structure)} atoms, too many to compute (above {max_atoms})"
            continue
        label = f"Materials Project: {name}"
        phases.setdefault(structure.composition.reduced_formula, []).append(ProbeStructure(structure, label))
    source = (
        f"Materials Project, database {answer['database']}, {answer['thermo_type']}, within {answer['window']} eV/atom"
    )
    return KnownPhases(phases, set_aside, source)


def matching_entries(path: Path, level: FirstPrinciplesLevel) -> list[ComputedStructureEntry]:
    """The phases of such a file with the Materials Project's energies, corrected, for the one level that they match.

    Args:
        path: Written by `from_materials_project`.
        level: Of the probes.

    Returns:
        Entries that carry the identity of the level; total energies in eV.

    Raises:
        ValueError: If the level is another than `vasp` with the Materials Project's settings and corrections, or the
            energies are of another thermo type.
    """
    answer = json.loads(path.read_text())
    if answer["thermo_type"] != THERMO_TYPE:
        raise ValueError(f"{path.name} holds energies of thermo type {answer['thermo_type']}, not {THERMO_TYPE}")
    from dft.vasp import VaspSettings  # takes 0.4 s to import

    if not (isinstance(level.settings, VaspSettings) and level.settings.as_the_materials_project):
        raise ValueError(
            f"energies of the Materials Project ({THERMO_TYPE}) match the level 'vasp' with its own settings and "
            f"corrections alone ({MP2020}), not {level.identity}: compute its structures again"
        )
    entries = [_corrected(ComputedStructureEntry.from_dict(entry)) for entry in answer["entries"]]
    for entry in entries:
        entry.data[LEVEL_KEY] = level.identity
    return entries


def _corrected(entry: ComputedStructureEntry) -> ComputedStructureEntry:
    """By the installed pymatgen, as probes are; what it refuses, for POTCARs of other years, as it was delivered."""
    try:
        return corrected(entry)
    except ValueError:
        return entry  # only compatible entries were asked for, and they come with these corrections


def material_id(entry: ComputedStructureEntry) -> str:
    """The identifier under which the Materials Project shows an entry, such as ``mp-22905``."""
    return str(entry.data.get("material_id") or entry.entry_id)


def within_window(entries: list[ComputedStructureEntry], window: float) -> list[ComputedStructureEntry]:
    """Those that lie within a window above the hull of all of them, eV/atom."""
    diagram = PhaseDiagram(entries)
    return [entry for entry in entries if (diagram.get_e_above_hull(entry) or 0.0) <= window]


def has_key() -> bool:
    """Whether there is a key for the Materials Project; it is never shown."""
    return bool(os.environ.get("MP_API_KEY") or os.environ.get("PMG_MAPI_KEY") or SETTINGS.get("PMG_MAPI_KEY"))


def client_missing() -> str:
    """What it takes to ask the Materials Project and is not there, as a sentence; empty if nothing."""
    if not find_spec("mp_api"):
        return NO_CLIENT
    if not has_key():
        return "there is no key for the Materials Project: set MP_API_KEY, or give a folder of structures"
    return ""


def _ask(system: str, window: float, api_key: str | None) -> dict[str, Any]:
    try:
        from mp_api.client import MPRester
    except ImportError:
        raise ValueError(NO_CLIENT) from None
    try:
        with MPRester(api_key) as client:
            found = client.get_entries_in_chemsys(
                system.split("-"), compatible_only=True, additional_criteria={"thermo_types": [THERMO_TYPE]}
            )
            database = client.get_database_version()
            near = within_window(found, window)
    except Exception as error:  # the client raises its own, the network's and pydantic's errors
        raise ValueError(
            f"the Materials Project did not answer for {system} ({type(error).__name__}: {error}): "
            "set MP_API_KEY to your key, or give a folder of structures"
        ) from None
    entries = [json.loads(json.dumps(entry, cls=MontyEncoder)) for entry in near]
    return {"database": database, "thermo_type": THERMO_TYPE, "window": window, "entries": entries}
