"""Known phase fields of the user's own: formulas, a folder of CIFs, an ICSD export, the Materials Project."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vae.csv_files import read_text_table
from vae.datasets import KnownFields, field_from_formula, known_phase_fields, read_phase_fields
from vae.phase_fields import PhaseField

#: Names of the column that holds a formula, in ICSD exports and elsewhere; the first that is there counts.
FORMULA_COLUMNS = ("formula", "StructuredFormula", "StructFormula", "SumFormula", "pretty_formula", "composition")
_Entry = tuple[str, Mapping[str, float] | None]

#: Sources that are no path.
BUNDLED, MATERIALS_PROJECT = "bundled", "materials_project"

#: File that keeps the answer of the Materials Project.
CACHE = "materials_project_fields.json"


def known_fields_from(source: str | Path, cache_folder: str | Path = ".") -> KnownFields:
    """The known fields of a source, told by what it is.

    Args:
        source: ``bundled``, ``materials_project``, a folder of CIF files, or a CSV file with a column ``phase_field``
            or one of `FORMULA_COLUMNS`.
        cache_folder: Where the answer of the Materials Project is kept.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ModuleNotFoundError: If the Materials Project is asked for without mp-api.
        ValueError: If the source yields no field, or a row of a table of fields is none.
    """
    if str(source) == BUNDLED:
        return known_phase_fields()
    if str(source) == MATERIALS_PROJECT:
        return from_materials_project(Path(cache_folder) / CACHE)
    path = Path(source)
    return _from_files_as_of(path, path.stat().st_mtime_ns) if path.exists() else read_phase_fields(path)


def check_source(source: str | Path, cache_folder: str | Path = ".") -> None:
    """As `known_fields_from`, but the Materials Project is not asked: its answer would need the folder that keeps it.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ModuleNotFoundError: If the Materials Project would be asked without mp-api.
        ValueError: If the source yields no field, or there is no key for the Materials Project.
    """
    cache = Path(cache_folder) / CACHE
    if str(source) != MATERIALS_PROJECT or cache.is_file():
        known_fields_from(source, cache_folder)
    else:
        _key(cache)
        _client()


@lru_cache(maxsize=1)
def _from_files_as_of(path: Path, changed: int) -> KnownFields:
    """Of a folder or a table, once for all cycles of a run, while it stays as it is."""
    if path.is_dir():
        return from_cifs(path)
    return read_phase_fields(path) if "phase_field" in _columns(path) else from_formulas(path)


def dropped_in_words(known: KnownFields) -> str:
    """What was left out of a source, by reason, the most first."""
    ordered = sorted(known.dropped.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason} ({count})" for reason, count in ordered)


def _columns(path: Path) -> list[str]:
    """Names of the columns of a table."""
    return [name.strip().strip('"') for name in _header(path).split(_separator(path))]


def _separator(path: Path) -> str:
    """What stands between the columns of a table: of comma, semicolon and tab the most frequent in its header."""
    return max(",;\t", key=_header(path).count)


def _header(path: Path) -> str:
    """The first line that is not blank."""
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        return next((line.strip("\r\n") for line in handle if line.strip()), "")


def from_formulas(path: str | Path) -> KnownFields:
    """Fields of the formulas in a CSV file, such as an export of the ICSD.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If no column holds formulas, or no formula has a quaternary field with two anions.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: give a CSV file with a column of formulas")
    try:
        table = read_text_table(path, sep=_separator(path), encoding="utf-8-sig", encoding_errors="replace")
    except ValueError as error:
        raise ValueError(f"{path} is no CSV file with a column of formulas: {error}") from None
    column = next((name for name in FORMULA_COLUMNS if name in table), None)
    if column is None:
        raise ValueError(
            f"{path} has no column of formulas (one of {list(FORMULA_COLUMNS)}) and none of fields ('phase_field'), "
            f"only {list(table)[:8]}"
        )
    return collect(((formula, None) for formula in table[column]), str(path), "not stated")


def from_cifs(folder: str | Path) -> KnownFields:
    """Fields of the crystal structures in a folder of CIF files, with their oxidation states where they give some.

    An element that a file holds in two oxidation states, one of them negative, counts with their mean.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it holds no CIF file, or none with a quaternary field with two anions.
    """
    files = sorted(Path(folder).rglob("*.cif"))
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} does not exist: give a folder of CIF files")
    if not files:
        raise ValueError(f"{folder} holds no file that ends in .cif")
    return collect(map(_read_cif, files), str(folder), "not stated")


def from_materials_project(cache: str | Path, api_key: str | None = None) -> KnownFields:
    """Fields of all quaternary entries of the Materials Project; asked once, then read from the cache.

    Args:
        cache: A JSON file with formulas and the version of the database; written if absent.
        api_key: By default the environment's ``MP_API_KEY`` or ``PMG_MAPI_KEY``.

    Raises:
        ModuleNotFoundError: If mp-api is not installed.
        ValueError: If there is neither a cache nor a key, or the cache cannot be read.
    """
    cache = Path(cache)
    if not cache.is_file():
        _download(cache, api_key or _key(cache))
    try:
        content = json.loads(cache.read_text())
        formulas, database = content["formulas"], content["database_version"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{cache} is no cache of Materials Project formulas; remove it to ask again") from error
    source = f"Materials Project, database {database}, doi 10.1063/1.4812323"
    return collect(((formula, None) for formula in formulas), source, "CC-BY 4.0")


def collect(entries: Iterable[_Entry], source: str, licence: str) -> KnownFields:
    """Fields of formulas with or without oxidation states; what is dropped is counted by reason.

    Raises:
        ValueError: If nothing is left.
    """
    fields: list[PhaseField] = []
    dropped: Counter[str] = Counter()
    for formula, states in entries:
        try:
            phase_field, reason = field_from_formula(formula, states)
        except ValueError:
            phase_field, reason = None, "no readable formula"
        if phase_field is None:
            dropped[reason] += 1
        else:
            fields.append(phase_field)
    if not fields:
        counts = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common(3)) or "it is empty"
        raise ValueError(f"{source} yields no quaternary field with two anions: {counts}")
    repeated = len(fields) - len(set(fields))
    return KnownFields(tuple(fields), source, licence, dict(dropped) | ({"duplicate": repeated} if repeated else {}))


def _read_cif(path: Path) -> _Entry:
    """Formula and mean oxidation states of a CIF file; an unreadable file yields an unreadable formula."""
    from pymatgen.io.cif import CifParser

    try:
        structure = CifParser(path, occupancy_tolerance=10).parse_structures(primitive=False)[0]
    except Exception:  # pymatgen raises many kinds on damaged files
        return "", None
    composition = structure.composition
    charges: dict[str, float] = {}
    for species, amount in composition.items():
        state = getattr(species, "oxi_state", None)
        if state is None:
            return composition.element_composition.reduced_formula, None
        symbol = species.symbol
        charges[symbol] = charges.get(symbol, 0.0) + state * amount
    amounts = composition.element_composition.get_el_amt_dict()
    states = {symbol: charge / amounts[symbol] for symbol, charge in charges.items()}
    return composition.element_composition.reduced_formula, states


def _key(cache: Path) -> str:
    if not (key := os.environ.get("MP_API_KEY") or os.environ.get("PMG_MAPI_KEY", "")):
        raise ValueError(f"no Materials Project key: set MP_API_KEY, or put a cache at {cache}")
    return key


def _client() -> Any:
    try:
        from mp_api.client import MPRester
    except ImportError as error:
        raise ModuleNotFoundError("the Materials Project needs mp-api: pip install 'phaseloop[mp]'") from error
    return MPRester


def _download(cache: Path, key: str) -> None:
    with _client()(key) as rester:
        documents = rester.materials.summary.search(num_elements=4, fields=["formula_pretty"])
        content = {
            "database_version": rester.get_database_version(),
            "formulas": sorted({document.formula_pretty for document in documents}),
        }
    # Only a complete answer becomes the cache.
    partial = cache.with_suffix(".partial")
    partial.write_text(json.dumps(content))
    partial.replace(cache)
