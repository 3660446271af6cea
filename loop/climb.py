"""Which compositions of a field go on from one level of theory to the next: batch by batch, from the records alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pymatgen.core import Composition, Structure

from dft.flows import read_output
from dft.probes import ProbeStructure
from dft.section import in_section
from dft.structure_files import smallest_cell
from dft.workflows import structure_hash, survivors
from loop.acquisition import choose_compositions
from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.competing_phases import CompetingPhases
from loop.field_hull import FieldHull, entry_of
from loop.ladder import HANDED_ON, Rung, hull_at
from loop.ladder_settings import section_of
from loop.records import CalculationRecord, Role
from loop.stopping import Spent, StopRules
from loop.strategies import Choice
from loop.taken_energies import taken_energies, without_taken
from loop.units import MEV
from vae import PhaseField


@dataclass(frozen=True)
class Step:
    """What goes on to the next level at once.

    Attributes:
        items: The calculations; the competing phases are among those of the first step.
        reasons: Why each composition goes on, by composition.
        stopped: Why no further composition goes on although the ladder has room; empty otherwise.
    """

    items: Sequence[Calculation] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""


@dataclass(frozen=True)
class Climb:
    """The way of one field from a level to the next.

    With the strategy `hull` the energies of the lower level are a prior: the first batch is chosen by them alone, each
    further one in view of what the upper level said of those before. With any other the lowest go on, all at once.

    Attributes:
        campaign: Where everything is recorded.
        phase_field: The field.
        lower: The level that is done.
        upper: The next.
    """

    campaign: Campaign
    phase_field: PhaseField
    lower: Rung
    upper: Rung

    def next(self) -> Step:
        """The next batch; none where the ladder lets no more through, or a rule ends it."""
        below = hull_at(self.campaign, self._name, self.lower)
        gone = self._records("probe", self.upper)
        left = self._eligible(below.probes, gone)
        room = self.campaign.settings.ladder.kept_at_step(self.lower.number) - len(gone)
        if room <= 0 or left.empty:
            return Step()
        try:
            chosen, stopped = self._choose(below, left, room)
        except ValueError as error:  # there is no hull at the upper level, and no energy would have a meaning
            return Step(stopped=str(error))
        return Step(stopped=stopped) if stopped else self._step(chosen, below, left)

    @property
    def _name(self) -> str:
        return str(self.phase_field)

    @property
    def _section(self) -> tuple[str, ...]:
        return section_of(self.upper.section, self.phase_field.elements)

    @property
    def _by_hull(self) -> bool:
        settings = self.campaign.settings
        return settings.probes.strategy == "hull" and settings.ladder.batch is not None

    def _records(self, role: Role, rung: Rung) -> list[CalculationRecord]:
        return self.campaign.calculations.of(self._name, role, rung.identity)

    def _eligible(self, probes: pd.DataFrame, gone: Sequence[CalculationRecord]) -> pd.DataFrame:
        """Probes within the window that have not gone on, the lowest first, with their places among all of them."""
        ordered = probes.assign(e_above_competing=probes["e_above_competing"].astype(float))
        ordered = ordered.sort_values("e_above_competing", kind="stable").drop_duplicates("formula")
        ordered = ordered.assign(place=range(1, len(ordered) + 1))
        near = ordered[ordered["e_above_competing"] <= self.campaign.settings.ladder.window]
        went = {Composition(record.composition).reduced_formula for record in gone}
        section = self._section
        kept = [f not in went and (not section or in_section(f, section)) for f in near["formula"]]
        return near[pd.Series(kept, index=near.index, dtype=bool)]

    def _choose(self, below: FieldHull, left: pd.DataFrame, room: int) -> tuple[list[Choice], str]:
        """The compositions that go on next, or why none does."""
        settings, spent = self.campaign.settings, Spent(*self.campaign.calculations.spent())
        rules = StopRules(settings.probes, settings.verdicts.stable_below)
        if stopped := rules.of_budget(spent):
            return [], stopped
        first = not self._records("competing", self.upper)
        above = FieldHull(below.probes[:0], below.competing[:0]) if first else self._hull_above()
        batch = settings.ladder.batch
        if self._by_hull and batch and (stopped := rules.of_search(_distances(above), 0, batch)):
            return [], stopped
        n = rules.affordable(min(room, batch or room) if self._by_hull else room, spent)
        has_energy = above.probes["e_above_competing"].notna()
        chosen = choose_compositions(
            self.phase_field,
            [entry_of(r) for r in self._records("competing", self.lower if first else self.upper) if _has_energy(r)],
            zip(above.probes["formula"][has_energy], above.probes["e_above_competing"][has_energy], strict=True),
            left["formula"].tolist(),
            n,
            seed=settings.seed,
            strategy="hull" if self._by_hull else "lowest",
            failed=above.probes["formula"][~has_energy],
            cheaper=_energies(below),
            section=self._section,
        )
        # A first batch goes on whatever is expected: the verdict is to be that of the upper level.
        return chosen, "" if first else rules.of_expectation([choice.improvement for choice in chosen])

    def _hull_above(self) -> FieldHull:
        hull = hull_at(self.campaign, self._name, self.upper)
        if hull.reason:
            raise ValueError(hull.reason)
        return hull

    def _step(self, chosen: Sequence[Choice], below: FieldHull, left: pd.DataFrame) -> Step:
        rows = {row["formula"]: row for row in left.to_dict("records")}
        reasons = {rows[c.formula]["composition"]: self._reason(c, rows[c.formula], len(below.probes)) for c in chosen}
        items = self._handed_on("probe", [rows[choice.formula]["hash"] for choice in chosen])
        return Step(items if self._records("competing", self.upper) else [*items, *self._phases(below)], reasons)

    def _phases(self, below: FieldHull) -> list[Calculation]:
        """The competing phases of the upper level: those whose energies are known, and what of the others matters."""
        window, section = self.campaign.settings.ladder.window, self._section
        near = [row["hash"] for row in below.competing.to_dict("records") if _matters(row, window, section)]
        every = taken_energies(CompetingPhases(self.campaign, self.phase_field.elements), self.upper)
        taken = [phase for phase in every if not section or in_section(phase.composition, section)]
        return [*without_taken(self._handed_on("competing", near), taken), *taken]

    def _handed_on(self, role: Role, wanted: Sequence[str]) -> list[Calculation]:
        """Calculations of the lower level, by their hashes, as the upper one has them."""
        records = {record.hash: record for record in self._records(role, self.lower)}
        n = self.campaign.settings.ladder.structures or (HANDED_ON if self.upper.is_force_field else 1)
        return [_handed_on(self.campaign, records[identity], self.upper, n) for identity in wanted]

    def _reason(self, choice: Choice, row: Mapping[Any, Any], n: int) -> str:
        energy = f"{row['e_above_competing'] * MEV:+.0f} meV/atom at {self.lower.level.name}"
        told = f"{energy}, number {row['place']} of {n} compositions there"
        return f"{told}; at {self.upper.level.name} {choice.reason}" if self._by_hull else told


def _has_energy(record: CalculationRecord) -> bool:
    return record.energy_per_atom is not None


def _distances(hull: FieldHull) -> list[float | None]:
    return [None if pd.isna(energy) else float(energy) for energy in hull.probes["e_above_hull"]]


def _energies(hull: FieldHull) -> list[tuple[str, float]]:
    """Formulas and energies from the competing phases, eV/atom, of the probes that have one."""
    rows = hull.probes[hull.probes["e_above_competing"].notna()]
    return [(str(f), float(e)) for f, e in zip(rows["formula"], rows["e_above_competing"], strict=True)]


def _matters(row: dict[str, Any], window: float, section: Collection[str]) -> bool:
    """Whether a competing phase is needed for the next hull: near this one, an element, or an end member."""
    above, composition = row["e_above_hull"], Composition(row["formula"])
    if above is None or above != above:
        return False
    if section:
        ends = {Composition(formula).reduced_formula for formula in section}
        return composition.reduced_formula in ends or (above <= window and in_section(composition, list(section)))
    return composition.is_element or above <= window


def _handed_on(campaign: Campaign, record: CalculationRecord, upper: Rung, n: int) -> Calculation:
    structures = _lowest_structures(campaign, record, n)
    if not upper.is_force_field:
        structures = [ProbeStructure(smallest_cell(probe.structure), probe.generator) for probe in structures]
    plain = [probe.as_dict() for probe in structures]
    identity = structure_hash(plain, upper.identity, upper.maker.funnel)
    origin = record.choice if record.role == "competing" else ""
    return Calculation(identity, record.role, record.composition, plain, origin=origin)


def _lowest_structures(campaign: Campaign, record: CalculationRecord, n: int) -> list[ProbeStructure]:
    """The lowest structures of a calculation; the records hold the lowest, its raw output the next ones."""
    path = campaign.folder / record.output
    if n > 1 and record.output and path.is_file():
        return survivors(read_output(path))[:n]
    return [ProbeStructure(Structure.from_dict(record.structure or {}), record.generator)]
