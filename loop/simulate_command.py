"""What `loop simulate` does: read, replay, say, write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loop.progress import Reporter
from loop.report.energies import read_energies
from loop.simulate import Puzzle, Replay, figures, read_cheaper, simulate_field
from loop.strategies import STRATEGIES
from vae import PhaseField

MARKS = ("first", "half", "all")


def simulate_field_command(
    energies: Path,
    field: str,
    strategies: Sequence[str],
    seeds: Sequence[int],
    initial: int,
    batch: int,
    within: float,
    prior: Path | None = None,
) -> tuple[Puzzle, list[Replay], dict[str, Any]]:
    """Replay a field's campaign from a table of total energies.

    Args:
        energies: Table `composition,total_energy_eV`, optionally `role`.
        field: Name of the phase field.
        strategies: Which to replay.
        seeds: A campaign each.
        initial: Compositions drawn by chance first.
        batch: Compositions chosen at once.
        within: Targets lie this near to the hull of all entries, meV/atom.
        prior: Table `composition,e_above_hull` of a cheaper level, eV/atom.

    Returns:
        The field, the campaigns, and the figures for `--json`.

    Raises:
        ValueError: One sentence on what is wrong with the tables or the options.
        FileNotFoundError: If a table is not there.
    """
    unknown = [name for name in strategies if name not in STRATEGIES]
    if unknown:
        raise ValueError(f"strategy {unknown[0]!r} is unknown, choose from {', '.join(sorted(STRATEGIES))}")
    phase_field = PhaseField.parse(field)
    table = read_energies(energies, phase_field)
    probes = [entry for entry, probe in zip(table.entries, table.is_probe, strict=True) if probe]
    puzzle = Puzzle.of(probes, table.competing, phase_field, within / 1000)
    cheaper = read_cheaper(prior) if prior else {}
    if cheaper and (lacking := len(set(puzzle.candidates) - cheaper.keys())):
        notes = (
            *puzzle.notes,
            f"{prior} lacks {lacking} of {len(puzzle.candidates)} compositions; neighbours stand in",
        )
        puzzle = replace(puzzle, notes=notes)
    reporter = Reporter()
    for note in puzzle.notes:
        reporter.say(note)
    if initial > len(puzzle.candidates):
        reporter.say(f"--initial {initial} is more than the {len(puzzle.candidates)} candidates: all of them are taken")
    with reporter.counting(f"campaigns in {phase_field}", len(strategies) * len(seeds)) as advance:
        replays = simulate_field(
            puzzle, strategies, seeds, initial, batch, cheaper, lambda r: advance(note=f"{r.strategy}, seed {r.seed}")
        )
    facts = figures(puzzle, replays)
    settings = {"initial": initial, "batch": batch, "within_meV_per_atom": within, "prior": str(prior or "")}
    return puzzle, replays, {**facts, "settings": settings}


def write_json(facts: dict[str, Any], path: Path) -> None:
    """The figures as JSON."""
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def print_field_figures(facts: dict[str, Any]) -> None:
    """Evaluations until the first, half and all targets, by strategy."""
    table = Table("strategy", *MARKS, caption="mean ± standard deviation (median) over the seeds")
    for strategy in facts["mean"]:
        mean, spread, median = (facts[key][strategy] for key in ("mean", "std", "median"))
        table.add_row(strategy, *(f"{mean[mark]:.1f} ± {spread[mark]:.1f} ({median[mark]:g})" for mark in MARKS))
    table.add_row("expected by chance", *(f"{facts['expected_at_random'][mark]:.1f}" for mark in MARKS))
    console = Console(highlight=False, soft_wrap=True)
    targets = f"{len(facts['targets'])} of {facts['candidates']} compositions"
    within = f"{facts['settings']['within_meV_per_atom']:g} meV/atom"
    console.print(f"evaluations until the first, half and all of the {targets} within {within} of the hull")
    console.print(table)
