"""The ranker alone, from tables to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from loop.progress import Reporter
from vae.datasets import KnownFields, read_phase_fields
from vae.descriptors import element_descriptors, set_aside
from vae.phase_fields import PhaseField
from vae.ranking import Ranking, make_ranker
from vae.ranking import rank as rank_candidates
from vae.sources import BUNDLED, dropped_in_words, known_fields_from


def rank_files(train: Path | None, candidates: Path, name: str, seed: int) -> Ranking:
    """Train a ranker on one table and rank the fields of another.

    Args:
        train: Known fields, see `vae.sources.known_fields_from`; none for the bundled list.
        candidates: Fields to rank.
        name: Which ranker.
        seed: Seed of its random numbers.

    Raises:
        ValueError: If a table cannot be understood or is empty.
    """
    given = _known(train)
    known, fields = _describable(given.fields), _describable(read_phase_fields(candidates).fields)
    ranker = make_ranker(name, seed=seed)  # type: ignore[arg-type]
    with Reporter().share(f"training {name}, per cent") as progress:
        ranker.fit(known.kept, progress=progress)
    ranking = rank_candidates(ranker, fields.kept, known.kept)
    told = {**_told_of(given), **_set_aside(known.lacking, fields.lacking)}
    return replace(ranking, diagnostics={**ranking.diagnostics, **told})


class _Describable(NamedTuple):
    """Fields whose elements all have descriptors, and how many were set aside for want of them, by element."""

    kept: list[PhaseField]
    lacking: dict[str, int]


def _describable(fields: Sequence[PhaseField]) -> _Describable:
    kept, lacking = set_aside(fields, element_descriptors())
    if not kept:
        raise ValueError(f"no phase field is left: there are no descriptors for {', '.join(lacking)}")
    return _Describable(kept, lacking)


def _set_aside(*lacking: Mapping[str, int]) -> dict[str, str]:
    """What the diagnostics say of fields that were set aside; nothing if there are none."""
    total = sum(map(Counter, lacking), Counter())
    told = ", ".join(f"{symbol} ({n} fields)" for symbol, n in sorted(total.items()))
    return {"set_aside_without_descriptors": told} if told else {}


def rank_every_field(train: Path | None, out: Path, name: str, seed: int) -> tuple[int, dict[str, str]]:
    """Train a ranker and rank every quaternary field of the known elements, streamed to a table.

    Args:
        train: Known fields; none for the bundled list.
        out: The table.
        name: Which ranker; only `masked` can.
        seed: Seed of its random numbers.

    Returns:
        The number of fields, and what there is to say of known fields that were set aside.

    Raises:
        ValueError: If the ranker is not the masked one, or a table cannot be understood.
    """
    from vae.exhaustive import all_elements, rank_all
    from vae.masked import MaskedRanker

    if name != MaskedRanker.name:
        raise ValueError(f"ranker {name!r} cannot rank all fields: only 'masked' shares its work between fields")
    given, reporter = _known(train), Reporter()
    known = _describable(given.fields)
    with reporter.share(f"training {name}, per cent") as progress:
        ranker = MaskedRanker(seed=seed).fit(known.kept, progress=progress)
    with reporter.share("scoring, per cent") as progress:
        n_fields = rank_all(ranker, out, all_elements(known.kept, ranker), progress=progress)
    return n_fields, {**_told_of(given), **_set_aside(known.lacking)}


def validate_files(
    train: Path | None,
    test: Path | None,
    methods: Sequence[str] | None,
    folds: Sequence[int] | None,
    seed: int,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Held-out evaluation of a list of known fields, or of one list on the fields that only another has.

    Args:
        train: Known fields; none for the bundled list.
        test: The other list; none for folds.
        methods: Names of methods; none for all.
        folds: Some of the five folds, counted from 1; none for all.
        seed: Seed of folds, unlabelled fields and rankers.
        progress: Told what is being fitted.

    Raises:
        ValueError: If a table cannot be understood, a list is too short or a method is unknown.
    """
    from vae.validation import METHODS, prospective, validate

    chosen = list(methods) if methods else list(METHODS)
    if test is not None:
        return prospective(_known(train), _known(test), chosen, seed=seed, progress=progress)
    wanted = [number - 1 for number in folds] if folds else range(5)
    return validate(_known(train), chosen, wanted, seed=seed, progress=progress)


def draw_validation(result: Mapping[str, Any], folder: Path) -> None:
    """Recall curve and, where there are probabilities, calibration."""
    from vae.figures import calibration, recall_curve

    folder.mkdir(parents=True, exist_ok=True)
    recall_curve(result, folder / "recall.png")
    if any("probability_held_out" in curve for curve in result["curves"]):
        calibration(result, folder / "calibration.png")


def _known(train: Path | None) -> KnownFields:
    return known_fields_from(BUNDLED if train is None else train)


def _told_of(known: KnownFields) -> dict[str, str]:
    """What the diagnostics say of entries that a source of known fields holds and that are none; nothing if all are."""
    return {"left_out_of_the_known": dropped_in_words(known)} if known.dropped else {}
