"""A calculation becomes a Workflow, and gets onto the LaunchPad whole or not at all."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dft.cluster import FACTS, OPEN
from dft.cluster.connections import Cluster
from dft.cluster.firetasks import CheckIn
from dft.execute import FlowTask

if TYPE_CHECKING:
    from fireworks import Firework, Workflow


@dataclass(frozen=True)
class Tag:
    """Whose calculations these are.

    Attributes:
        campaign: Unique among all campaigns on all LaunchPads.
        name: The campaign's name, for people.
    """

    campaign: str
    name: str


def workflow_of(task: FlowTask, tag: Tag, queue: dict[str, str] | None = None) -> Workflow:
    """The Workflow of one calculation, with what identifies it in every Firework's spec.

    The document of the job that gives the flow's output carries ``metadata.phaseloop.result``. No store, and with it no
    password, goes into the Firework: workers use the JobStore that they are configured for.

    Args:
        task: The calculation.
        tag: Whose it is.
        queue: What a queue job is to have that is submitted for it alone, see `dft.cluster.queues.asked`.
    """
    from jobflow.managers.fireworks import flow_to_workflow

    flow = task.maker.make(*task.inputs)
    facts = {
        "hash": task.key,
        "campaign": tag.campaign,
        "campaign_name": tag.name,
        "phase_field": task.phase_field,
        "cycle": task.cycle,
        "version": _installed("phaseloop"),
    }
    jobs = list(getattr(flow, "jobs", [flow]))
    for job in jobs:
        _mark(job, {**facts, "result": flow.output is not None and flow.output.uuid == job.uuid})
    if jobs == [flow]:
        flow.set_uuid(task.key)  # computed again, it replaces its own document
    workflow = flow_to_workflow(flow, name=task.name, metadata={"phaseloop": facts})
    submission = uuid.uuid4().hex
    for firework in workflow.fws:
        firework.name = task.name if len(jobs) == 1 else f"{task.name}: {firework.name}"
        firework.spec["_category"] = task.category
        firework.spec["phaseloop"] = {**firework.spec["phaseloop"], "submission": submission}
        if queue:
            firework.spec["_queueadapter"] = dict(queue)
        firework.tasks = [CheckIn(package=task.package, version=_installed(task.package)), *firework.tasks]
    return workflow


def _mark(job: Any, facts: dict[str, Any]) -> None:
    """Write the facts to a job, or to all jobs of a flow inside the flow."""
    for inner in getattr(job, "jobs", [job]):
        if inner is job:
            job.metadata["phaseloop"] = facts
        else:
            _mark(inner, facts)


@cache
def _installed(package: str) -> str:
    return version(package) if package else ""


def insert(cluster: Cluster, workflows: Sequence[Workflow]) -> None:
    """Put Workflows on the LaunchPad so that a kill at any moment leaves nothing that a worker could trip over.

    FireWorks' own `add_wf` leaves Fireworks without a Workflow if it is killed, and a worker that takes one dies. Here
    they arrive WAITING, which no worker takes; when their Workflow is there too, those without parents become READY.
    `repair` finishes or removes what a kill left half done.
    """
    from fireworks import Firework  # noqa: F401 - registers FireWorks' own types

    launchpad = cluster.launchpad
    fireworks = [firework for workflow in workflows for firework in workflow.fws]
    first = cluster.patiently(lambda: launchpad.get_new_fw_id(quantity=len(fireworks)))
    _number(workflows, first)
    documents = [firework.to_db_dict() for firework in fireworks]
    ids = [document["fw_id"] for document in documents]
    roots = [root for workflow in workflows for root in workflow.root_fw_ids]
    for workflow in workflows:
        for root in workflow.root_fw_ids:
            workflow.id_fw[root].state = workflow.fw_states[root] = "READY"
    wholes = [workflow.to_db_dict() for workflow in workflows]
    cluster.patiently(lambda: _insert_missing(launchpad.fireworks, "fw_id", documents, ids))
    cluster.patiently(lambda: _insert_missing(launchpad.workflows, "nodes", wholes, ids))
    _make_ready(cluster, roots)


def _number(workflows: Sequence[Workflow], first: int) -> None:
    for workflow in workflows:
        old_new = {old: first + position for position, old in enumerate(sorted(workflow.id_fw, reverse=True))}
        for firework in workflow.fws:
            firework.fw_id = old_new[firework.fw_id]
        workflow._reassign_ids(old_new)
        first += len(old_new)


def _insert_missing(collection: Any, key: str, documents: Iterable[dict[str, Any]], ids: list[int]) -> None:
    """Insert what is not there yet: an attempt that lost its answer may have inserted some."""
    there: set[int] = set()
    for found in collection.find({key: {"$in": ids}}, {key: 1}):
        there |= set(found[key]) if isinstance(found[key], list) else {found[key]}
    missing = [d for d in documents if (d[key][0] if isinstance(d[key], list) else d[key]) not in there]
    if missing:
        collection.insert_many(missing)


def _make_ready(cluster: Cluster, ids: list[int]) -> None:
    change = {"$set": {"state": "READY", "updated_on": datetime.datetime.now(datetime.UTC)}}
    cluster.update("fireworks", {"fw_id": {"$in": ids}, "state": "WAITING"}, change)


def repair(cluster: Cluster, campaign: str) -> None:
    """Finish or remove what a driver of this campaign left half submitted when it was killed.

    For a driver, which holds the campaign's lock, before it submits: between the two inserts of one that is alive its
    Fireworks look as those that a kill left, and it would wait for ever for what is removed.
    """
    waiting = cluster.find("fireworks", {f"{FACTS}.campaign": campaign, "state": "WAITING"}, "fw_id")
    ids = [document["fw_id"] for document in waiting]
    if not ids:
        return
    wholes = cluster.find("workflows", {"nodes": {"$in": ids}}, "nodes", "parent_links")
    known = {node for whole in wholes for node in whole["nodes"]}
    children = {int(child) for whole in wholes for child, parents in whole["parent_links"].items() if parents}
    orphans = [fw_id for fw_id in ids if fw_id not in known]
    cluster.patiently(lambda: cluster.launchpad.fireworks.delete_many({"fw_id": {"$in": orphans}}))
    _make_ready(cluster, [fw_id for fw_id in ids if fw_id in known - children])


@dataclass(frozen=True)
class Submitted:
    """A calculation that is on the LaunchPad.

    Attributes:
        key: Its hash.
        fw_ids: Its Fireworks.
        state: OPEN if one may still run, else FIZZLED, DEFUSED or COMPLETED.
        own: Whether this campaign submitted it.
        cycle: For which of its cycles.
    """

    key: str
    fw_ids: tuple[int, ...]
    state: str
    own: bool
    cycle: int = 0


def submitted(cluster: Cluster, campaign: str, keys: Sequence[str]) -> dict[str, Submitted]:
    """Which calculations are on the LaunchPad, by hash: this campaign's last submission, else another's, open first."""
    documents = cluster.find("fireworks", {f"{FACTS}.hash": {"$in": list(keys)}}, "fw_id", "state", FACTS)
    groups: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        groups.setdefault(document["spec"]["phaseloop"]["submission"], []).append(document)
    found: dict[str, Submitted] = {}
    for each in (_joined(group, campaign) for group in groups.values()):
        if each.key not in found or _preference(each) > _preference(found[each.key]):
            found[each.key] = each
    return found


def _joined(group: list[dict[str, Any]], campaign: str) -> Submitted:
    facts = group[0]["spec"]["phaseloop"]
    ids = tuple(sorted(document["fw_id"] for document in group))
    state, own = joint_state(d["state"] for d in group), facts["campaign"] == campaign
    return Submitted(facts["hash"], ids, state, own, int(facts.get("cycle") or 0))


def _preference(each: Submitted) -> tuple[bool, bool, int]:
    return each.own, each.state == "OPEN", each.fw_ids[-1]


def joint_state(states: Iterable[str]) -> str:
    """The state of a calculation whose Fireworks are in these states."""
    among = set(states)
    for state in ("FIZZLED", "DEFUSED", "ARCHIVED"):
        if state in among:
            return "DEFUSED" if state == "ARCHIVED" else state
    return "OPEN" if among & set(OPEN) else "COMPLETED"


def batch_of(workflows: Sequence[Workflow], last: Firework, name: str) -> Workflow:
    """One Workflow of many, and a last Firework that runs when all are done or have failed."""
    from fireworks import Workflow

    links: dict[int, list[int]] = {last.fw_id: []}
    for workflow in workflows:
        for parent, children in workflow.links.items():
            links[parent] = list(children) or [last.fw_id]
    fireworks = [firework for workflow in workflows for firework in workflow.fws]
    return Workflow([*fireworks, last], links, name=name, metadata=dict(workflows[0].metadata))
