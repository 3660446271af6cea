"""The Materials Project's corrections of 2020: they let its GGA and GGA+U energies share a hull."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

#: The name that level settings and identities have for them (Wang et al., Sci. Rep. 11, 15496 (2021), doi
#: 10.1038/s41598-021-94550-5).
MP2020 = "MP2020"


def corrected(entry: ComputedStructureEntry) -> ComputedStructureEntry:
    """An entry with the corrections of 2020 (pymatgen's `MaterialsProject2020Compatibility`) in place of any before.

    Args:
        entry: Of a GGA or GGA+U calculation with the Materials Project's settings; its parameters say run_type,
            hubbards and potcar_spec or potcar_symbols. Total energy in eV.

    Raises:
        ValueError: If it was computed with other settings, named by its formula.
    """
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    scheme = MaterialsProject2020Compatibility()
    found = scheme.process_entries([entry], clean=True, inplace=False, on_error="ignore")
    if not found:
        name = entry.composition.reduced_formula + (f" ({entry.entry_id})" if entry.entry_id else "")
        raise ValueError(
            f"{name} was not computed with the Materials Project's settings: its corrections of 2020 do not apply"
        )
    return found[0]


def entry_of_task(document: dict[str, Any], structure: Structure) -> ComputedStructureEntry:
    """The entry of a VASP task document of emmet, with the structure that sulfides and peroxides are told by.

    Args:
        document: The fields of an `emmet.core.tasks.TaskDoc`.
        structure: Its last one.

    Raises:
        ValueError: If the document has no entry.
    """
    found = document.get("entry")
    if found is None:
        raise ValueError("the calculation gave no entry to correct")
    entry = found if isinstance(found, ComputedEntry) else ComputedEntry.from_dict(found)
    parameters = {**entry.parameters, "run_type": _run_type(entry.parameters)}
    return ComputedStructureEntry(structure, entry.energy, parameters=parameters, data=entry.data)


def _run_type(parameters: dict[str, Any]) -> str:
    """GGA or GGA+U, as the corrections know them; another functional keeps its name.

    emmet calls PBE by that name where VASP writes ``GGA = PE`` to its output, as 6.4.3 does although the Materials
    Project's INCAR has no such tag; and it tells a U by a value that VASP mangles there.
    """
    functional = str(parameters.get("run_type")).removesuffix("+U")
    return ("GGA" if functional == "PBE" else functional) + ("+U" if parameters.get("is_hubbard") else "")
