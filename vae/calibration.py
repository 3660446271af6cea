"""From scores to a probability, with its meaning and its prior.

The probability answers: of all fields M-M'-A-A' over the elements of the known ones, some are reported and the others
are not; how likely is a field with this score one of the reported? It is not the chance that a synthesis succeeds:
fields that nobody has tried count as unreported.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, log

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

#: Unlabelled fields that each member of an ensemble is calibrated against.
N_UNLABELLED = 2000


@dataclass(frozen=True)
class Calibration:
    """Log-odds that fall linearly with the score.

    Attributes:
        slope: Of the log-odds, per unit of score.
        intercept: At score zero, for equal numbers of reported and unreported fields.
        prior: Share of the reported among all fields of the known elements.
    """

    slope: float
    intercept: float
    prior: float

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Probability of being reported, shape of `scores`."""
        log_odds = self.intercept + self.slope * scores + log(self.prior / (1 - self.prior))
        return 1 / (1 + np.exp(-log_odds))


def calibrate(reported: np.ndarray, unlabelled: np.ndarray, known: Tensor) -> Calibration:
    """Logistic regression of reported against unlabelled fields, each side with the same weight.

    Args:
        reported: Scores of known fields that the model has not learned from.
        unlabelled: Scores of random fields of the same elements.
        known: Element indices of all known fields, shape (n, 4): they fix the prior.
    """
    scores = np.r_[reported, unlabelled].reshape(-1, 1)
    labels = np.r_[np.ones(len(reported)), np.zeros(len(unlabelled))]
    model = LogisticRegression(class_weight="balanced").fit(scores, labels)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    prior = min(0.5, len(known) / n_possible(known))
    # A slope above zero can only be noise of a list too small to calibrate on: no score then tells more than the prior.
    return Calibration(slope, intercept, prior) if slope < 0 else Calibration(0.0, 0.0, prior)


def n_possible(known: Tensor) -> int:
    """Fields M-M'-A-A' over the cations and anions of the known ones."""
    n_cations, n_anions = len(known[:, :2].unique()), len(known[:, 2:].unique())
    return max(1, comb(n_cations, 2) * comb(n_anions, 2))


def random_fields(known: Tensor, n: int, seed: int) -> Tensor:
    """Random fields over the cations and anions of the known ones, known ones left out, shape (at most n, 4)."""
    generator = torch.Generator().manual_seed(seed)
    columns: list[Tensor] = []
    for part in (known[:, :2], known[:, 2:]):
        elements = part.unique()
        first = torch.randint(len(elements), (n,), generator=generator)
        step = 1 + torch.randint(max(1, len(elements) - 1), (n,), generator=generator)
        columns += [elements[first], elements[(first + step) % len(elements)]]
    fields = torch.stack(columns, 1)
    taken = {tuple(sorted(row)) for row in known.tolist()}
    return fields[[tuple(sorted(row)) not in taken for row in fields.tolist()]]
