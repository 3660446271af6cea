"""Simple rankers to measure against: popularity, counts of pairs and triples, nearest neighbours, boosted trees.

Each takes element indices of fields, shape (n, 4), two cations, then two anions, and returns a function that scores
such fields, lower being more promising.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import NearestNeighbors

Scorer = Callable[[np.ndarray], np.ndarray]
#: Parts of the rows that boosted trees learn from, each counted without its own known fields.
_N_PARTS = 10


def popularity(known: np.ndarray, n_elements: int) -> Scorer:
    """Sum of the log counts of the elements."""
    counts = np.log1p(np.bincount(known.ravel(), minlength=n_elements))
    return lambda fields: -counts[fields].sum(1)


def subset_counts(known: np.ndarray, n_elements: int, size: int) -> Scorer:
    """Sum of the log counts of all pairs (size 2) or triples (size 3) of elements among the known fields."""
    counts = _subset_table(known, n_elements, size)
    return lambda fields: -np.log1p(_lookup(counts, fields, n_elements, size)).sum(1)


def nearest_neighbours(known: np.ndarray, descriptors: np.ndarray, n_neighbours: int = 5) -> Scorer:
    """Mean distance to the nearest known fields in the space of symmetrized descriptors."""
    index = NearestNeighbors(n_neighbors=min(n_neighbours, len(known))).fit(_symmetrized(known, descriptors))
    return lambda fields: index.kneighbors(_symmetrized(fields, descriptors))[0].mean(1)


def boosted_trees(known: np.ndarray, unlabelled: np.ndarray, descriptors: np.ndarray, seed: int) -> Scorer:
    """Gradient boosting of positives against unlabelled fields, on descriptors and counts.

    Positions mean something to it, so that known and unlabelled fields need one order of elements, here by
    electronegativity: trees find the known ones by their order otherwise.

    Rows are divided into parts, and counted among the known fields of the other parts, known and unlabelled rows alike:
    taking each known field out of its own counts alone would mark the positives by counts that are lower by one.

    Args:
        known: Rows of descriptors of the elements of each known field, shape (n, 4).
        unlabelled: The same of the others, shape (m, 4).
        descriptors: Standardised, shape (n_elements, n_descriptors).
        seed: Of the parts and the trees.
    """
    n_elements = len(descriptors)

    def features(fields: np.ndarray, counted: np.ndarray) -> np.ndarray:
        tables = [(_subset_table(counted, n_elements, size), size) for size in (1, 2, 3)]
        counts = [np.log1p(_lookup(table, fields, n_elements, size)) for table, size in tables]
        return np.hstack([_symmetrized(fields, descriptors), *counts])

    rng = np.random.default_rng(seed)
    of_known, of_unlabelled = (rng.permutation(len(fields)) % _N_PARTS for fields in (known, unlabelled))
    rows, labels = [], []
    for part in range(_N_PARTS):
        others = known[of_known != part]
        for label, fields in ((1, known[of_known == part]), (0, unlabelled[of_unlabelled == part])):
            rows.append(features(fields, others))
            labels.append(np.full(len(fields), label))
    model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.08, l2_regularization=1.0, random_state=seed)
    model.fit(np.vstack(rows), np.concatenate(labels))
    return lambda fields: -model.decision_function(features(fields, known))


def _subset_table(known: np.ndarray, n_elements: int, size: int) -> np.ndarray:
    counts = np.zeros(n_elements**size, dtype=np.int32)
    np.add.at(counts, _keys(known, n_elements, size).ravel(), 1)
    return counts


def _lookup(counts: np.ndarray, fields: np.ndarray, n_elements: int, size: int) -> np.ndarray:
    return counts[_keys(fields, n_elements, size)]


def _keys(fields: np.ndarray, n_elements: int, size: int) -> np.ndarray:
    """One number per subset of each field, shape (n, n_subsets), whatever the order of the elements."""
    subsets = [np.sort(fields[:, positions], axis=1) for positions in combinations(range(fields.shape[1]), size)]
    powers = n_elements ** np.arange(size)
    return np.stack([subset @ powers for subset in subsets], axis=1)


def _symmetrized(fields: np.ndarray, descriptors: np.ndarray) -> np.ndarray:
    """Mean and absolute difference of the cations' and of the anions' descriptors, shape (n, 4 * n_descriptors)."""
    values = descriptors[fields]
    parts = [f(values[:, i], values[:, i + 1]) for i in (0, 2) for f in (_mean, _difference)]
    return np.hstack(parts)


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a + b) / 2


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a - b)
