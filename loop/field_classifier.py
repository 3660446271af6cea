"""What the verdicts so far say of the fields not yet explored: a classifier of positives against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from loop.cooccurrence import FieldIndex, familiarity
from vae import PhaseField


@dataclass(frozen=True)
class ClassifierSettings:
    """How the classifier weighs its evidence.

    Attributes:
        n_unlabelled: Candidates without a verdict that stand for the many fields in which nothing is known.
        unlabelled_weight: Of each of them; a known field weighs 1.
        positive_weight: Of a field that the campaign found positive.
        regularisation: Of the logistic regression (scikit-learn's C).
        rate_weight: How strongly the share of positives among explored fields of like make counts.
        rate_prior: Explored fields that the overall share stands for before any of like make is explored.
    """

    n_unlabelled: int = 12_000
    unlabelled_weight: float = 0.3
    positive_weight: float = 3.0
    regularisation: float = 0.1
    rate_weight: float = 0.5
    rate_prior: float = 5.0


class FieldClassifier:
    """Logistic regression of known and positive fields against unexplored and failed ones, and rates of success."""

    def __init__(self, candidates: Sequence[PhaseField], known: Sequence[PhaseField], settings: ClassifierSettings):
        self.settings = settings
        self.index = FieldIndex.of([*candidates, *known])
        self.candidates = self.index.numbers(candidates)
        self.known = self.index.numbers(known)

    def log_odds(
        self,
        positive: np.ndarray,
        negative: np.ndarray,
        rng: np.random.Generator,
        more: np.ndarray | None = None,
    ) -> np.ndarray:
        """Log-odds of each candidate to be positive, up to a constant; higher is more promising.

        Args:
            positive: Which candidates were found positive, boolean, shape (n_candidates,).
            negative: Which were explored in vain.
            rng: Draws the unlabelled candidates.
            more: Further features of the candidates and then of the known fields, such as their place in a latent
                space, shape (n_candidates + n_known, n).

        Returns:
            Shape (n_candidates,).
        """
        counts = self.index.counts(np.vstack([self.known, self.candidates[positive]]))
        here = familiarity(self.index, counts, self.candidates, positive.astype(float))
        there = familiarity(self.index, counts, self.known, 1.0)
        if more is not None:
            here = np.column_stack([here, more[: len(here)]])
            there = np.column_stack([there, more[len(here) :]])
        free = np.flatnonzero(~positive & ~negative)
        free = rng.choice(free, min(self.settings.n_unlabelled, len(free)), replace=False)
        s = self.settings
        parts = [(there, 1, 1.0), (here[free], 0, s.unlabelled_weight)]
        parts += [(here[positive], 1, s.positive_weight), (here[negative], 0, 1.0)]
        X = np.vstack([x for x, _, _ in parts])
        label = np.concatenate([np.full(len(x), y) for x, y, _ in parts])
        weight = np.concatenate([np.full(len(x), w) for x, _, w in parts])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=s.regularisation, max_iter=500))
        model.fit(X, label, logisticregression__sample_weight=weight)
        return model.decision_function(here) + s.rate_weight * self.rates(positive, negative)

    def rates(self, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
        """How much more often than on average fields of like make were positive, as a sum of logarithms.

        Of like make are fields with the same two anions, with these and one of the cations, and with one of the
        cations. Zero where nothing of like make is explored.
        """
        explored = positive | negative
        if not explored.any():
            return np.zeros(len(explored))
        average = max(positive.sum(), 1) / explored.sum()
        found = self._like_make(self.index.counts(self.candidates[positive]))
        tried = self._like_make(self.index.counts(self.candidates[explored]))
        hold = self.settings.rate_prior
        ratios = np.log((found + hold * average) / (tried + hold) / average)
        return np.array([1.0, 1.0, 1.0, 0.5, 0.5]) @ ratios

    def _like_make(self, counts: np.ndarray) -> np.ndarray:
        a, b, c, d = self.candidates.T
        cation, both_anions = counts.sum((1, 2, 3)) / 2, counts.sum(1)
        anions = counts.sum((0, 1)) / 2
        return np.array([anions[c, d], both_anions[a, c, d], both_anions[b, c, d], cation[a], cation[b]])

    def explored_of_like_make(self, explored: np.ndarray) -> np.ndarray:
        """How many fields with the same anions and one of the cations are explored, for each candidate."""
        return self._like_make(self.index.counts(self.candidates[explored]))[1:3].sum(axis=0)

    def popularity(self, positive: np.ndarray) -> np.ndarray:
        """To compare with: how often each element stands in known and positive fields, the sum of logarithms."""
        counts = self.index.counts(np.vstack([self.known, self.candidates[positive]]))
        a, b, c, d = self.candidates.T
        cation, anion = counts.sum((1, 2, 3)), counts.sum((0, 1, 3))
        return np.log1p(np.array([cation[a], cation[b], anion[c], anion[d]])).sum(axis=0)

    def triples(self, positive: np.ndarray) -> np.ndarray:
        """To compare with: how often each three of the elements stand together, the sum of logarithms."""
        counts = self.index.counts(np.vstack([self.known, self.candidates[positive]]))
        a, b, c, d = self.candidates.T
        cations, anions = counts.sum(3), counts.sum(1)
        return np.log1p(np.array([cations[a, b, c], cations[a, b, d], anions[a, c, d], anions[b, c, d]])).sum(axis=0)
