"""`loop explore` in a process of its own, which may be killed, for tests of a whole exploration."""

import os
import signal
import subprocess
import sys
import time

import pytest

from loop.errors import UserError


def explore(folder, name, field):
    """Begin an exploration, or go on with it, in `folder/name` by `folder/c.yaml`."""
    command = [sys.executable, "-m", "loop.cli", "explore", field, "--config", "c.yaml", "--dir", name]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with (folder / f"{name}.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def kill_when(process, is_time):
    """Kill it as soon as `is_time()` is true of its campaign."""
    while process.poll() is None:
        try:
            if is_time():
                process.send_signal(signal.SIGKILL)
                process.wait()
                return
        except UserError:  # the folder is only just being made
            pass
        time.sleep(0.02)
    pytest.fail("the process ended before it could be killed")
