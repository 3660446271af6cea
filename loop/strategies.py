"""Which compositions of a field to compute next: what is known goes in, a batch with a reason for each comes out.

Every strategy has the same signature. None can see an energy that has not been asked for: it is given what is known,
and the compositions of what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pymatgen.core import Composition

from dft.compositions import spread_compositions
from loop.field_space import FieldSpace, formula_of
from loop.hull_strategy import HullSettings, choose_by_hull
from loop.surrogate import Surrogate


@dataclass(frozen=True)
class Knowledge:
    """All that a strategy may know of a field.

    Attributes:
        space: The field and the energies of its competing phases.
        computed: Energy relative to the hull of the competing phases by reduced formula, eV/atom, negative below it.
        failed: Reduced formulas whose calculation gave no energy.
        cheaper: Energies above hull of a cheaper level by reduced formula, eV/atom; may lack compositions.
        surrogate: Keeps its hyperparameters from one batch to the next, which saves time; a fresh one fits them anew.
        cheaper_surrogate: The same of the cheaper level.
    """

    space: FieldSpace
    computed: Mapping[str, float] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    cheaper: Mapping[str, float] = field(default_factory=dict)
    surrogate: Surrogate = field(default_factory=Surrogate, repr=False)
    cheaper_surrogate: Surrogate = field(default_factory=Surrogate, repr=False)


@dataclass(frozen=True)
class Choice:
    """A composition to compute next.

    Attributes:
        formula: Reduced.
        reason: Why, in words.
        improvement: By how much it is expected to lower the hull, eV/atom; none if the strategy has no expectation.
    """

    formula: str
    reason: str
    improvement: float | None = None


#: Energies of compounds, computed or competing, below which there is nothing to fit.
ENOUGH = 3

Strategy = Callable[[Knowledge, Sequence[str], int, np.random.Generator], list[Choice]]


def choose(
    strategy: str, known: Knowledge, candidates: Sequence[Composition | str], n: int, rng: np.random.Generator
) -> list[Choice]:
    """The next batch of compositions.

    Args:
        strategy: One of `STRATEGIES`.
        known: What is known of the field.
        candidates: Where to choose from; multiples of one composition, and what is known, count once and not at all.
        n: How many; fewer are given if there are fewer.
        rng: For the strategies that leave something to chance.

    Raises:
        ValueError: If there is no such strategy or no candidate lies in the field.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r} is unknown, choose from {sorted(STRATEGIES)}")
    fresh = fresh_candidates(known, candidates)
    return STRATEGIES[strategy](known, fresh, min(n, len(fresh)), rng) if fresh and n > 0 else []


def fresh_candidates(known: Knowledge, candidates: Sequence[Composition | str]) -> list[str]:
    """Distinct reduced formulas that are neither computed nor failed, in the order of their names.

    Raises:
        ValueError: If a candidate holds an element that the field has not.
    """
    distinct: dict[str, Composition] = {}
    for candidate in candidates:
        composition = Composition(candidate)
        outside = sorted({str(element) for element in composition.elements} - set(known.space.elements))
        if outside:
            name = composition.reduced_formula
            raise ValueError(
                f"candidate {name} holds {', '.join(outside)}, which the field {known.space.field} has not"
            )
        distinct[formula_of(composition)] = composition
    return sorted(distinct.keys() - known.computed.keys() - known.failed)


def spread(known: Knowledge, fresh: Sequence[str], n: int, rng: np.random.Generator) -> list[Choice]:
    """Far from each other and from what is known (maximin); no chance enters."""
    seen = [Composition(formula) for formula in (*known.computed, *known.failed)]
    chosen = spread_compositions([Composition(formula) for formula in fresh], n, seen)
    return [Choice(formula_of(c), "far from every composition chosen or computed before") for c in chosen]


def random(known: Knowledge, fresh: Sequence[str], n: int, rng: np.random.Generator) -> list[Choice]:
    """By chance alone, to compare with."""
    return [Choice(fresh[i], "drawn by chance") for i in rng.permutation(len(fresh))[:n]]


def grid(known: Knowledge, fresh: Sequence[str], n: int, rng: np.random.Generator) -> list[Choice]:
    """Row after row over the field, the simplest formulas of equal ratios first; to compare with."""
    fractions = known.space.fractions([Composition(formula) for formula in fresh])
    order = np.lexsort(known.space.coordinates(fractions).round(2).T[::-1])
    return [Choice(fresh[i], "next on the grid") for i in order[:n]]


def lowest(known: Knowledge, fresh: Sequence[str], n: int, rng: np.random.Generator) -> list[Choice]:
    """In the order of a cheaper level, whatever has been computed since; what has no energy there comes last."""
    order = sorted(fresh, key=lambda formula: (known.cheaper.get(formula, np.inf), formula))
    return [Choice(formula, "the lowest left by the cheaper level") for formula in order[:n]]


def hull(
    known: Knowledge, fresh: Sequence[str], n: int, rng: np.random.Generator, settings: HullSettings | None = None
) -> list[Choice]:
    """What may lie on the hull or move it, given all that is known so far; see `loop.hull_strategy`."""
    if not known.cheaper and len(known.computed) + len(known.space.competing_energies) < ENOUGH:
        return spread(known, fresh, n, rng)
    picks = choose_by_hull(known, fresh, n, settings or HullSettings())
    return [Choice(fresh[pick.index], pick.reason, pick.improvement) for pick in picks]


#: The strategies by the name that the configuration and the command line call them by.
STRATEGIES: dict[str, Strategy] = {"hull": hull, "spread": spread, "random": random, "grid": grid, "lowest": lowest}

#: Those that a cheaper level tells something; the others are to compare with.
WITH_PRIOR = ("hull", "lowest")
