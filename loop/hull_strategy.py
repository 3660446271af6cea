"""The `hull` strategy: compute what may lie on the hull or move it, given everything that is known so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition
from scipy.stats import norm

from loop.field_model import FieldModel

if TYPE_CHECKING:
    from loop.field_space import FieldSpace
    from loop.strategies import Knowledge

MEV = 1000.0  # meV per eV


@dataclass(frozen=True)
class HullSettings:
    """How the `hull` strategy weighs candidates.

    Attributes:
        within: A composition is found if it lies this near to the hull, eV/atom.
        n_samples: Draws of the whole field from the surrogate; each has a hull of its own.
        shortlist: Draws are joint over this many of the most promising candidates.
        closest: Two compositions of a batch, or one and a failure, count as near within this distance in coordinates.
        cheaper_error: Assumed error of a cheaper level while its slope is learned, eV/atom.
    """

    within: float = 0.010
    n_samples: int = 64
    shortlist: int = 250
    closest: float = 0.03
    cheaper_error: float = 0.030


@dataclass(frozen=True)
class Belief:
    """What the surrogate says of some candidates: mean (n,) and covariance (n, n) in eV/atom, where they lie."""

    fractions: np.ndarray
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
        return Belief(self.fractions, self.coordinates, self.mean, shrunk)


def choose_by_hull(
    known: Knowledge, fresh: Sequence[str], n: int, rng: np.random.Generator, settings: HullSettings
) -> list[tuple[int, str]]:
    """Candidates in the order of their chance to lie near the hull, each in view of those already in the batch.

    Args:
        known: What is known of the field.
        fresh: Reduced formulas of the candidates.
        n: How many, at most all of them.
        rng: For the draws.
        settings: See `HullSettings`.

    Returns:
        Index of each choice among `fresh`, and the reason.
    """
    space = known.space
    fractions = space.fractions([Composition(formula) for formula in fresh])
    short, belief = believe(known, fresh, fractions, max(n, settings.shortlist), settings)
    likely_to_fail = _failure_share(known, belief.coordinates, settings.closest)
    found = _found(known)
    normal = rng.standard_normal((settings.n_samples, len(short)))
    picks: list[tuple[int, str]] = []
    open_ = np.ones(len(short), dtype=bool)
    near = np.zeros(len(short), dtype=bool)
    while len(picks) < n:
        allowed = open_ & ~near if (open_ & ~near).any() else open_
        chance, worth = _worth(space, belief, found, normal, settings.within)
        i = int(np.argmax(np.where(allowed, (worth * (1 - likely_to_fail)).round(12), -np.inf)))
        picks.append((int(short[i]), _reason(belief, i, chance[i], settings)))
        open_[i] = False
        near |= np.linalg.norm(belief.coordinates - belief.coordinates[i], axis=1) < settings.closest
        belief = belief.after(i)
    return picks


def believe(
    known: Knowledge, fresh: Sequence[str], fractions: np.ndarray, size: int, settings: HullSettings
) -> tuple[np.ndarray, Belief]:
    """Fit the surrogate to what is known and look at the most promising candidates.

    Args:
        known: What is known of the field.
        fresh: Reduced formulas of the candidates.
        fractions: Their atomic fractions.
        size: How many to look at together.
        settings: See `HullSettings`.

    Returns:
        Their indices among `fresh`, and the belief about them.
    """
    coordinates = known.space.coordinates(fractions)
    model = FieldModel.fit(known, settings)
    trend = model.trend(fresh, coordinates)
    mean, deviation = model.surrogate.predict(coordinates)
    promise = (settings.within - mean - trend) / deviation
    short = np.sort(np.argsort(-promise.round(9), kind="stable")[:size])
    mean, covariance = model.surrogate.joint(coordinates[short])
    return short, Belief(fractions[short], coordinates[short], mean + trend[short], covariance)


def _found(known: Knowledge) -> tuple[np.ndarray, np.ndarray] | None:
    """Fractions and formation energies of what has been computed below the hull of the competing phases."""
    below = {formula: energy for formula, energy in known.computed.items() if energy < 0}
    if not below:
        return None
    fractions = known.space.fractions([Composition(formula) for formula in below])
    return fractions, known.space.hull_energies(fractions) + np.array(list(below.values()))


def _worth(
    space: FieldSpace, belief: Belief, found: tuple[np.ndarray, np.ndarray] | None, normal: np.ndarray, within: float
) -> tuple[np.ndarray, np.ndarray]:
    """The chance of each candidate to lie near the hull, whatever the others turn out to be.

    The belief is drawn many times over; each draw has its own hull, of the competing phases, of what was found and of
    what the draw puts below them.

    Returns:
        The chance, and a finer measure in the same order that tells apart candidates which no draw puts near the hull;
        each (n,).
    """
    competing = space.hull_energies(belief.fractions)
    depth_now = 0.0 if found is None else space.hull_energies(belief.fractions, found) - competing
    draws = belief.mean + normal @ _root(belief.covariance).T
    near = np.zeros(len(competing))
    for draw in draws:
        depth = _depth(space, belief, competing, found, draw, depth_now)
        near += draw - depth <= within
    chance = near / len(draws)
    z = (within + depth_now - belief.mean) / belief.deviation
    return chance, chance + 1e-3 * norm.cdf(z) + 1e-9 * norm.logcdf(z)


def _depth(
    space: FieldSpace,
    belief: Belief,
    competing: np.ndarray,
    found: tuple[np.ndarray, np.ndarray] | None,
    draw: np.ndarray,
    depth_now: np.ndarray | float,
) -> np.ndarray | float:
    """How far the hull of a draw lies below that of the competing phases, negative, eV/atom."""
    below = draw < depth_now
    if not below.any():
        return depth_now
    points, energies = belief.fractions[below], (draw + competing)[below]
    if found is not None:
        points, energies = np.vstack([found[0], points]), np.concatenate([found[1], energies])
    return space.hull_energies(belief.fractions, (points, energies)) - competing


def _root(covariance: np.ndarray) -> np.ndarray:
    """A square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


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
