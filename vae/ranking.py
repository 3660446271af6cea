"""Rankers, one interface: fit, score, save, load; and the ranking of candidates with what it tells about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import pandas as pd

from vae.datasets import known_systems
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
    """Learns from known fields alone and scores any field.

    Attributes:
        name: As `make_ranker` knows it.
        seed: Of everything random in it.
        trained_on: Hash of the fields it was trained on; empty before.
        warm_starts: How many times in a row it has been trained from earlier weights.
    """

    name: str
    seed: int
    trained_on: str
    warm_starts: int

    def fit(
        self,
        known: Sequence[PhaseField],
        progress: Callable[[int, int], None] | None = None,
        start: Self | None = None,
    ) -> Self:
        """Learn, from an earlier ranker's weights if there is one.

        `progress` is called with the epochs done and the most there can be.
        """

    def score(self, fields: Sequence[PhaseField]) -> Scores:
        """Score fields, whatever the order of their elements."""

    def coordinates(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """Where fields lie in the space in which nearness is judged, shape (n_fields, n)."""

    def diagnostics(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, Any]:
        """What the ranker knows about itself, plain JSON, with a sentence under ``in_words``."""

    def explain(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, list[Any]]:
        """Further columns of the ranking, one value per field."""

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
            score, score_std, nearest_known, novelty (distance to it), also_near (the next nearest), known_ternaries and
            known_binaries (of the field's four and six, in the bundled list), and from the masked ranker probability,
            hardest_element and contributions (nats, how hard each element is to place beside the others).
        diagnostics: The ranker's account of itself, plain JSON.
        latent: Two principal components of the ranker's space: phase_field, kind (known or candidate), x, y.
    """

    table: pd.DataFrame
    diagnostics: dict[str, Any]
    latent: pd.DataFrame = field(default_factory=pd.DataFrame)


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
    unique, reported = list(dict.fromkeys(candidates)), list(dict.fromkeys(known))
    scores = ranker.score(unique)
    here, there = ranker.coordinates(unique), ranker.coordinates(reported)
    nearest, distances = _nearest(unique, here, reported, there)
    table = pd.DataFrame(
        {
            "phase_field": [str(phase_field) for phase_field in unique],
            "rank": 0,
            "score": scores.mean,
            "score_std": scores.std,
            "nearest_known": [names[0] if names else "" for names in nearest],
            "novelty": distances,
            "also_near": [" ".join(names[1:]) for names in nearest],
            "known_ternaries": [_known_subfields(phase_field, 3) for phase_field in unique],
            "known_binaries": [_known_subfields(phase_field, 2) for phase_field in unique],
            **ranker.explain(unique, scores),
        }
    )
    # Equal scores: in the order of the names, so that the order of the input does not matter.
    table = table.sort_values(["score", "phase_field"], kind="stable", ignore_index=True)
    table["rank"] = np.arange(1, len(table) + 1)
    return Ranking(table, ranker.diagnostics(unique, scores), _latent_map(unique, here, reported, there))


def _known_subfields(phase_field: PhaseField, size: int) -> str:
    """The binaries or ternaries of a field in which the bundled list has a compound, joined by spaces."""
    subsets = combinations(dict.fromkeys(phase_field), size)
    return " ".join("-".join(subset) for subset in subsets if frozenset(subset) in known_systems())


def _latent_map(
    candidates: list[PhaseField], here: np.ndarray, known: list[PhaseField], there: np.ndarray
) -> pd.DataFrame:
    points = np.vstack([there, here])
    points = points - points.mean(0)
    plane = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T
    names = [str(phase_field) for phase_field in [*known, *candidates]]
    kinds = ["known"] * len(known) + ["candidate"] * len(candidates)
    return pd.DataFrame({"phase_field": names, "kind": kinds, "x": plane[:, 0], "y": plane[:, 1]})


def _nearest(
    candidates: list[PhaseField], here: np.ndarray, known: list[PhaseField], there: np.ndarray
) -> tuple[list[list[str]], np.ndarray]:
    """Names of the nearest known fields, nearest first, and the distance to the first of them.

    A candidate that is itself known is not its own neighbour, so that its novelty is that of the others.
    """
    from scipy.spatial import cKDTree  # takes a fifth of a second to import, and most commands rank nothing

    n_neighbours = min(N_NEAREST + 1, len(known))
    distances, indices = cKDTree(there).query(here, k=list(range(1, n_neighbours + 1)))
    names: list[list[str]] = []
    novelty = []
    for phase_field, row, found in zip(candidates, distances, indices, strict=True):
        others = [(known[i], d) for i, d in zip(found, row, strict=True) if known[i] != phase_field][:N_NEAREST]
        names.append([str(neighbour) for neighbour, _ in others])
        novelty.append(others[0][1] if others else 0.0)
    return names, np.array(novelty)
