"""Numbers as a person reads them: everywhere else energies are in eV/atom and times in seconds."""

from __future__ import annotations

MEV = 1000.0  # meV per eV
HOUR = 3600.0  # seconds


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / HOUR:.1f} h"
