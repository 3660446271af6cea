"""A folder of the user's own structures: what can be used, and what is set aside, by name and reason."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pymatgen.core import Structure

#: File names that hold a structure.
PATTERNS = ("*.cif", "*.vasp", "POSCAR*", "CONTCAR*", "*.xsf", "*.json")

#: Why a file is set aside that holds a cell without atoms, or nothing; and what pymatgen's parsers say of such files.
NO_SITES = "it has no sites"
_PARSERS_ON_NO_SITES = ("integer modulo by zero", "at least 1 site")

#: Å: atoms this near to each other after a translation are one and the same in a smaller cell.
SAME_PLACE = 0.05


@dataclass(frozen=True)
class StructureFolder:
    """What a folder holds.

    Attributes:
        structures: Ordered structures by file name, in the order of the names.
        set_aside: Why files are not used that cannot be, by file name.
        of_other_fields: Files that hold an element beside those allowed, by name, and which.
    """

    structures: dict[str, Structure]
    set_aside: dict[str, str]
    of_other_fields: dict[str, str]


class OtherFieldError(ValueError):
    """Nothing is wrong with the structure, but it holds an element that is not asked for."""


def read_folder(folder: str | Path, elements: Collection[str] = (), max_atoms: int = 60) -> StructureFolder:
    """Read every structure of a folder; a bad file is set aside and the others go on.

    Partly occupied sites are ordered by electrostatic energy where their occupancies come out whole in the cell as it
    stands or in a supercell that is not too large (`dft.ordering`); otherwise the file is set aside.

    Args:
        folder: Searched without its subfolders.
        elements: The elements allowed; all if empty.
        max_atoms: Most atoms in the primitive cell.

    Raises:
        FileNotFoundError: If the folder does not exist or holds no structure file.
    """
    structures: dict[str, Structure] = {}
    set_aside: dict[str, str] = {}
    others: dict[str, str] = {}
    for file in structure_files(folder):
        try:
            structures[file.name] = _read(file, elements, max_atoms)
        except OtherFieldError as error:
            others[file.name] = str(error)
        except ValueError as error:
            set_aside[file.name] = str(error)
    return StructureFolder(structures, set_aside, others)


def structure_files(folder: str | Path) -> list[Path]:
    """The files of a folder that may hold structures, in order.

    Raises:
        FileNotFoundError: If the folder does not exist or holds none.
    """
    path = Path(folder).expanduser()
    files = sorted({file for pattern in PATTERNS for file in path.glob(pattern)}) if path.is_dir() else []
    if not files:
        raise FileNotFoundError(f"{str(folder)!r} is no folder with structures: put files {', '.join(PATTERNS)} in it")
    return files


def smallest_cell(structure: Structure) -> Structure:
    """The primitive cell: what DFT is given, since its cost grows steeply with the number of atoms.

    Positions that a relaxation has left within `SAME_PLACE` of a translation of others count as the same.
    """
    primitive = structure.get_primitive_structure(tolerance=SAME_PLACE)
    return primitive if len(primitive) < len(structure) else structure


def _read(file: Path, elements: Collection[str], max_atoms: int) -> Structure:
    stamp = _stamp(file)
    found = _unless_told(_as_written(file, stamp))
    outside = sorted({str(e) for e in found.composition.element_composition} - set(elements)) if elements else []
    if outside:
        raise OtherFieldError(f"it holds {outside[0]}, which is not among {sorted(elements)}")
    cell = _unless_told(_primitive_cell(file, stamp))
    if len(cell) > max_atoms:
        raise ValueError(f"its primitive cell has {len(cell)} atoms, more than {max_atoms}")
    return cell.copy()


def _stamp(file: Path) -> tuple[int, int]:
    """What tells a file from what it was: when it was changed, and its size."""
    try:
        found = file.stat()
    except OSError:  # of a link to nowhere, which reading tells
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


@cache
def _as_written(file: Path, stamp: tuple[int, int]) -> Structure | str:
    """The structure of a file, or why there is none; kept, because every field and composition asks again."""
    try:
        structure = _parse(file)
    except ValueError as error:
        return str(error)
    return structure if len(structure) else NO_SITES


@cache
def _primitive_cell(file: Path, stamp: tuple[int, int]) -> Structure | str:
    """The same in order, of elements without charges."""
    structure = _unless_told(_as_written(file, stamp)).copy()
    structure.remove_oxidation_states()
    if not structure.is_ordered:
        try:
            structure = _ordered(structure)
        except ValueError as error:
            return str(error)
    structure = structure.get_primitive_structure()
    return Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)


def _unless_told(found: Structure | str) -> Structure:
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _parse(file: Path) -> Structure:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen remarks on rounded coordinates and the like
        try:
            if not file.read_bytes().strip():
                raise ValueError(NO_SITES)
            return Structure.from_file(str(file))
        except Exception as error:  # parsers raise what they will; the file is named with the reason
            if any(told in str(error) for told in (NO_SITES, *_PARSERS_ON_NO_SITES)):
                raise ValueError(NO_SITES) from None
            raise ValueError(
                f"it cannot be read as a structure ({type(error).__name__}: {_first_line(error)})"
            ) from None


def _ordered(structure: Structure) -> Structure:
    from dft.ordering import ordered  # takes 0.2 s to import

    try:
        return ordered(structure)
    except Exception as error:  # as of parsers: pymatgen raises several kinds for what it did not foresee
        raise ValueError(f"its partly occupied sites cannot be ordered: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return next(_lines(str(error)), "no reason given")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
