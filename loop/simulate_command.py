"""What `loop simulate` does: read, replay, say, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loop.field_choice import WEIGHTS
from loop.progress import Reporter
from loop.report.energies import read_energies
from loop.simulate import Puzzle, figures, read_cheaper, simulate_field
from loop.simulate_fields import ANION_PAIRS, BASELINES, FieldPuzzle, read_field_table, simulate_fields
from loop.simulate_plot import found_against_evaluated
from loop.strategies import STRATEGIES, WITH_PRIOR
from vae import PhaseField
from vae.sources import BUNDLED, known_fields_from

MARKS = ("first", "half", "all")


@dataclass(frozen=True)
class Simulation:
    """Replayed campaigns, to be printed, written and drawn.

    Attributes:
        facts: What `--json` holds.
        table: The same for a reader.
        title: The line above it.
        curves: By strategy, for each campaign how many were found after each step.
        n_targets: How many there were to find.
        n_candidates: Among how many.
        step: Evaluations in a step.
        unit: What is evaluated.
    """

    facts: dict[str, Any]
    table: Table
    title: str
    curves: Mapping[str, Sequence[Sequence[int]]]
    n_targets: int
    n_candidates: int
    step: int
    unit: str

    def print(self) -> None:
        """The table on the terminal."""
        console = Console(highlight=False, soft_wrap=True)
        console.print(self.title)
        console.print(self.table)

    def write_json(self, path: Path) -> None:
        """The figures as JSON."""
        path.write_text(json.dumps(self.facts, indent=1) + "\n", encoding="utf-8")

    def plot(self, path: Path) -> None:
        """Found against evaluated."""
        what = f"{self.unit} evaluated"
        found_against_evaluated(self.curves, self.n_targets, self.n_candidates, path, what, self.step)


def inside_field(
    energies: Path,
    field: str,
    strategies: Sequence[str],
    seeds: Sequence[int],
    initial: int,
    batch: int,
    within: float,
    prior: Path | None = None,
) -> Simulation:
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

    Raises:
        ValueError: One sentence on what is wrong with the tables or the options.
        FileNotFoundError: If a table is not there.
    """
    _check(strategies, STRATEGIES, "in a field")
    if prior is not None and not set(WITH_PRIOR) & set(strategies):
        raise ValueError(f"--prior has no effect with strategy {', '.join(strategies)}")
    if "lowest" in strategies and prior is None:
        raise ValueError("strategy 'lowest' is the order of a cheaper level: give its energies with --prior")
    phase_field = PhaseField.parse(field)
    notes: list[str] = []
    table = read_energies(energies, phase_field, notes)
    probes = [entry for entry, probe in zip(table.entries, table.is_probe, strict=True) if probe]
    puzzle = Puzzle.of(probes, table.competing, phase_field, within / 1000)
    cheaper = read_cheaper(prior, phase_field, notes) if prior else {}
    n, reporter = len(puzzle.candidates), Reporter()
    for note in (*notes, *puzzle.notes):
        reporter.say(note)
    if cheaper and (lacking := len(set(puzzle.candidates) - cheaper.keys())):
        reporter.say(f"{prior} lacks {lacking} of {n} compositions; their neighbours stand in")
    if max(initial, batch) > n:
        reporter.say(f"--initial {initial} or --batch {batch} is more than the {n} candidates: all of them are taken")
    with reporter.counting(f"campaigns in {phase_field}", len(strategies) * len(seeds)) as advance:
        replays = simulate_field(puzzle, strategies, seeds, initial, batch, cheaper, _told(advance))
    settings = {"initial": initial, "batch": batch, "within_meV_per_atom": within, "prior": str(prior or "")}
    facts = {**figures(puzzle, replays), "settings": settings}
    targets = len(puzzle.targets)
    title = f"evaluations until the first, half and all of the {targets} of {n} compositions "
    curves = {name: [r.found for r in replays if r.strategy == name] for name in strategies}
    title += f"within {within:g} meV/atom of the hull"
    return Simulation(facts, _field_table(facts), title, curves, targets, n, 1, "compositions")


def across_fields(
    table: Path,
    train: Path | None,
    strategies: Sequence[str],
    seeds: Sequence[int],
    feedback: Sequence[bool],
    cycles: int,
    batch: int,
    anion_pairs: str | None,
    known_subsystems: bool = True,
) -> Simulation:
    """Replay the outer loop on a table of formulas and energies above hull.

    Args:
        table: Columns `formula` and `e_above_hull`, eV/atom.
        train: Known fields, in a column `phase_field`; none for the bundled list.
        strategies: exploit, balanced, explore, popularity, triples, published, random.
        seeds: A campaign each.
        feedback: With, without, or both.
        cycles: Batches in a campaign.
        batch: Fields in a batch.
        anion_pairs: Such as `O-F, S-Cl`; none for `loop.simulate_fields.ANION_PAIRS`.
        known_subsystems: Whether binary and ternary systems of the bundled list of formulas are evidence.

    Raises:
        ValueError: One sentence on what is wrong with the tables or the options.
        FileNotFoundError: If a table is not there.
    """
    _check(strategies, (*WEIGHTS, *BASELINES), "across fields")
    known = known_fields_from(BUNDLED if train is None else train)
    lowest, notes = read_field_table(table)
    puzzle = FieldPuzzle.of(known.fields, lowest, anion_pairs or ANION_PAIRS)
    n, positive, reporter = len(puzzle.candidates), puzzle.n_positive, Reporter()
    for note in notes:
        reporter.say(note)
    if not positive:
        raise ValueError(f"{table}: no candidate is positive; e_above_hull must be in eV/atom")
    reporter.say(f"{len(puzzle.known)} known fields M-M'-A-A', {n} candidates, {positive} of them positive")
    if cycles * batch > n:
        reporter.say(f"{cycles} batches of {batch} are more than the {n} candidates: all of them are taken")
    with reporter.counting("campaigns", len(strategies) * len(seeds) * len(feedback)) as advance:
        replays = simulate_fields(puzzle, strategies, seeds, feedback, cycles, batch, _told(advance), known_subsystems)
    facts = {
        "runs": [r.as_dict() for r in replays],
        "candidates": n,
        "positive": positive,
        "expected_at_random": round(min(cycles * batch, n) * positive / n, 1),
        "settings": {
            "cycles": cycles,
            "batch": batch,
            "within_eV_per_atom": puzzle.within,
            "known_subsystems": known_subsystems,
        },
    }
    curves: dict[str, list[list[int]]] = {}
    for r in replays:
        sums = [sum(r.found[: i + 1]) for i in range(len(r.found))]
        curves.setdefault(f"{r.strategy}, {'with' if r.feedback else 'no'} feedback", []).append(sums)
    title = f"positive fields found in {cycles} cycles of {batch}; {facts['expected_at_random']} expected by chance"
    return Simulation(facts, _fields_table(facts), title, curves, positive, n, batch, "fields")


def _check(strategies: Sequence[str], choices: Sequence[str] | Mapping[str, Any], where: str) -> None:
    unknown = [name for name in strategies if name not in choices]
    if unknown:
        raise ValueError(f"strategy {unknown[0]!r} is unknown {where}, choose from {', '.join(sorted(choices))}")


def _told(advance: Callable[..., None]) -> Callable[[Any], None]:
    return lambda r: advance(note=f"{r.strategy}, seed {r.seed}")


def _field_table(facts: dict[str, Any]) -> Table:
    table = Table("strategy", *MARKS, caption="mean ± standard deviation (median) over the seeds")
    for strategy in facts["mean"]:
        mean, spread, median = (facts[key][strategy] for key in ("mean", "std", "median"))
        table.add_row(strategy, *(f"{mean[mark]:.1f} ± {spread[mark]:.1f} ({median[mark]:g})" for mark in MARKS))
    table.add_row("expected by chance", *(f"{facts['expected_at_random'][mark]:.1f}" for mark in MARKS))
    return table


def _fields_table(facts: dict[str, Any]) -> Table:
    table = Table("strategy", "feedback", "found by cycle", "in all", "chemistries", "anion pairs")
    groups: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for run in facts["runs"]:
        groups.setdefault((run["strategy"], run["feedback"]), []).append(run)
    for (strategy, feedback), runs in groups.items():
        by_cycle = [sum(counts) / len(runs) for counts in zip(*(run["found"] for run in runs), strict=True)]
        sums = [sum(run[k] for run in runs) / len(runs) for k in ("found_in_total", "chemistries", "anion_pairs")]
        cells = [" ".join(f"{x:g}" for x in by_cycle), *(f"{x:g}" for x in sums)]
        table.add_row(strategy, "yes" if feedback else "no", *cells)
    return table
