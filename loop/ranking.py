"""The ranker alone, from tables to a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vae.datasets import known_phase_fields, read_phase_fields
from vae.ranking import Ranking, make_ranker
from vae.ranking import rank as rank_candidates


def rank_files(
    train: Path | None,
    candidates: Path,
    name: str,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Ranking:
    """Train a ranker on one table and rank the fields of another.

    Args:
        train: Known fields; none for the bundled list.
        candidates: Fields to rank.
        name: Which ranker.
        seed: Seed of its random numbers.
        progress: Told how many of how many training steps are done.

    Raises:
        ValueError: If a table cannot be understood or is empty.
    """
    known = known_phase_fields() if train is None else read_phase_fields(train)
    fields = read_phase_fields(candidates).fields
    ranker = make_ranker(name, seed=seed)  # type: ignore[arg-type]
    ranker.fit(known.fields, progress=progress)
    return rank_candidates(ranker, fields, known.fields)
