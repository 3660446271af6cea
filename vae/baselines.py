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

    Counts of the positives leave the field itself out, as they would be for a field that is not known yet.
    """
    n_elements = len(descriptors)
    tables = {size: _subset_table(known, n_elements, size) for size in (1, 2, 3)}

    def features(fields: np.ndarray, own: int = 0) -> np.ndarray:
        counts = [np.log1p(_lookup(tables[size], fields, n_elements, size) - own) for size in tables]
        return np.hstack([_symmetrized(fields, descriptors), *counts])

    rows = np.vstack([features(known, own=1), features(unlabelled)])
    labels = np.r_[np.ones(len(known)), np.zeros(len(unlabelled))]
    model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.08, l2_regularization=1.0, random_state=seed)
    model.fit(rows, labels)
    return lambda fields: -model.decision_function(features(fields))


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
