"""Figures of the report: time of a map of 286 and 5,000 rows, and of the page of a 10-cycle campaign.

    python benchmarks/report.py ENERGIES.csv    # li_sn_s_cl_dft.csv: github.com/lrcfmd/PhaseBO (MIT)

Each figure is taken in a process of its own; times are wall and CPU seconds after the imports, those of the processes
that help with drawing, their imports too, counted in.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FIELD = "Li-Sn-S-Cl"
ELEMENTS = ("Li", "Sn", "S", "Cl")


def many_rows(source: Path, target: Path, n: int = 5000) -> None:
    """The given table with random compositions added until it has `n` rows; energies near those of mixtures."""
    rng = np.random.default_rng(0)
    with source.open(encoding="utf-8") as file:
        rows = [(row["composition"], float(row["total_energy_eV"])) for row in csv.DictReader(file)]
    while len(rows) < n:
        amounts = rng.integers(1, 40, 4)
        formula = "".join(f"{symbol}{count}" for symbol, count in zip(ELEMENTS, amounts, strict=True))
        energy = -3.6 * amounts.sum() * rng.uniform(0.8, 1.0)
        rows.append((formula, float(energy)))
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("composition", "total_energy_eV"), *rows])


def time_map(table: str, out: str) -> dict[str, float]:
    from loop.report.commands import MapOptions, map_command

    start, cpu = time.perf_counter(), _cpu_seconds()
    map_command(Path(table), FIELD, Path(out), Path(out).with_suffix(".json"), MapOptions(mark=["Li3.3SnS3.3Cl0.7"]))
    return _since(start, cpu)


def time_page(table: str, folder: str) -> dict[str, float]:
    from loop.report.page import build_report

    record = ten_cycles(Path(table))
    start, cpu = time.perf_counter(), _cpu_seconds()
    page = build_report(record, Path(folder))
    return _since(start, cpu) | {"page_MB": page.stat().st_size / 1e6}


def ten_cycles(table: Path):
    """Ten cycles of three fields each: the published energies under thirty names, 24 probes with structures."""
    import pandas as pd
    from pymatgen.core import Composition, Lattice, Structure

    from loop.records import CampaignRecord, CycleRecord, FieldRecord
    from loop.report.energies import read_energies
    from loop.report.points import points_from_table
    from vae.phase_fields import PhaseField

    phase_field = PhaseField.parse(FIELD)
    rows = read_energies(table, phase_field)
    points = points_from_table(rows, phase_field)
    rng = np.random.default_rng(0)

    def named(formula: str, swap: dict[str, str]) -> str:
        amounts = Composition(formula).get_el_amt_dict()
        return "".join(f"{swap.get(symbol, symbol)}{count:g}" for symbol, count in amounts.items())

    def field(name: PhaseField, swap: dict[str, str], cycle: int) -> FieldRecord:
        chosen = [point for point in points if point.role == "probe"][:24]
        probes = []
        for i, point in enumerate(chosen):
            formula = named(point.formula, swap)
            atoms = [str(e) for e, n in Composition(formula).items() for _ in range(int(n))]
            cell = Structure(Lattice.cubic(3 * len(atoms) ** (1 / 3)), atoms, rng.random((len(atoms), 3)))
            probes.append(
                {
                    "composition": formula,
                    "state": "done",
                    "reason": "",
                    "e_above_hull": point.e_above_hull,
                    "e_above_competing": point.e_above_competing,
                    "energy_per_atom": point.energy_per_atom,
                    "competing_decomposition": {"LiCl": 1.0},
                    "decomposition": {"LiCl": 1.0},
                    "n_atoms": len(atoms),
                    "n_structures": 40,
                    "generator": "ordered lattice",
                    "structure": cell.as_dict(),
                    "hash": f"{name}-{i}",
                }
            )
        competing = [
            {
                "formula": named(point.formula, swap),
                "state": "done",
                "reason": "",
                "energy_per_atom": point.energy_per_atom,
                "e_above_hull": max(0.0, point.e_above_competing),
                "generator": "prototype",
            }
            for point in points
            if point.role == "competing"
        ]
        return FieldRecord(
            str(name), cycle, "undecided", "", 0.02, 0.02, probes[0]["composition"], "chgnet", 0.02, "prototype search",
            pd.DataFrame(probes), pd.DataFrame(competing),
        )  # fmt: skip

    pairs = [(m, a) for m in ("Sn", "Ge", "Si", "Zn", "Al", "Ga", "In", "Mg", "Ca", "Sr") for a in ("Cl", "Br", "I")]
    names = [PhaseField(("Li", m, "S", a)) for m, a in pairs]
    fields = [field(n, {"Sn": m, "Cl": a}, i // 3 + 1) for i, (n, (m, a)) in enumerate(zip(names, pairs, strict=True))]
    all_names = [str(n) for n in names] + [f"Li-{m}-{a}-{b}" for m in ("Ti", "Zr", "Hf") for a in "OSN" for b in "FI"]
    cycles = []
    for number in range(1, 11):
        order = rng.permutation(len(all_names))
        ranking = pd.DataFrame({"phase_field": [all_names[i] for i in order], "rank": np.arange(1, len(order) + 1)})
        ranking["score"], ranking["score_std"], ranking["novelty"] = ranking["rank"] / 10, 0.01, 1.0
        ranking["nearest_known"] = "Li-Ge-S-Cl"
        cycles.append(CycleRecord(number, "completed", 1140, len(order), ranking, {"R²": 0.8}))
    calculations = pd.DataFrame(
        [
            {"phase_field": f.phase_field, "cycle": f.cycle, "state": "done", "cpu_s": 11.0, "composition": "x"}
            for f in fields
            for _ in range(60)
        ]
    )
    return CampaignRecord("ten cycles", {}, "0", {}, {}, tuple(cycles), tuple(fields), calculations)


def _since(start: float, cpu: float) -> dict[str, float]:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    memory = sum(each.ru_maxrss for each in used) / 1024**2  # of this process and the largest helper
    return {"wall_s": time.perf_counter() - start, "cpu_s": _cpu_seconds() - cpu, "memory_GiB": memory}


def _cpu_seconds() -> float:
    """Of this process and those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def published_difference(table: Path, answers: Path) -> float:
    """Largest difference from the published energies above the hull, meV/atom."""
    with table.open(encoding="utf-8") as file:
        published = [float(row["e_above_hull_meV_per_atom"]) for row in csv.DictReader(file)]
    ours = [1000 * row["e_above_hull"] for row in json.loads(answers.read_text(encoding="utf-8"))]
    return max(abs(a - b) for a, b in zip(ours, published, strict=True))


def main() -> None:
    if len(sys.argv) == 4:  # a child process
        print(json.dumps({"map": time_map, "page": time_page}[sys.argv[1]](sys.argv[2], sys.argv[3])))
        return
    table = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder) / "many.csv"
        many_rows(table, big)
        runs = {
            "map, 286 rows (2 s)": ("map", str(table), f"{folder}/a.png"),
            "map, 5,000 rows (5 s)": ("map", str(big), f"{folder}/b.png"),
            "page, 10 cycles, 30 fields (20 s, 1 GiB, 15 MB)": ("page", str(table), f"{folder}/page"),
        }
        for name, arguments in runs.items():
            command = [sys.executable, __file__, *arguments]
            result = subprocess.run(command, check=True, capture_output=True, text=True)
            told = json.loads(result.stdout)
            print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in told.items()))
        difference = published_difference(table, Path(folder) / "a.json")
        print(f"largest difference from the published hull: {difference:.2f} meV/atom")


if __name__ == "__main__":
    main()
