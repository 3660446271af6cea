"""A user's table of compositions and total energies -> entries and their energies above the hull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition, Element
from pymatgen.entries.computed_entries import ComputedEntry

from vae.csv_files import read_text_table
from vae.phase_fields import PhaseField

REQUIRED = ("composition", "total_energy_eV")
PROBE_ROLES = ("probe",)
COMPETING_ROLES = ("competing", "reference", "known")

#: No compound is bound by more than this against its elements, eV/atom (LaF3 by about 4.4).
_LARGEST_FORMATION_ENERGY = 8.0
#: No usual level of theory puts most compounds this near to zero, eV/atom.
_SMALLEST_ENERGY = 0.5


@dataclass(frozen=True)
class EnergyTable:
    """Rows of a user's table, checked, in their order.

    Attributes:
        path: Where it was read from.
        compositions: Formulas as given.
        entries: One entry per row, total energies in eV.
        is_probe: Whether each row is a probe; the others are competing phases.
    """

    path: Path
    compositions: tuple[str, ...]
    entries: tuple[ComputedEntry, ...]
    is_probe: tuple[bool, ...]

    @property
    def competing(self) -> list[ComputedEntry]:
        """Entries of the competing phases, elements included."""
        return [entry for entry, probe in zip(self.entries, self.is_probe, strict=True) if not probe]


def read_energies(path: Path, field: PhaseField, set_aside: list[str] | None = None) -> EnergyTable:
    """Read a table ``composition,total_energy_eV``; a column ``role`` (probe, competing, reference, known) may follow.

    Without roles, a row that holds every element of the field is a probe.

    Args:
        path: A CSV file; energies are those of the formula as written, in eV.
        field: The phase field that every formula lies in.
        set_aside: Where given, rows that cannot be used are left out, with a line each in here.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: One sentence: a column, formula, energy, role or elemental reference that is missing or wrong, or
            energies that cannot be in eV per formula.
    """
    table = read_table(path, REQUIRED)
    if table.empty:
        raise ValueError(f"{path} has no rows: give at least one energy per element of the field")
    roles = table["role"] if "role" in table else [None] * len(table)
    given = zip(table.index, table["composition"], table["total_energy_eV"], roles, strict=True)
    rows: list[tuple[str, Composition, float, bool]] = []
    for row, text, energy, role in given:
        try:
            rows.append(_row(text, energy, role, row, path, field))
        except ValueError as error:
            if set_aside is None:
                raise
            set_aside.append(left_out(error))
    if not rows:
        raise ValueError(f"{path} has no row that can be used; {(set_aside or [''])[0]}")
    texts, compositions, energies, is_probe = zip(*rows, strict=True)
    _check_references(compositions, is_probe, path, field)
    _check_unit(compositions, np.array(energies), path)
    entries = [ComputedEntry(c, e) for c, e in zip(compositions, energies, strict=True)]
    return EnergyTable(path, texts, tuple(entries), is_probe)


def left_out(error: ValueError) -> str:
    """The line for a row that is set aside: what is wrong with it, without the advice for those who must mend it."""
    return f"left out: {str(error).partition(';')[0]}"


def _row(
    text: str, energy: str, role: str | None, row: int, path: Path, field: PhaseField
) -> tuple[str, Composition, float, bool]:
    composition = formula_in_field(text, row, path, field)
    return text, composition, finite_energy(energy, row, path), _is_probe(role, composition, row, path, field)


def read_table(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """A CSV table as text, whatever its cells hold, by the lines of the file.

    Args:
        path: The file.
        required: Columns that it must have; others may follow.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no table or lacks a column.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is no file: give a table with the columns {', '.join(required)}")
    try:
        table = read_text_table(path, skipinitialspace=True, encoding="utf-8-sig")
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a CSV table ({str(error).strip()})") from error
    table = table.rename(columns=str.strip)
    missing = [name for name in required if name not in table]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}, only {', '.join(map(repr, table.columns))}")
    return table


def formula_in_field(text: str, row: int, path: Path, field: PhaseField) -> Composition:
    """The formula of a row of a table.

    Args:
        text: As it stands in the row.
        row: Its number, for the message.
        path: The table, for the message.
        field: Whose elements it may hold.

    Raises:
        ValueError: Naming file and row, if it is none or lies outside the field.
    """
    try:
        composition = Composition(text)
        if not composition or composition.num_atoms <= 0:
            raise ValueError("no atoms")
        elements = set(composition.get_el_amt_dict())
        if any(not Element.is_valid_symbol(symbol) for symbol in elements):
            raise ValueError("dummy species")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} row {row}: {text!r} is no formula, write it as Li3SnS3Cl") from error
    outside = sorted(elements - set(field.elements))
    if outside:
        raise ValueError(f"{path} row {row}: {text} holds {', '.join(outside)}, which the field {field} has not")
    return composition


def finite_energy(text: str, row: int, path: Path) -> float:
    """The energy of a row of a table, eV or eV/atom.

    Raises:
        ValueError: Naming file and row, if it is no finite number.
    """
    try:
        energy = float(text)
    except ValueError:
        energy = np.nan
    if not np.isfinite(energy):
        raise ValueError(f"{path} row {row}: the energy {text!r} is no finite number of eV; leave the row out")
    return energy


def _is_probe(role: str | None, composition: Composition, row: int, path: Path, field: PhaseField) -> bool:
    if role is None or not role.strip():
        return len(composition) == len(set(field.elements))
    if role.strip() not in PROBE_ROLES + COMPETING_ROLES:
        choices = ", ".join(PROBE_ROLES + COMPETING_ROLES)
        raise ValueError(f"{path} row {row}: role {role!r} is unknown, choose from {choices}")
    return role.strip() in PROBE_ROLES


def _check_references(
    compositions: Sequence[Composition], is_probe: Sequence[bool], path: Path, field: PhaseField
) -> None:
    elemental = {
        str(c.elements[0]) for c, probe in zip(compositions, is_probe, strict=True) if len(c) == 1 and not probe
    }
    missing = [symbol for symbol in dict.fromkeys(field.elements) if symbol not in elemental]
    if missing:
        raise ValueError(f"{path} has no elemental reference for {', '.join(missing)}: add a row with its energy")


def _check_unit(compositions: Sequence[Composition], energies: np.ndarray, path: Path) -> None:
    """Refuse energies that cannot be eV per formula, by their magnitude against the elements.

    Formation energies tell the unit whatever the zero of energy is (pseudopotential or all-electron); for tables that
    are too small, the energies themselves do, unless they already are formation energies (all elements at zero).
    """
    atoms = np.array([c.num_atoms for c in compositions])
    per_atom = energies / atoms
    lowest: dict[str, float] = {}
    for composition, energy in zip(compositions, per_atom, strict=True):
        if len(composition) == 1:
            symbol = str(composition.elements[0])
            lowest[symbol] = min(energy, lowest.get(symbol, np.inf))
    compounds = np.array([len(c) > 1 for c in compositions])
    if not compounds.any():
        return
    mixed = [sum(c.get_atomic_fraction(s) * e for s, e in lowest.items()) for c in compositions]
    formation = float(np.median(np.abs(per_atom - mixed)[compounds]))
    size = float(np.median(np.abs(per_atom)))
    column = f"{path}: total_energy_eV"
    if _looks_per_atom(energies, per_atom):
        raise ValueError(
            f"{column} looks like eV per atom (values do not grow with the formula); multiply by the number of atoms"
        )
    if formation > _LARGEST_FORMATION_ENERGY:
        unit = "meV" if size > 1200 else "kJ/mol" if size > 150 else "kcal/mol"
        raise ValueError(
            f"{column} looks like {unit}: the median compound would be {formation:.0f} eV/atom "
            "away from its elements; convert it to eV"
        )
    if size < _SMALLEST_ENERGY and max(map(abs, lowest.values())) > 1e-6:
        raise ValueError(
            f"{column} looks like hartree or rydberg, or eV per atom: its median is {size:.3f} eV/atom; "
            "give total energies of the formula in eV"
        )


def _looks_per_atom(energies: np.ndarray, per_atom: np.ndarray) -> bool:
    """Whether the numbers as given scatter less than their shares per atom: they do not grow with the cell."""
    if len(energies) < 6 or not energies.mean() or not per_atom.mean():
        return False
    as_given = energies.std() / abs(energies.mean())
    shared_out = per_atom.std() / abs(per_atom.mean())
    return bool(as_given < 0.6 * shared_out)
