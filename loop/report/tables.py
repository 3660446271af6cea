"""CSV tables of a campaign: every probe of a field, the ranking of a cycle, every calculation."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from loop.records import CampaignRecord, FieldRecord
from loop.report.levels import level_table

PROBE_COLUMNS = (
    "composition",
    "formula",
    "state",
    "reason",
    "e_above_hull",
    "e_above_competing",
    "energy_per_atom",
    "decomposition",
    "competing_decomposition",
    "n_atoms",
    "n_structures",
    "generator",
    "choice",
    "max_force",
    "cpu_s",
    "hash",
    "output",
)
COMPETING_COLUMNS = (
    "formula",
    "state",
    "reason",
    "energy_per_atom",
    "e_above_hull",
    "generator",
    "choice",
    "level",
    "hash",
)


def probe_table(record: FieldRecord) -> pd.DataFrame:
    """Every probe of a field, failed ones with their reason; energies in eV/atom, the lowest above the hull first."""
    table = _with_columns(record.probes, PROBE_COLUMNS)
    for name in ("decomposition", "competing_decomposition"):
        table[name] = table[name].map(as_json)
    return table.sort_values("e_above_hull", kind="stable", na_position="last").reset_index(drop=True)


def competing_table(record: FieldRecord) -> pd.DataFrame:
    """Every competing phase of a field with how it was found; energies in eV/atom."""
    return _with_columns(record.competing, COMPETING_COLUMNS)


def write_tables(record: CampaignRecord, folder: Path) -> list[Path]:
    """Write the tables of a campaign as CSV.

    Args:
        record: The campaign.
        folder: Where to; made if it is missing.

    Returns:
        ``probes_<field>.csv`` and ``competing_<field>.csv`` per field, ``ranking_cycle_<n>.csv`` per ranked cycle, and
        ``calculations.csv``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"calculations": record.calculations} if not record.calculations.empty else {}
    for cycle in record.cycles:
        if not cycle.ranking.empty:
            tables[f"ranking_cycle_{cycle.number}"] = cycle.ranking
    for field in record.fields:
        tables[f"probes_{field.phase_field}"] = probe_table(field)
        tables[f"competing_{field.phase_field}"] = competing_table(field)
        tables |= _lower_levels(field)
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    return paths


def _lower_levels(field: FieldRecord) -> dict[str, pd.DataFrame]:
    """Probes and competing phases at each lower level, and what the levels say of the same compositions."""
    tables: dict[str, pd.DataFrame] = {}
    for lower in field.lower:
        tables[f"probes_{lower.phase_field}_{lower.level_name}"] = probe_table(lower)
        tables[f"competing_{lower.phase_field}_{lower.level_name}"] = competing_table(lower)
    compared = level_table(field)
    return tables if compared is None else {**tables, f"levels_{field.phase_field}": compared.frame()}


def _with_columns(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The wanted columns first, empty where the record lacks them; structures are left to the CIF files."""
    more = [name for name in table.columns if name not in columns and name != "structure"]
    return table.reindex(columns=[*columns, *more])


def as_json(value: object) -> object:
    """A dictionary as JSON; anything else as it is."""
    return json.dumps(value) if isinstance(value, dict) else value
