"""Starts drivers and workers by forking a process that has imported the libraries: twenty take seconds, not minutes.

python forked.py: each line of standard input is a JSON object {"program": "loop", "arguments": [...], "log": FILE,
"folder": FOLDER}; its answer is the number of the process that runs `loop` with these arguments in that folder. When
one has ended, a line says `ended NUMBER CODE`. An `rlaunch` is started again when it dies, as a queue or a supervisor
does, by a process of the same group, whose number is the answer.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: What every driver and every worker needs.
MODULES = (
    "dft.cluster.firetasks",
    "dft.cluster.patient_store",
    "dft.workflows",
    "fireworks.core.rocket_launcher",
    "fireworks.scripts.rlaunch_run",
    "atomate2.forcefields.jobs",
    "fireworks.core.launchpad",
    "jobflow.managers.fireworks",
    "matplotlib.pyplot",
    "mpltern",
    "plotly.graph_objects",
    "pymatgen.analysis.phase_diagram",
    "sklearn.gaussian_process",
    "loop.cycle",
    "loop.report.page",
    "loop.running",
    "vae.ranking",
)


def run(program: str, arguments: list[str], log: str, folder: str | None = None) -> None:
    """Be a driver, or a worker and what starts it again."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.setsid()
    for stream in (1, 2):
        os.dup2(handle, stream)
    if folder is not None:
        os.chdir(folder)
    if program == "rlaunch":
        start_again()
    context = multiprocessing.get_context("fork")  # what a driver starts here, too, has its libraries already
    multiprocessing.get_context = lambda method=None: context  # type: ignore[assignment]
    call(main_of(program), [program, *arguments])


def main_of(program: str) -> Callable[[], Any]:
    """What a program's script calls."""
    from fireworks.scripts.rlaunch_run import rlaunch

    from loop.cli import main

    return {"loop": main, "rlaunch": rlaunch}[program]


def start_again() -> None:
    """Return in a new process whenever the last one has ended."""
    while pid := os.fork():
        os.waitpid(pid, 0)
        time.sleep(1)


def call(main: Callable[[], Any], words: list[str]) -> None:
    """Be a program, to its end."""
    sys.argv = words
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def say(*words: Any) -> None:
    """One line, at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main() -> None:
    """Fork at each line."""
    os.environ["MPLBACKEND"] = "Agg"
    for module in MODULES:  # nothing of torch may run before a fork, so they are imported and no more
        importlib.import_module(module)
    say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(**order)
        say(pid)
        threading.Thread(
            target=lambda pid=pid: say("ended", pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        ).start()


if __name__ == "__main__":
    main()
