"""Which elements stand in for one another in known binary and ternary compounds, as descriptors of the elements.

A compound with one element taken out is a surrounding: what Li2SnS3 leaves without tin, the system Li-S, or the kind
of formula (two of a cation, the missing one, three of an anion). Elements with many surroundings in common exchange
easily. The profiles are the leading components of these coincidences, from the bundled formulas; there is no
quaternary compound among them, so that they hold nothing about a phase field itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from functools import cache

import numpy as np
from scipy.sparse import csr_matrix, diags

from vae.datasets import bundled_formulas
from vae.phase_fields import ANIONS

#: Added to the length of an element's row: elements with few compounds have short profiles, not random ones.
_SHRINKAGE = 3.0
_PART = re.compile(r"([A-Z][a-z]?)(\d*)|(\()|\)(\d*)")


@cache
def substitution_profiles(elements: tuple[str, ...], n: int) -> np.ndarray:
    """Coordinates of elements, near one another if they stand in for one another, shape (n_elements, n).

    Args:
        elements: Symbols.
        n: Components, in order of weight; filled up with zeros if there are fewer.
    """
    coincidences = _surroundings(elements)
    values, vectors = np.linalg.eigh((coincidences @ coincidences.T).toarray())
    order = np.argsort(-values)[:n]
    leading = vectors[:, order] * np.sqrt(np.maximum(values[order], 0.0))
    # The sign of a component means nothing; fixed, so that equal seeds give equal rankers everywhere.
    leading = leading * np.sign(leading[np.abs(leading).argmax(0), np.arange(leading.shape[1])] + 1e-300)
    return np.pad(leading, ((0, 0), (0, n - leading.shape[1])))


def count_atoms(formula: str) -> dict[str, int]:
    """Atoms in a reduced formula with whole numbers, such as Al(Ag3S2)3; much faster than reading any formula."""
    stack: list[Counter[str]] = [Counter()]
    for symbol, count, opened, times in _PART.findall(formula):
        if opened:
            stack.append(Counter())
        elif symbol:
            stack[-1][symbol] += int(count or 1)
        else:
            for inner, n in stack.pop().items():
                stack[-1][inner] += n * int(times or 1)
    return dict(stack[0])


def _surroundings(elements: tuple[str, ...]) -> csr_matrix:
    """Weights of surroundings, shape (n_elements, n_surroundings), those of two elements or more."""
    row_of = {symbol: i for i, symbol in enumerate(elements)}
    column_of: dict[Hashable, int] = {}
    counts: Counter[tuple[int, int]] = Counter()
    for formula in bundled_formulas():
        atoms = count_atoms(formula)
        for symbol in row_of.keys() & atoms.keys():
            for surrounding in _without(symbol, atoms):
                counts[row_of[symbol], column_of.setdefault(surrounding, len(column_of))] += 1
    rows, columns = zip(*counts, strict=True) if counts else ((), ())
    found = csr_matrix(
        (np.log1p(np.array(list(counts.values()), dtype=float)), (rows, columns)),
        shape=(len(elements), max(1, len(column_of))),
    )
    shared = np.bincount(np.array(columns, dtype=int), minlength=found.shape[1])
    # A surrounding that suits every element says little.
    weighted = found[:, shared > 1] @ diags(np.log(len(elements) / shared[shared > 1]))
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    return csr_matrix(diags(1 / (lengths + _SHRINKAGE)) @ weighted)


def _without(symbol: str, atoms: Mapping[str, int]) -> Iterator[Hashable]:
    """The formula, the system and the kind of formula that are left without an element."""
    yield tuple(sorted(("?" if other == symbol else other, n) for other, n in atoms.items()))
    yield tuple(sorted(other for other in atoms if other != symbol))
    yield tuple(sorted(("?" if x == symbol else "anion" if x in ANIONS else "cation", n) for x, n in atoms.items()))
