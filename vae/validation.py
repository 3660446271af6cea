"""Does a ranking find known fields that it has not seen? Held-out evaluation beside simple baselines.

Known fields are held out in folds and ranked among fields that nobody has reported. Those are unlabelled rather than
negative: most were never tried. Four kinds of them ask different questions: is the ranking better than chance
(uniform), than knowing popular elements (popularity-matched) or popular pairs of anions (anion-matched), and than
swapping one element of a known field for a neighbour of its group (twins removed)?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Element
from sklearn.metrics import average_precision_score, roc_auc_score

from vae import baselines
from vae.datasets import KnownFields
from vae.descriptors import element_descriptors
from vae.element_indices import field_indices, role_order
from vae.masked import MaskedRanker
from vae.phase_fields import PhaseField
from vae.ranking import Ranker, make_ranker

METHODS = ("masked", "paper", "popularity", "pairs", "triples", "neighbours", "boosted trees")
KINDS = ("uniform", "popularity-matched", "anion-matched", "twins removed")
Progress = Callable[[str], None]


def usable(fields: Sequence[PhaseField]) -> list[PhaseField]:
    """The fields of four different elements, all with descriptors, of which exactly two are possible anions."""
    elements = set(element_descriptors().index)
    return [
        f
        for f in dict.fromkeys(fields)
        if len(set(f)) == 4 and len(f) == 4 and len(f.anions) == 2 and elements.issuperset(f)
    ]


def validate(
    known: KnownFields,
    methods: Sequence[str] = METHODS,
    folds: Sequence[int] = range(5),
    n_folds: int = 5,
    n_unlabelled: int = 12_000,
    seed: int = 0,
    settings: dict[str, dict[str, Any]] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Hold out known fields in folds and measure how well each method ranks them among unlabelled ones.

    Args:
        known: Fields; those that are not `usable` are left out and counted.
        methods: Some of `METHODS`.
        folds: Which folds to evaluate, out of `n_folds`.
        n_folds: How many parts the known fields are divided into.
        n_unlabelled: Unlabelled fields of each kind.
        seed: Of folds, unlabelled fields and rankers.
        settings: Settings of the rankers by name.
        progress: Called with a line before each fit.

    Returns:
        Plain JSON: ``table`` with one row per method and kind of unlabelled fields (auc, average_precision,
        recall_at_1_percent, enrichment_at_1_percent, each with ``_se``, the standard error over folds), ``curves`` for
        figures, and what it rests on.

    Raises:
        ValueError: If a method is unknown or there are too few fields.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(f"method {unknown[0]!r} is unknown, choose from {list(METHODS)}")
    fields = usable(known.fields)
    if len(fields) < 10 * n_folds:
        raise ValueError(f"{len(fields)} usable known fields are too few for {n_folds} folds: 10 per fold are needed")
    task = _Task(fields, n_unlabelled, seed)
    fold_of = np.random.default_rng(seed).permutation(len(fields)) % n_folds
    rows, curves = [], []
    for fold in folds:
        training, held_out = task.known[fold_of != fold], task.known[fold_of == fold]
        for method in methods:
            if progress:
                progress(f"fold {fold + 1} of {n_folds}: {method}")
            scorer = task.fit(method, training, seed, (settings or {}).get(method, {}))
            measured, curve = task.measure(scorer, training, held_out)
            rows += [{"method": method, "fold": int(fold), **row} for row in measured]
            curves.append({"method": method, "fold": int(fold), **curve})
    return {
        "known": {"source": known.source, "hash": known.hash, "fields": len(known), "usable": len(fields)},
        "folds": [int(fold) for fold in folds],
        "n_folds": n_folds,
        "n_unlabelled": n_unlabelled,
        "seed": seed,
        "table": _summarize(rows),
        "rows": rows,
        "curves": curves,
    }


def prospective(
    train: KnownFields,
    test: KnownFields,
    methods: Sequence[str] = METHODS,
    n_unlabelled: int = 12_000,
    seed: int = 0,
    settings: dict[str, dict[str, Any]] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on one list, and rank the fields that only another list has.

    Args:
        train: What the methods learn from.
        test: The other list.
        methods: Some of `METHODS`.
        n_unlabelled: Unlabelled fields of each kind.
        seed: Of unlabelled fields and rankers.
        settings: Settings of the rankers by name.
        progress: Called with a line before each fit.

    Raises:
        ValueError: If a method is unknown, or the second list has no usable field that the first lacks.
    """
    training = usable(train.fields)
    later = [field for field in usable(test.fields) if field not in set(training)]
    if not later:
        raise ValueError(f"{test.source} has no usable phase field that {train.source} lacks")
    task = _Task([*training, *later], n_unlabelled, seed)
    known, held_out = task.known[: len(training)], task.known[len(training) :]
    rows, curves = [], []
    for method in methods:
        if progress:
            progress(f"prospective: {method}")
        scorer = task.fit(method, known, seed, (settings or {}).get(method, {}))
        measured, curve = task.measure(scorer, known, held_out)
        rows += [{"method": method, "fold": 0, **row} for row in measured]
        curves.append({"method": method, "fold": 0, **curve})
    return {
        "train": {"source": train.source, "usable": len(training)},
        "test": {"source": test.source, "fields_only_there": len(later)},
        "n_unlabelled": n_unlabelled,
        "seed": seed,
        "table": _summarize(rows),
        "curves": curves,
    }


def metrics(positives: np.ndarray, unlabelled: np.ndarray) -> dict[str, float]:
    """How well low scores tell held-out known fields from unlabelled ones.

    Recall at 1 % is the share of the positives below all but 1 % of the unlabelled; enrichment is the share of
    positives among the best 1 % of both together, in multiples of their share overall.
    """
    labels = np.r_[np.ones(len(positives)), np.zeros(len(unlabelled))]
    scores = np.r_[positives, unlabelled]
    best = np.argsort(scores, kind="stable")[: max(1, len(scores) // 100)]
    return {
        "auc": float(roc_auc_score(labels, -scores)),
        "average_precision": float(average_precision_score(labels, -scores)),
        "recall_at_1_percent": float((positives <= np.quantile(unlabelled, 0.01)).mean()),
        "enrichment_at_1_percent": float(labels[best].mean() / labels.mean()),
    }


class _Task:
    """Known fields as indices, and unlabelled fields to rank them among."""

    def __init__(self, fields: Sequence[PhaseField], n_unlabelled: int, seed: int) -> None:
        table = element_descriptors()
        self.elements = list(table.index)
        values = table.to_numpy(dtype=np.float32)
        self.descriptors = (values - values.mean(0)) / np.maximum(values.std(0), 1e-6)
        self.known = field_indices(fields, self.elements).numpy()
        self.groups = np.array([_group(symbol) for symbol in self.elements])
        # Where an element stands among all in the order of a field's elements.
        self.standing = np.argsort(sorted(range(len(table)), key=lambda i: role_order(self.elements[i])))
        self.n_unlabelled = n_unlabelled
        rng = np.random.default_rng(seed + 1)
        self.unlabelled = {kind: self._draw(kind, n_unlabelled, rng, self.known) for kind in KINDS[:3]}

    def fit(self, method: str, training: np.ndarray, seed: int, settings: dict[str, Any]) -> baselines.Scorer:
        """A scorer of element indices, trained on some known fields."""
        n = len(self.elements)
        if method in ("masked", "paper"):
            ranker = make_ranker(method, seed=seed, **settings).fit(self._fields(training))  # type: ignore[arg-type]
            return _RankerScorer(ranker, self._fields)
        if method == "popularity":
            return baselines.popularity(training, n)
        if method in ("pairs", "triples"):
            return baselines.subset_counts(training, n, {"pairs": 2, "triples": 3}[method])
        if method == "neighbours":
            return baselines.nearest_neighbours(training, self.descriptors)
        return baselines.boosted_trees(training, self.for_trees(training, seed), self.descriptors, seed)

    def for_trees(self, training: np.ndarray, seed: int) -> np.ndarray:
        """Fields to learn known ones against, held-out ones as any other: none is left out for being reported."""
        return self._draw("uniform", self.n_unlabelled, np.random.default_rng(seed + 2), training)

    def measure(
        self, scorer: baselines.Scorer, training: np.ndarray, held_out: np.ndarray
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Metrics against each kind of unlabelled fields, and the scores against the uniform ones."""
        positives = scorer(held_out)
        scores = {kind: scorer(rows) for kind, rows in self.unlabelled.items()}
        measured = [{"against": kind, **metrics(positives, scores[kind])} for kind in scores]
        has_twin = self.has_twin(held_out, training)
        alone = ~self.has_twin(self.unlabelled["uniform"], training)
        if 0 < has_twin.sum() < len(has_twin):
            measured.append({"against": "twins removed", **metrics(positives[~has_twin], scores["uniform"][alone])})
        curve: dict[str, Any] = {
            "held_out": positives.round(5).tolist(),
            "uniform": scores["uniform"].round(5).tolist(),
        }
        if isinstance(scorer, _RankerScorer):
            curve |= scorer.probabilities(positives, scores["uniform"])
        return measured, curve

    def has_twin(self, rows: np.ndarray, training: np.ndarray) -> np.ndarray:
        """Whether a training field differs from a field by one element, the two being of the same group."""
        known = {tuple(sorted(row)) for row in training.tolist()}
        return np.array([self._has_twin(row, known) for row in rows.tolist()])

    def _has_twin(self, row: list[int], known: set[tuple[int, ...]]) -> bool:
        for position, element in enumerate(row):
            for other in np.flatnonzero(self.groups == self.groups[element]).tolist():
                if other != element and tuple(sorted([*row[:position], other, *row[position + 1 :]])) in known:
                    return True
        return False

    def _draw(self, kind: str, n: int, rng: np.random.Generator, excluded: np.ndarray) -> np.ndarray:
        """Fields M-M'-A-A' that are not among some, each once, shape (n or as many as there are, 4).

        Their elements stand in the order of known fields, or the order alone would tell the two apart.
        """
        cations, n_cation = np.unique(self.known[:, :2], return_counts=True)
        anions, n_anion = np.unique(self.known[:, 2:], return_counts=True)
        p_cation = n_cation / n_cation.sum() if kind == "popularity-matched" else None
        p_anion = n_anion / n_anion.sum() if kind == "popularity-matched" else None
        taken = {tuple(sorted(row)) for row in excluded.tolist()}
        drawn: dict[tuple[int, ...], list[int]] = {}
        for _ in range(20):  # rounds; more would only wait for the rarest
            m = rng.choice(cations, (2 * n, 2), p=p_cation)
            a = rng.choice(anions, (2 * n, 2), p=p_anion)
            if kind == "anion-matched":
                a = self.known[rng.integers(len(self.known), size=2 * n), 2:]
            for row in np.hstack([m, a])[(m[:, 0] != m[:, 1]) & (a[:, 0] != a[:, 1])].tolist():
                key = tuple(sorted(row))
                if key not in taken and len(drawn) < n:
                    drawn.setdefault(key, row)
            if len(drawn) >= n:
                break
        rows = np.array(list(drawn.values()))
        return np.take_along_axis(rows, np.argsort(self.standing[rows], axis=1), 1)

    def _fields(self, rows: np.ndarray) -> list[PhaseField]:
        return [PhaseField(tuple(self.elements[i] for i in row)) for row in rows.tolist()]


class _RankerScorer:
    """A fitted ranker as a scorer of element indices."""

    def __init__(self, ranker: Ranker, fields: Callable[[np.ndarray], list[PhaseField]]) -> None:
        self.ranker, self.fields = ranker, fields

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return self.ranker.score(self.fields(rows)).mean

    def probabilities(self, held_out: np.ndarray, uniform: np.ndarray) -> dict[str, Any]:
        """What a calibrated ranker says of scores, for the figure of its calibration."""
        if not isinstance(self.ranker, MaskedRanker) or self.ranker.calibration is None:
            return {}
        given = self.ranker.calibration.probability
        return {
            "probability_held_out": given(held_out).round(6).tolist(),
            "probability_uniform": given(uniform).round(6).tolist(),
            "prior": self.ranker.calibration.prior,
        }


def _group(symbol: str) -> str:
    element = Element(symbol)
    if element.is_lanthanoid or symbol in ("Sc", "Y"):
        return "rare earths"
    return "actinoids" if element.is_actinoid else f"group {element.group}"


def _summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard error over folds, one row per method and kind."""
    table = pd.DataFrame(rows)
    summary = []
    for (method, kind), part in table.groupby(["method", "against"], sort=False):
        row: dict[str, Any] = {"method": method, "against": kind}
        for name in ("auc", "average_precision", "recall_at_1_percent", "enrichment_at_1_percent"):
            row[name] = round(float(part[name].mean()), 4)
            spread = part[name].std(ddof=1) / len(part) ** 0.5 if len(part) > 1 else None
            row[f"{name}_se"] = None if spread is None else round(float(spread), 4)
        summary.append(row)
    return summary
