"""A cluster in small for tests: configuration files, drivers and workers as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.mongo import MongoServer

#: Seconds that a test waits for anything: far more than it takes, for a machine that has other things to do.
PATIENCE = 400.0

#: A campaign of one field with an engine that takes milliseconds.
CAMPAIGN = """
name: small salts
level_of_theory: lennard-jones
known: {source: known.csv}
candidates: {required: [Li], cations: [Na], anions: [Cl, Br]}
ranker: {name: paper}
competing: {source: ../phases}
probes: {compositions_per_field: 4, first_batch: 2, batch: 2, max_atoms: 8}
execution: {executor: fireworks, workers: 1, lost_after: 0.01}
"""

#: Space group, lattice parameters (Å), species and positions of competing phases, as the engine likes them and as real.
FOR_LENNARD_JONES = {
    **{f"{element}": ("Fm-3m", (a, a, a), [element], [[0, 0, 0]]) for element, a in
       (("Li", 4.16), ("Na", 5.4), ("Cl", 3.32), ("Br", 3.9))},
    **{f"{cation}{anion}": ("Fm-3m", (a, a, a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
       for cation, anion, a in (("Li", "Cl", 5.1), ("Li", "Br", 5.5), ("Na", "Cl", 6.0), ("Na", "Br", 6.4))},
}  # fmt: skip
REAL = {
    "Li": ("Im-3m", (3.43, 3.43, 3.43), ["Li"], [[0, 0, 0]]),
    "Na": ("Im-3m", (4.2, 4.2, 4.2), ["Na"], [[0, 0, 0]]),
    "Cl2": ("Cmce", (6.1, 4.4, 8.2), ["Cl"], [[0, 0.1, 0.117]]),
    "Br2": ("Cmce", (6.7, 4.6, 8.8), ["Br"], [[0, 0.12, 0.12]]),
    **{f"{cation}{anion}": ("Fm-3m", (a, a, a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
       for cation, anion, a in (("Li", "Cl", 5.1), ("Li", "Br", 5.5), ("Na", "Cl", 5.6), ("Na", "Br", 6.0))},
}  # fmt: skip

KNOWN = ("Li-Mg-Cl-Br", "K-Na-Br-I", "Ca-Li-O-S", "Al-K-O-F", "B-Li-O-F", "Na-Zn-S-O", "K-P-S-Cl", "Li-P-S-Br")

_EXPORTED = ("PYTHONPATH", "FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "OMP_NUM_THREADS")

REPOSITORY = Path(__file__).parents[2]


@dataclass
class Site:
    """The configuration of a cluster and what runs on it.

    Attributes:
        folder: Holds everything.
        mongo: The database.
    """

    folder: Path
    mongo: MongoServer
    processes: list[subprocess.Popen] = field(default_factory=list)

    def configure(self) -> None:
        """Write FireWorks' and jobflow's files, as `loop init --cluster` does, and make the LaunchPad."""
        self.config.mkdir(parents=True)
        access = {**self.mongo.connection(), "authsource": "admin", "name": "fireworks"}
        # a worker, too, waits for a database that is away
        self._write("my_launchpad.yaml", {**access, "mongoclient_kwargs": {"serverSelectionTimeoutMS": 60_000}})
        self._write("my_fworker.yaml", {"name": "here", "category": ["screen", "dft", "driver"], "query": "{}"})
        self._write("jobflow.yaml", {"JOB_STORE": self.mongo.job_store_spec()})
        exports = [f"export {key}={self.environment[key]}" for key in _EXPORTED if key in self.environment]
        rlaunch = Path(sys.executable).with_name("rlaunch")
        queue = {"_fw_name": "CommonAdapter", "_fw_q_type": "SLURM", "ntasks": 1, "walltime": "00:10:00"}
        launch = {
            "rocket_launch": f"{rlaunch} singleshot",
            "pre_rocket": "\n".join(exports),
            "logdir": str(self.folder),
        }
        self._write("my_qadapter.yaml", {**queue, **launch})
        names = ("LAUNCHPAD", "FWORKER", "QADAPTER")
        files = {f"{what}_LOC": str(self.config / f"my_{what.lower()}.yaml") for what in names}
        files["QUEUEADAPTER_LOC"] = files.pop("QADAPTER_LOC")
        self._write("FW_config.yaml", {**files, "PING_TIME_SECS": 2, "RAPIDFIRE_SLEEP_SECS": 1,
                                      "QUEUE_UPDATE_INTERVAL": 1})  # fmt: skip
        self.mongo.launchpad().reset("", require_password=False, max_reset_wo_password=0)

    def phases(self, name: str, phases: dict[str, tuple[Any, ...]]) -> Path:
        """A folder of CIFs, one for each of the phases."""
        from pymatgen.core import Lattice, Structure

        folder = self.folder / name
        folder.mkdir()
        for formula, (group, lengths, species, positions) in phases.items():
            cell = Structure.from_spacegroup(group, Lattice.orthorhombic(*lengths), species, positions)
            cell.get_primitive_structure().to(str(folder / f"{formula}.cif"))
        return folder

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def _write(self, name: str, content: dict[str, Any]) -> None:
        path = self.config / name
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))

    @property
    def environment(self) -> dict[str, str]:
        """What drivers and workers are told."""
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return {
            **os.environ,
            **one,
            "COLUMNS": "200",
            "PYTHONPATH": str(REPOSITORY),
            "FW_CONFIG_FILE": str(self.config / "FW_config.yaml"),
            "JOBFLOW_CONFIG_FILE": str(self.config / "jobflow.yaml"),
        }

    def campaign(self, name: str, changes: dict[str, Any] | None = None, **execution: Any) -> Path:
        """A campaign folder with its configuration."""
        folder = self.folder / name
        folder.mkdir()
        settings = yaml.safe_load(CAMPAIGN)
        settings |= changes or {}
        settings["execution"] |= execution
        (folder / "campaign.yaml").write_text(yaml.safe_dump(settings))
        (folder / "known.csv").write_text("\n".join(["phase_field", *KNOWN]))
        return folder

    def start(self, *command: str, name: str = "driver", **environment: str) -> subprocess.Popen:
        """Start a process in a group of its own, what it says in NAME.log."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                command,
                env={**self.environment, **environment},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def command_of(self, program: str, *arguments: str) -> None:
        """Run one of FireWorks' programs to its end."""
        path = Path(sys.executable).with_name(program)
        command = [str(path), *arguments]
        ended = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def worker(self, name: str = "worker", *options: str, **environment: str) -> subprocess.Popen:
        """`rlaunch rapidfire` for ever, started again when it dies, as a queue or a supervisor does."""
        rlaunch = Path(sys.executable).with_name("rlaunch")
        loop = f"while :; do {rlaunch} {' '.join(options)} rapidfire --nlaunches infinite --sleep 1; sleep 1; done"
        return self.start("/bin/sh", "-c", loop, name=name, **environment)

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes:
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to a process and all it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "it") -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what} in vain"
        time.sleep(0.1)
    return found


def verdicts(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What an undisturbed campaign and a disturbed one must agree on."""
    keys = ("phase_field", "verdict", "best_composition", "best_e_above_hull", "best_e_above_competing")
    return [tuple(row[key] for key in keys) for row in found["fields"]]
