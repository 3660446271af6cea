"""Energies above the hull of Li-Sn-S-Cl at a level of theory, against the published DFT ones.

    python benchmarks/li_sn_s_cl.py --data li_sn_s_cl_dft.csv --level chgnet --limit 24 --seed 0 --json out.json

With `--known` the competing phases stand in the structures that they are known to have, where one is written down in
tests/dft/known_structures.py; the others, and all without it, are searched for. With `--refine sevennet` the lowest
structures of the first level are computed again at a second one. With `--screening CSV` the energies of our own probes
are written to a table, for whoever wants a cheap level to learn from.

The table is `li_sn_s_cl_dft.csv`, from https://github.com/lrcfmd/PhaseBO (Vasylenko et al., Nat. Commun. 12, 5561
(2021), doi 10.1038/s41467-021-25343-7). Energies above hull are signed, from the hull of the competing phases alone;
both hulls hold the same competing phases (the result says how far leaving out the other references of the table
moves the published energies). Nothing of the published structures or energies enters our own.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition, Structure
from scipy.stats import spearmanr

from dft.competing import build_competing
from dft.hull import Entry, hull_points, lowest_per_composition
from dft.levels import FORCE_FIELDS, force_field
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.workflows import ScreeningMaker, structure_hash, survivors
from loop.config import DEFAULT_GENERATORS
from loop.ladder import FURTHER, SEARCHES

sys.path.insert(0, str(Path(__file__).parents[1]))  # the known structures are those of the tests

#: The known phases that bound the charge-neutral compositions of the field, with the elements.
COMPETING = (
    *("Li", "Sn", "S", "Cl"),
    *("Li2S", "LiCl", "SnS", "SnS2", "Sn2S3", "SnCl2", "SnCl4", "Li4SnS4", "Li2SnS3", "Li2SnCl6"),
)

#: Of the table that `--screening` writes; energies in eV/atom.
SCREENING_COLUMNS = (
    "composition", "e_above_hull_eV_per_atom", "energy_eV_per_atom", "level", "generator", "n_structures",
)  # fmt: skip


def main() -> None:
    args = parse_arguments()
    table = pd.read_csv(args.data)
    published = published_energies(table)
    formulas = [f for f in published if f not in COMPETING]
    order = np.random.default_rng(args.seed).permutation(len(formulas))  # a larger subset holds the smaller ones
    formulas = [formulas[i] for i in order[: args.limit]]
    search = SEARCHES[args.search]
    screen = Screening(args.level, args.cache, **search.funnel)
    settings = ProbeSettings(max_atoms=48, n_structures=search.n_structures, generators=tuple(args.generators))
    known = known_structures() if args.known else {}
    competing = {
        f: screen(f, partial(list, known[f]) if f in known else partial(build_competing, f, settings, args.seed))
        for f in COMPETING
    }
    probes = {f: screen(f, partial(build_probes, Composition(f), settings, args.seed)) for f in formulas}
    if args.refine:
        further = FURTHER[args.search]
        refine = Screening(args.refine, args.cache, **further.funnel)
        competing = {f: refine(f, partial(survivors, row)) for f, row in competing.items()}
        probes = {f: refine(f, partial(survivors, row)) for f, row in probes.items()}
    result = compare(table, competing, probes)
    if args.screening:
        write_screening(Path(args.screening), result["probes"], probes)
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in result if key not in ("probes", "competing", "classes")}, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="li_sn_s_cl_dft.csv")
    parser.add_argument("--level", choices=FORCE_FIELDS, default="chgnet", help="name of the level of theory")
    parser.add_argument("--search", default="quick", choices=sorted(SEARCHES), help="as in a campaign")
    parser.add_argument("--generators", nargs="+", default=list(DEFAULT_GENERATORS), help="of the probes")
    parser.add_argument("--known", action="store_true", help="competing phases in their known structures")
    parser.add_argument("--refine", choices=FORCE_FIELDS, help="a second level, on survivors; the hull is built at it")
    parser.add_argument("--limit", type=int, help="a random subset of so many compositions")
    parser.add_argument("--seed", type=int, default=0, help="of the subset and of the structures")
    parser.add_argument("--json", required=True, help="where to write the result")
    parser.add_argument("--screening", help="where to write the energies of our probes as a table")
    parser.add_argument("--cache", help="JSON lines: calculations known by their hash are not run again")
    return parser.parse_args()


def known_structures() -> dict[str, list[ProbeStructure]]:
    """Of the competing phases, by formula."""
    from tests.dft.known_structures import KNOWN

    return {f: [ProbeStructure(make().get_primitive_structure(), "known structure")] for f, (make, _) in KNOWN.items()}


class Screening:
    """Runs the screening job of one composition, or takes it from the cache; counts CPU seconds."""

    def __init__(self, level_name: str, cache: str | None, **settings: Any) -> None:
        self.maker = ScreeningMaker.from_level(force_field(level_name), **settings)
        self.path = Path(cache) if cache else None
        lines = self.path.read_text().splitlines() if self.path and self.path.exists() else []
        self.known = {row["hash"]: row for row in map(json.loads, lines)}

    def __call__(self, formula: str, build: Callable[[], list[ProbeStructure]]) -> dict[str, Any]:
        """Output of the job, with the CPU seconds of building and screening."""
        start = time.process_time()
        probes = build()
        key = structure_hash(probes, self.maker.level, self.maker.funnel)
        if key not in self.known:
            job = self.maker.make(probes)
            done = run_locally(Flow([job]), store=JobStore(MemoryStore()), ensure_success=True, log=False)
            row = {**done[job.uuid][1].output, "hash": key, "formula": formula}
            self.known[key] = {**row, "cpu_s": time.process_time() - start}
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps(self.known[key]) + "\n")
        row = self.known[key]
        print(f"{formula:14s} {row['state']:12s} {row['energy_per_atom']} {row['cpu_s']:.1f} s  {row['generator']}")
        return {**row, "volume_ratio": volume_ratio(probes, row)}


def volume_ratio(probes: list[ProbeStructure], row: dict[str, Any]) -> float | None:
    """Volume that the lowest structure started from, as a fraction of its relaxed one; nothing without an energy."""
    if row["energy_per_atom"] is None:
        return None
    energies = [trail["energy_per_atom"] for trail in row["trail"]]
    relaxed, start = Structure.from_dict(row["structure"]), probes[energies.index(row["energy_per_atom"])].structure
    return start.volume / len(start) / (relaxed.volume / len(relaxed))


def published_energies(table: pd.DataFrame) -> dict[str, float]:
    """Lowest published energy, eV/atom, of each probe composition."""
    entries = [_entry(row.composition, row.total_energy_eV) for row in table[table.role == "probe"].itertuples()]
    return {_name(e.composition): float(e.energy_per_atom) for e in lowest_per_composition(entries)}


def compare(table: pd.DataFrame, competing: dict[str, dict], probes: dict[str, dict]) -> dict[str, Any]:
    """Our signed energies above hull beside the published ones, meV/atom, and how well they agree."""
    energies = published_energies(table)
    done = {f: row for f, row in probes.items() if row["energy_per_atom"] is not None}
    published = [_entry(f, energies[f] * Composition(f).num_atoms) for f in done]
    everything, references = published_references(table)
    theirs = hull_points(published, references)
    beside = hull_points(published, everything)
    phases = _entries({f: row for f, row in competing.items() if row["energy_per_atom"] is not None})
    ours = hull_points(_entries(done), phases)
    rows = [
        {
            "composition": f,
            "published": round(1000 * a.e_above_competing, 1),
            "ours": round(1000 * b.e_above_competing, 1),
            "generator": done[f]["generator"],
            "cpu_s": round(done[f]["cpu_s"], 1),
        }
        for f, a, b in zip(done, theirs, ours, strict=True)
    ]
    return {
        **agreement(rows),
        "cpu_s": round(sum(r["cpu_s"] for r in [*competing.values(), *probes.values()]), 1),
        "n_without_energy": len(probes) - len(done),
        "cpu_s_per_probe": round(float(np.mean([r["cpu_s"] for r in probes.values()])), 1),
        "cpu_s_per_competing_phase": round(float(np.mean([r["cpu_s"] for r in competing.values()])), 1),
        "other_references_lower_the_published_hull_by_meV": round(
            1000 * max(b.e_above_competing - a.e_above_competing for a, b in zip(theirs, beside, strict=True)), 1
        ),
        "start_volume_as_fraction_of_relaxed": _spread([row["volume_ratio"] for row in probes.values()]),
        "start_volume_of_competing_phases": _spread([row["volume_ratio"] for row in competing.values()]),
        "published_in_other_cells_above_the_lowest": other_cells(table),
        "classes": classes(rows, cells(table)),
        "won_by": dict(Counter(r["generator"] for r in rows).most_common()),
        "competing": {f: _phase(f, competing[f], phases) for f in competing},
        "probes": rows,
    }


def agreement(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of how well our energies above hull agree with the published ones."""
    x, y = np.array([r["published"] for r in rows]), np.array([r["ours"] for r in rows])
    low = set(np.argsort(x, kind="stable")[: int((x <= 25).sum())])
    return {
        "n": len(rows),
        "spearman": round(float(spearmanr(x, y)[0]), 3),
        "mae_meV_per_atom": round(float(np.abs(x - y).mean()), 1),
        "mean_error_meV_per_atom": round(float((y - x).mean()), 1),
        "mae_without_mean_error_meV_per_atom": round(float(np.abs(y - x - (y - x).mean()).mean()), 1),
        "published_within_25_meV": len(low),
        "of_these_among_our_lowest_25": len(low & set(np.argsort(y, kind="stable")[:25])),
    }


def classes(rows: list[dict[str, Any]], cells: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The same figures by the share of chloride among the anions and by the size of the published cell."""
    chloride = {r["composition"]: Composition(r["composition"]) for r in rows}
    share = {f: c["Cl"] / (c["Cl"] + c["S"]) for f, c in chloride.items()}
    chosen = {
        "chloride up to 1/3": [r for r in rows if share[r["composition"]] <= 1 / 3],
        "chloride 1/3 to 2/3": [r for r in rows if 1 / 3 < share[r["composition"]] <= 2 / 3],
        "chloride above 2/3": [r for r in rows if share[r["composition"]] > 2 / 3],
        "published cell up to 16 atoms": [r for r in rows if cells[r["composition"]] <= 16],
        "published cell 17 to 24 atoms": [r for r in rows if 16 < cells[r["composition"]] <= 24],
        "published cell above 24 atoms": [r for r in rows if cells[r["composition"]] > 24],
    }
    return {name: agreement(some) for name, some in chosen.items() if len(some) > 2}


def cells(table: pd.DataFrame) -> dict[str, int]:
    """Atoms of the cell that holds the lowest published energy of each probe composition."""
    lowest: dict[str, tuple[float, int]] = {}
    for row in table[table.role == "probe"].itertuples():
        composition = Composition(row.composition)
        found = row.total_energy_eV / composition.num_atoms, round(composition.num_atoms)
        lowest[_name(composition)] = min(found, lowest.get(_name(composition), found))
    return {f: atoms for f, (_, atoms) in lowest.items()}


def other_cells(table: pd.DataFrame) -> dict[str, float]:
    """How far the published energies of one composition in other cells lie above its lowest, meV/atom.

    A larger cell holds the smaller one's structure, so that this is what the published searches missed.
    """
    energies = published_energies(table)
    rows = [_entry(r.composition, r.total_energy_eV) for r in table[table.role == "probe"].itertuples()]
    above = [1000 * (e.energy_per_atom - energies[_name(e.composition)]) for e in rows]
    return _spread([a for a in above if a > 0])


def published_references(table: pd.DataFrame) -> tuple[list[Entry], list[Entry]]:
    """The published references, lowest per composition: all of them, and those of our competing phases."""
    names = {_name(Composition(f)) for f in COMPETING}
    rows = table[table.role == "reference"].itertuples()
    everything = lowest_per_composition([_entry(r.composition, r.total_energy_eV) for r in rows])
    return everything, [entry for entry in everything if _name(entry.composition) in names]


def write_screening(path: Path, rows: list[dict[str, Any]], probes: dict[str, dict]) -> None:
    """Our own energies as a table: signed, above the hull of the competing phases alone, eV/atom."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SCREENING_COLUMNS)
        for row in rows:
            output = probes[row["composition"]]
            writer.writerow(
                (
                    row["composition"],
                    f"{row['ours'] / 1000:.4f}",
                    f"{output['energy_per_atom']:.5f}",
                    output["level"],
                    output["generator"],
                    output["n_structures"],
                )
            )


def _spread(ratios: list[float | None]) -> dict[str, float]:
    values = np.array([ratio for ratio in ratios if ratio is not None])
    return {"n": len(values), "mean": round(float(values.mean()), 3), "std": round(float(values.std()), 3)}


def _phase(formula: str, row: dict, phases: list[Entry]) -> dict[str, Any]:
    point = hull_points([e for e in phases if _name(e.composition) == _name(Composition(formula))], phases)
    above = round(1000 * point[0].e_above_hull, 1) if point else None
    return {
        "state": row["state"],
        "generator": row["generator"],
        "meV_per_atom_above_hull": above,
        "cpu_s": row["cpu_s"],
    }


def _entries(rows: dict[str, dict]) -> list[Entry]:
    return [_entry(f, row["energy_per_atom"] * Composition(f).num_atoms) for f, row in rows.items()]


def _entry(formula: str, energy: float) -> PDEntry:
    return PDEntry(Composition(formula), energy)


def _name(composition: Composition) -> str:
    return composition.reduced_formula


if __name__ == "__main__":
    main()
