"""Known phase fields and formulas: the bundled list, and lists of the user's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd
from pymatgen.core import Composition, Element

from vae.csv_files import read_text_table
from vae.phase_fields import ANIONS, PhaseField, data_hash

#: Elements in a quaternary field.
FIELD_SIZE = 4

#: A field M-M'-A-A' has two anions; lists that count phosphorus among the cations make it three.
MIN_ANIONS = 2
#: The oxidation states of larger formula units are not guessed: Ca51W12N56O3 alone has six million combinations.
MOST_ATOMS = 100


@dataclass(frozen=True)
class KnownFields:
    """Phase fields in which a compound has been reported, and where the list comes from.

    Attributes:
        fields: Each once, in the order of their names.
        source: Where the list comes from, in words, with a DOI where there is one.
        licence: The licence of the source.
        dropped: How many entries were left out, by reason.
        hash: See `data_hash`.
    """

    fields: tuple[PhaseField, ...]
    source: str
    licence: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        unique = tuple(sorted(set(self.fields), key=str))
        object.__setattr__(self, "fields", unique)
        object.__setattr__(self, "hash", data_hash(unique))

    def __len__(self) -> int:
        return len(self.fields)


def known_phase_fields() -> KnownFields:
    """The bundled list: quaternary fields of the Materials Project with exactly two anions.

    Source:
        Formulas of Ricci et al., Sci. Data 4, 170085 (2017), doi 10.1038/sdata.2017.85, as matminer ships them;
        derived by ``scripts/derive_known_phase_fields.py``.
    """
    origin = bundled_source()
    names = pd.read_csv(_data("known_fields.csv"), keep_default_na=False)["phase_field"]
    fields = tuple(PhaseField.parse(name) for name in names)
    return KnownFields(fields, origin["source"], origin["licence"], origin["dropped"])


def bundled_source() -> dict:
    """Source, licence, date, versions, rule and counts of the bundled lists."""
    return json.loads(_data("source.json").read_text())


def known_formulas(elements: Collection[str]) -> list[str]:
    """Reported binary and ternary compounds made of some of the elements, such as the competing phases of a field.

    Args:
        elements: Symbols, for example those of a `PhaseField`.

    Returns:
        Reduced formulas, binaries first, then by chemical system and formula.
    """
    wanted, reported = set(elements), _reported_by_system()
    systems = [system for system in reported if wanted.issuperset(system.split("-"))]
    systems.sort(key=lambda system: (system.count("-"), system))
    return [formula for system in systems for formula in reported[system]]


def reported_formulas() -> list[str]:
    """All formulas that `known_formulas` draws from."""
    return [formula for formulas in _reported_by_system().values() for formula in formulas]


def bundled_formulas() -> list[str]:
    """All binary and ternary formulas of the bundled list, which is what rankers learn from."""
    return [formula for formulas in _formulas_by_system().values() for formula in formulas]


@cache
def known_systems() -> frozenset[frozenset[str]]:
    """Element sets of the bundled binary and ternary compounds."""
    return frozenset(frozenset(system.split("-")) for system in _formulas_by_system())


def read_phase_fields(path: str | Path, size: int = FIELD_SIZE) -> KnownFields:
    """Read phase fields from the column ``phase_field`` of a CSV file.

    Fields that repeat an element are kept; a field that stands twice, in any order of elements, is counted as dropped.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file has no such column, no field, an unknown element, or a field of another size.
    """
    names = _column(Path(path), "phase_field")
    fields = [_parse(name, f"{path}, row {row}", size) for row, name in names.items()]
    if not fields:
        raise ValueError(f"{path} lists no phase field: it needs at least one row under 'phase_field'")
    return KnownFields(tuple(fields), str(path), "not stated", _duplicates(fields))


def field_from_formula(
    formula: str, oxidation_states: Mapping[str, float] | None = None
) -> tuple[PhaseField | None, str]:
    """The quaternary phase field of a formula with exactly two anions, or why it has none.

    Anions are the elements of negative oxidation state; the states are guessed by pymatgen unless given. The naive
    rule, two of the eleven elements, would let phosphates and tellurates in.

    Returns:
        The field and an empty reason, or nothing and the reason.

    Raises:
        ValueError: If the formula cannot be read.
    """
    try:
        composition = Composition(formula)
    except Exception as error:
        raise ValueError(f"{formula!r} is no chemical formula") from error
    if not all(isinstance(element, Element) for element in composition.elements):
        raise ValueError(f"{formula!r} is no chemical formula: it names something that is no element")
    symbols = [element.symbol for element in composition.elements]
    if len(symbols) != FIELD_SIZE:
        return None, "not four elements"
    if len(ANIONS.intersection(symbols)) < 2:
        return None, "fewer than two of the eleven anions"
    if not oxidation_states and composition.num_atoms > MOST_ATOMS:
        return None, f"more than {MOST_ATOMS} atoms in the formula unit"
    states = oxidation_states or _guess(composition)
    if not states:
        return None, "no charge-neutral oxidation states"
    negative = {symbol for symbol, charge in states.items() if charge < 0}
    if len(negative) != 2:
        return None, f"{len(negative)} anions by charge"
    if not negative <= ANIONS:
        return None, "an anion outside the eleven"
    return PhaseField(tuple(symbols)), ""


def _guess(composition: Composition) -> Mapping[str, float]:
    guesses = composition.oxi_state_guesses()
    return guesses[0] if guesses else {}


def _parse(name: str, place: str, size: int) -> PhaseField:
    try:
        phase_field = PhaseField.parse(name)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if len(phase_field) != size:
        raise ValueError(f"{place}: {name!r} has {len(phase_field)} elements where {size} are needed")
    if len(phase_field.anions) < MIN_ANIONS:
        raise ValueError(
            f"{place}: {name!r} has {len(phase_field.anions)} anion, a field has two of {', '.join(sorted(ANIONS))}"
        )
    return phase_field


def _column(path: Path, column: str) -> dict[int, str]:
    """The cells of a column, by their line in the file."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give a CSV file with a column {column!r}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: give a CSV file with a column {column!r}")
    try:
        table = read_text_table(path, encoding_errors="replace")
    except ValueError as error:
        raise ValueError(f"{path} is no CSV file with a column {column!r}: {error}") from None
    if column not in table:
        raise ValueError(f"{path} has no column {column!r}, only {list(table.columns)[:8]}")
    return {int(line): value.strip() for line, value in table[column].items()}


def _duplicates(fields: Iterable[PhaseField]) -> dict[str, int]:
    repeated = sum(count - 1 for count in Counter(fields).values())
    return {"duplicate": repeated} if repeated else {}


@cache
def _formulas_by_system() -> dict[str, tuple[str, ...]]:
    return _by_system(pd.read_csv(_data("known_formulas.csv.gz"), keep_default_na=False))


@cache
def _reported_by_system() -> dict[str, tuple[str, ...]]:
    """The same, with compounds that the list of 2017 lacks and that decide about a field, each with its source."""
    further = _by_system(pd.read_csv(_data("further_formulas.csv"), keep_default_na=False))
    bundled = _formulas_by_system()
    return {**bundled, **{system: (*bundled.get(system, ()), *rows) for system, rows in further.items()}}


def _by_system(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {str(system): tuple(rows) for system, rows in table.groupby("chemical_system")["formula"]}


def _data(name: str) -> Path:
    return Path(str(files("vae") / "data" / name))
