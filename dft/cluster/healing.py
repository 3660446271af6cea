"""Runs that were lost are found, failures are told apart, and what may succeed another time is run again."""

from __future__ import annotations

import datetime
import os
import re
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dft.cluster import FACTS
from dft.cluster.connections import Cluster
from dft.cluster.firetasks import start_of
from dft.cluster.queues import asked, jobs_there, why_over

#: Kinds of failure, each with what its text holds; the first that matches counts.
KINDS: tuple[tuple[str, str], ...] = (
    ("refused", r"RefusedByWorkerError"),
    ("not installed", r"failed to deserialize|ModuleNotFoundError|ImportError"),
    ("disk", r"No space left|Disk quota exceeded|Read-only file system"),
    ("database", r"pymongo\.errors|ServerSelectionTimeout|AutoReconnect"),
    ("out of memory", r"out of memory|MemoryError|bad_alloc|oom.kill|Cannot allocate memory"),
    ("wall time", r"wall.?time|TIME LIMIT|TIMEOUT"),
    ("lost", r"lost: "),
    ("not converged", r"not converged|unconverged|(?:did|does) not converge|NonConverg|failed to converge"),
    ("no output", r"Validation failed: \w+Validator"),  # custodian's, of a program that died
    ("input error", r"ValueError|TypeError|KeyError|InputError|ValidationError|FileNotFoundError"),
)

#: Failures that are the worker's, not the calculation's: they do not count against it.
BLAMELESS = ("refused", "not installed", "disk", "database")

#: Failures that may not come again, whose calculation a later cycle may try anew when it has been given up.
PASSING = ("lost", "wall time", "out of memory")

#: Failures that would come again: the calculation is given up at once.
HOPELESS = ("input error",)

#: Seconds for which a Firework may be reserved without a launch before its worker counts as dead.
GRACE = 120.0

_LAST_LINE = re.compile(r"[^\n]*\S[^\n]*\s*\Z")


@dataclass(frozen=True)
class HealSettings:
    """How failures are treated.

    Attributes:
        retries: How often a calculation is run again.
        lost_after: Seconds without a sign of life after which a run counts as lost.
        walltime: Hours asked of the queue for one calculation; doubled after a wall-time kill; none to leave it.
        memory: GB asked of the queue for one calculation; doubled after it ran out; none to leave it.
    """

    retries: int = 2
    lost_after: float = 4 * 3600.0
    walltime: float | None = None
    memory: float | None = None

    def asked(self, queue: str, failed: Sequence[dict[str, Any]] = ()) -> dict[str, str]:
        """What a queue job is to have after these failures, each with its kind (see `dft.cluster.queues.asked`)."""
        kinds = [failure["kind"] for failure in failed]
        hours, memory = self.walltime, self.memory
        return asked(
            queue,
            None if hours is None else hours * 2 ** kinds.count("wall time"),
            None if memory is None else memory * 2 ** kinds.count("out of memory"),
        )


@dataclass(frozen=True)
class Failure:
    """A calculation that failed on the cluster.

    Attributes:
        key: Its hash.
        fw_id: The Firework.
        kind: See `KINDS`; else error.
        reason: One line.
        folder: Where it ran, with its host.
        launch: Which launch of the Firework.
        is_failed: Whether the Firework is fizzled; its siblings in the calculation may not be.
        again: Whether it was put back to be run again.
    """

    key: str
    fw_id: int
    kind: str
    reason: str
    folder: str
    launch: int
    is_failed: bool = True
    again: bool = False


def classify(text: str) -> str:
    """The kind of a failure by what it left behind."""
    for kind, pattern in KINDS:
        if re.search(pattern, text, re.IGNORECASE if kind not in ("input error", "wall time") else 0):
            return kind
    return "error"


def heal(cluster: Cluster, campaign: str, settings: HealSettings) -> list[Failure]:
    """Find a campaign's lost runs, and run again what may succeed.

    It holds no lock, and a driver may be at work beside it: what is half submitted is left to the driver, which alone
    can tell whether the other half is still to come.

    Returns:
        What had failed; `again` says whether it is run again.
    """
    find_lost(cluster, campaign, settings.lost_after)
    fizzled = cluster.find("fireworks", {f"{FACTS}.campaign": campaign, "state": "FIZZLED"}, "fw_id")
    return [retry(cluster, f, settings) for f in describe(cluster, [d["fw_id"] for d in fizzled])]


def find_lost(cluster: Cluster, campaign: str, lost_after: float) -> None:
    """Let the LaunchPad know of a campaign's runs and reservations whose worker is gone."""
    free_reserved(cluster, campaign)
    fizzle_lost(cluster, campaign, lost_after)


def retry(cluster: Cluster, failure: Failure, settings: HealSettings) -> Failure:
    """Put a fizzled Firework back if it may be run again; one that somebody else has put back meanwhile is let run."""
    if failure.kind in HOPELESS:
        return failure
    mine = {"fw_id": failure.fw_id}
    if failure.kind not in BLAMELESS:  # the launch is the mark, so that a kill between mark and rerun counts it once
        mark = {"launch": failure.launch, "kind": failure.kind}
        cluster.update("fireworks", mine, {"$addToSet": {f"{FACTS}.failed": mark}})
        failed = cluster.find("fireworks", mine, f"{FACTS}.failed")[0]["spec"]["phaseloop"]["failed"]
        if len(failed) > settings.retries:
            return failure
        if asked_now := settings.asked(cluster.queue, failed):
            change = {f"spec._queueadapter.{name}": value for name, value in asked_now.items()}
            cluster.update("fireworks", mine, {"$set": change})
    unlock(cluster, failure.fw_id)
    if cluster.find("fireworks", {**mine, "state": "FIZZLED"}, "fw_id"):
        cluster.patiently(lambda: cluster.launchpad.rerun_fw(failure.fw_id))
    return replace(failure, again=True)


def describe(cluster: Cluster, fw_ids: Sequence[int]) -> list[Failure]:
    """What went wrong in these Fireworks, from the last launch of each."""
    documents = cluster.find("fireworks", {"fw_id": {"$in": list(fw_ids)}}, "fw_id", "state", "launches",
                             "spec.phaseloop", "spec._exception_details")  # fmt: skip
    last = {d["fw_id"]: d["launches"][-1] for d in documents if d.get("launches")}
    launches = cluster.find("launches", {"launch_id": {"$in": list(last.values())}}, "launch_id", "launch_dir", "host",
                            "fworker.name", "action.stored_data._message", "action.stored_data._exception")  # fmt: skip
    by_id = {launch["launch_id"]: launch for launch in launches}
    return [_failure(cluster, d, by_id.get(last.get(d["fw_id"], -1), {})) for d in documents]


def _failure(cluster: Cluster, document: dict[str, Any], launch: dict[str, Any]) -> Failure:
    stored = (launch.get("action") or {}).get("stored_data") or {}
    details = document["spec"].get("_exception_details") or {}
    trace = str((stored.get("_exception") or {}).get("_stacktrace") or details.get("_stacktrace") or "")
    text = f"{stored.get('_message') or details.get('_message') or ''}\n{trace}".strip()
    line = _LAST_LINE.search(text)
    reason = cluster.redact(line.group().strip() if line else "no reason recorded")[:400]
    kind = classify(text)
    where = f"{launch['host']}:{launch['launch_dir']}" if launch else ""
    key = document["spec"].get("phaseloop", {}).get("hash", "")
    return Failure(key, document["fw_id"], kind, f"{kind}: {reason}", where, launch.get("launch_id", -1),
                   document["state"] == "FIZZLED")  # fmt: skip


# lost runs -----------------------------------------------------------------------------------------------------------


def fizzle_lost(cluster: Cluster, campaign: str, lost_after: float) -> list[int]:
    """Mark a campaign's runs as failed whose worker is gone; their Fireworks."""
    running = cluster.find("fireworks", {f"{FACTS}.campaign": campaign, "state": "RUNNING"}, "fw_id", "launches")
    lost = lost_among(cluster, running, lost_after)
    for fw_id, (launch, reason) in lost.items():
        unlock(cluster, fw_id)
        _end(cluster, fw_id, launch, reason)
    return list(lost)


def lost_among(
    cluster: Cluster, running: Sequence[dict[str, Any]], lost_after: float
) -> dict[int, tuple[dict[str, Any] | None, str]]:
    """Those of these running Fireworks whose worker is gone: the last launch of each, and why it counts as lost.

    Args:
        cluster: The LaunchPad.
        running: Documents of Fireworks that the LaunchPad calls running, with fw_id and launches.
        lost_after: Seconds without a sign of life after which a run counts as lost.
    """
    last = {d["fw_id"]: d["launches"][-1] if d["launches"] else -1 for d in running}
    launches = cluster.find("launches", {"launch_id": {"$in": list(last.values())}})
    by_id = {launch["launch_id"]: launch for launch in launches}
    in_queue = any((launch.get("phaseloop") or {}).get("queue_job") for launch in launches)
    jobs = jobs_there(cluster.queue) if in_queue else None
    found = {
        fw_id: (by_id.get(launch), why_lost(by_id.get(launch), lost_after, cluster.queue, jobs))
        for fw_id, launch in last.items()
    }
    return {fw_id: (launch, reason) for fw_id, (launch, reason) in found.items() if reason}


def why_lost(launch: dict[str, Any] | None, lost_after: float, queue: str = "", jobs: set[str] | None = None) -> str:
    """Why a run that the LaunchPad calls running is none; empty if it may be one.

    Args:
        launch: The document of its last launch.
        lost_after: Seconds without a sign of life after which it counts as lost.
        queue: Kind of the queue, see `dft.cluster.queues`.
        jobs: Those that it knows; none if it does not answer here.
    """
    if launch is None:
        return "lost: the LaunchPad has no launch of it"
    if launch["state"] in ("COMPLETED", "FIZZLED"):
        return f"its worker died after the run had {launch['state'].lower()}"
    process = launch.get("phaseloop") or {}
    if process.get("host") == socket.gethostname() and process.get("started"):
        if start_of(process["pid"]) != process["started"]:
            over = why_over(queue, process["queue_job"]) if process.get("queue_job") else ""
            return f"lost: {over or 'its worker process was killed'}"
    elif _may_be_over(process.get("queue_job"), jobs) and (over := why_over(queue, process["queue_job"])):
        return f"lost: {over}"
    silent = time.time() - last_sign(launch)
    return f"lost: no sign of life for {silent / 3600:.1f} h" if silent > lost_after else ""


def _may_be_over(job: str | None, jobs: set[str] | None) -> bool:
    return bool(job) and jobs is not None and str(job).split(".")[0] not in jobs


def last_sign(launch: dict[str, Any]) -> float:
    """When a launch was last heard of, seconds since the epoch."""
    times = [entry.get("updated_on") or entry.get("created_on") for entry in launch.get("state_history") or []]
    return max((_seconds(when) for when in times if when), default=0.0)


def _seconds(when: str | datetime.datetime) -> float:
    moment = datetime.datetime.fromisoformat(when) if isinstance(when, str) else when
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _end(cluster: Cluster, fw_id: int, launch: dict[str, Any] | None, reason: str) -> None:
    """Let the LaunchPad know that a run has ended."""
    from fireworks import FWAction

    launchpad = cluster.launchpad
    if launch is None:
        change = {"$set": {"state": "READY"}}
        cluster.update("fireworks", {"fw_id": fw_id, "state": "RUNNING"}, change)
    elif launch["state"] in ("COMPLETED", "FIZZLED"):
        cluster.patiently(lambda: launchpad.detect_lostruns(refresh=True, query={"fw_id": fw_id}))
    else:
        action = FWAction(stored_data={"_message": reason}, exit=True)
        cluster.patiently(lambda: launchpad.complete_launch(launch["launch_id"], action, "FIZZLED"))


def free_reserved(cluster: Cluster, campaign: str) -> None:
    """Give back what a worker had taken, but not begun, when it died: reserved, and without a launch."""
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=GRACE)
    taken = {f"{FACTS}.campaign": campaign, "state": "RESERVED", "launches": []}
    documents = cluster.find("fireworks", taken, "fw_id", "updated_on")
    stale = [d["fw_id"] for d in documents if _seconds(d["updated_on"]) < before.timestamp()]
    if stale:
        cluster.update("fireworks", {**taken, "fw_id": {"$in": stale}}, {"$set": {"state": "READY"}})


def unlock(cluster: Cluster, fw_id: int, patience: float = 5.0) -> None:
    """Take away the lock on a Workflow that a dead worker left; a living one holds it for a moment only."""
    deadline = time.monotonic() + patience
    while cluster.find("workflows", {"nodes": fw_id, "locked": True}, "name"):
        if time.monotonic() > deadline:
            cluster.update("workflows", {"nodes": fw_id}, {"$unset": {"locked": 1}})
            return
        time.sleep(0.5)


def told(failures: Iterable[Failure]) -> list[str]:
    """A line for a person about each failure."""
    return [
        f"Firework {f.fw_id}: {f.reason}" + (f" ({f.folder})" if f.folder else "") + ("; runs again" if f.again else "")
        for f in failures
    ]


def is_this_host(host: str) -> bool:
    """Whether a launch ran here."""
    return host in (socket.gethostname(), os.uname().nodename)
