"""One driver per campaign folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loop.errors import RunError, UserError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against a second driver; the operating system lets go of it when the process dies.

    Raises:
        RunError: If the folder cannot be written.
        UserError: If another process drives it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "campaign.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunError(f"the campaign folder {folder} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise UserError(f"{folder} is being driven by process {holder}; wait for it or stop it") from None
        with suppress(OSError):  # the number only serves the message above; a full disk is told by the database
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
