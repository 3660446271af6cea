"""The default campaign as a newcomer runs it: wall time, memory, yield, and what the orchestration costs.

    python benchmarks/default_run.py [--cycles 3] [--json FILE]

Prints a table. Memory is the proportional set size of the whole process tree, sampled every few seconds (Linux; each
sample walks all pages, and more of them would slow down what is measured).
Orchestration is all wall time that is neither force calls (summed over workers, divided by their number) nor training.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE_INTERVAL = 4.0  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="campaign folder to make and keep")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch) / "campaign"
        figures = measure(folder, arguments.cycles)
    for name, value in figures.items():
        print(f"{name:48s} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measure(folder: Path, cycles: int) -> dict[str, float | int | dict]:
    """Run the campaign and read its own records."""
    command = [sys.executable, "-m", "loop.cli", "run", "--dir", str(folder), "--cycles", str(cycles)]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_INTERVAL)
    wall = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"loop run ended with {process.returncode}")
    return {"wall, s": round(wall), "peak memory, GiB": round(peak / 2**30, 2), **from_records(folder, wall)}


def from_records(folder: Path, wall: float) -> dict[str, float | int | dict]:
    """Yield and costs, from the campaign's database."""
    with sqlite3.connect(folder / "campaign.db") as database:
        stages: dict[str, float] = {}
        for (text,) in database.execute("SELECT seconds FROM cycles"):
            for stage, seconds in json.loads(text).items():
                stages[stage] = round(stages.get(stage, 0) + seconds, 1)
        force, cpu, calls = database.execute(
            "SELECT SUM(force_s), SUM(cpu_s), SUM(force_calls) FROM calculations"
        ).fetchone()
        probes = database.execute(
            "SELECT state, COUNT(*) FROM calculations WHERE role = 'probe' GROUP BY state"
        ).fetchall()
        fields = database.execute(
            "SELECT phase_field, COUNT(*) FROM uses WHERE role = 'probe' GROUP BY phase_field"
        ).fetchall()
    import os

    workers = len(os.sched_getaffinity(0))
    counted = force / workers + stages.get("training", 0)
    done = dict(probes).get("done", 0)
    return {
        "fields and probe compositions": dict(fields),
        "probes by state": dict(probes),
        "probes with an energy, %": round(100 * done / sum(dict(probes).values()), 1),
        "wall by stage, s": stages,
        "force calls": calls,
        "force calls, s in the workers": round(force),
        "calculations, CPU s": round(cpu),
        "orchestration, % of wall": round(100 * (1 - counted / wall), 1),
        "in calculations, not in force calls, % (idle machine)": round(100 * (1 - force / cpu), 1),
    }


def tree_memory(pid: int) -> float:
    """Proportional set size of a process and its descendants, bytes."""
    total = 0.0
    for each in [pid, *descendants(pid)]:
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(1024 * float(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def descendants(pid: int) -> list[int]:
    """Process numbers below a process."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [*children, *(below for child in children for below in descendants(child))]


if __name__ == "__main__":
    main()
