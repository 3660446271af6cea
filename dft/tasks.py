"""What is to be computed, what came of it, and what an executor is."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

#: Errors of the machine that say nothing about a task: disks, permissions, too many open files.
MACHINE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE}
)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error is that of a machine with too little memory: another day it may suffice."""
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error is of the machine, and not of what was computed."""
    return getattr(error, "errno", None) in MACHINE_ERRORS or lacks_memory(error)


@dataclass(frozen=True)
class Outcome:
    """What came of one task; the defaults describe one that failed.

    Attributes:
        key: What the task was called.
        value: What it returned, or none.
        reason: Why it failed, in one line; empty if it did not.
        blameless: The machine failed the task (a full disk, say): it is as if it had not been tried.
        passing: It failed, but perhaps not of itself (a deadline, workers that died): another day it may succeed.
    """

    key: str
    value: Any = None
    reason: str = "did not run"
    blameless: bool = False
    passing: bool = False


@dataclass(frozen=True)
class Task:
    """A function of a module, called in a worker with arguments that can be pickled."""

    key: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class FlowTask(Task):
    """A Task that is a Flow: what an executor needs to run it somewhere else than in a worker of its own.

    Attributes:
        maker: A jobflow Maker.
        inputs: What its `make` is called with, as plain values.
        output: File that takes the output where the Flow runs on this machine.
        name: For people, such as ``Li-Sn-S-Cl Li3SnS3Cl chgnet relax``.
        category: Which workers take it: screen or dft.
        phase_field: What it is for.
        cycle: What it is for.
        package: The package that computes it; a worker needs the very version that is installed here.
        due: Time (seconds since the epoch) after which it is given up; none to wait as long as it takes.
    """

    maker: Any = None
    inputs: tuple[Any, ...] = ()
    output: Path = Path()
    name: str = ""
    category: str = "screen"
    phase_field: str = ""
    cycle: int = 0
    package: str = ""
    due: float | None = None


#: What the outcome of a foreseen task lets foresee in turn; none for nothing.
Then = Callable[[Outcome], Task | None]


def nothing_more(outcome: Outcome) -> Task | None:
    """Nothing follows from a foreseen task."""


class Executor(Protocol):
    """Where tasks run."""

    def warm_up(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Let workers load what their tasks will need, and do not wait for it."""

    def foresee(self, tasks: Iterable[Task], then: Then = nothing_more) -> None:
        """Tasks that may be asked for soon, and then what follows from their outcomes.

        They may be run where workers would wait otherwise; nobody is told of an outcome before the task is asked for.
        """

    def foresee_first(self, task: Task | None) -> None:
        """The same of one more task, before the others; nothing for none."""

    def run(self, tasks: Iterable[Task], started: Callable[[str], None] = ...) -> Iterator[Outcome]:
        """Run tasks and give their outcomes as they end; `started` is told the key of each that begins."""
