"""Which phase fields, and which compositions in them, are worth the next calculations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from dft.hull import Entry
from loop.field_space import FieldSpace, formula_of
from loop.strategies import Knowledge, choose
from vae import PhaseField


def choose_fields(ranking: pd.DataFrame, explored: Collection[str], n: int) -> dict[str, str]:
    """The best-ranked fields that have not been explored yet.

    Args:
        ranking: Columns `phase_field`, `rank` and `score`, best first.
        explored: Names of the fields that already have a verdict.
        n: How many to choose; fewer are given if there are fewer.

    Returns:
        The reason for each choice, by field, in the order of the choice.
    """
    fresh = ranking[~ranking["phase_field"].isin(set(explored))].head(n)
    return {row.phase_field: _reason(row, len(ranking)) for row in fresh.itertuples()}


def _reason(row: object, n_candidates: int) -> str:
    return f"rank {row.rank} of {n_candidates} (score {row.score:.3f}); the best-ranked field not yet explored"  # type: ignore[attr-defined]


def choose_compositions(
    phase_field: PhaseField,
    competing: Sequence[Entry],
    known: Iterable[tuple[Composition | str, float]],
    candidates: Sequence[Composition | str],
    n: int,
    seed: int,
    strategy: str = "hull",
    failed: Iterable[Composition | str] = (),
    cheaper: Iterable[tuple[Composition | str, float]] = (),
) -> list[tuple[Composition, str]]:
    """The compositions of a field to compute next.

    Args:
        phase_field: The field.
        competing: Entries of its competing phases, elements included, at the level of theory of the energies.
        known: Computed compositions with their energies relative to the hull of the competing phases, eV/atom.
        candidates: Where to choose from; what is known, failed or a multiple of another is left out.
        n: How many; fewer are given if there are fewer.
        seed: Of the strategy's chance.
        strategy: hull, spread, grid or random.
        failed: Compositions whose calculation gave no energy; their neighbourhood is avoided.
        cheaper: Compositions with energies above hull at a cheaper level, eV/atom.

    Returns:
        Each composition with the reason for it, in the order of the choice.

    Raises:
        ValueError: If the strategy is unknown, a candidate lies outside the field or an element has no reference.
    """
    knowledge = Knowledge(
        FieldSpace(phase_field, tuple(competing)),
        _lowest(known),
        frozenset(map(formula_of, failed)),
        _lowest(cheaper),
    )
    chosen = choose(strategy, knowledge, candidates, n, np.random.default_rng(seed))
    return [(Composition(choice.formula), choice.reason) for choice in chosen]


def _lowest(energies: Iterable[tuple[Composition | str, float]]) -> dict[str, float]:
    lowest: dict[str, float] = {}
    for composition, energy in energies:
        formula = formula_of(composition)
        lowest[formula] = min(float(energy), lowest.get(formula, np.inf))
    return lowest
