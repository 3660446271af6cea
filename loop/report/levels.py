"""A field at several levels of theory: what each says of the same compositions, and what the highest changed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from scipy.stats import spearmanr

from loop.records import FieldRecord
from loop.report.formulas import field_formula
from loop.report.points import finished
from vae.phase_fields import PhaseField


@dataclass(frozen=True)
class LevelTable:
    """Energies from the competing phases, composition by composition and level by level.

    Attributes:
        levels: Short names, the screening level first.
        rows: ``(formula, energies)``, eV/atom from the competing phases at each level, none where it was not computed;
            in the order of the highest level, then of the one below.
    """

    levels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]

    def frame(self) -> pd.DataFrame:
        """The same as a table: composition, and ``e_above_competing_<level>`` for each level."""
        columns = ["composition", *(f"e_above_competing_{name}" for name in self.levels)]
        return pd.DataFrame([(formula, *energies) for formula, energies in self.rows], columns=columns)

    def in_words(self) -> str:
        """What the highest level changed in the order of the compositions that it shares with the screening level."""
        both = [(formula, e[0], e[-1]) for formula, e in self.rows if e[0] is not None and e[-1] is not None]
        first, last = self.levels[0], self.levels[-1]
        if len(both) < 2:
            return f"{len(both)} compositions were computed at both {first} and {last}: no order to compare."
        before = " < ".join(formula for formula, *_ in sorted(both, key=lambda row: row[1]))
        after = " < ".join(formula for formula, *_ in sorted(both, key=lambda row: row[2]))
        shift = 1000 * sum(high - low for _, low, high in both) / len(both)
        if before == after:
            told = f"{last} leaves the order of {first} as it is: {after}"
        else:
            told = f"{last} changes the order of {first}, {before}, to {after}"
        agreement = f"; Spearman {_spearman(both):.2f} over {len(both)}" if len(both) > 2 else ""
        return f"{told}{agreement}. On average {last} lies {shift:+.0f} meV/atom from {first}."


def _spearman(both: list[tuple[str, float, float]]) -> float:
    return float(spearmanr([low for _, low, _ in both], [high for _, _, high in both]).statistic)


def level_table(record: FieldRecord) -> LevelTable | None:
    """The comparison for a field; none where there is but one level."""
    if not record.lower:
        return None
    stages = (*record.lower, record)
    energies = [_energies(stage) for stage in stages]
    formulas = sorted(
        {formula for each in energies for formula in each},
        key=lambda formula: [each.get(formula, float("inf")) for each in reversed(energies)],
    )
    rows = tuple((formula, tuple(each.get(formula) for each in energies)) for formula in formulas)
    return LevelTable(tuple(stage.level_name or stage.level.split("|")[0] for stage in stages), rows)


def _energies(record: FieldRecord) -> dict[str, float]:
    """Lowest energy from the competing phases at each composition, eV/atom."""
    elements = PhaseField.parse(record.phase_field).elements
    lowest: dict[str, float] = {}
    for row in finished(record.probes, "e_above_competing"):
        formula = field_formula(str(row["composition"]), elements)
        lowest[formula] = min(float(row["e_above_competing"]), lowest.get(formula, float("inf")))
    return lowest


def at_level(record: FieldRecord, name: str) -> FieldRecord:
    """A field at the level of that name; at the highest if none is named.

    Raises:
        ValueError: If the field has not reached such a level.
    """
    stages = {stage.level_name: stage for stage in (*record.lower, record)}
    if name and name not in stages:
        raise ValueError(f"{record.phase_field} was not computed at level {name!r}, choose from {list(stages)}")
    return stages[name] if name else record


def file_stem(record: FieldRecord, top: bool = True) -> str:
    """Of the files of a field's map: the field, and the level where it is not the highest."""
    return record.phase_field if top else f"{record.phase_field}-{record.level_name}".replace("/", "-")
