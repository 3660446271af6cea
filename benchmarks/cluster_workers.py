"""How much sooner two workers of a LaunchPad are done than one, with CHGNet calculations of Li-Sn-S-Cl.

    python benchmarks/cluster_workers.py --compositions 12 --json workers.json

The same calculations are submitted to an empty LaunchPad and JobStore for one worker and then for two, each `rlaunch
rapidfire` on a core of its own, the calculations' order as a campaign has it: the longest first. Two times are told.
Wall is what a user waits, and needs an idle machine. CPU is what the busiest worker computed, which other programs on
the machine do not change; it holds all but waiting: for the database and for each other's locks. Of both, some ten
seconds are a worker's start: the libraries and CHGNet.

The database is the one of the tests: PHASELOOP_TEST_MONGOECO names a Python that has mongoeco[wire].
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the database is that of the tests

FORMULAS = (
    "Li2SnS3", "Li4SnS4", "Li2SnCl6", "Li3SnS3Cl", "LiSnSCl3", "Li5SnS4Cl", "Li2SnS2Cl2", "Li4SnS3Cl2", "Li6SnS4Cl2",
    "Li3SnSCl5", "LiSn2S4Cl", "Li2Sn2S5",
)  # fmt: skip


def calculations(n: int, structures: int, maker: Any, identity: str) -> list[Any]:
    """The calculations of the first formulas, the longest first."""
    from dft.probes import ProbeSettings
    from dft.workflows import structure_hash
    from loop.calculation_log import Calculation
    from loop.tasks import build, expected_cost, structures_of

    made = []
    for formula in FORMULAS[:n]:
        probes = build("probe", formula, ProbeSettings(n_structures=structures, max_atoms=16), 0)["probes"]
        key = structure_hash(structures_of(probes), identity, maker.funnel)
        made.append(Calculation(key, "probe", formula, probes))
    return sorted(made, key=expected_cost, reverse=True)


def run(site: Any, workers: int, todo: list[Any], rung: Any) -> dict[str, Any]:
    """Submit to an empty LaunchPad, let workers compute, and measure each to its end."""
    from dft.cluster import StillOpen
    from dft.cluster.connections import connect
    from dft.cluster.executor import FireWorksExecutor
    from dft.cluster.submission import Tag
    from dft.execute import LocalExecutor
    from loop.tasks import flow_task

    cluster, tag = connect(), Tag(f"workers-{workers}", "workers")
    cluster.launchpad.reset("", require_password=False, max_reset_wo_password=1000)
    cluster.store.remove_docs({})
    outputs = site.folder / f"outputs-{workers}"
    tasks = [flow_task(each, rung, outputs / f"{each.hash}.json", "Li-Sn-S-Cl", 1, None) for each in todo]
    try:
        list(FireWorksExecutor(cluster, tag, LocalExecutor(1), wait=False).run(tasks))
    except StillOpen:
        began = time.perf_counter()
    started = [worker(site, f"{workers}-{core}", core) for core in range(workers)]
    ended = [os.wait4(process.pid, 0) for process in started]
    wall = time.perf_counter() - began
    executor = FireWorksExecutor(cluster, tag, LocalExecutor(1), wait=False)
    states = [outcome.value["state"] if outcome.value else outcome.reason for outcome in executor.run(tasks)]
    cpu = [usage.ru_utime + usage.ru_stime for _, _, usage in ended]
    return {
        "workers": workers,
        "states": {state: states.count(state) for state in set(states)},
        "wall_s": round(wall, 1),
        "cpu_s": [round(seconds, 1) for seconds in cpu],
        "busiest_cpu_s": round(max(cpu), 1),
    }


def worker(site: Any, name: str, core: int) -> subprocess.Popen:
    """`rlaunch rapidfire` on one core, until nothing is left."""
    folder = site.folder / name
    folder.mkdir()
    rlaunch = str(Path(sys.executable).with_name("rlaunch"))
    with (site.folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            ["taskset", "-c", str(core), rlaunch, "rapidfire"],
            env=site.environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compositions", type=int, default=len(FORMULAS))
    parser.add_argument("--structures", type=int, default=20, help="per composition; the default campaign's is 20")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    from tests.cluster.harness import Site
    from tests.cluster.mongo import MongoServer

    with tempfile.TemporaryDirectory() as scratch:
        mongo = MongoServer(Path(scratch))
        mongo.start()
        site = Site(Path(scratch), mongo)
        try:
            os.environ.update({k: site.environment[k] for k in ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE")})
            site.configure()
            from loop.campaign import Campaign  # FireWorks and jobflow read their files when they are imported
            from loop.config import Settings
            from loop.ladder import ladder

            with Campaign.drive(site.folder / "campaign", Settings(name="workers")) as campaign:
                rung = ladder(campaign)[0]
            todo = calculations(arguments.compositions, arguments.structures, rung.maker, rung.identity)
            found = [run(site, workers, todo, rung) for workers in (1, 2)]
        finally:
            mongo.stop()
    ratios = {what: round(found[1][what] / found[0][what], 2) for what in ("wall_s", "busiest_cpu_s")}
    facts = {"calculations": len(todo), "runs": found, "two_against_one": ratios}
    print(json.dumps(facts, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
