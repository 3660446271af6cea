"""What the LaunchPad knows of a campaign: states, times, failures; and taking calculations back."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from dft.cluster import FACTS
from dft.cluster.connections import Cluster
from dft.cluster.firetasks import start_of
from dft.cluster.healing import describe, is_this_host, last_sign, lost_among, unlock
from dft.cluster.queues import end_job

#: Failures and next calculations listed; all are counted.
LISTED = 10


def overview(cluster: Cluster, campaign: str, lost_after: float) -> dict[str, Any]:
    """A campaign's Fireworks by state, field and category.

    Args:
        cluster: The LaunchPad.
        campaign: Whose.
        lost_after: Seconds without a sign of life after which a run counts as lost.

    Returns:
        states (by state), fields and categories (by name, then state), running (name, host, folder and for how many
        seconds), lost (those of the running whose worker is gone: name, reason), core_hours, next (names of the next
        to run), failures (name, reason, folder).
    """
    mine = {f"{FACTS}.campaign": campaign}
    keys = ("fw_id", "state", "name", "spec._category", "spec._queueadapter.ntasks", "spec.phaseloop.phase_field")
    fireworks = cluster.find("fireworks", mine, *keys, "launches", "archived_launches")
    fields, categories = _tally(fireworks)
    by_state: dict[str, list[dict[str, Any]]] = {}
    for firework in fireworks:
        by_state.setdefault(firework["state"], []).append(firework)
    return {
        "states": {state: len(members) for state, members in sorted(by_state.items())},
        "fields": fields,
        "categories": categories,
        "running": _running(cluster, by_state.get("RUNNING", [])),
        "lost": _lost(cluster, by_state.get("RUNNING", []), lost_after),
        "core_hours": core_hours(cluster, fireworks),
        "next": [firework["name"] for firework in by_state.get("READY", [])[:LISTED]],
        "failures": _failures(cluster, by_state.get("FIZZLED", [])[-LISTED:]),
    }


def _tally(fireworks: list[dict[str, Any]]) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    fields: dict[str, Counter[str]] = {}
    categories: dict[str, Counter[str]] = {}
    for firework in fireworks:
        spec = firework["spec"]
        fields.setdefault(spec["phaseloop"].get("phase_field") or "", Counter())[firework["state"]] += 1
        categories.setdefault(spec.get("_category", ""), Counter())[firework["state"]] += 1
    return {name: dict(c) for name, c in fields.items() if name}, {name: dict(c) for name, c in categories.items()}


def _running(cluster: Cluster, fireworks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = {firework["launches"][-1]: firework["name"] for firework in fireworks if firework["launches"]}
    launches = cluster.find("launches", {"launch_id": {"$in": list(ids)}}, "launch_id", "host", "launch_dir",
                            "time_start", "state_history")  # fmt: skip
    return [
        {
            "name": ids[launch["launch_id"]],
            "host": launch["host"],
            "folder": launch["launch_dir"],
            "seconds": round(time.time() - _began(launch)),
        }
        for launch in launches
    ]


def _lost(cluster: Cluster, fireworks: list[dict[str, Any]], lost_after: float) -> list[dict[str, Any]]:
    names = {firework["fw_id"]: firework["name"] for firework in fireworks}
    lost = lost_among(cluster, fireworks, lost_after) if fireworks else {}
    return [{"name": names[fw_id], "reason": reason} for fw_id, (_, reason) in lost.items()]


def _began(launch: dict[str, Any]) -> float:
    begun = [entry for entry in launch["state_history"] if entry["state"] == "RUNNING"]
    return last_sign({"state_history": [{"created_on": begun[0]["created_on"]}]}) if begun else time.time()


def core_hours(cluster: Cluster, fireworks: list[dict[str, Any]]) -> float:
    """Hours of cores that Fireworks' runs took so far, one core each unless the Firework asked the queue for more."""
    cores = {
        launch: int((document.get("spec") or {}).get("_queueadapter", {}).get("ntasks") or 1)
        for document in fireworks
        for launch in (*document["launches"], *document.get("archived_launches", ()))
    }
    runs = cluster.find("launches", {"launch_id": {"$in": list(cores)}}, "launch_id", "runtime_secs")
    return round(sum((run.get("runtime_secs") or 0.0) * cores[run["launch_id"]] for run in runs) / 3600, 4)


def _failures(cluster: Cluster, fireworks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {firework["fw_id"]: firework["name"] for firework in fireworks}
    return [
        {"name": names[failure.fw_id], "reason": failure.reason, "folder": failure.folder}
        for failure in describe(cluster, list(names))
    ]


def take_back(cluster: Cluster, campaign: str, running: bool = False) -> dict[str, int]:
    """Take a campaign's calculations off the LaunchPad and out of the queue; nobody else's are touched.

    Args:
        cluster: The LaunchPad.
        campaign: Whose.
        running: End those that run, too.

    Returns:
        How many were waiting, queued, and ended while they ran, and how many run on because no way leads to them.
    """
    mine = {f"{FACTS}.campaign": campaign}
    waiting = [d["fw_id"] for d in cluster.find("fireworks", {**mine, "state": {"$in": _WAITING}}, "fw_id")]
    queued = cluster.find("fireworks", {**mine, "state": "RESERVED"}, "fw_id", "launches")
    for document in queued:
        _unqueue(cluster, document)
    for fw_id in (*waiting, *(document["fw_id"] for document in queued)):
        _defuse(cluster, fw_id)
    counts = {"waiting": len(waiting), "queued": len(queued), "ended": 0, "left running": 0}
    for document in cluster.find("fireworks", {**mine, "state": "RUNNING"}, "fw_id", "launches"):
        ended = running and _end_run(cluster, campaign, document)
        counts["ended" if ended else "left running"] += 1
    return counts


_WAITING = ["WAITING", "READY", "PAUSED"]


def defuse(cluster: Cluster, campaign: str, keys: Sequence[str], failed: bool = False) -> None:
    """Take these calculations of a campaign back as far as they have not begun; with `failed`, or have failed."""
    states = [*_WAITING, "FIZZLED"] if failed else _WAITING
    mine = {f"{FACTS}.campaign": campaign, f"{FACTS}.hash": {"$in": list(keys)}, "state": {"$in": states}}
    for document in cluster.find("fireworks", mine, "fw_id"):
        _defuse(cluster, document["fw_id"])


def _defuse(cluster: Cluster, fw_id: int) -> None:
    unlock(cluster, fw_id)
    cluster.patiently(lambda: cluster.launchpad.defuse_fw(fw_id))


def _unqueue(cluster: Cluster, document: dict[str, Any]) -> None:
    """Cancel the reservation of a Firework and the queue job that was submitted for it alone."""
    launches = cluster.find("launches", {"launch_id": {"$in": document["launches"]}, "state": "RESERVED"}, "launch_id",
                            "state_history")  # fmt: skip
    for launch in launches:
        for job in {str(entry.get("reservation_id") or "") for entry in launch["state_history"]} - {""}:
            end_job(cluster.queue, job)
        cluster.patiently(partial(cluster.launchpad.cancel_reservation, launch["launch_id"]))


def _end_run(cluster: Cluster, campaign: str, document: dict[str, Any]) -> bool:
    """End a run: its queue job, or its worker on this host, if nothing of another campaign runs in it."""
    from fireworks import FWAction

    launches = cluster.find("launches", {"launch_id": {"$in": document["launches"][-1:]}})
    launch = launches[0] if launches else {}  # none where its worker died as it took the calculation
    process = launch.get("phaseloop") or {}
    if not process or _serves_others(cluster, campaign, process):
        return False
    if process.get("queue_job"):
        ended = end_job(cluster.queue, process["queue_job"])
    else:
        ended = is_this_host(process["host"]) and start_of(process["pid"]) == process["started"]
        if ended:
            os.kill(process["pid"], signal.SIGTERM)
    if ended:
        unlock(cluster, document["fw_id"])
        action = FWAction(stored_data={"_message": "taken back while it ran"}, exit=True)
        cluster.patiently(lambda: cluster.launchpad.complete_launch(launch["launch_id"], action, "FIZZLED"))
        _defuse(cluster, document["fw_id"])
    return ended


def _serves_others(cluster: Cluster, campaign: str, process: dict[str, Any]) -> bool:
    """Whether the worker or queue job of a run also runs something of another campaign now."""
    same = "queue_job" if process.get("queue_job") else "pid"
    beside = {"state": "RUNNING", f"phaseloop.{same}": process[same], "phaseloop.host": process["host"]}
    if same == "queue_job":
        beside.pop("phaseloop.host")
    ids = [launch["fw_id"] for launch in cluster.find("launches", beside, "fw_id")]
    others = {"fw_id": {"$in": ids}, f"{FACTS}.campaign": {"$ne": campaign}}
    return bool(cluster.find("fireworks", others, "fw_id"))
