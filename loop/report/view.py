"""What the page says, worked out from the records: the template only arranges it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from dft.analogues import BY_ANALOGY
from dft.compositions import is_charge_balanced
from loop.records import CampaignRecord, CycleRecord, FieldRecord
from loop.report.baselines import Baselines, baselines_of
from loop.report.formulas import field_formula, in_words
from loop.report.found import Found, found_in, stable_below
from loop.report.points import WITHOUT_ENERGY, finished, level_in_words, level_of
from loop.report.tables import competing_table, probe_table
from vae.phase_fields import PhaseField

#: Columns of a ranking up to its score: the field, the rank, the score.
_OWN_RANKS = 3


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

    @property
    def to_make(self) -> list[Found]:
        """The best three to make: near the competing phases, and as near to the hull that the new phases lower.

        None of a field whose hull lacks a salt: without NaCl, whatever holds Na and Cl seems stable. None that lacks an
        element of its field either: it is no phase of the field, and verdicts leave it out.
        """
        whole = {each.phase_field for each in self.fields if not self.salts_missing(each)}
        near = [probe for probe in self.near if probe.e_above_hull <= self.stable_below and probe.holds_every_element]
        return [probe for probe in near if probe.phase_field in whole][:3]

    @property
    def nearest(self) -> Found | None:
        """The nearest to the competing phases that holds every element of its field."""
        return next((probe for probe in self.found if probe.holds_every_element), None)

    def salts_missing(self, record: FieldRecord) -> list[str]:
        """Known charge-balanced competing phases of a field that have no energy, which its hull needs."""
        table = competing_table(record)
        known = ~table["choice"].fillna("").astype(str).str.startswith(BY_ANALOGY)
        lacking = table["formula"][known & table["energy_per_atom"].isna()]
        return [formula for formula in lacking if is_charge_balanced(Composition(formula))]

    def level_of(self, record: FieldRecord) -> str:
        """Level of theory of a field, in words."""
        return level_in_words(level_of(record))

    def probe_rows(self, record: FieldRecord) -> list[dict[str, Any]]:
        """Every probe of a field, its formula in the order of the field."""
        return _rows(probe_table(record), record)

    def competing_rows(self, record: FieldRecord) -> list[dict[str, Any]]:
        """Every competing phase of a field, its formula in the order of the field."""
        return _rows(competing_table(record), record)

    def words(self, decomposition: dict[str, float], record: FieldRecord) -> str:
        """A decomposition in words."""
        return in_words(decomposition, PhaseField.parse(record.phase_field).elements)

    @cached_property
    def baselines(self) -> Baselines:
        """What simple baselines make of the last ranking's candidates."""
        return baselines_of(self.latest) if self.latest else Baselines()

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The last ranking with the ranks of the baselines beside its own."""
        if self.latest is None:
            return pd.DataFrame()
        ranking = self.latest.ranking.reset_index(drop=True)
        if self.baselines.ranks.empty:
            return ranking
        # beside our own ranks, where they are seen without scrolling
        names = [*ranking.columns[:_OWN_RANKS], *self.baselines.ranks, *ranking.columns[_OWN_RANKS:]]
        return pd.concat([ranking, self.baselines.ranks], axis=1)[names]

    @cached_property
    def numeric(self) -> list[str]:
        """Columns of the last ranking that hold numbers."""
        return list(map(str, self.ranked.select_dtypes("number").columns))

    @cached_property
    def lists(self) -> list[str]:
        """Columns of the last ranking that hold several names of fields in a row."""
        texts = self.ranked.select_dtypes(exclude="number").drop(columns="phase_field", errors="ignore")
        return [str(name) for name in texts if texts[name].astype(str).str.contains(r"-\S* .*-", regex=True).any()]

    @property
    def priors(self) -> list[dict[str, Any]]:
        """What the settings raise or lower, by the user's own judgement."""
        given = self.record.settings.get("priors")
        return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []

    def field_named(self, name: str) -> FieldRecord:
        """An explored field."""
        return next(each for each in self.fields if each.phase_field == name)

    def missing(self, record: FieldRecord) -> int:
        """How many competing phases of a field have no energy."""
        return len(record.competing) - len(finished(record.competing, "energy_per_atom"))

    def best(self, record: FieldRecord) -> str:
        """The best composition of a field, in the order of its elements."""
        elements = PhaseField.parse(record.phase_field).elements
        return field_formula(record.best_composition, elements) if record.best_composition else ""

    def counts(self, record: FieldRecord) -> tuple[str, str]:
        """How many compositions, and how many competing phases, of a field have an energy: ``20 of 24``."""
        probes, competing = len(finished(record.probes, "energy_per_atom")), len(record.competing)
        return f"{probes} of {len(record.probes)}", f"{competing - self.missing(record)} of {competing}"

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
    levels = sorted(filter(None, {level_of(each) for each in record.fields}))
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
