"""Starts drivers by forking a process that has imported the libraries already: twenty take seconds, not minutes.

python forked.py: each line of standard input is a JSON object {"arguments": [...], "log": FILE}; its answer is the
number of the process that runs `loop` with these arguments. When one has ended, a line says `ended NUMBER CODE`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from typing import Any

#: What every driver needs.
MODULES = (
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


def run(arguments: list[str], log: str) -> None:
    """Be a driver."""
    from loop.cli import main

    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.setsid()
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.argv = ["loop", *arguments]
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
            run(order["arguments"], order["log"])
        say(pid)
        threading.Thread(
            target=lambda pid=pid: say("ended", pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        ).start()


if __name__ == "__main__":
    main()
