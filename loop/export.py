"""A campaign's results in the formats that other programs read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from monty.serialization import dumpfn
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from dft.hull import LEVEL_KEY
from loop.records import CampaignRecord, FieldRecord
from loop.report.tables import as_json


def export(record: CampaignRecord, folder: Path) -> list[Path]:
    """Write entries (JSON), structures (CIF and an ASE database) and tables (CSV).

    Args:
        record: The campaign.
        folder: Made if it does not exist; files of the same names are written over.

    Returns:
        What was written: `entries.json` (pymatgen `ComputedStructureEntry`, total energies in eV), `structures.db`
        (ASE), `cif/`, `probes.csv`, `competing_phases.csv`, `calculations.csv` and a `ranking_N.csv` per
        cycle that ranked.
    """
    (folder / "cif").mkdir(parents=True, exist_ok=True)
    entries = list(_entries(record))
    written = [folder / "entries.json", folder / "structures.db", folder / "cif"]
    dumpfn(entries, written[0])
    _write_ase_database(entries, written[1])
    for entry in entries:
        name = f"{entry.composition.reduced_formula}-{str(entry.entry_id)[:8]}.cif"
        entry.structure.to(str(folder / "cif" / name))
    for name, table in _tables(record).items():
        written.append(folder / f"{name}.csv")
        table.to_csv(written[-1], index=False)
    return written


def _entries(record: CampaignRecord) -> Iterator[ComputedStructureEntry]:
    """One entry per finished calculation, whichever fields use it; of two searches for a phase the lower."""
    seen: set[str] = set()
    for field in _every_level(record):
        for role, table in (("probe", field.probes), ("competing", field.competing)):
            for row in table[table["energy_per_atom"].notna()].to_dict("records"):
                if row["hash"] not in seen:
                    seen.add(row["hash"])
                    yield _entry(row, role, field)


def _every_level(record: CampaignRecord) -> list[FieldRecord]:
    """The fields at each level of theory that they reached, the lower levels first."""
    return [each for field in record.fields for each in (*field.lower, field)]


def _entry(row: dict, role: str, field: FieldRecord) -> ComputedStructureEntry:
    structure = Structure.from_dict(row["structure"])
    facts = {"role": role, "phase_field": field.phase_field, "generator": row["generator"], LEVEL_KEY: row["level"]}
    return ComputedStructureEntry(structure, row["energy_per_atom"] * len(structure), data=facts, entry_id=row["hash"])


def _write_ase_database(entries: list[ComputedStructureEntry], path: Path) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.db import connect

    path.unlink(missing_ok=True)
    with connect(path) as database:
        for entry in entries:
            atoms = entry.structure.to_ase_atoms()
            atoms.calc = SinglePointCalculator(atoms, energy=entry.energy)
            database.write(atoms, hash=entry.entry_id, role=entry.data["role"], phase_field=entry.data["phase_field"])


def _tables(record: CampaignRecord) -> dict[str, pd.DataFrame]:
    probes = [field.probes.assign(phase_field=field.phase_field) for field in _every_level(record)]
    competing = [field.competing.assign(phase_field=field.phase_field) for field in _every_level(record)]
    rankings = {f"ranking_{cycle.number}": cycle.ranking for cycle in record.cycles if not cycle.ranking.empty}
    return {
        "probes": _without_structures(probes),
        "competing_phases": _without_structures(competing),
        "calculations": record.calculations,
        **rankings,
    }


def _without_structures(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; decompositions as JSON, as the report's tables have them."""
    if not tables:
        return pd.DataFrame()
    table = pd.concat([t.drop(columns="structure") for t in tables])
    for name in table.columns.intersection(["decomposition", "competing_decomposition"]):
        table[name] = table[name].map(as_json)
    return table
