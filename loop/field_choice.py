"""A batch of phase fields from their scores: promising, uncertain or unfamiliar ones, and no near-twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil

import numpy as np

#: How much a standard deviation of doubt, and of novelty, weighs against one of promise.
WEIGHTS: dict[str, tuple[float, float]] = {"exploit": (0.0, 0.0), "balanced": (0.1, 0.1), "explore": (1.0, 1.0)}

#: At most this share of a batch, but at least one field, may have the same three elements.
TWINS = 0.1


@dataclass(frozen=True)
class FieldScores:
    """What is known of the candidates; each shape (n,).

    Attributes:
        promise: Higher is more promising, any scale.
        doubt: Its spread, on the same scale.
        novelty: Distance from what is known or explored, any scale.
    """

    promise: np.ndarray
    doubt: np.ndarray
    novelty: np.ndarray

    def worth(self, strategy: str) -> np.ndarray:
        """The order in which a strategy takes them.

        Raises:
            ValueError: If there is no such strategy.
        """
        if strategy not in WEIGHTS:
            raise ValueError(f"field strategy {strategy!r} is unknown, choose from {sorted(WEIGHTS)}")
        of_doubt, of_novelty = WEIGHTS[strategy]
        return (
            standardised(self.promise) + of_doubt * standardised(self.doubt) + of_novelty * standardised(self.novelty)
        )


def diverse_batch(elements: Sequence[Sequence[str]], worth: np.ndarray, n: int, allowed: np.ndarray) -> list[int]:
    """The best fields of which only a few share three elements.

    Args:
        elements: Of each candidate field.
        worth: Higher is taken first, shape (n_fields,).
        n: How many; fewer are given if fewer are allowed.
        allowed: Which may be taken, boolean.

    Returns:
        Their places among `elements`, in the order of the choice. If there are too many twins to fill the batch with
        others, the best of them fill it.
    """
    most = max(1, ceil(TWINS * n))
    seen: Counter[tuple[str, ...]] = Counter()
    chosen: list[int] = []
    twins: list[int] = []
    order = np.argsort(-worth, kind="stable")
    for i in order[allowed[order]]:
        if len(chosen) == n:
            break
        triples = list(combinations(sorted(elements[i]), 3))
        if any(seen[triple] >= most for triple in triples):
            twins.append(int(i))
            continue
        seen.update(triples)
        chosen.append(int(i))
    return [*chosen, *twins[: n - len(chosen)]]


def standardised(values: np.ndarray) -> np.ndarray:
    """Values in standard deviations from their mean; zeros if they do not differ."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))
