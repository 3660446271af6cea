"""What a campaign on a LaunchPad costs beside its calculations, with a Lennard-Jones engine.

    python benchmarks/cluster.py --calculations 1000 --workers 4 --json cluster.json
    python benchmarks/cluster.py --calculations 10000 --workers 0

With no workers a script answers in their place: it writes one and the same output for whatever is READY. The driver's
work is the same. Every field has a batch of 100 calculations, so that 10,000 are a hundred fields.

The database is the one of the tests, PHASELOOP_TEST_MONGOECO names a Python that has mongoeco[wire], but with its
documents in memory: on SQLite, as the tests have it, it reads whole collections where MongoDB has an index. In memory
it still does so for some, and five thousand calculations take it ten minutes of CPU time. Our share is the CPU time of
the driver, which builds Flows, submits, collects and records; the workers' and the database's is not in it, and the
latter told beside.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vae import PhaseField

sys.path.insert(0, str(Path(__file__).parents[1]))  # the database and the workers are those of the tests

BATCH = 100  # calculations of one field, on the LaunchPad together

SETTINGS = {
    "name": "benchmark",
    "level_of_theory": "lennard-jones",
    "execution": {"executor": "fireworks", "workers": 1},
}


def structures(n: int) -> list[dict[str, Any]]:
    """One structure per calculation: rock salt with its atoms moved, as plain values."""
    from pymatgen.core import Lattice, Structure

    from dft.probes import ProbeStructure

    rng = np.random.default_rng(0)
    made = []
    faces = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = np.concatenate([faces, faces + 0.5])
    for _ in range(n):
        moved = Structure(Lattice.cubic(5.2), ["Li"] * 4 + ["Cl"] * 4, sites + rng.normal(0, 0.005, sites.shape))
        made.append(ProbeStructure(moved, "rock salt").as_dict())
    return made


def fields(n: int) -> list[PhaseField]:
    """As many phase fields with lithium and chlorine."""
    from pymatgen.core import Element

    from vae import PhaseField

    metals = [element.symbol for element in Element if element.is_transition_metal]
    every = [PhaseField.parse(f"Li-{metal}-{anion}-Cl") for anion in ("O", "S", "Se", "Te") for metal in metals]
    return every[:n]


def resident() -> float:
    """MiB that this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cpu_of(pid: int) -> float:
    """CPU seconds that a running process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(site: Any, folder: Path) -> dict[str, float]:
    """What `loop status` of a campaign takes: wall and CPU seconds of the command, CPU seconds of the database."""
    command = [sys.executable, "-m", "loop.cli", "status", str(folder)]
    database, children = cpu_of(site.mongo.pid), os.times()
    began = time.perf_counter()
    subprocess.run(command, env=site.environment, check=True, stdout=subprocess.DEVNULL)
    wall, ended = time.perf_counter() - began, os.times()
    cpu = ended.children_user + ended.children_system - children.children_user - children.children_system
    found = {"wall_s": wall, "cpu_s": cpu, "database_cpu_s": cpu_of(site.mongo.pid) - database}
    return {name: round(seconds, 2) for name, seconds in found.items()}


def answer(cluster: Any, output: dict[str, Any]) -> float:
    """Do what workers do to the database for all that is READY; the CPU seconds that this took."""
    began = time.process_time()
    launchpad, outputs = cluster.launchpad, cluster.store.docs_store._collection
    ready = list(launchpad.fireworks.find({"state": "READY"}, {"fw_id": 1, "spec.phaseloop": 1}))
    documents = [
        {"uuid": d["spec"]["phaseloop"]["hash"], "index": 1, "output": output, "completed_at": "2026-01-01T00:00:00",
         "metadata": {"phaseloop": d["spec"]["phaseloop"]}}
        for d in ready
    ]  # fmt: skip
    if documents:
        outputs.insert_many(documents)
    ids = [d["fw_id"] for d in ready]
    launchpad.fireworks.update_many({"fw_id": {"$in": ids}}, {"$set": {"state": "COMPLETED"}})
    return time.process_time() - began


def run(site: Any, n: int, workers: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a campaign of `n` calculations and measure the driver."""
    from dft.cluster.overview import overview
    from dft.workflows import structure_hash
    from loop.calculation_log import Calculation
    from loop.campaign import Campaign
    from loop.config import Settings
    from loop.executors import connected, open_executor, tag_of
    from loop.exploration import Exploration
    from loop.ladder import ladder
    from loop.tasks import structures_of

    for number in range(workers):
        site.worker(f"worker-{number}")
    folder = site.folder / "campaign"
    memory: dict[int, float] = {}
    others: list[float] = []  # CPU seconds of the answering script
    with Campaign.drive(folder, Settings.model_validate(SETTINGS)) as campaign:
        campaign.begin_cycle(1)
        with open_executor(campaign, lambda event: None) as executor:
            places = fields(math.ceil(n / BATCH))
            maker = ladder(campaign)[0].maker
            if not workers:
                example = maker.make.original(maker, structures_of(structures(1)))
                output = json.loads(json.dumps(example, default=float))
                executor.inner.sleep = lambda seconds: others.append(answer(executor.inner.cluster, output))
            probes = structures(BATCH)  # imports and caches are not a calculation's
            before, cpu, wall, start = resident(), 0.0, 0.0, time.perf_counter()
            for first, place in zip(range(0, n, BATCH), places, strict=True):
                probes = structures(min(BATCH, n - first)) if first else probes
                for position, probe in enumerate(probes):
                    probe["generator"] = f"rock salt {first + position}"
                began = time.process_time()
                exploration = Exploration(campaign, 1, place, executor, lambda event: None)
                planned = [
                    Calculation(
                        structure_hash(structures_of([probe]), exploration.screening.identity, maker.funnel),
                        "probe", f"Li{first + position + 1}Cl", [probe],
                    )
                    for position, probe in enumerate(probes)
                ]  # fmt: skip
                campaign.calculations.plan(str(place), 1, exploration.screening.identity, planned, {})
                exploration.compute()
                cpu += time.process_time() - began - sum(others)
                others.clear()
                memory[first + len(probes)] = round(resident() - before, 1)
                say(f"{first + len(probes)} of {n}: {1000 * cpu / (first + len(probes)):.1f} ms CPU each, "
                    f"{memory[first + len(probes)]:.0f} MiB more than at the start")  # fmt: skip
            wall = time.perf_counter() - start
        states = campaign.calculations.states()
        tag = tag_of(campaign)
    assert tag is not None
    database = cpu_of(site.mongo.pid)
    return {
        "calculations": n,
        "states": states,
        "launchpad": overview(connected(say), tag.campaign, 4 * 3600)["states"],
        "driver_ms_per_calculation": round(1000 * cpu / n, 2),
        "wall_s": round(wall, 1),
        "memory_mib": memory,
        "database_cpu_s": round(database, 1),
        "status": status(site, folder),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calculations", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    from tests.cluster.harness import Site
    from tests.cluster.mongo import MongoServer

    with tempfile.TemporaryDirectory() as scratch:
        mongo = MongoServer(Path(scratch))
        os.environ["PHASELOOP_TEST_MONGO_ENGINE"] = "memory"
        mongo.start()
        site = Site(Path(scratch), mongo)
        try:
            os.environ.update({k: site.environment[k] for k in ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE")})
            site.configure()
            found = run(site, arguments.calculations, arguments.workers, lambda text: print(text, flush=True))
        finally:
            site.close()
            mongo.stop()
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
