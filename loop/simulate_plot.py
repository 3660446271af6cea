"""Found against evaluated: the picture of a replayed campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

#: Readable by every eye and in grey (Okabe and Ito); each line has its own dash too.
LINES = {
    "hull": ("#0072B2", "-"),
    "spread": ("#D55E00", "--"),
    "grid": ("#CC79A7", "-."),
    "random": ("#555555", ":"),
}
MORE = (("#009E73", (0, (5, 1))), ("#E69F00", (0, (3, 1, 1, 1))), ("#56B4E9", (0, (1, 1))), ("#000000", (0, (8, 2))))


def found_against_evaluated(
    curves: Mapping[str, Sequence[Sequence[int]]],
    n_targets: int,
    n_candidates: int,
    path: Path,
    what: str,
    step: int = 1,
) -> None:
    """Draw the mean over the seeds of each strategy, with the range that holds 80 % of them.

    Args:
        curves: By name, for each seed how many targets were found among the first 1, 2, 3, ... evaluations.
        n_targets: How many there are.
        n_candidates: Of how many candidates; sets the line of chance.
        path: The picture: .png, .svg or .pdf.
        what: What is evaluated, for the axis.
        step: Evaluations between two numbers of a curve.

    Raises:
        ValueError: If matplotlib cannot write such a file.
    """
    from matplotlib.figure import Figure

    length = max(len(curve) for runs in curves.values() for curve in runs)
    evaluated = np.arange(length + 1) * step
    figure = Figure(figsize=(4.6, 3.3), layout="constrained")
    axes = figure.subplots()
    spare = iter(MORE * len(curves))
    for name, runs in curves.items():
        colour, dash = LINES.get(name) or next(spare)
        levels = np.array([[0, *run, *[run[-1]] * (length - len(run))] for run in runs])
        low, high = np.percentile(levels, [10, 90], axis=0)
        axes.fill_between(evaluated, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(evaluated, levels.mean(axis=0), color=colour, linestyle=dash, linewidth=1.6, label=name)
    chance = evaluated * n_targets / n_candidates
    axes.plot(evaluated, chance, color="#aaaaaa", linewidth=0.9, label="chance, expected")
    axes.set(xlabel=what, ylabel=f"found of {n_targets}", xlim=(0, length * step), ylim=(0, None))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)
