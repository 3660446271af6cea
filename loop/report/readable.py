"""Values of the records as a person reads them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

#: Before a number, at the beginning of a word.
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def mev(value: float | None, signed: bool = False, digits: int = 1) -> str:
    """An energy in eV/atom as a person reads it, meV/atom."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{value * 1000:+.{digits}f}" if signed else f"{abs(value) * 1000:.{digits}f}"
    return text.replace("-", "−")


def number(value: Any, digits: int = 4) -> str:
    """A number as a person reads it; anything else as it is."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or not isinstance(value, int | float | np.number):
        return "–" if value is None else str(value)
    return f"{value:.{digits}g}" if np.isfinite(value) else "–"


def plain(value: Any) -> str:
    """A nested value of the records as short text."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    return number(value)


def sentence(text: str) -> str:
    """A note of the records as a sentence: a capital letter, signs of minus, a full stop."""
    text = _MINUS.sub("−", text.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")


def whole(text: object) -> Markup:
    """Text for a web page, escaped, in which no name such as Li-Sn-S-Cl is broken at a hyphen."""
    words = (escape(word) for word in str(text).split(" "))
    return Markup(" ").join(Markup("<span>{}</span>").format(word) if "-" in word else word for word in words)
