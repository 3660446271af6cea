"""A Slurm of one node on this machine, for tests: its own key, its own ports, nothing of it outside one folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.processes import free_port, start, stop, wait_until

DAEMONS = ("munged", "slurmctld", "slurmd")

#: Seconds between SIGTERM and SIGKILL of a job whose time is up.
KILL_WAIT = 2

_CONFIGURATION = """\
ClusterName=phaseloop-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# no cgroups: they cannot be made in every container
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
KillWait={kill_wait}
MinJobAge=3600
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=node1 Default=YES MaxTime=1-00:00:00 State=UP
"""


def missing_for_slurm() -> str:
    """What keeps Slurm from running here, or nothing."""
    missing = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=_path()) is None]
    if missing:
        return f"{', '.join(missing)} not found (Debian: slurm-wlm, munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclass
class Slurm:
    """One controller, one node, one partition `main`.

    Attributes:
        folder: Holds its configuration, key, sockets, state and logs; the path must be short, a socket is in it.
        cpus: What the node offers; more than the machine has is allowed.
    """

    folder: Path
    cpus: int = 4
    _processes: list[subprocess.Popen] = field(default_factory=list, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What sbatch, squeue, scancel and qlaunch need to find it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start the daemons; returns when the node takes jobs."""
        self._write_configuration()
        folder = self.folder
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        paths = [f"--{option}={folder}/munge.{suffix}" for option, suffix in names.items()]
        self._run("munged", "--foreground", "--force", "--num-threads=2", *paths)
        wait_until((folder / "munge.socket").exists, f"munged listens; see {folder}")
        self._run("slurmctld", "-D", "-c")
        self._run("slurmd", "-D", "-N", "node1")
        wait_until(lambda: "idle" in self._ask("sinfo", "-h", "-o", "%T"), f"the node is idle; see {folder}")

    def stop(self) -> None:
        """Cancel what is in the queue and end the daemons."""
        try:
            self.cancel_all()
        finally:
            while self._processes:
                stop(self._processes.pop())

    def submit(self, script: str, *options: str) -> int:
        """Submit a shell script with sbatch; the number of its job."""
        printed = self._ask("sbatch", "--parsable", "--output=/dev/null", *options, "--wrap", script, check=True)
        return int(printed.strip())

    def state(self, job: int) -> str:
        """Slurm's word for the state of a job, such as PENDING, RUNNING, COMPLETED, CANCELLED, TIMEOUT."""
        found = re.search(r"JobState=(\w+)", self._ask("scontrol", "show", "job", str(job)))
        return found.group(1) if found else "UNKNOWN"

    def jobs(self) -> list[int]:
        """Numbers of the jobs that wait or run."""
        return [int(number) for number in self._ask("squeue", "-h", "-o", "%A").split()]

    def cancel(self, *jobs: int) -> None:
        """Take jobs back with scancel."""
        self._ask("scancel", *map(str, jobs), check=True)

    def cancel_all(self) -> None:
        """Empty the queue, and wait until nothing runs."""
        if jobs := self.jobs():
            self._ask("scancel", *map(str, jobs))
            wait_until(lambda: not self.jobs(), "the queue is empty")

    def _write_configuration(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        values = {
            "host": os.uname().nodename.split(".")[0], "folder": self.folder, "cpus": self.cpus,
            "controller_port": free_port(), "node_port": free_port(), "kill_wait": KILL_WAIT,
        }  # fmt: skip
        (self.folder / "slurm.conf").write_text(_CONFIGURATION.format(**values), encoding="utf-8")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))

    def _run(self, daemon: str, *options: str) -> None:
        path = shutil.which(daemon, path=_path())
        assert path is not None
        self._processes.append(start([path, *options], self.folder / f"{daemon}.out", self.environment))

    def _ask(self, *command: str, check: bool = False) -> str:
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command[:2])}: {done.stderr.strip()}")
        return done.stdout
