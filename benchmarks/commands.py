"""How long the commands take as whole processes: start-up, and the ranker alone.

    python benchmarks/commands.py [--candidates CSV] [--runs 5]

`--candidates` is a table with a column `phase_field`; without it the candidates of the default campaign are ranked.
Prints minimum, median and maximum of wall seconds and the median peak memory, and as a yardstick the time that
`import torch` alone takes on the same machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        candidates = arguments.candidates or default_candidates(Path(scratch) / "candidates.csv")
        ranking = ["rank", "--candidates", str(candidates), "--out", str(Path(scratch) / "ranking.csv")]
        commands = {
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "loop --help": [sys.executable, "-m", "loop.cli", "--help"],
            "loop rank (bundled list)": [sys.executable, "-m", "loop.cli", *ranking],
        }
        print(f"{'command':28s} {'min':>8s} {'median':>8s} {'max':>8s}  wall s   peak MiB")
        for name, command in commands.items():
            report(name, command, arguments.runs)


def default_candidates(path: Path) -> Path:
    """The candidates of the default campaign as a table."""
    from loop.config import Settings

    fields = Settings().candidates.enumerate(())
    path.write_text("phase_field\n" + "\n".join(map(str, fields)) + "\n")
    return path


def report(name: str, command: list[str], runs: int) -> None:
    """Run a command several times and print a row."""
    once(command)  # files into the page cache
    walls, peaks = zip(*(once(command) for _ in range(runs)), strict=True)
    print(
        f"{name:28s} {min(walls):8.2f} {statistics.median(walls):8.2f} {max(walls):8.2f} "
        f"{statistics.median(peaks) / 1024:17.0f}"
    )


def once(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak memory in KiB of one run."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed")
    return time.perf_counter() - start, usage.ru_maxrss


if __name__ == "__main__":
    main()
