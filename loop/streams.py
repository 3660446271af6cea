"""Standard output and standard error that outlast whoever reads them, as `| head` goes before a command has ended."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import IO, Any


def silence(stream: IO[Any]) -> None:
    """Let what is written from now on, and what is still to be flushed, go nowhere."""
    with suppress(OSError, ValueError):  # what has no file below cannot break either
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Lasting(io.FileIO):
    """A file that goes on into nowhere when its reader has gone."""

    def write(self, data: Any) -> int:
        """Write to the reader, or to nowhere."""
        try:
            return super().write(data)
        except BrokenPipeError:
            silence(self)
            return memoryview(data).nbytes


def outlast_readers() -> None:
    """Let no library meet a broken pipe: rich ends the program then, and others leave their work half done."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:  # none where it was closed from the start; else somebody's own
            stream.flush()
            setattr(sys, name, _lasting(stream))


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Lasting(stream.fileno(), "wb", closefd=False)
    unbuffered = isinstance(stream.buffer, io.RawIOBase)  # as `python -u` has it
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
