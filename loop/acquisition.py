"""Which phase fields, and which compositions in them, are worth the next calculations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from dft.hull import Entry
from loop.field_choice import FieldScores, diverse_batch, standardised
from loop.field_classifier import ClassifierSettings, FieldClassifier
from loop.field_space import FieldSpace, formula_of
from loop.strategies import Choice, Knowledge, choose
from vae import PhaseField


def choose_fields(
    ranking: pd.DataFrame,
    explored: Collection[str],
    n: int,
    strategy: str = "exploit",
    log_odds: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """The fields to explore next: the best by the ranking and the verdicts so far, without near-twins.

    Args:
        ranking: Columns `phase_field`, `rank` and `score`, best first; `score_std`, `novelty` and `nearest_known` are
            used if they are there.
        explored: Names of the fields that already have a verdict.
        n: How many to choose; fewer are given if there are fewer.
        strategy: exploit (score alone), balanced, or explore (doubt and novelty count as much as the score).
        log_odds: What the verdicts so far say of each field, from `verdict_log_odds`; none before there are any.

    Returns:
        The reason for each choice, by field, in the order of the choice.

    Raises:
        ValueError: If there is no such strategy.
    """
    zero = np.zeros(len(ranking))
    promise = -ranking["score"].to_numpy(dtype=float)
    if log_odds:
        said = ranking["phase_field"].map(log_odds).to_numpy(dtype=float)
        promise = standardised(promise) + standardised(np.nan_to_num(said, nan=np.nanmean(said)))
    scores = FieldScores(
        promise,
        ranking["score_std"].to_numpy(dtype=float) if "score_std" in ranking else zero,
        ranking["novelty"].to_numpy(dtype=float) if "novelty" in ranking else zero,
    )
    elements = ranking["phase_field"].str.split("-").tolist()
    fresh = ~ranking["phase_field"].isin(set(explored)).to_numpy()
    chosen = diverse_batch(elements, scores.worth(strategy), n, fresh)
    rows = ranking.iloc[chosen].to_dict("records")
    return {row["phase_field"]: _reason(row, len(ranking), strategy, log_odds) for row in rows}


def verdict_log_odds(
    candidates: Sequence[PhaseField],
    known: Sequence[PhaseField],
    positive: Collection[PhaseField],
    negative: Collection[PhaseField],
    seed: int,
    coordinates: np.ndarray | None = None,
) -> dict[str, float]:
    """What the verdicts say of fields M-M'-A-A': a classifier of known and positive fields against the others.

    Args:
        candidates: Fields to choose from; the explored ones may be among them.
        known: Known from the start, less those that were explored all the same.
        positive: Explored, with a positive verdict.
        negative: Explored, filtered or undecided.
        seed: Draws the candidates that stand for the unexplored.
        coordinates: Where candidates, explored fields that are none, and known fields lie in the ranker's latent space.

    Returns:
        Log-odds by name, up to a constant; higher is more promising.

    Raises:
        ValueError: If a field has not two cations and two anions.
    """
    everything = list(dict.fromkeys([*candidates, *positive, *negative]))
    model = FieldClassifier(everything, known, ClassifierSettings())
    yes, no = (np.array([f in group for f in everything]) for group in (set(positive), set(negative) - set(positive)))
    odds = model.log_odds(yes, no, np.random.default_rng(seed), coordinates)
    return {str(f): float(x) for f, x in zip(everything, odds, strict=True)}


def _reason(row: Mapping[Any, Any], n_candidates: int, strategy: str, log_odds: Mapping[str, float] | None) -> str:
    parts = [f"rank {row['rank']} of {n_candidates} (score {row['score']:.3f})"]
    if nearest := str(row.get("nearest_known") or ""):
        parts.append(f"nearest known {nearest}")
    said = (log_odds or {}).get(row["phase_field"])
    if log_odds and said is not None:
        better = np.mean([said > other for other in log_odds.values()])
        parts.append(f"by the verdicts so far more promising than {better:.0%} of the fields")
    how = {"exploit": "the most promising", "balanced": "promise, some doubt and novelty", "explore": "unfamiliar"}
    return f"{'; '.join(parts)}; {how[strategy]} of what is unexplored, no near-twins"


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
    section: Sequence[str] = (),
) -> list[Choice]:
    """The compositions of a field to compute next.

    Args:
        phase_field: The field.
        competing: Entries of its competing phases, elements included, at the level of theory of the energies.
        known: Computed compositions with their energies relative to the hull of the competing phases, eV/atom.
        candidates: Where to choose from; what is known, failed or a multiple of another is left out.
        n: How many; fewer are given if there are fewer.
        seed: Of the strategy's chance.
        strategy: hull, spread, grid or random; lowest for the order of the cheaper level.
        failed: Compositions whose calculation gave no energy; their neighbourhood is avoided.
        cheaper: Compositions with energies above hull at a cheaper level, eV/atom.
        section: End members, if the energies are relative to the hull between them alone.

    Returns:
        Each composition with the reason for it and what is expected of it, in the order of the choice.

    Raises:
        ValueError: If the strategy is unknown, a candidate lies outside the field or an element has no reference.
    """
    knowledge = Knowledge(
        FieldSpace(phase_field, tuple(competing), tuple(section)),
        _lowest(known),
        frozenset(map(formula_of, failed)),
        _lowest(cheaper),
    )
    return choose(strategy, knowledge, candidates, n, np.random.default_rng(seed))


def _lowest(energies: Iterable[tuple[Composition | str, float]]) -> dict[str, float]:
    lowest: dict[str, float] = {}
    for composition, energy in energies:
        formula = formula_of(composition)
        lowest[formula] = min(float(energy), lowest.get(formula, np.inf))
    return lowest
