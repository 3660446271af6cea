"""Numbers as a person reads them: everywhere else energies are in eV/atom and times in seconds."""

from __future__ import annotations

MEV = 1000.0  # meV per eV
HOUR = 3600.0  # seconds


def cpu_time(hours: float) -> str:
    """CPU-hours as a person reads them."""
    seconds = hours * HOUR
    if seconds < 90:
        return f"{seconds:.0f} CPU-seconds"
    return f"{seconds / 60:.0f} CPU-minutes" if seconds < 5400 else f"{hours:.2f} CPU-hours"


def counted(n: int, what: str) -> str:
    """A number of things: 1 cycle, 2 cycles."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / HOUR:.1f} h"
