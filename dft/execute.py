"""Run jobflow Flows in worker processes on this machine, and collect their outputs or the reason they failed.

`dft.cluster` has the same interface (`Executor`) for a FireWorks LaunchPad.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
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

from dft.tasks import Executor, FlowTask, Outcome, Task

__all__ = ["Executor", "FlowTask", "LocalExecutor", "Outcome", "Task", "read_output", "run_flow", "usable_cores"]

logger = logging.getLogger(__name__)

#: Errors of the machine, not of the task.
_MACHINE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE}
)

#: Seconds between a worker's looks whether its parent is still alive.
_WATCH_INTERVAL = 0.5


class LocalExecutor:
    """A pool of worker processes that load the engine once and outlive no parent.

    A worker that is killed (out of memory, say) costs the tasks then running one more try, each alone; a task whose
    worker dies again fails with that reason, and the others go on.

    Attributes:
        workers: Number of processes.
        log: File that takes what the workers print.
    """

    def __init__(self, workers: int | None = None, log: Path | None = None) -> None:
        self.workers = workers or usable_cores()
        self.log = log
        self._pool: ProcessPoolExecutor | None = None
        self._foreseen: deque[Task] = deque()
        self._early: dict[Future, Task] = {}
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

    def foresee(self, tasks: Iterable[Task]) -> None:
        """Let workers that would wait for others run these; an equal task is then answered at once.

        Tasks foreseen before and not begun yet are dropped, and so are outcomes that nobody asked for.
        """
        self._foreseen, self._ready = deque(tasks), {}

    def run(self, tasks: Iterable[Task], started: Callable[[str], None] = lambda key: None) -> Iterator[Outcome]:
        """Run tasks as workers come free and give their outcomes as they end.

        Args:
            tasks: What to run, in order.
            started: Called with the key of each task that is handed to a worker.
        """
        queue: deque[Task] = deque()
        for task in tasks:
            foreseen, outcome = self._ready.pop(task.key, (None, None))
            if outcome is not None and foreseen == task:
                yield outcome
            else:
                queue.append(task)
        suspects: deque[Task] = deque()
        while queue or suspects:
            yield from self._run_until_a_death(queue, suspects, started)
            while suspects:
                yield self._run_alone(suspects.popleft(), started)

    def _run_until_a_death(
        self, queue: deque[Task], suspects: deque[Task], started: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """Run tasks side by side. A dead worker breaks the whole pool: whoever was running then is a suspect."""
        running = {future: task for future, task in self._early.items() if task in queue}
        for future, task in running.items():
            del self._early[future]
            queue.remove(task)
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
            ended = wait([*running, *self._early], return_when=FIRST_COMPLETED).done if running else set()
            for future in ended:
                if future in self._early:
                    self._keep(self._early.pop(future), future)
                    continue
                task = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = True
                    suspects.append(task)
                else:
                    yield future.result()
        if broken:
            self.close(kill=True)

    def _begin_early(self, idle: int) -> None:
        """Hand foreseen tasks to workers that have nothing to do."""
        while self._foreseen and len(self._early) < idle:
            task = self._foreseen.popleft()
            with contextlib.suppress(BrokenProcessPool):  # found out by the tasks that were asked for
                self._early[self._workers().submit(_guarded, task)] = task

    def _keep(self, task: Task, future: Future) -> None:
        if not future.cancelled() and future.exception() is None and not future.result().blameless:
            self._ready[task.key] = task, future.result()

    def _run_alone(self, task: Task, started: Callable[[str], None]) -> Outcome:
        """Try a suspect again with nothing beside it: if its worker dies again, the task is to blame."""
        logger.warning("a worker process died; trying %s again, alone", task.key)
        started(task.key)
        try:
            return self._workers().submit(_guarded, task).result()
        except BrokenProcessPool:
            self.close(kill=True)
            return Outcome(task.key, reason="its worker process died twice (killed, or out of memory)")

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


def run_flow(maker: Any, arguments: tuple[Any, ...], output: Path) -> dict[str, Any]:
    """Make a Flow, run it with jobflow in this process, and keep its JobStore in a file of its own.

    The file takes its name only when it is whole, so that what stands under that name is always a finished calculation.

    Args:
        maker: A jobflow Maker whose `make` gives a job or a flow.
        arguments: What `make` is called with.
        output: File for the JobStore; what it holds already is read instead of computed.

    Returns:
        The output of the flow's last job, and with it the seconds that it took, `wall_s` and `cpu_s`.

    Raises:
        Exception: Whatever the job raises.
    """
    import jobflow

    output = output.resolve()  # jobs run in folders of their own
    if not output.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as scratch:
            partial = Path(scratch) / output.name
            store = _json_job_store(partial)
            flow = maker.make(*arguments)
            has_files = isinstance(flow, jobflow.Flow)  # of an engine outside this process, in a folder per job
            try:
                jobflow.run_locally(
                    flow,
                    store=store,
                    log=False,
                    root_dir=scratch,
                    create_folders=has_files,
                    ensure_success=True,
                    raise_immediately=True,
                )
            except Exception:
                if has_files:
                    _keep_what_is_left(Path(scratch), output.with_name(f"{output.stem}-failed"))
                raise
            store.close()
            partial.replace(output)
    return read_output(output)


def _keep_what_is_left(scratch: Path, kept: Path) -> None:
    """Keep the inputs and outputs of a calculation that failed, to find out why; those of an earlier try go."""
    shutil.rmtree(kept, ignore_errors=True)
    with contextlib.suppress(OSError):
        shutil.copytree(scratch, kept)


def read_output(output: Path) -> dict[str, Any]:
    """The output of the last job in a file that `run_flow` wrote: plain data, nothing in it is made into objects."""
    import json

    with output.open(encoding="utf-8") as handle:
        documents = json.load(handle)
    return max(documents, key=lambda document: (document["completed_at"], document["index"]))["output"]


def _json_job_store(path: Path) -> Any:
    """Documents in a file; what engines store beside them (trajectories, densities of states) is dropped at the end."""
    from jobflow import JobStore
    from maggma.stores import JSONStore, MemoryStore

    return JobStore(JSONStore(str(path), read_only=False), additional_stores={"data": MemoryStore()})


def _guarded(task: Task) -> Outcome:
    """Run one task in a worker: an exception is an outcome with its reason, never a lost task."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        value = task.function(*task.arguments)
    except Exception as error:
        traceback.print_exc()
        named = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        reason = named.split("\n")[0][:500]
        return Outcome(task.key, reason=reason, blameless=getattr(error, "errno", None) in _MACHINE_ERRORS)
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
