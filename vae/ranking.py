"""Rankers, one interface: fit, score, save, load; and the ranking of candidates with what it tells about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from vae.phase_fields import PhaseField

#: How many of the nearest known fields a ranking names.
N_NEAREST = 3


@dataclass(frozen=True)
class Scores:
    """Scores of phase fields, dimensionless; lower is more promising.

    Attributes:
        mean: Shape (n_fields,), over permutations or contexts, noisy passes and ensemble members.
        std: Their spread over noisy passes and members, shape (n_fields,).
    """

    mean: np.ndarray
    std: np.ndarray


class Ranker(Protocol):
    """Learns from known fields alone and scores any field."""

    name: str

    def fit(self, known: Sequence[PhaseField], progress: Callable[[int, int], None] | None = None) -> Self:
        """Learn; `progress` is called with the epochs done and the most there can be."""

    def score(self, fields: Sequence[PhaseField]) -> Scores:
        """Score fields, whatever the order of their elements."""

    def coordinates(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """Where fields lie in the space in which nearness is judged, shape (n_fields, n)."""

    def diagnostics(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, Any]:
        """What the ranker knows about itself, plain JSON, with a sentence under ``in_words``."""

    def save(self, path: str | Path) -> None:
        """Write a checkpoint."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a checkpoint."""


@dataclass(frozen=True)
class Ranking:
    """Candidates in order of score.

    Attributes:
        table: One row per candidate, sorted by ``rank``: phase_field, rank (1 = lowest score = most promising),
            score, score_std, nearest_known, novelty (distance to the nearest known field).
        diagnostics: The ranker's account of itself, plain JSON.
    """

    table: pd.DataFrame
    diagnostics: dict[str, Any]


def make_ranker(name: Literal["masked", "paper"] = "masked", seed: int = 0, **settings: Any) -> Ranker:
    """A ranker by name.

    Args:
        name: ``masked``, the default, or ``paper``, the published VAE.
        seed: Fixes every random number: equal seeds give equal scores.
        **settings: Of the ranker's own configuration.

    Raises:
        ValueError: If the name is unknown.
    """
    # Here, because torch is slow to import.
    from vae.masked import MaskedRanker
    from vae.paper import PaperRanker

    rankers: dict[str, Callable[..., Ranker]] = {"masked": MaskedRanker, "paper": PaperRanker}
    if name not in rankers:
        raise ValueError(f"ranker {name!r} is unknown, choose from {sorted(rankers)}")
    return rankers[name](seed=seed, **settings)


def rank(ranker: Ranker, candidates: Sequence[PhaseField], known: Sequence[PhaseField]) -> Ranking:
    """Rank candidates with a fitted ranker.

    Args:
        ranker: Fitted.
        candidates: Fields to rank; a field that stands twice is ranked once.
        known: The fields among which the nearest are named.

    Raises:
        ValueError: If there are no candidates or no known fields, or a field cannot be scored.
    """
    if not candidates:
        raise ValueError("no candidates: there is no phase field to rank")
    if not known:
        raise ValueError("no known phase fields: the nearest known field cannot be named")
    unique = list(dict.fromkeys(candidates))
    scores = ranker.score(unique)
    nearest, distances = _nearest(ranker, unique, list(dict.fromkeys(known)))
    table = pd.DataFrame(
        {
            "phase_field": [str(phase_field) for phase_field in unique],
            "rank": 0,
            "score": scores.mean,
            "score_std": scores.std,
            "nearest_known": nearest,
            "novelty": distances,
        }
    )
    # Equal scores: in the order of the names, so that the order of the input does not matter.
    table = table.sort_values(["score", "phase_field"], kind="stable", ignore_index=True)
    table["rank"] = np.arange(1, len(table) + 1)
    return Ranking(table, ranker.diagnostics(unique, scores))


def _nearest(ranker: Ranker, candidates: list[PhaseField], known: list[PhaseField]) -> tuple[list[str], np.ndarray]:
    """Names of the nearest known fields, joined by spaces, and the distance to the first of them.

    A candidate that is itself known is not its own neighbour, so that its novelty is that of the others.
    """
    n_neighbours = min(N_NEAREST + 1, len(known))
    tree = cKDTree(ranker.coordinates(known))
    distances, indices = tree.query(ranker.coordinates(candidates), k=list(range(1, n_neighbours + 1)))
    names, novelty = [], []
    for phase_field, row, found in zip(candidates, distances, indices, strict=True):
        others = [(known[i], d) for i, d in zip(found, row, strict=True) if known[i] != phase_field][:N_NEAREST]
        names.append(" ".join(str(neighbour) for neighbour, _ in others))
        novelty.append(others[0][1] if others else 0.0)
    return names, np.array(novelty)
