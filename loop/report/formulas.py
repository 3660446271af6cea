"""Formulas as people write them: in the order of the field, with lowered numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import gcd

from markupsafe import Markup, escape
from pymatgen.core import Composition

_NUMBER = re.compile(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)")
#: A word that may be a formula: names such as ``cp2k`` and ``chgnet-r2scan`` are none.
_WORD = re.compile(r"(?<![A-Za-z0-9])[(\[]*[A-Z][A-Za-z0-9.()\[\]]*")
#: U+2080 to U+2089; plain characters stay text in SVG and PDF and need no parsing.
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@lru_cache(maxsize=100_000)
def field_formula(formula: str, elements: Sequence[str]) -> str:
    """The reduced formula with its elements in the order of the field: ``Cl4Sn1S4Li8`` -> ``Li8SnS4Cl4``.

    Args:
        formula: Any formula pymatgen can read; numbers may be fractional, and then stay as they are.
        elements: Symbols in the order wanted, as a tuple.

    Raises:
        ValueError: If it is no formula.
    """
    composition = Composition(formula)
    amounts = composition.get_el_amt_dict()
    if all(abs(n - round(n)) < 1e-8 for n in amounts.values()):
        divisor = float(gcd(*(round(n) for n in amounts.values())))
        if len(amounts) == 2:  # Li2O2 stays as it is; an element stays as one atom, where pymatgen would write Cl2
            divisor = composition.get_reduced_composition_and_factor()[1]
        amounts = {symbol: n / divisor for symbol, n in amounts.items()}
    order = {symbol: i for i, symbol in enumerate(elements)}
    symbols = sorted(amounts, key=lambda symbol: (order.get(symbol, len(order)), symbol))
    return "".join(symbol + ("" if abs(amounts[symbol] - 1) < 1e-8 else f"{amounts[symbol]:g}") for symbol in symbols)


def mathtext(formula: str) -> str:
    """The formula for matplotlib, its numbers lowered: plain characters, or mathtext where they are fractional."""
    if "." not in formula:
        return lowered(formula)
    return _with_numbers(formula, r"$_{\1}$")


def lowered(text: str) -> str:
    """Plain text with the numbers of its formulas lowered, fractional ones too: ``0.50 Li₃.₃SnS₂``."""
    return _with_numbers(text, lambda number: number[0].translate(_LOWERED))


def _with_numbers(text: str, written: str | Callable[[re.Match[str]], str]) -> str:
    return _WORD.sub(lambda word: _NUMBER.sub(written, word[0]), text)


def html(formula: object) -> Markup:
    """The formula for a web page, escaped, its numbers lowered."""
    return Markup(_with_numbers(str(escape(str(formula))), r"<sub>\1</sub>"))


def in_words(decomposition: dict[str, float], elements: Sequence[str] = ()) -> str:
    """A decomposition in words, largest part first: ``0.67 Li2S + 0.33 SnS2`` (fractions of atoms)."""
    parts = sorted(decomposition.items(), key=lambda part: -part[1])
    return " + ".join(f"{fraction:.2f} {field_formula(formula, tuple(elements))}" for formula, fraction in parts)
