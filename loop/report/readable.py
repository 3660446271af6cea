"""Values of the records as a person reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def mev(value: float | None, signed: bool = False) -> str:
    """An energy in eV/atom as a person reads it, meV/atom."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{value * 1000:+.1f}" if signed else f"{abs(value) * 1000:.1f}"
    return text.replace("-", "−")


def number(value: Any, digits: int = 4) -> str:
    """A number as a person reads it; anything else as it is."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or not isinstance(value, int | float | np.number):
        return "–" if value is None else str(value)
    return f"{value:.{digits}g}" if np.isfinite(value) else "–"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plain(value: Any) -> str:
    """A nested value of the records as short text."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    return number(value)
