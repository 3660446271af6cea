"""The outer loop replayed on a table of known energies: which fields are chosen, and how many turn out positive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition, Element

from loop.field_choice import WEIGHTS, FieldScores, diverse_batch
from loop.field_classifier import ClassifierSettings, FieldClassifier
from vae import PhaseField
from vae.datasets import known_systems
from vae.descriptors import element_descriptors, field_descriptors

#: The pairs of anions whose fields are candidates unless others are asked for.
ANION_PAIRS = (
    "F-O Cl-O Br-O I-O O-S O-Se N-O S-Se S-Te Se-Te F-S Cl-S Br-S I-S Cl-Se Br-Se I-Se Cl-Te Br-Te N-S F-N Cl-N Br-N "
    "I-N F-Cl F-Br F-I Br-Cl Cl-I Br-I Cl-P Br-P I-P"
)
#: No entry lies further above the hull, nor below it, eV/atom.
ABSURD = 20.0
BASELINES = ("popularity", "triples", "published", "random")


class FieldOracle:
    """Lowest known energy of each field, told only when asked for, and counted."""

    def __init__(self, lowest: Mapping[PhaseField, float]) -> None:
        self.__lowest = dict(lowest)
        self.asked = 0

    def ask(self, phase_field: PhaseField) -> float | None:
        """Energy above the hull of its lowest quaternary entry, eV/atom; none if the table has no entry in it."""
        self.asked += 1
        return self.__lowest.get(phase_field)


@dataclass(frozen=True)
class FieldPuzzle:
    """Candidates whose outcome the oracle knows.

    Attributes:
        known: The fields known from the start.
        candidates: The fields to choose from, none of them known.
        within: A field is positive if its lowest entry lies this near to the hull, eV/atom.
    """

    known: tuple[PhaseField, ...]
    candidates: tuple[PhaseField, ...]
    within: float = 0.025
    _lowest: Mapping[PhaseField, float] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        known: Collection[PhaseField],
        lowest: Mapping[PhaseField, float],
        anion_pairs: str = ANION_PAIRS,
    ) -> FieldPuzzle:
        """All fields M-M'-A-A' of the known elements with certain pairs of anions, less the known fields.

        Raises:
            ValueError: If no known field is of this kind, a pair is not understood or no candidate is left.
        """
        kind = [f for f in known if len(set(f.cations)) == len(set(f.anions)) == 2]
        if not kind:
            raise ValueError("no known field has two cations and two anions: there is nothing to learn from")
        cations = sorted({symbol for f in kind for symbol in f.cations})
        pairs = [PhaseField.parse(pair) for pair in anion_pairs.replace(",", " ").split()]
        if wrong := [str(pair) for pair in pairs if len(set(pair.anions)) != 2]:
            raise ValueError(f"--anion-pairs: {wrong[0]} are no two different anions")
        everything = {PhaseField((*two, *pair)) for two in combinations(cations, 2) for pair in pairs}
        candidates = sorted(everything - set(kind), key=str)
        if not candidates:
            raise ValueError("no candidate field is left: give more anion pairs")
        return cls(tuple(sorted(set(kind), key=str)), tuple(candidates), _lowest=lowest)

    @property
    def n_positive(self) -> int:
        """How many candidates are positive; for the judge."""
        return sum(self._lowest.get(f, np.inf) <= self.within for f in self.candidates)

    def oracle(self) -> FieldOracle:
        """A fresh oracle that has not been asked anything."""
        return FieldOracle(self._lowest)


@dataclass(frozen=True)
class FieldReplay:
    """One campaign.

    Attributes:
        strategy: Its name.
        seed: Of its random numbers.
        feedback: Whether verdicts changed what came next.
        found: Positive fields of each cycle.
        positives: Their names.
        evaluated: How many fields were asked for.
    """

    strategy: str
    seed: int
    feedback: bool
    found: tuple[int, ...]
    positives: tuple[PhaseField, ...]
    evaluated: int

    def as_dict(self) -> dict[str, Any]:
        """The keys of `--json`."""
        return {
            "seed": self.seed,
            "strategy": self.strategy,
            "feedback": self.feedback,
            "found": list(self.found),
            "evaluated": self.evaluated,
            "found_in_total": len(self.positives),
            "chemistries": len({chemistry(f) for f in self.positives}),
            "anion_pairs": len({f.anions for f in self.positives}),
        }


def chemistry(phase_field: PhaseField) -> tuple[Any, ...]:
    """The anions of a field and the groups of its cations: K-Zr-S-Br and Rb-Hf-S-Br are one chemistry."""
    return (*sorted(Element(symbol).group for symbol in phase_field.cations), *phase_field.anions)


def replay_fields(
    puzzle: FieldPuzzle,
    strategy: str,
    seed: int,
    feedback: bool,
    cycles: int,
    batch: int,
    known_subsystems: bool = True,
) -> FieldReplay:
    """Run one campaign of `cycles` batches.

    Args:
        puzzle: The candidates.
        strategy: exploit, balanced or explore; popularity, triples, published or random to compare with.
        seed: Of the random numbers.
        feedback: Whether positives join the known fields and verdicts train the classifier. What was asked for is
            never asked for again either way.
        cycles: How many batches.
        batch: Fields in each.
        known_subsystems: Whether the known binary and ternary systems inside a field are evidence.
    """
    rng = np.random.default_rng(seed)
    oracle = puzzle.oracle()
    model = FieldClassifier(puzzle.candidates, puzzle.known, ClassifierSettings())
    more = subsystems([*puzzle.candidates, *puzzle.known]) if known_subsystems else None
    positive, negative = (np.zeros(len(puzzle.candidates), dtype=bool) for _ in range(2))
    elements = [f.elements for f in puzzle.candidates]
    found: list[int] = []
    for _ in range(cycles):
        seen = (positive, negative) if feedback else (np.zeros_like(positive), np.zeros_like(negative))
        worth = _worth(puzzle, model, strategy, *seen, rng, more)
        chosen = diverse_batch(elements, worth, batch, ~positive & ~negative)
        for i in chosen:
            lowest = oracle.ask(puzzle.candidates[i])
            (positive if lowest is not None and lowest <= puzzle.within else negative)[i] = True
        found.append(int(positive[chosen].sum()))
    names = tuple(f for f, yes in zip(puzzle.candidates, positive, strict=True) if yes)
    return FieldReplay(strategy, seed, feedback, tuple(found), names, oracle.asked)


def _worth(
    puzzle: FieldPuzzle,
    model: FieldClassifier,
    strategy: str,
    positive: np.ndarray,
    negative: np.ndarray,
    rng: np.random.Generator,
    more: np.ndarray | None,
) -> np.ndarray:
    if strategy in WEIGHTS:
        promise = model.log_odds(positive, negative, rng, more)
        unseen = -np.log1p(model.explored_of_like_make(positive | negative))
        return FieldScores(promise, np.zeros_like(promise), unseen).worth(strategy)
    if strategy == "random":
        return rng.random(len(positive))
    if strategy == "published":
        return -published_scores(puzzle)
    if strategy in BASELINES:
        return model.popularity(positive) if strategy == "popularity" else model.triples(positive)
    raise ValueError(f"field strategy {strategy!r} is unknown, choose from {[*sorted(WEIGHTS), *BASELINES]}")


def published_scores(puzzle: FieldPuzzle) -> np.ndarray:
    """To compare with: what the published model says of each candidate, the smallest first, shape (n_candidates,).

    Its decoder has collapsed to the mean, so that its score is the length of a field's descriptors once they are
    standardised by the known fields (docs/ranker.md).
    """
    table = element_descriptors()
    known = field_descriptors(puzzle.known, table).reshape(len(puzzle.known), -1)
    asked = field_descriptors(puzzle.candidates, table).reshape(len(puzzle.candidates), -1)
    spread = known.std(axis=0)
    z = (asked - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(np.linalg.norm(z, axis=1), dtype=float)


def subsystems(fields: Sequence[PhaseField]) -> np.ndarray:
    """How many of the ternary and binary systems inside each field hold a known compound, shape (n, 3).

    Ternaries of both cations and of both anions apart, then binaries; from the bundled list of known formulas.
    """
    known = known_systems()
    rows = []
    for f in fields:
        (a, b), (c, d) = f.cations, f.anions
        rows.append(
            (
                sum(frozenset(s) in known for s in ((a, b, c), (a, b, d))),
                sum(frozenset(s) in known for s in ((a, c, d), (b, c, d))),
                sum(frozenset(s) in known for s in ((a, c), (a, d), (b, c), (b, d))),
            )
        )
    return np.array(rows, dtype=float).reshape(-1, 3)


def simulate_fields(
    puzzle: FieldPuzzle,
    strategies: Sequence[str],
    seeds: Sequence[int],
    feedback: Sequence[bool],
    cycles: int,
    batch: int,
    progress: Callable[[FieldReplay], None] | None = None,
    known_subsystems: bool = True,
) -> list[FieldReplay]:
    """Every strategy with every seed, with and without feedback.

    Args:
        puzzle: The candidates.
        strategies: See `replay_fields`, as the rest.
        seeds: A campaign each.
        feedback: With, without, or both.
        cycles: How many batches.
        batch: Fields in each.
        progress: Told each campaign when it has ended.
        known_subsystems: Whether the known systems inside a field are evidence.

    Raises:
        ValueError: If there is no such strategy.
    """
    replays = []
    for strategy in strategies:
        for with_feedback in feedback:
            for seed in seeds:
                replays.append(replay_fields(puzzle, strategy, seed, with_feedback, cycles, batch, known_subsystems))
                if progress:
                    progress(replays[-1])
    return replays


def read_field_table(path: Path) -> tuple[dict[PhaseField, float], list[str]]:
    """Lowest energy above the hull of each quaternary field: a table with `formula` and a column `e_above_hull...`.

    Returns:
        eV/atom by field, and what was set aside, one line each.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing or no row can be used.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: --fields takes a table `formula,e_above_hull` in eV/atom")
    table = pd.read_csv(path, keep_default_na=False, na_values={})
    energy = next((c for c in table.columns if str(c).startswith("e_above_hull")), None)
    if energy is None or "formula" not in table:
        raise ValueError(f"{path} needs the columns 'formula' and 'e_above_hull', it has {', '.join(table.columns)}")
    values = pd.to_numeric(table[energy], errors="coerce")
    bad = ~(values.abs() < ABSURD)
    notes: list[str] = []
    if any(bad):
        notes.append(f"{int(bad.sum())} rows of {path.name} have no energy above hull, or an absurd one: left out")
    lowest: dict[PhaseField, float] = {}
    unread = 0
    for formula, value in zip(table["formula"][~bad], values[~bad], strict=True):
        try:
            elements = Composition(formula).get_el_amt_dict()
            phase_field = PhaseField(tuple(elements)) if len(elements) == 4 else None
        except (ValueError, KeyError, TypeError):
            unread += 1
            continue
        if phase_field is not None:
            lowest[phase_field] = min(float(value), lowest.get(phase_field, np.inf))
    if unread:
        notes.append(f"{unread} rows of {path.name} hold no formula: left out")
    if not lowest:
        raise ValueError(f"{path} holds no quaternary compound with an energy above hull")
    return lowest, notes
