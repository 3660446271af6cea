"""Run tasks in worker processes on this machine, and collect what they return or the reason they failed.

`dft.cluster` has the same interface (`Executor`) for a FireWorks LaunchPad.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dft.tasks import MACHINE_ERRORS, Executor, FlowTask, Outcome, Task, Then, lacks_memory, nothing_more

__all__ = ["Executor", "FlowTask", "LocalExecutor", "Outcome", "Task", "usable_cores"]

logger = logging.getLogger(__name__)

#: Seconds between a worker's looks whether its parent is still alive.
_WATCH_INTERVAL = 0.5


class LocalExecutor:
    """A pool of worker processes that load the engine once and outlive no parent.

    A worker that is killed (out of memory, say) costs the tasks then running one more try, each alone; a task whose
    worker dies again fails with that reason, which may pass, and the others go on.

    Attributes:
        workers: Number of processes.
        log: File that takes what the workers print.
    """

    def __init__(self, workers: int | None = None, log: Path | None = None) -> None:
        self.workers = workers or usable_cores()
        self.log = log
        self._pool: ProcessPoolExecutor | None = None
        self._foreseen: deque[tuple[Task, Then]] = deque()
        self._early: dict[Future, tuple[Task, Then]] = {}
        self._ready: dict[str, tuple[Task, Outcome]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=kind is not None)

    def warm_up(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start every worker with a call that loads what its tasks will need, and do not wait for it.

        What goes wrong in there is left to the first task that needs the same.
        """
        for _ in range(self.workers):
            self._workers().submit(_guarded, Task("warm up", function, arguments))

    def foresee(self, tasks: Iterable[Task], then: Then = nothing_more) -> None:
        """Let workers that would wait for others run these; an equal task is then answered at once.

        Tasks foreseen before and not begun yet are dropped, and so are outcomes that nobody asked for, unless they are
        foreseen again.

        Args:
            tasks: In this order.
            then: What the outcome of one of them lets foresee in turn, after all of them.
        """
        wanted = {task.key: task for task in tasks}
        self._ready = {key: kept for key, kept in self._ready.items() if key in wanted and _same(wanted[key], kept[0])}
        begun = {*self._ready, *(task.key for task, _ in self._early.values())}
        self._foreseen = deque((task, then) for key, task in wanted.items() if key not in begun)
        for _, outcome in self._ready.values():
            self._follow(then(outcome))

    def foresee_first(self, task: Task | None) -> None:
        """Foresee one more task, to be run before the others; nothing for none."""
        if task is not None and not self._is_begun(task):
            self._foreseen.appendleft((task, nothing_more))

    def run(self, tasks: Iterable[Task], started: Callable[[str], None] = lambda key: None) -> Iterator[Outcome]:
        """Run tasks as workers come free and give their outcomes as they end.

        Args:
            tasks: What to run, in order.
            started: Called with the key of each task that is handed to a worker, or has been as it was foreseen.
        """
        queue, answered = self._answered(tasks)
        for outcome in answered:
            started(outcome.key)
        suspects: deque[Task] = deque()
        while queue or suspects:
            yield from self._run_until_a_death(queue, suspects, answered, started)
            while suspects:
                yield self._run_alone(suspects.popleft(), started)
        yield from answered
        self._begin_early(self.workers)  # while the next tasks are thought of

    def _answered(self, tasks: Iterable[Task]) -> tuple[deque[Task], deque[Outcome]]:
        """Part what is still to be run from the outcomes of what was foreseen and has been run; none stays foreseen."""
        queue: deque[Task] = deque()
        answered: deque[Outcome] = deque()
        for task in tasks:
            foreseen, outcome = self._ready.pop(task.key, (None, None))
            if foreseen is not None and outcome is not None and _same(foreseen, task):
                answered.append(outcome)
            else:
                queue.append(task)
        keys = {task.key for task in queue}
        self._foreseen = deque(each for each in self._foreseen if each[0].key not in keys)
        return queue, answered

    def _run_until_a_death(
        self,
        queue: deque[Task],
        suspects: deque[Task],
        answered: deque[Outcome],
        started: Callable[[str], None],
    ) -> Iterator[Outcome]:
        """Run tasks side by side. A dead worker breaks the whole pool: whoever was running then is a suspect."""
        running = self._begun_already(queue)
        for task in running.values():
            started(task.key)
        broken = False
        while (queue and not broken) or running:
            while queue and not broken and len(running) < self.workers:
                try:
                    future = self._workers().submit(_guarded, queue[0])
                except BrokenProcessPool:
                    broken = True
                    break
                running[future] = queue.popleft()
                started(running[future].key)
            if not broken:
                self._begin_early(self.workers - len(running))
            while answered:  # told when all workers have something to do
                yield answered.popleft()
            ended = wait([*running, *self._early], return_when=FIRST_COMPLETED).done if running else set()
            for future in ended:
                if future in self._early:
                    self._keep(*self._early.pop(future), future)
                    continue
                task = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = True
                    suspects.append(task)
                else:
                    yield future.result()
        if broken:
            self.close(kill=True)

    def _begun_already(self, queue: deque[Task]) -> dict[Future, Task]:
        """Take out of the queue what runs since it was foreseen."""
        waiting = {task.key: task for task in queue}
        running = {
            future: waiting[early.key]
            for future, (early, _) in self._early.items()
            if early.key in waiting and _same(early, waiting[early.key])
        }
        for future, task in running.items():
            del self._early[future]
            queue.remove(task)
        return running

    def _begin_early(self, idle: int) -> None:
        """Hand foreseen tasks to workers that have nothing to do."""
        while self._foreseen and len(self._early) < idle:
            task, then = self._foreseen.popleft()
            with contextlib.suppress(BrokenProcessPool):  # found out by the tasks that were asked for
                self._early[self._workers().submit(_guarded, task)] = task, then

    def _keep(self, task: Task, then: Then, future: Future) -> None:
        if future.cancelled() or future.exception() is not None or future.result().blameless:
            return
        self._ready[task.key] = task, future.result()
        self._follow(then(future.result()))

    def _follow(self, task: Task | None) -> None:
        """Foresee what an outcome leads to, after all else."""
        if task is not None and not self._is_begun(task):
            self._foreseen.append((task, nothing_more))

    def _is_begun(self, task: Task) -> bool:
        return task.key in self._ready or any(task.key == early.key for early, _ in self._early.values())

    def _run_alone(self, task: Task, started: Callable[[str], None]) -> Outcome:
        """Try a suspect again with nothing beside it: if its worker dies again, the task is given up for now."""
        logger.warning("a worker process died; trying %s again, alone", task.key)
        started(task.key)
        try:
            return self._workers().submit(_guarded, task).result()
        except BrokenProcessPool:
            self.close(kill=True)
            return Outcome(task.key, reason="its worker process died twice (killed, or out of memory)", passing=True)

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers,
                mp_context=multiprocessing.get_context("spawn"),  # torch does not survive a fork
                initializer=_prepare_worker,
                initargs=(os.getpid(), str(self.log) if self.log else None),
            )
        return self._pool

    def close(self, kill: bool = False) -> None:
        """Stop the workers; with `kill`, in the middle of what they do."""
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=not kill, cancel_futures=True)
        if kill:
            for process in processes:
                _kill_programs_of(process.pid)
                process.kill()
                process.join()
        self._pool = None
        self._early = {}


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _same(one: Task, other: Task) -> bool:
    """Whether two tasks compute the same, whatever for."""
    return (one.key, one.function, one.arguments) == (other.key, other.function, other.arguments)


def _guarded(task: Task) -> Outcome:
    """Run one task in a worker: an exception is an outcome with its reason, never a lost task."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        value = task.function(*task.arguments)
    except Exception as error:
        traceback.print_exc()
        named = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        reason = named.split("\n")[0][:500]
        blameless = getattr(error, "errno", None) in MACHINE_ERRORS
        return Outcome(task.key, reason=reason, blameless=blameless, passing=lacks_memory(error))
    if isinstance(value, dict):
        value = {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu_seconds() - cpu, **value}
    return Outcome(task.key, value, reason="")


def _cpu_seconds() -> float:
    """CPU time of this process and of the programs that it ran and waited for, such as CP2K."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _prepare_worker(parent: int, log: str | None) -> None:
    """One thread per worker, output to the log, and no life after the parent's.

    The variables must be set before numpy is imported: BLAS threads of several workers that wait for each other by
    spinning cost eight times the CPU time.
    """
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    if log is not None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, sys.stdout.fileno())
        os.dup2(handle, sys.stderr.fileno())
    import torch

    torch.set_num_threads(1)


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_INTERVAL)
    _kill_programs_of(os.getpid())
    os._exit(1)


def _kill_programs_of(pid: int | None) -> None:
    """Kill what a worker has started, such as CP2K: it would go on for hours for nobody."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for program in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                program.kill()
