"""Figures of rankings and validations; matplotlib is imported when a figure is made, without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.ranking import Ranking


def recall_curve(result: Mapping[str, Any], path: str | Path) -> None:
    """Share of the held-out known fields found, against the share of unlabelled fields ranked before them.

    Args:
        result: Of `vae.validation.validate` or `prospective`.
        path: PNG, SVG or PDF.
    """
    figure, axes = _figure()
    grid = np.logspace(-4, 0, 200)
    for method in dict.fromkeys(curve["method"] for curve in result["curves"]):
        curves = [
            np.searchsorted(np.sort(c["held_out"]), np.quantile(c["uniform"], grid), side="right") / len(c["held_out"])
            for c in result["curves"]
            if c["method"] == method
        ]
        axes.plot(grid, np.mean(curves, axis=0), label=method, lw=2.2 if method == "masked" else 1.2)
    axes.plot(grid, grid, color="0.6", ls=":", lw=1, label="chance")
    axes.set(xscale="log", xlim=(1e-4, 1), ylim=(0, 1), xlabel="share of unreported fields ranked before")
    axes.set_ylabel("share of held-out reported fields found")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def calibration(result: Mapping[str, Any], path: str | Path, n_bins: int = 10) -> None:
    """Observed share of reported fields against the probability given to them, by bins of probability.

    Unlabelled fields are weighted so that both sides stand in the ratio of the probability's prior.

    Raises:
        ValueError: If no method of the result gives probabilities.
    """
    curves = [curve for curve in result["curves"] if "probability_held_out" in curve]
    if not curves:
        raise ValueError("no probabilities to show: validate the masked ranker")
    figure, axes = _figure()
    told, seen = reliability(curves, n_bins)
    axes.plot([1e-4, 1], [1e-4, 1], color="0.6", ls=":", lw=1)
    axes.plot(told, seen, "o-", ms=5)
    axes.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(1e-4, 1))
    axes.set_xlabel("probability of being reported, as given")
    axes.set_ylabel("share of reported fields, as found")
    figure.savefig(path)


def reliability(curves: Sequence[Mapping[str, Any]], n_bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Mean probability given, and share of reported fields found, in bins of equal width in log-odds."""
    told, labels, weights = [], [], []
    for curve in curves:
        reported, unlabelled = np.array(curve["probability_held_out"]), np.array(curve["probability_uniform"])
        told += [reported, unlabelled]
        labels += [np.ones(len(reported)), np.zeros(len(unlabelled))]
        weights += [np.full(len(reported), curve["prior"] / len(reported))]
        weights += [np.full(len(unlabelled), (1 - curve["prior"]) / len(unlabelled))]
    p, y, w = (np.concatenate(parts) for parts in (told, labels, weights))
    log_odds = np.log(np.clip(p, 1e-9, 1 - 1e-9) / (1 - np.clip(p, 1e-9, 1 - 1e-9)))
    edges = np.linspace(log_odds.min(), log_odds.max() + 1e-9, n_bins + 1)
    which = np.digitize(log_odds, edges) - 1
    filled = [i for i in range(n_bins) if (y[which == i] > 0).sum() >= 3]
    given = np.array([np.average(p[which == i], weights=w[which == i]) for i in filled])
    found = np.array([np.average(y[which == i], weights=w[which == i]) for i in filled])
    return given, found


def latent_map(ranking: Ranking, path: str | Path, n_named: int = 8) -> None:
    """Known fields and candidates in the plane of largest variance of the ranker's space, the best candidates named."""
    figure, axes = _figure()
    points = ranking.latent
    known, candidates = points[points["kind"] == "known"], points[points["kind"] == "candidate"]
    axes.scatter(known["x"], known["y"], s=5, color="0.75", label=f"{len(known)} known fields")
    ranked = candidates.merge(ranking.table[["phase_field", "rank"]], on="phase_field").sort_values("rank")
    dots = axes.scatter(ranked["x"], ranked["y"], s=14, c=ranked["rank"], cmap="viridis")
    figure.colorbar(dots, label="rank of the candidate")
    for row in ranked.head(n_named).itertuples():
        axes.annotate(row.phase_field, (row.x, row.y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.set(xlabel="first principal component", ylabel="second principal component")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _figure() -> tuple[Any, Any]:
    # Without pyplot: no global state and no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.5), dpi=150, layout="constrained")
    return figure, figure.subplots()
