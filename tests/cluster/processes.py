"""Servers that tests start: found, watched, and never left behind."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now.

    It is below those that the system gives to outgoing connections, so that none of these takes it before it is used.
    """
    while True:
        port = secrets.randbelow(10_000) + 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return as soon as a condition holds.

    Raises:
        TimeoutError: If it does not within that time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:.0f} s still not so: {what}")
        time.sleep(0.1)


def start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start a server that prints to a log and is killed if this process dies, however that happens.

    Linux ties that to the thread: a server started from another than the main one would die with that thread, and so it
    is left to `stop`.
    """
    libc = ctypes.CDLL(None)
    is_main = threading.current_thread() is threading.main_thread()

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with log.open("a") as handle:
        return subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent if is_main else None,
        )


def stop(process: subprocess.Popen, kill: bool = False, patience: float = 10.0) -> None:
    """End a server and wait until it has ended."""
    process.kill() if kill else process.terminate()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
