"""The `hull` strategy: compute what may lie on the hull or move it, given everything that is known so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition
from scipy.stats import norm

from loop.field_model import FieldModel
from loop.units import MEV

if TYPE_CHECKING:
    from loop.strategies import Knowledge


@dataclass(frozen=True)
class HullSettings:
    """How the `hull` strategy weighs candidates.

    Attributes:
        within: A composition is found if it lies this near to the hull, eV/atom.
        shortlist: The doubts of this many of the most promising candidates are followed through a batch.
        closest: Two compositions of a batch, or one and a failure, count as near within this distance in coordinates.
        ceiling: Energies above this count as this, eV/atom: how far beyond reach a composition lies says little of
            those within reach.
    """

    within: float = 0.010
    shortlist: int = 250
    closest: float = 0.03
    ceiling: float = 0.150


@dataclass(frozen=True)
class Pick:
    """A candidate that the strategy took.

    Attributes:
        index: Its place among the candidates.
        reason: Why, in words.
        improvement: By how much it is expected to lower the hull at its composition, eV/atom.
    """

    index: int
    reason: str
    improvement: float


@dataclass(frozen=True)
class Belief:
    """What the surrogate says of some candidates: mean (n,) and covariance (n, n) in eV/atom, where they lie."""

    coordinates: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation, eV/atom, shape (n,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 1e-12))

    def after(self, i: int) -> Belief:
        """The belief once candidate `i` is computed, if it comes out as expected: the mean stays, the doubt shrinks."""
        column = self.covariance[:, i]
        shrunk = self.covariance - np.outer(column, column) / column[i]
        return Belief(self.coordinates, self.mean, shrunk)


def choose_by_hull(known: Knowledge, fresh: Sequence[str], n: int, settings: HullSettings) -> list[Pick]:
    """Candidates in the order of their chance to lie near the hull, each in view of those already in the batch.

    Near the hull means near that of the competing phases and of everything computed so far, so that a composition
    beside one already found must lie lower than it had to before.

    Args:
        known: What is known of the field.
        fresh: Reduced formulas of the candidates.
        n: How many, at most all of them.
        settings: See `HullSettings`.
    """
    compositions = [Composition(formula) for formula in fresh]
    depth = _depth(known, known.space.fractions(compositions))
    short, belief = believe(known, compositions, settings.within + depth, max(n, settings.shortlist), settings)
    limit = depth[short]
    survival = 1 - _failure_share(known, belief.coordinates, settings.closest)
    picks: list[Pick] = []
    open_ = np.ones(len(short), dtype=bool)
    near = np.zeros(len(short), dtype=bool)
    while len(picks) < n:
        allowed = open_ & ~near if (open_ & ~near).any() else open_
        z = (settings.within + limit - belief.mean) / belief.deviation
        worth = norm.logcdf(z) + np.log(survival)
        i = int(np.argmax(np.where(allowed, worth.round(9), -np.inf)))
        improvement = float(_expected_improvement(belief, limit)[i])
        picks.append(Pick(int(short[i]), _reason(belief, i, float(norm.cdf(z[i])), settings), improvement))
        open_[i] = False
        near |= np.linalg.norm(belief.coordinates - belief.coordinates[i], axis=1) < settings.closest
        belief = belief.after(i)
    return picks


def believe(
    known: Knowledge, candidates: Sequence[Composition], limit: np.ndarray, size: int, settings: HullSettings
) -> tuple[np.ndarray, Belief]:
    """Fit the surrogate to what is known and look at the most promising candidates.

    Args:
        known: What is known of the field.
        candidates: Reduced compositions.
        limit: Energy relative to the competing phases below which each counts as found, eV/atom.
        size: How many to look at together.
        settings: See `HullSettings`.

    Returns:
        Their indices among the candidates, and the belief about them.
    """
    model = FieldModel.fit(known, settings)
    features = model.features(candidates)
    mean, deviation = model.surrogate.predict(features)
    promise = (limit - mean) / deviation
    short = np.sort(np.argsort(-promise.round(9), kind="stable")[:size])
    mean, covariance = model.surrogate.joint(features[short])
    coordinates = known.space.coordinates(known.space.fractions([candidates[i] for i in short]))
    return short, Belief(coordinates, mean, covariance)


def _depth(known: Knowledge, fractions: np.ndarray) -> np.ndarray:
    """How far the hull of everything known lies below that of the competing phases, negative, eV/atom."""
    below = {formula: energy for formula, energy in known.computed.items() if energy < 0}
    if not below:
        return np.zeros(len(fractions))
    space = known.space
    at = space.fractions([Composition(formula) for formula in below])
    found = (at, space.hull_energies(at) + np.array(list(below.values())))
    return space.hull_energies(fractions, found) - space.hull_energies(fractions)


def _expected_improvement(belief: Belief, depth: np.ndarray) -> np.ndarray:
    """Mean of max(0, hull - energy) over what a calculation may give, eV/atom, shape (n,)."""
    z = (depth - belief.mean) / belief.deviation
    return belief.deviation * (z * norm.cdf(z) + norm.pdf(z))


def _failure_share(known: Knowledge, coordinates: np.ndarray, reach: float) -> np.ndarray:
    """How much of what was tried nearby has failed, from 0 to nearly 1, shape (n,)."""

    def nearby(formulas: Sequence[str]) -> np.ndarray:
        if not formulas:
            return np.zeros(len(coordinates))
        at = known.space.coordinates(known.space.fractions([Composition(formula) for formula in formulas]))
        distance = np.linalg.norm(coordinates[:, None] - at[None], axis=-1)
        return np.exp(-0.5 * (distance / (2 * reach)) ** 2).sum(axis=1)

    failed = nearby(sorted(known.failed))
    return failed / (failed + nearby(sorted(known.computed)) + 0.5)


def _reason(belief: Belief, i: int, chance: float, settings: HullSettings) -> str:
    expected = f"{belief.mean[i] * MEV:+.0f} ± {belief.deviation[i] * MEV:.0f} meV/atom"
    within = f"within {settings.within * MEV:.0f} of the hull"
    return f"expected {expected} from the hull of the competing phases; chance to lie {within} {chance:.0%}"
