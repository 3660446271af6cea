"""A field's campaign replayed on known energies: the strategies of a real one, an oracle in place of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.entries.computed_entries import ComputedEntry

from dft.hull import hull_points, lowest_per_composition
from loop.field_space import FieldSpace, formula_of
from loop.report.energies import finite_energy, formula_in_field, left_out, read_table
from loop.strategies import WITH_PRIOR, Knowledge, choose
from vae import PhaseField

#: No salt lies further than this from its elements or from its competing phases, eV/atom.
ABSURD = 8.0

#: The names that the column of energies of a cheaper level may have.
CHEAPER_COLUMNS = ("e_above_hull", "e_above_hull_eV_per_atom")


class Oracle:
    """Known energies that are told only when asked for, and counted."""

    def __init__(self, energies: Mapping[str, float]) -> None:
        self.__energies = dict(energies)
        self.asked: list[str] = []

    def ask(self, formula: str) -> float:
        """Energy relative to the hull of the competing phases, eV/atom; a second question about one costs again."""
        self.asked.append(formula)
        return self.__energies[formula]


@dataclass(frozen=True)
class Puzzle:
    """A field whose energies are known to the oracle and to the judge, not to the strategy.

    Attributes:
        space: The field and its competing phases, which everybody knows.
        candidates: Reduced formulas of the probe compositions.
        targets: Those within the limit of the hull of all entries; only the judge looks at them.
        notes: What was set aside when the table was read, one line each.
    """

    space: FieldSpace
    candidates: tuple[str, ...]
    targets: frozenset[str]
    notes: tuple[str, ...] = ()
    _energies: Mapping[str, float] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, probes: Sequence[ComputedEntry], competing: Sequence[ComputedEntry], phase_field: PhaseField, within: float
    ) -> Puzzle:
        """Put all entries on their hull.

        Args:
            probes: Total energies in eV; of several at one composition the lowest counts.
            competing: The same of the competing phases, elements included.
            phase_field: The field.
            within: Targets lie this near to the hull of all entries, eV/atom.

        Raises:
            ValueError: If no probe is left, none is a target, or an element has no reference.
        """
        notes: list[str] = []
        competing = _sane(competing, competing, notes)
        lowest = lowest_per_composition(_sane(probes, competing, notes))
        if repeated := len(probes) - len(lowest) - len(notes):
            notes.append(f"{_rows(repeated, 'probe row')} repeating a composition: its lowest energy counts")
        if not lowest:
            raise ValueError(f"no probe composition of {phase_field} has an energy: there is nothing to choose from")
        points = hull_points(lowest, competing)
        formulas = [formula_of(entry.composition) for entry in lowest]
        targets = frozenset(f for f, point in zip(formulas, points, strict=True) if point.e_above_hull <= within)
        if not targets:
            nearest = 1000 * min(point.e_above_hull for point in points)
            raise ValueError(
                f"no composition lies within {1000 * within:g} meV/atom of the hull (nearest: {nearest:.1f}); "
                "give a larger --within"
            )
        energies = {f: point.e_above_competing for f, point in zip(formulas, points, strict=True)}
        space = FieldSpace(phase_field, tuple(competing))
        return cls(space, tuple(sorted(formulas)), targets, tuple(notes), energies)

    def oracle(self) -> Oracle:
        """A fresh oracle that has not been asked anything."""
        return Oracle(self._energies)


@dataclass(frozen=True)
class Replay:
    """One campaign.

    Attributes:
        strategy: Its name.
        seed: Of its random numbers.
        order: Reduced formulas in the order they were asked for.
        found: How many targets were among the first 1, 2, 3, ...
        reasons: Why each was chosen.
    """

    strategy: str
    seed: int
    order: tuple[str, ...]
    found: tuple[int, ...]
    reasons: tuple[str, ...]

    def evaluations_until(self, n_targets: int) -> int | None:
        """How many were asked for until so many targets were among them; none if they never were."""
        return next((i for i, n in enumerate(self.found, start=1) if n >= n_targets), None)


def replay(
    puzzle: Puzzle,
    strategy: str,
    seed: int,
    initial: int = 5,
    batch: int = 1,
    cheaper: Mapping[str, float] | None = None,
    most: int | None = None,
) -> Replay:
    """Run one campaign until every target is found, or a number of evaluations is spent.

    Args:
        puzzle: The field.
        strategy: One of `loop.strategies.STRATEGIES`.
        seed: Of the random first compositions and of the strategy's own chance.
        initial: How many compositions are drawn by chance first.
        batch: How many are chosen at once afterwards.
        cheaper: Energies above hull of a cheaper level by reduced formula, eV/atom.
        most: How many evaluations there may be; none for as many as it takes.

    Returns:
        What was asked for, in order.
    """
    rng = np.random.default_rng(seed)
    oracle = puzzle.oracle()
    known = Knowledge(puzzle.space, {}, cheaper=cheaper or {})
    computed: dict[str, float] = {}
    reasons: list[str] = []
    most = len(puzzle.candidates) if most is None else most
    while not puzzle.targets <= computed.keys() and len(computed) < most:
        first = len(computed) < initial
        n = min(initial - len(computed) if first else batch, most - len(computed))
        known = replace(known, computed=dict(computed))
        chosen = choose("random" if first else strategy, known, puzzle.candidates, n, rng)
        reasons += [choice.reason for choice in chosen]
        computed.update({choice.formula: oracle.ask(choice.formula) for choice in chosen})
    found = np.cumsum([formula in puzzle.targets for formula in oracle.asked])
    return Replay(strategy, seed, tuple(oracle.asked), tuple(map(int, found)), tuple(reasons))


def simulate_field(
    puzzle: Puzzle,
    strategies: Sequence[str],
    seeds: Sequence[int],
    initial: int = 5,
    batch: int = 1,
    cheaper: Mapping[str, float] | None = None,
    progress: Callable[[Replay], None] | None = None,
) -> list[Replay]:
    """Every strategy with every seed; the first compositions of a seed are the same for all strategies.

    Args:
        puzzle: The field.
        strategies: Some of `loop.strategies.STRATEGIES`.
        seeds: A campaign each.
        initial: How many compositions are drawn by chance first.
        batch: How many are chosen at once afterwards.
        cheaper: Energies above hull of a cheaper level by reduced formula, eV/atom, for strategies that use them.
        progress: Told each campaign when it has ended.
    """
    replays = []
    for strategy in strategies:
        for seed in seeds:
            replays.append(replay(puzzle, strategy, seed, initial, batch, cheaper if strategy in WITH_PRIOR else None))
            if progress:
                progress(replays[-1])
    return replays


def figures(puzzle: Puzzle, replays: Sequence[Replay]) -> dict[str, Any]:
    """Evaluations until the first, half and all of the targets, by run and over the runs of a strategy."""
    marks = {"first": 1, "half": ceil(len(puzzle.targets) / 2), "all": len(puzzle.targets)}
    runs = [
        {"seed": r.seed, "strategy": r.strategy, **{name: r.evaluations_until(n) for name, n in marks.items()}}
        for r in replays
    ]
    summary: dict[str, Any] = {"runs": runs, "mean": {}, "median": {}, "std": {}}
    for strategy in dict.fromkeys(r.strategy for r in replays):
        mine = {name: [run[name] for run in runs if run["strategy"] == strategy] for name in marks}
        for key, of in (("mean", np.mean), ("median", np.median), ("std", np.std)):
            summary[key][strategy] = {
                name: round(float(of(np.array(values, dtype=float))), 2) for name, values in mine.items()
            }
    n, m = len(puzzle.candidates), len(puzzle.targets)
    summary["expected_at_random"] = {name: round(k * (n + 1) / (m + 1), 1) for name, k in marks.items()}
    summary["candidates"], summary["targets"] = n, sorted(puzzle.targets)
    return summary


def read_cheaper(path: Path, phase_field: PhaseField, set_aside: list[str]) -> dict[str, float]:
    """Energies of a cheaper level: a table `composition,e_above_hull` in eV/atom; the lowest of a composition counts.

    Args:
        path: A CSV file.
        phase_field: The field that every formula lies in.
        set_aside: Rows that cannot be used are left out, with a line each in here.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing or no row can be used.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: --prior takes a table `composition,e_above_hull` in eV/atom")
    table = read_table(path, ("composition",))
    column = next((name for name in CHEAPER_COLUMNS if name in table), None)
    if column is None:
        raise ValueError(f"{path} has no column {CHEAPER_COLUMNS[0]!r}, only {', '.join(map(repr, table.columns))}")
    energies: dict[str, list[float]] = {}
    for row, text, energy in zip(table.index, table["composition"], table[column], strict=True):
        try:
            formula = formula_of(formula_in_field(text, row, path, phase_field))
            value = finite_energy(energy, row, path)
            if abs(value) > ABSURD:
                raise ValueError(f"{path} row {row}: no salt lies {value:+g} eV/atom from the hull")
        except ValueError as error:
            set_aside.append(left_out(error))
        else:
            energies.setdefault(formula, []).append(value)
    if not energies:
        raise ValueError(f"{path} has no row that can be used; {(set_aside or ['it is empty'])[0]}")
    if repeated := sum(len(values) - 1 for values in energies.values()):
        set_aside.append(f"{_rows(repeated, 'row')} of {path} repeating a composition: its lowest energy counts")
    return {formula: min(values) for formula, values in energies.items()}


def _rows(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _sane(
    entries: Sequence[ComputedEntry], competing: Sequence[ComputedEntry], notes: list[str]
) -> list[ComputedEntry]:
    """Set aside entries whose formation energy no compound can have, each with a line."""
    elemental: dict[str, float] = {}
    for entry in competing:
        if entry.composition.is_element:
            symbol = str(entry.composition.elements[0])
            elemental[symbol] = min(entry.energy_per_atom, elemental.get(symbol, np.inf))
    kept = []
    for entry in entries:
        mixed = sum(entry.composition.get_atomic_fraction(s) * e for s, e in elemental.items())
        if abs(formation := entry.energy_per_atom - mixed) <= ABSURD:
            kept.append(entry)
        else:
            notes.append(
                f"{entry.composition.reduced_formula} lies {formation:+.1f} eV/atom from its elements: left out"
            )
    return kept
