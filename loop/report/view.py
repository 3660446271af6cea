"""What the page says, worked out from the records: the template only arranges it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from loop.records import CampaignRecord, CycleRecord, FieldRecord
from loop.report.formulas import field_formula, in_words
from loop.report.points import finished, level_in_words
from loop.report.tables import competing_table, probe_table
from vae.phase_fields import PhaseField

#: Used where the settings do not say otherwise, eV/atom.
_STABLE_BELOW = 0.025
#: States in which a calculation has ended without an energy.
WITHOUT_ENERGY = ("failed", "unconverged", "rejected")
#: As many letters as a map can carry.
_MOST_MARKS = 6


@dataclass(frozen=True)
class Found:
    """One computed probe composition.

    Attributes:
        formula: In the order of the field.
        phase_field: Its field.
        cycle: When it was explored.
        e_above_hull: eV/atom, of all entries.
        e_above_competing: eV/atom from the competing phases alone, signed.
        decomposition: In words, among the competing phases.
        generator: How the structure was built.
        n_atoms: Atoms in its cell.
        key: Hash of its calculation.
        output: File of the raw output.
        structure: Pymatgen dictionary, if there is one.
    """

    formula: str
    phase_field: str
    cycle: int
    e_above_hull: float
    e_above_competing: float
    decomposition: str
    generator: str
    n_atoms: int | None
    key: str
    output: str
    structure: dict[str, Any] | None

    @property
    def id(self) -> str:
        """What tells it from all others on the page."""
        return f"{self.phase_field} {self.formula}"

    @property
    def file_name(self) -> str:
        """Of its CIF."""
        return f"{self.phase_field}_{self.formula}.cif"


@dataclass(frozen=True)
class Spent:
    """What one cycle cost and found.

    Attributes:
        cycle: Its number.
        done: Calculations that ended with an energy.
        without: Calculations that ended without one.
        cpu_hours: CPU-hours of its calculations.
        wall: Wall seconds of the cycle.
        near: Compositions near the hull among its fields.
        positives: Fields that joined the training set.
        filtered: Fields that left the candidates.
    """

    cycle: int
    done: int
    without: int
    cpu_hours: float
    wall: float
    near: int
    positives: int
    filtered: int


@dataclass(frozen=True)
class PageView:
    """Everything on the page.

    Attributes:
        record: The campaign.
        found: Computed compositions, the nearest to the hull first.
        fields: Explored fields, the best first.
        state: One sentence: empty, in progress or complete.
        level: Levels of theory in words.
        states: Calculations by state.
        failures: Rows of what failed and why.
        spent: Cost and findings, cycle by cycle.
        cpu_hours: Spent on calculations.
        stable_below: eV/atom; what counts as near the hull.
        made: When the page was made, UTC.
    """

    record: CampaignRecord
    found: list[Found]
    fields: list[FieldRecord]
    state: str
    level: str
    states: dict[str, int]
    failures: list[dict[str, Any]]
    spent: list[Spent]
    cpu_hours: float
    stable_below: float
    made: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))

    @property
    def near(self) -> list[Found]:
        """Compositions within `stable_below` of the competing phases."""
        return [probe for probe in self.found if probe.e_above_competing <= self.stable_below]

    def probe_rows(self, record: FieldRecord) -> list[dict[str, Any]]:
        """Every probe of a field, its formula in the order of the field."""
        return _rows(probe_table(record), record)

    def competing_rows(self, record: FieldRecord) -> list[dict[str, Any]]:
        """Every competing phase of a field, its formula in the order of the field."""
        return _rows(competing_table(record), record)

    def words(self, decomposition: dict[str, float], record: FieldRecord) -> str:
        """A decomposition in words."""
        return in_words(decomposition, PhaseField.parse(record.phase_field).elements)

    @property
    def numeric(self) -> list[str]:
        """Columns of the last ranking that hold numbers."""
        return [] if self.latest is None else list(map(str, self.latest.ranking.select_dtypes("number").columns))

    @property
    def latest(self) -> CycleRecord | None:
        """The last cycle that has a ranking."""
        ranked = [cycle for cycle in self.record.cycles if not cycle.ranking.empty]
        return ranked[-1] if ranked else None


def _rows(table: pd.DataFrame, record: FieldRecord) -> list[dict[str, Any]]:
    elements = PhaseField.parse(record.phase_field).elements
    name = "composition" if "composition" in table else "formula"
    table = table.assign(formula=[field_formula(str(text), elements) for text in table[name]])
    for column in table.columns.intersection(["state", "reason", "generator", "choice"]):
        table[column] = table[column].fillna("").astype(str)
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def page_view(record: CampaignRecord) -> PageView:
    """Work out everything on the page."""
    found = [probe for each in record.fields for probe in found_in(each)]
    calculations = record.calculations
    states = calculations["state"].value_counts().to_dict() if "state" in calculations else {}
    cpu = float(calculations["cpu_s"].fillna(0).sum()) / 3600 if "cpu_s" in calculations else 0.0
    levels = sorted({each.level for each in record.fields if each.level})
    return PageView(
        record=record,
        found=sorted(found, key=lambda probe: (_rounded(probe.e_above_competing), probe.id)),
        fields=sorted(record.fields, key=lambda each: (_rounded(each.best_e_above_competing), each.phase_field)),
        state=_state(record),
        level="; ".join(map(level_in_words, levels)) or "none yet",
        states=states,
        failures=_failures(record),
        spent=spent_by_cycle(record, found),
        cpu_hours=cpu,
        stable_below=stable_below(record),
    )


def spent_by_cycle(record: CampaignRecord, found: list[Found]) -> list[Spent]:
    """Cost and findings of each cycle."""
    table, limit, rows = record.calculations, stable_below(record), []
    for cycle in record.cycles:
        mine = table[table["cycle"] == cycle.number] if "cycle" in table else table
        ended = mine["state"].value_counts() if "state" in mine else {}
        rows.append(
            Spent(
                cycle=cycle.number,
                done=int(ended.get("done", 0)),
                without=sum(int(ended.get(state, 0)) for state in WITHOUT_ENERGY),
                cpu_hours=float(mine["cpu_s"].fillna(0).sum()) / 3600 if "cpu_s" in mine else 0.0,
                wall=sum(cycle.seconds.values()),
                near=sum(probe.cycle == cycle.number and probe.e_above_competing <= limit for probe in found),
                positives=len(cycle.positives),
                filtered=len(cycle.filtered),
            )
        )
    return rows


def found_in(record: FieldRecord) -> list[Found]:
    """The lowest finished probe at each composition of a field, the nearest to the competing phases first."""
    elements = PhaseField.parse(record.phase_field).elements
    best: dict[str, Found] = {}
    rows = sorted(finished(record.probes, "e_above_competing"), key=lambda row: row["e_above_competing"])
    for row in rows:
        probe = _found(row, record, elements)
        best.setdefault(probe.formula, probe)
    return list(best.values())


def _found(row: dict[str, Any], record: FieldRecord, elements: tuple[str, ...]) -> Found:
    parts = row.get("competing_decomposition")
    structure = row.get("structure")
    return Found(
        formula=field_formula(str(row["composition"]), elements),
        phase_field=record.phase_field,
        cycle=record.cycle,
        e_above_hull=float(row["e_above_hull"]),
        e_above_competing=float(row["e_above_competing"]),
        decomposition=in_words(parts, elements) if isinstance(parts, dict) else "",
        generator=str(row.get("generator") or ""),
        n_atoms=None if pd.isna(row.get("n_atoms")) else int(row["n_atoms"]),
        key=str(row.get("hash") or ""),
        output=str(row.get("output") or ""),
        structure=structure if isinstance(structure, dict) else None,
    )


def near_hull(record: FieldRecord, campaign: CampaignRecord) -> list[str]:
    """Formulas of the probes near the hull, the nearest first, for the magenta letters of the map."""
    limit = stable_below(campaign)
    near = [probe.formula for probe in found_in(record) if probe.e_above_competing <= limit]
    return near[:_MOST_MARKS]


def stable_below(record: CampaignRecord) -> float:
    """What counts as near the hull in this campaign, eV/atom."""
    value = _search(record.settings, "stable_below")
    return float(value) if value is not None else _STABLE_BELOW


def _search(settings: dict[str, Any], key: str) -> Any:
    """The value of a key at any depth."""
    if key in settings:
        return settings[key]
    nested = (_search(value, key) for value in settings.values() if isinstance(value, dict))
    return next((value for value in nested if value is not None), None)


def _state(record: CampaignRecord) -> str:
    if not record.cycles:
        return "This campaign is empty: no cycle has begun."
    n_completed = sum(cycle.state == "completed" for cycle in record.cycles)
    cycles = f"{n_completed} {'cycle' if n_completed == 1 else 'cycles'} completed"
    if record.in_progress:
        return f"In progress: {cycles}, one is running. The page shows what there is so far."
    return f"{cycles[0].upper()}{cycles[1:]}."


def _failures(record: CampaignRecord) -> list[dict[str, Any]]:
    """Calculations that ended without an energy, with their reasons."""
    table = record.calculations
    if "state" not in table:
        return []
    failed = table[table["state"].isin(WITHOUT_ENERGY)]
    names = ["phase_field", "composition", "role", "state", "reason", "cycle"]
    return failed.reindex(columns=names).fillna("").to_dict("records")


def _rounded(value: float | None) -> float:
    """To a hundredth of a meV/atom, so that equal energies are ordered by name; none comes last."""
    return np.inf if value is None else round(value, 5)


def mev(value: float | None, signed: bool = False) -> str:
    """An energy in eV/atom as a person reads it, meV/atom."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{value * 1000:+.1f}" if signed else f"{abs(value) * 1000:.1f}"
    return text.replace("-", "−")


def number(value: Any, digits: int = 4) -> str:
    """A number as a person reads it; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return str(value)
    return f"{value:.{digits}g}" if np.isfinite(value) else "–"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plain(value: Any) -> str:
    """A nested value of the records as short text."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    return number(value)
