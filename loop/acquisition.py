"""Which phase fields, and which compositions in them, are worth the next calculations."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd


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
