"""What the commands print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loop.units import MEV, counted, cpu_time, duration

if TYPE_CHECKING:
    import pandas as pd

    from loop.doctor import Finding


#: Why the ranker says nothing, by what it says nothing about.
_WHY_NONE = {
    "correlation_with_descriptor_norm": "none, it takes three candidates that differ",
    "rank_correlation_with_descriptor_norm": "none, it takes three candidates that differ",
    "probability_prior": "none, too few known fields to tell probabilities; their column is empty",
}


def print_status(facts: dict[str, Any]) -> None:
    """Cycles, calculations by state, fields with their verdicts."""
    console = Console(highlight=False)
    states = ", ".join(f"{count} {state}" for state, count in sorted(facts["calculations"].items())) or "none"
    console.print(f"campaign {facts['name']}: {counted(facts['cycles_completed'], 'cycle')} completed", markup=False)
    console.print(f"calculations: {states}; {cpu_time(facts['cpu_hours'])} so far")
    table = Table(
        "cycle", "phase field", "verdict", "best composition", "meV/atom from the hull of the competing phases"
    )
    for row in facts["fields"]:
        best = row["best_e_above_competing"]
        energy = "" if best is None else f"{best * MEV:+.0f}"
        table.add_row(str(row["cycle"]), row["phase_field"], row["verdict"], row["best_composition"] or "", energy)
    if facts["fields"]:
        console.print(table)
    if "launchpad" in facts:
        _print_launchpad(console, facts["launchpad"])


def _print_launchpad(console: Console, facts: dict[str, Any]) -> None:
    """Fireworks by state, field and category, those that run, those that come next, and why others failed."""
    if "problem" in facts:
        console.print(f"LaunchPad: {facts['problem']}", markup=False, soft_wrap=True)
        return
    total = _counts(facts["states"])
    console.print(f"LaunchPad: {total}; {facts['core_hours']:.2f} core-hours", markup=False)
    for what, states in (*facts["categories"].items(), *facts["fields"].items()):
        console.print(f"  {what}: {_counts(states)}", markup=False)
    for run in facts["running"]:
        where = f"{run['host']}:{run['folder']}"
        console.print(
            f"  running for {duration(run['seconds'])}: {run['name']} ({where})", markup=False, soft_wrap=True
        )
    for run in facts["lost"]:
        text = f"  lost: {run['name']}: {run['reason'].removeprefix('lost: ')}; `loop heal` has it run again"
        console.print(text, markup=False, soft_wrap=True)
    if facts["next"]:
        console.print(f"  next: {', '.join(facts['next'])}", markup=False, soft_wrap=True)
    for failure in facts["failures"]:
        text = f"  failed: {failure['name']}: {failure['reason']} ({failure['folder']})"
        console.print(text, markup=False, soft_wrap=True)


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items())) or "none"


def print_diagnostics(diagnostics: dict[str, Any]) -> None:
    """The ranker's own account of itself, a line each."""
    console = Console(highlight=False, soft_wrap=True)
    for key, value in diagnostics.items():
        told = _WHY_NONE.get(key, "none") if value is None else _short(value)
        console.print(f"{key.replace('_', ' ')}: {told}", markup=False)


def print_validation(rows: Sequence[dict[str, Any]]) -> None:
    """Metrics by kind of unlabelled fields and method, with standard errors over folds."""
    names = {
        "auc": "AUC",
        "average_precision": "average precision",
        "recall_at_1_percent": "recall at 1 %",
        "enrichment_at_1_percent": "enrichment at 1 %",
    }
    table = Table("unlabelled fields", "method", *names.values())
    for row in sorted(rows, key=lambda row: str(row["against"])):
        errors = ["" if row[f"{key}_se"] is None else f" ± {row[f'{key}_se']:.3f}" for key in names]
        values = [f"{row[key]:.3f}{error}" for key, error in zip(names, errors, strict=True)]
        table.add_row(row["against"], row["method"], *values)
    Console(highlight=False).print(table)


def print_table(frame: pd.DataFrame) -> None:
    """A table as it is."""
    table = Table(*map(str, frame.columns))
    for row in frame.itertuples(index=False):
        table.add_row(*("" if value is None else escape(_short(value)) for value in row))
    Console(highlight=False).print(table)


def print_findings(findings: Sequence[Finding]) -> None:
    """What can run here, and what the rest needs."""
    console = Console(highlight=False)
    table = Table("what", "", "found", "to do")
    for finding in findings:
        table.add_row(finding.what, "yes" if finding.ok else "no", escape(finding.found), escape(finding.remedy))
    console.print(table)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "n/a" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    return str(value)
