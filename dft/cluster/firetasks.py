"""What a worker does before it computes: it says who it is, and refuses what it would compute wrongly or twice."""

from __future__ import annotations

import os
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fireworks import FiretaskBase, FWAction, explicit_serialize


class RefusedByWorkerError(RuntimeError):
    """This worker must not compute the calculation; another may."""


@explicit_serialize
class CheckIn(FiretaskBase):
    """First task of every Firework of a calculation.

    It refuses, by name, in a worker whose project is older than the driver's or whose engine has another version: the
    energy would carry the name of a level of theory at which it was not computed. It skips the calculation if the
    JobStore holds its output already (the last worker died between storing it and telling the LaunchPad). And it writes
    down which process of which queue job computes, by which a lost run is known at once.

    Other Parameters:
        package: Distribution that computes the energies; empty for none.
        version: The version of it that is needed.
    """

    required_params = ("package", "version")

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Check; the next task computes."""
        os.umask(os.umask(0) | 0o002)  # nothing that a worker writes is for the world to change
        facts = fw_spec["phaseloop"]
        refuse_wrong_versions(facts["version"], self["package"], self["version"])
        self._register()
        if _has_output(facts["hash"]):
            return FWAction(stored_data={"skipped": "the JobStore holds the output"}, skip_remaining_tasks=True)
        return FWAction()

    def _register(self) -> None:
        """Write into the launch which process computes."""
        launchpad = getattr(self, "launchpad", None)
        if launchpad is None:
            return
        launches = launchpad.fireworks.find_one({"fw_id": self.fw_id}, {"launches": 1})["launches"]
        launchpad.launches.update_one({"launch_id": launches[-1]}, {"$set": {"phaseloop": this_process()}})


def refuse_wrong_versions(needed: str, package: str, engine: str) -> None:
    """Refuse to compute here with an older project or another engine than the driver's.

    Raises:
        RefusedByWorkerError: Naming this host, what it has and what is needed.
    """
    from packaging.version import Version

    here = socket.gethostname()
    own = version("phaseloop")
    if Version(own) < Version(needed):
        raise RefusedByWorkerError(f"the worker on {here} has phaseloop {own}, older than the driver's {needed}")
    if package:
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "not installed"
        if found != engine:
            raise RefusedByWorkerError(f"the worker on {here} has {package} {found}, the calculation needs {engine}")


def this_process() -> dict[str, Any]:
    """What identifies the process that computes: host, process and, in a queue, the job."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": start_of(os.getpid()),
        "queue_job": next(
            (os.environ[name] for name in ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID") if os.environ.get(name)), ""
        ),
    }


def start_of(pid: int) -> str:
    """When a process of this host began, in clock ticks since the host did; empty if there is none or no telling."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _has_output(key: str) -> bool:
    from jobflow import SETTINGS

    from dft.cluster.patient_store import made_patient

    SETTINGS.JOB_STORE = store = made_patient(SETTINGS.JOB_STORE)
    store.connect()
    found = {"metadata.phaseloop.hash": key, "metadata.phaseloop.result": True, "output": {"$ne": None}}
    return store.query_one(found, ["uuid"], load=False) is not None
