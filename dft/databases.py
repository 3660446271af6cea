"""Competing phases with known structures: a folder of the user's files, and the Materials Project."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from dft.probes.base import ProbeStructure
from dft.structure_files import read_folder

#: Hulls of the Materials Project exist per thermo type; this is the one that its GGA and GGA+U calculations share.
THERMO_TYPE = "GGA_GGA+U"


@dataclass(frozen=True)
class KnownPhases:
    """Competing phases of a chemical system from one source.

    Attributes:
        structures: Candidate structures by reduced formula.
        set_aside: What the source holds and is not used: name and reason.
        source: Where they come from, in words, with version.
    """

    structures: dict[str, list[ProbeStructure]]
    set_aside: dict[str, str]
    source: str


def from_folder(folder: str | Path, elements: Collection[str]) -> KnownPhases:
    """Every structure of a folder whose elements are all in the field; the others are set aside by name.

    Raises:
        FileNotFoundError: If the folder holds no structures.
    """
    found = read_folder(folder, elements)
    phases: dict[str, list[ProbeStructure]] = {}
    for name, structure in found.structures.items():
        phases.setdefault(structure.composition.reduced_formula, []).append(ProbeStructure(structure, f"given: {name}"))
    return KnownPhases(phases, found.set_aside, f"{len(found.structures)} structures from {Path(folder).name}")


def from_materials_project(
    elements: Collection[str], cache: str | Path, window: float = 0.05, max_atoms: int = 60, api_key: str | None = None
) -> KnownPhases:
    """Structures of the Materials Project within a window above its hull, kept in a file for the next time.

    Only structures are taken: they are computed again at the campaign's level of theory.

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
    path = Path(cache) / f"materials_project_{system}_{1000 * window:.0f}meV.json"
    if not path.exists():
        answer = _ask(system, window, api_key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(answer))
    return read_materials_project(path, max_atoms)


def read_materials_project(path: Path, max_atoms: int = 60) -> KnownPhases:
    """The phases in a file that `from_materials_project` has written."""
    answer = json.loads(path.read_text())
    phases: dict[str, list[ProbeStructure]] = {}
    set_aside: dict[str, str] = {}
    for entry in answer["entries"]:
        structure = Structure.from_dict(entry["structure"]).get_primitive_structure()
        structure.remove_oxidation_states()
        if len(structure) > max_atoms:
            set_aside[entry["material_id"]] = f"its primitive cell has {len(structure)} atoms, more than {max_atoms}"
            continue
        label = f"Materials Project: {entry['material_id']}"
        phases.setdefault(structure.composition.reduced_formula, []).append(ProbeStructure(structure, label))
    source = (
        f"Materials Project, database {answer['database']}, {answer['thermo_type']}, within {answer['window']} eV/atom"
    )
    return KnownPhases(phases, set_aside, source)


def _ask(system: str, window: float, api_key: str | None) -> dict[str, Any]:
    try:
        from mp_api.client import MPRester
    except ImportError:
        raise ValueError("the Materials Project needs the package 'mp-api': pip install 'phaseloop[mp]'") from None
    try:
        with MPRester(api_key) as client:
            found = client.materials.summary.search(
                chemsys=_subsystems(system), energy_above_hull=(0, window), fields=["material_id", "structure"]
            )
            database = client.get_database_version()
    except Exception as error:  # the client raises its own, the network's and pydantic's errors
        raise ValueError(
            f"the Materials Project did not answer for {system} ({type(error).__name__}: {error}): "
            "set MP_API_KEY to your key, or give a folder of structures"
        ) from None
    entries = [{"material_id": str(doc.material_id), "structure": doc.structure.as_dict()} for doc in found]
    return {"database": database, "thermo_type": THERMO_TYPE, "window": window, "entries": entries}


def _subsystems(system: str) -> list[str]:
    symbols = system.split("-")
    masks = range(1, 2 ** len(symbols))
    return ["-".join(s for k, s in enumerate(symbols) if mask >> k & 1) for mask in masks]
