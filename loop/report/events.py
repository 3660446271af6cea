"""What happens in a run, and what it adds up to; `loop.report.live` shows it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["cycle", "stage", "field", "calculation", "best", "verdict", "message", "finished"]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: cycle (one begins), stage, field (a batch of its calculations begins), calculation (one changed its
            state), best (the nearest to the hull so far in a field), verdict, message, finished (all cycles are done).
        cycle: Number of the cycle, for kind cycle.
        phase_field: The field it is about.
        text: The stage's name, the verdict, the message.
        composition: Formula of a calculation.
        state: Its state, such as running, done, failed.
        e_above_hull: eV/atom, where it is known.
        total: Calculations of the batch, for kind field.
    """

    kind: Kind
    cycle: int | None = None
    phase_field: str = ""
    text: str = ""
    composition: str = ""
    state: str = ""
    e_above_hull: float | None = None
    total: int | None = None


@dataclass
class Progress:
    """What the events so far add up to.

    Attributes:
        cycles: Cycles wanted in total.
        clock: Seconds, monotonic.
    """

    cycles: int
    clock: Callable[[], float] = time.monotonic
    cycle: int = 0
    stage: str = ""
    phase_field: str = ""
    total: int = 0
    states: Counter[str] = field(default_factory=Counter)
    finished_cycles: list[float] = field(default_factory=list)
    started: float = 0.0
    _cycle_started: float = 0.0
    _batch_started: float = 0.0
    _ended_before: int = 0
    _running: set[tuple[str, str]] = field(default_factory=set)
    _nearest: dict[str, tuple[float, str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self._cycle_started = self.clock()

    def update(self, event: Event) -> None:
        """Take an event into account."""
        if event.kind == "cycle":
            self._begin_cycle(event.cycle or self.cycle + 1)
        elif event.kind == "stage":
            self.stage, self.phase_field = event.text, event.phase_field or self.phase_field
        elif event.kind == "field":
            self._begin_batch(event)
        elif event.kind == "calculation":
            self._count(event)
        elif event.kind == "finished":
            self._begin_cycle(self.cycle + 1)
        self._keep_best(event)

    def _begin_cycle(self, number: int) -> None:
        now = self.clock()
        if self.cycle:
            self.finished_cycles.append(now - self._cycle_started)
        self.cycle, self._cycle_started, self.phase_field = number, now, ""

    def _begin_batch(self, event: Event) -> None:
        self.phase_field = event.phase_field
        self.total += event.total or 0
        self._batch_started, self._ended_before = self.clock(), self.n_ended

    def _count(self, event: Event) -> None:
        key = (event.phase_field or self.phase_field, event.composition)
        if event.state == "running":
            self._running.add(key)
            return
        self._running.discard(key)
        self.states[event.state] += 1

    def _keep_best(self, event: Event) -> None:
        """Keep a field's nearest composition; a later account of a field replaces an earlier one: hulls sink."""
        if event.e_above_hull is None:
            return
        name = event.phase_field or self.phase_field
        known = self._nearest.get(name)
        if known is None or event.kind in ("best", "verdict") or event.e_above_hull < known[0]:
            self._nearest[name] = (event.e_above_hull, event.composition, name)

    @property
    def best(self) -> tuple[float, str, str] | None:
        """The composition nearest to the hull: eV/atom, formula, field."""
        return min(self._nearest.values(), default=None)

    @property
    def n_running(self) -> int:
        """Calculations that run now."""
        return len(self._running)

    @property
    def n_ended(self) -> int:
        """Calculations that have ended, with an energy or without."""
        return sum(self.states.values())

    @property
    def elapsed(self) -> float:
        """Seconds since the display was opened."""
        return self.clock() - self.started

    @property
    def remaining(self) -> float | None:
        """Seconds left: by the mean length of the finished cycles, or in the first cycle by its calculations so far.

        In the first cycle it is a lower bound, further batches are not known yet; none before a calculation has ended.
        """
        now, to_come = self.clock(), self.cycles - self.cycle
        if self.finished_cycles:
            mean = sum(self.finished_cycles) / len(self.finished_cycles)
            return max(0.0, (to_come + 1) * mean - (now - self._cycle_started), self._batch_left or 0.0)
        if self._batch_left is None:
            return None
        return self._batch_left + to_come * (now - self._cycle_started + self._batch_left)

    @property
    def _batch_left(self) -> float | None:
        """Seconds that the rest of the batch takes at its pace so far."""
        ended = self.n_ended - self._ended_before
        if not ended:
            return None
        return max(0, self.total - self.n_ended) * (self.clock() - self._batch_started) / ended
