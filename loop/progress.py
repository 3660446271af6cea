"""What a long command other than a campaign says: plain lines, and a bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Says that one more of the things counted is done."""

    def __call__(self, done: int | None = None, note: str = "") -> None:
        """Advance to `done`, or by one."""


class Reporter:
    """Writes what happens to the terminal, on standard error, so that standard output holds results alone."""

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True, stderr=True)

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Advance]:
        """Show how many of `total` are done: a bar on a terminal, a line every tenth elsewhere."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        plain = not self.console.is_terminal
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=self.console, disable=plain) as bar:
            task = bar.add_task(what, total=total, note="")
            count = 0

            def advance(done: int | None = None, note: str = "") -> None:
                nonlocal count
                before, count = count, count + 1 if done is None else done
                bar.update(task, completed=count, note=note)
                if plain and count * 10 // max(total, 1) > before * 10 // max(total, 1):
                    self.console.print(f"  {what}: {count} of {total} {note}".rstrip(), markup=False)

            yield advance

    @contextmanager
    def share(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """The same in per cent, for work that says itself how much of how much is done."""
        with self.counting(what, 100) as advance:
            yield lambda done, total: advance(100 * done // total)
