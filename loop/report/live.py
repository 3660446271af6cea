"""What `loop run` shows while it runs: a live table on a terminal, plain lines with times in a log.

The cycle sends events; a display shows them. `open_display` chooses one::

    with open_display("auto", cycles=3) as show:
        show(Event("cycle", cycle=1))
        show(Event("stage", text="train the ranker"))
        show(Event("field", phase_field="Li-Sn-S-Cl", total=24))
        show(Event("calculation", state="done", composition="Li3SnS3Cl", e_above_hull=0.012))
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import IO, Literal

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loop.report.events import Event, Progress
from loop.streams import silence

__all__ = ["Display", "Event", "Mode", "Progress", "line", "open_display"]

Mode = Literal["auto", "live", "plain", "quiet", "json"]

logger = logging.getLogger("loop")


class Display:
    """Shows nothing, but logs every event that is worth a line; the others build on it.

    Args:
        progress: What the events add up to.
    """

    def __init__(self, progress: Progress, stream: IO[str] | None = None) -> None:
        self.progress = progress
        self.stream = stream or sys.stdout

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""

    def __call__(self, event: Event) -> None:
        """Log an event and show it. A reader who has gone, as `| head` goes, ends no campaign."""
        self.progress.update(event)
        if text := line(event, self.progress):
            logger.info("%s", text)
        try:
            self.show(event)
        except OSError:
            silence(self.stream)

    def show(self, event: Event) -> None:
        """Nothing: a quiet run."""


class PlainDisplay(Display):
    """One line with the time for everything worth a line."""

    def show(self, event: Event) -> None:
        """Print a line."""
        text = line(event, self.progress)
        if text:
            print(f"{datetime.now():%H:%M:%S}  {text}", file=self.stream, flush=True)


class JsonDisplay(Display):
    """One JSON object per event: what is set of it, and ``time`` (local, ISO 8601)."""

    def show(self, event: Event) -> None:
        """Print an object."""
        told = {name: value for name, value in asdict(event).items() if value not in ("", None)}
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        print(json.dumps({"time": now, **told}), file=self.stream, flush=True)


class _LastingConsole(Console):
    """A console that goes on silently where rich ends the program: when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Write no more."""
        self.quiet = True
        silence(self.file)


class LiveDisplay(Display):
    """A table on a terminal, drawn anew in its place; messages and verdicts stay above it."""

    def __init__(self, progress: Progress, console: Console) -> None:
        super().__init__(progress, console.file)
        self.live = Live(console=console, get_renderable=self.render, refresh_per_second=4, transient=False)

    def __enter__(self) -> Display:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draw the last state and give the terminal back, if it is still there."""
        with suppress(OSError):
            self.live.stop()

    def show(self, event: Event) -> None:
        """Keep what should stay readable; the table draws itself."""
        if event.kind in ("verdict", "message"):
            self.live.console.print(Text(line(event, self.progress)))

    def render(self) -> Group:
        """The table as it stands now."""
        now = self.progress
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_row("Cycle", f"{min(max(now.cycle, 1), now.cycles)} of {now.cycles}")
        table.add_row("Stage", Text(now.stage or "starting"))
        table.add_row("Field", Text(now.phase_field or "–"))
        of_all = f"{now.n_ended} of {now.total}: " if now.total else ""
        table.add_row("Calculations", Text(of_all + _states(now)))
        table.add_row("Nearest to the hull", Text(_best(now)))
        table.add_row("Time", f"{_clock(now.elapsed)}{_left(now)}")
        return Group(table, ProgressBar(total=max(now.total, now.n_ended, 1), completed=now.n_ended, width=60))


def open_display(mode: Mode = "auto", cycles: int = 1, stream: IO[str] | None = None) -> Display:
    """The display for a run.

    Args:
        mode: auto is live on a terminal and plain elsewhere.
        cycles: Cycles wanted in total.
        stream: Where to print; standard output by default.
    """
    out = stream or sys.stdout
    progress = Progress(cycles)
    if mode == "quiet":
        return Display(progress)
    if mode == "json":
        return JsonDisplay(progress, out)
    console = _LastingConsole(file=out)
    if mode == "live" or (mode == "auto" and console.is_terminal and not console.is_dumb_terminal):
        return LiveDisplay(progress, console)
    return PlainDisplay(progress, out)


def line(event: Event, progress: Progress) -> str:
    """An event as one line of plain text; empty for what is not worth a line."""
    if event.kind == "cycle":
        return f"cycle {event.cycle} of {progress.cycles}"
    if event.kind == "field":
        return f"{event.phase_field}: {event.total or 0} calculations to do"
    if event.kind == "calculation":
        energy = "" if event.e_above_hull is None else f", {event.e_above_hull * 1000:.0f} meV/atom above the hull"
        reason = f" ({event.text})" if event.text else ""
        where = f"{event.phase_field or progress.phase_field}: " if event.phase_field or progress.phase_field else ""
        return "" if event.state == "running" else f"{where}{event.composition} {event.state}{reason}{energy}"
    if event.kind == "best":
        energy = f"{(event.e_above_hull or 0) * 1000:.0f} meV/atom"
        return f"{event.phase_field}: nearest to the hull so far: {event.composition}, {energy}"
    if event.kind in ("verdict", "stage") and event.phase_field:
        return f"{event.phase_field}: {event.text}"
    if event.kind == "finished":
        return f"finished after {_clock(progress.elapsed)}; {_states(progress)}; nearest to the hull: {_best(progress)}"
    return event.text


def _left(progress: Progress) -> str:
    """What is left, in words: a bound in the first cycle, whose further batches are not known yet."""
    if progress.remaining is None:
        return ""
    return f", {'about' if progress.finished_cycles else 'at least'} {_clock(progress.remaining)} left"


def _states(progress: Progress) -> str:
    parts = [f"{n} {state}" for state, n in progress.states.most_common()]
    if progress.n_running:
        parts.append(f"{progress.n_running} running")
    return ", ".join(parts) or "none yet"


def _best(progress: Progress) -> str:
    if progress.best is None:
        return "nothing yet"
    energy, composition, phase_field = progress.best
    return f"{composition or phase_field}, {energy * 1000:.0f} meV/atom" + (f" ({phase_field})" if composition else "")


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
