"""Which elements are known together, and which like elements: numbers that say how familiar a phase field is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vae import PhaseField
from vae.descriptors import element_descriptors

#: What makes two elements like each other here, a choice among the ranker's descriptors.
LIKENESS = (
    "Pettifor",
    "Column",
    "Row",
    "Electronegativity",
    "CovalentRadius",
    "FirstIonizationEnergy",
    "NdValence",
    "NfValence",
)
#: Widths of likeness among cations and among anions, in standard deviations of the descriptors: narrow and wide.
WIDTHS = ((0.5, 0.7), (1.0, 1.5))


@dataclass(frozen=True)
class FieldIndex:
    """Numbers the elements of fields M-M'-A-A', cations and anions apart.

    Attributes:
        cations: Symbols, sorted.
        anions: Symbols, sorted.
    """

    cations: tuple[str, ...]
    anions: tuple[str, ...]

    @classmethod
    def of(cls, fields: Iterable[PhaseField]) -> FieldIndex:
        """Of all elements that stand in some fields."""
        fields = list(fields)
        cations = sorted({symbol for f in fields for symbol in f.cations})
        return cls(tuple(cations), tuple(sorted({symbol for f in fields for symbol in f.anions})))

    def numbers(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """Numbers of the two cations and the two anions of each field, shape (n, 4).

        Raises:
            ValueError: If a field has not two different cations and two different anions, all of them numbered.
        """
        cation = {symbol: i for i, symbol in enumerate(self.cations)}
        anion = {symbol: i for i, symbol in enumerate(self.anions)}
        rows = []
        for phase_field in fields:
            if len(set(phase_field.cations)) != 2 or len(set(phase_field.anions)) != 2 or len(phase_field) != 4:
                raise ValueError(f"{phase_field} is no field M-M'-A-A' of two cations and two anions")
            try:
                rows.append([*(cation[s] for s in phase_field.cations), *(anion[s] for s in phase_field.anions)])
            except KeyError as error:
                raise ValueError(f"element {error} of {phase_field} has no number") from None
        return np.array(rows, dtype=int).reshape(-1, 4)

    def counts(self, numbers: np.ndarray) -> np.ndarray:
        """How often each combination stands, whatever the order, shape (n_cations, n_cations, n_anions, n_anions)."""
        counts = np.zeros((len(self.cations),) * 2 + (len(self.anions),) * 2)
        np.add.at(counts, tuple(numbers.T), 1.0)
        counts = counts + counts.transpose(1, 0, 2, 3)
        return counts + counts.transpose(0, 1, 3, 2)

    @cached_property
    def likeness(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Likeness of cations and of anions, 1 for an element and itself, for each of `WIDTHS`."""
        table = element_descriptors().reindex([*self.cations, *self.anions])[list(LIKENESS)]
        z = ((table - table.mean()) / table.std()).fillna(0.0).to_numpy()
        split = len(self.cations)
        return [(_gaussian(z[:split], a), _gaussian(z[split:], b)) for a, b in WIDTHS]


def familiarity(index: FieldIndex, counts: np.ndarray, numbers: np.ndarray, own: np.ndarray | float) -> np.ndarray:
    """Features of fields from the counts of the known ones.

    Args:
        index: Numbers the elements.
        counts: Of the known fields, from `FieldIndex.counts`.
        numbers: Of the fields in question, shape (n, 4).
        own: How often each of them is itself among the known ones: it shall not count as its own evidence.

    Returns:
        Logarithms of counts of elements, pairs, triples and like fields, shape (n, n_features).
    """
    columns = [*_exact(counts, numbers, own)]
    for likeness in index.likeness:
        columns += _like(counts, numbers, own, *likeness)
    return np.round(
        np.log1p(np.maximum(np.array(columns), 0.0)).T, 5
    )  # rounded, or the rounding error tells own counts


def _exact(counts: np.ndarray, numbers: np.ndarray, own: np.ndarray | float) -> list[np.ndarray]:
    a, b, c, d = numbers.T
    with_cation_pair, with_anion_pair, pair = counts.sum(3), counts.sum(1), counts.sum((1, 3))
    triples = [with_cation_pair[a, b, c], with_cation_pair[a, b, d], with_anion_pair[a, c, d], with_anion_pair[b, c, d]]
    pairs = [pair[a, c], pair[a, d], pair[b, c], pair[b, d]]
    cation, anion = counts.sum((1, 2, 3)) / 2, counts.sum((0, 1, 3)) / 2
    ends = [
        *_ends(*triples[:2]),
        *_ends(*triples[2:]),
        counts.sum((2, 3))[a, b] / 2,
        counts.sum((0, 1))[c, d] / 2,
        *_ends(cation[a], cation[b]),
        *_ends(anion[c], anion[d]),
        np.min(pairs, axis=0),
    ]
    all_triples = np.expm1(np.log1p(np.maximum(np.array(triples) - own, 0)).sum(axis=0))
    all_pairs = np.expm1(np.log1p(np.maximum(np.array(pairs) - own, 0)).sum(axis=0))
    return [*(column - own for column in ends), all_triples, all_pairs]


def _like(
    counts: np.ndarray, numbers: np.ndarray, own: np.ndarray | float, cations: np.ndarray, anions: np.ndarray
) -> list[np.ndarray]:
    """Known fields with a like cation, two like cations, a like anion, all elements alike."""
    a, b, c, d = numbers.T
    one = np.tensordot(cations, counts, axes=1)
    first, second = np.maximum(one[a, b, c, d] - own, 0), np.maximum(one[b, a, c, d] - own, 0)
    two = np.einsum("kb,ibcd->ikcd", cations, one)
    twice = 1 + cations[a, b] ** 2  # a field resembles itself with its cations exchanged, too
    anion = np.einsum("kc,abcd->abkd", anions, counts)
    one_anion = np.maximum(anion[a, b, c, d] - own, 0) + np.maximum(anion[a, b, d, c] - own, 0)
    every = np.einsum("kd,abcd->abck", anions, np.einsum("kc,abcd->abkd", anions, two))
    return [
        first + second,
        np.minimum(first, second),
        two[a, b, c, d] - own * twice,
        one_anion,
        every[a, b, c, d] - own * twice * (1 + anions[c, d] ** 2),
    ]


def _ends(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(x, y), np.maximum(x, y)


def _gaussian(z: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((z[:, None] - z[None]) ** 2).sum(axis=-1) / (2 * width**2))
