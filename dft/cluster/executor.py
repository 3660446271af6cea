"""Calculations through a LaunchPad, with the interface of `LocalExecutor`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dft.cluster import FACTS, OPEN, SETTLED, StillOpen, TakenBack
from dft.cluster.collection import documents, kept, outcome_of
from dft.cluster.connections import Cluster
from dft.cluster.healing import BLAMELESS, PASSING, HealSettings, describe, find_lost, retry, told
from dft.cluster.overview import defuse
from dft.cluster.submission import Submitted, Tag, batch_of, insert, repair, submitted, workflow_of
from dft.execute import FlowTask, LocalExecutor, Outcome, Task
from dft.flows import read_output

#: Calculations per request to a database: few enough for a message of 48 MB with fifty structures each.
CHUNK = 50

#: Seconds between two looks at the LaunchPad, at least and at most; in between, as long as ten looks take.
LOOK = (1.0, 30.0)

#: Seconds between two searches for lost runs.
HEAL_EVERY = 10.0

#: Looks in a row, each with a search for lost runs, that must find no Firework of a calculation before it counts as
#: deleted: a database that changes its primary, or is being restored, may answer with less than it holds.
LOOKS_IN_VAIN = 3

#: Seconds after which a progress line is due although nothing has ended.
SAY_EVERY = 300.0


_NOT_COLLECTED = {"$unset": {f"{FACTS}.collected": 1}}


@dataclass
class _Open:
    """A calculation that is waited for; the task, with its structures, only where it may have to be submitted yet."""

    key: str
    due: float | None
    output: Path
    own: bool = True
    task: FlowTask | None = None
    missing: int = 0
    in_vain: int = 0


@dataclass
class FireWorksExecutor:
    """Submits Flows as Workflows, waits for them and gives their outcomes; other tasks run on this machine.

    A calculation is known by its hash: what the JobStore or its file holds is not submitted, and what is on the
    LaunchPad already, this campaign's or another's, is waited for. What this campaign gave up in an earlier cycle and
    asks for again is submitted anew, with all its retries.

    Attributes:
        cluster: LaunchPad and JobStore.
        tag: Whose calculations these are.
        local: Runs what is no Flow.
        settings: How failures are treated.
        wait: Whether to wait for what is open; else `StillOpen` is raised once all is submitted.
        last: Makes the last Firework of a batch, which takes the campaign's next step; none to do without.
        sleep: Waits; given seconds.
    """

    cluster: Cluster
    tag: Tag
    local: LocalExecutor
    settings: HealSettings = field(default_factory=HealSettings)
    wait: bool = True
    last: Callable[[], Any] | None = None
    sleep: Callable[[float], None] = time.sleep
    _open: dict[str, _Open] = field(default_factory=dict, init=False)
    _repaired: bool = field(default=False, init=False)
    _looked: float = field(default=0.0, init=False)
    _said: float = field(default_factory=time.monotonic, init=False)

    def run(self, tasks: Iterable[Task], started: Callable[[str], None] = lambda key: None) -> Iterator[Outcome]:
        """Run tasks and give their outcomes as they end.

        Args:
            tasks: What to run.
            started: Called with the key of each that is about to be submitted or handed to a worker here.

        Raises:
            StillOpen: If nobody waits and some are not finished.
            TakenBack: If some were cancelled, once all others have ended.
        """
        tasks = list(tasks)
        flows = {task.key: task for task in tasks if isinstance(task, FlowTask)}
        yield from self.local.run([task for task in tasks if not isinstance(task, FlowTask)], started)
        if not flows:
            return
        if not self._repaired:
            repair(self.cluster, self.tag.campaign)
            self._repaired = True
        yield from self._known(flows)
        self._adopt(flows)
        self._submit([task for key, task in flows.items() if key not in self._open], started)
        flows.clear()
        del tasks
        yield from self._collect(started)

    # before: what is known, what is there, what is missing ----------------------------------------------------------

    def _known(self, flows: dict[str, FlowTask]) -> Iterator[Outcome]:
        """Outcomes that a file or the JobStore holds; they leave `flows`."""
        for key in [key for key, task in flows.items() if task.output.is_file()]:
            yield outcome_of(key, read_output(flows.pop(key).output))
        for keys in _chunks(list(flows)):
            for key, document in documents(self.cluster, keys).items():
                yield kept(key, document, flows.pop(key).output)

    def _adopt(self, flows: dict[str, FlowTask]) -> None:
        """Wait for what is on the LaunchPad already."""
        mine = {f"{FACTS}.campaign": self.tag.campaign, f"{FACTS}.collected": True}
        for keys in _chunks(list(flows)):
            self.cluster.update("fireworks", {**mine, f"{FACTS}.hash": {"$in": keys}}, _NOT_COLLECTED)
            for key, each in submitted(self.cluster, self.tag.campaign, keys).items():
                if each.own and each.state == "FIZZLED" and each.cycle < flows[key].cycle:
                    defuse(self.cluster, self.tag.campaign, [key], failed=True)  # given up then, submitted anew now
                elif each.own and each.state != "DEFUSED":
                    self._open[key] = _Open(key, flows[key].due, flows[key].output)
                elif not each.own and each.state == "OPEN":
                    self._open[key] = _Open(key, flows[key].due, flows[key].output, own=False, task=flows[key])

    def _submit(self, tasks: Sequence[FlowTask], started: Callable[[str], None]) -> None:
        queue = self.settings.asked(self.cluster.queue)
        for chunk in [list(tasks)] if self.last and tasks else _chunks(tasks):
            for task in chunk:
                started(task.key)
            insert(self.cluster, self._batched([workflow_of(task, self.tag, queue) for task in chunk]))
            self._open |= {task.key: _Open(task.key, task.due, task.output) for task in chunk}
        if tasks:
            self._said = time.monotonic()
            self.cluster.say(f"{len(tasks)} calculations submitted to the LaunchPad")

    def _batched(self, workflows: list[Any]) -> list[Any]:
        if self.last is None:
            return workflows
        return [batch_of(workflows, self.last(), f"{self.tag.name}: batch of {len(workflows)}")]

    # after: what has ended ------------------------------------------------------------------------------------------

    def _collect(self, started: Callable[[str], None]) -> Iterator[Outcome]:
        """Outcomes as they end, until none is open."""
        taken_back = 0
        while self._open:
            began, before = time.monotonic(), len(self._open)
            tick = self._find_lost()
            for each, document in self._ended():
                if document is None and (each.state == "DEFUSED" or not each.own):
                    taken_back += self._is_taken_back(each, started)
                elif (outcome := self._outcome(each, document, tick)) is not None:
                    del self._open[each.key]
                    yield outcome
            yield from self._overdue()
            if tick:
                yield from self._deleted()
            if self._open and not self.wait and self._somebody_goes_on():
                raise StillOpen(f"{len(self._open)} calculations are on the LaunchPad")
            if self._open and len(self._open) == before:
                self._progress()
                self.sleep(min(max(LOOK[0], 10 * (time.monotonic() - began)), LOOK[1]))
        if taken_back:
            raise TakenBack(f"{taken_back} calculations were taken off the LaunchPad")

    def _ended(self) -> Iterator[tuple[Submitted, dict[str, Any] | None]]:
        """What is waited for and not open any more, with what the JobStore holds of it."""
        mine = {f"{FACTS}.campaign": self.tag.campaign, "state": {"$in": list(SETTLED)}}
        fresh = self.cluster.find("fireworks", {**mine, f"{FACTS}.collected": {"$exists": False}}, f"{FACTS}.hash")
        keys = {document["spec"]["phaseloop"].get("hash") for document in fresh} & self._open.keys()
        keys |= {each.key for each in self._open.values() if not each.own}
        for chunk in _chunks(sorted(keys)):
            there, found = submitted(self.cluster, self.tag.campaign, chunk), documents(self.cluster, chunk)
            states = {key: there.get(key, Submitted(key, (), "DEFUSED", False)) for key in chunk}
            yield from ((states[key], found.get(key)) for key in chunk if key in found or states[key].state != "OPEN")
            self._mark_collected(states[key] for key in chunk if key not in self._open)

    def _is_taken_back(self, each: Submitted, started: Callable[[str], None]) -> bool:
        """Whether our own calculation was cancelled; what another campaign gave up is then submitted by us."""
        waited_for = self._open.pop(each.key)
        if waited_for.task is not None:
            self._submit([waited_for.task], started)
        return waited_for.task is None

    def _outcome(self, each: Submitted, document: dict[str, Any] | None, tick: bool) -> Outcome | None:
        """What came of a calculation that is not open any more; none if it goes on."""
        if document is not None:
            return kept(each.key, document, self._open[each.key].output)
        if each.state == "FIZZLED":
            return self._failed(each, tick)
        self._open[each.key].missing += 1  # the JobStore may lag behind the LaunchPad, but not for long
        if self._open[each.key].missing < 3:
            return None
        reason = "it is completed, but the JobStore that jobflow.yaml names here has no output"
        return Outcome(each.key, reason=reason, passing=True)

    def _failed(self, each: Submitted, tick: bool) -> Outcome | None:
        """Put a failed calculation back, or give it up; what a worker refused waits for the next `tick`."""
        failures = [failure for failure in describe(self.cluster, each.fw_ids) if failure.is_failed]
        if any(failure.kind in BLAMELESS for failure in failures) and not tick:
            return None
        treated = [retry(self.cluster, failure, self.settings) for failure in failures]
        for line in told(treated):
            self.cluster.say(line)
        given_up = [failure for failure in treated if not failure.again]
        if not given_up:
            return None
        reason = "; ".join(f"{f.reason} ({f.folder})" for f in given_up)
        return Outcome(each.key, reason=reason, passing=all(f.kind in PASSING for f in given_up))

    def _mark_collected(self, settled: Iterable[Submitted]) -> None:
        ids = [fw_id for each in settled if each.own for fw_id in each.fw_ids]
        if ids:
            self.cluster.update("fireworks", {"fw_id": {"$in": ids}}, {"$set": {f"{FACTS}.collected": True}})

    def _find_lost(self) -> bool:
        """Look for lost runs if it is time for it; whether it was."""
        if self._looked and time.monotonic() - self._looked < HEAL_EVERY:
            return False
        find_lost(self.cluster, self.tag.campaign, self.settings.lost_after)
        self._looked = time.monotonic()
        return True

    def _deleted(self) -> Iterator[Outcome]:
        """What somebody has deleted from the LaunchPad by hand: lost, unless the JobStore has its output."""
        if not self.cluster.find("fw_id_assigner", {}, "next_fw_id"):
            return  # no LaunchPad, or none that is whole
        mine = {f"{FACTS}.campaign": self.tag.campaign}
        for keys in _chunks([each.key for each in self._open.values() if each.own]):
            found = self.cluster.find("fireworks", {**mine, f"{FACTS}.hash": {"$in": keys}}, f"{FACTS}.hash")
            there = {document["spec"]["phaseloop"]["hash"] for document in found}
            for key in keys:
                self._open[key].in_vain = 0 if key in there else self._open[key].in_vain + 1
            gone = [key for key in keys if self._open[key].in_vain >= LOOKS_IN_VAIN]
            outputs = documents(self.cluster, gone) if gone else {}
            for key in gone:
                path = self._open.pop(key).output
                lost = Outcome(key, reason="lost: it was deleted from the LaunchPad", passing=True)
                yield kept(key, outputs[key], path) if key in outputs else lost

    def _somebody_goes_on(self) -> bool:
        """Whether a person will run again, or the last Firework of a batch is still to come."""
        mine = {f"{FACTS}.campaign": self.tag.campaign, "spec._category": "driver"}
        armed = {**mine, "state": {"$in": [state for state in OPEN if state != "RUNNING"]}}
        return self.last is None or bool(self.cluster.find("fireworks", armed, "fw_id"))

    def _progress(self) -> None:
        if time.monotonic() - self._said > SAY_EVERY:
            self.cluster.say(f"{len(self._open)} calculations are open on the LaunchPad")
            self._said = time.monotonic()

    def _overdue(self) -> Iterator[Outcome]:
        now = time.time()
        late = [each for each in self._open.values() if each.due is not None and each.due < now]
        if late:
            defuse(self.cluster, self.tag.campaign, [each.key for each in late])
        for each in late:
            del self._open[each.key]
            reason = "not finished by the cycle's deadline (execution.deadline)"
            yield Outcome(each.key, reason=reason, passing=True)


def _chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), CHUNK):
        yield list(items[start : start + CHUNK])
