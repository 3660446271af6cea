"""The exploration of one phase field: choose compositions, build structures, compute, judge; batch after batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from pymatgen.core import Composition

from dft.compositions import neutral_compositions
from dft.execute import Executor, FlowTask, Outcome, Task
from dft.probes import ProbeStructure
from dft.section import in_section
from dft.workflows import structure_hash
from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.climb import Climb, Step
from loop.competing_phases import CompetingPhases
from loop.composition_choice import CompositionChoice
from loop.errors import RunError
from loop.field_hull import FieldHull
from loop.field_verdict import FieldVerdict
from loop.ladder import Rung, hull_at, ladder, structure_settings
from loop.ladder_settings import section_of
from loop.level_summaries import keep_summaries
from loop.records import CalculationRecord, Role
from loop.report.live import Event
from loop.second_search import SecondSearch
from loop.stopping import budget_spent
from loop.taken_energies import taken_energies, without_taken
from loop.tasks import build, expected_cost, flow_task, tell_failed
from vae import PhaseField

Show = Callable[[Event], None]


@dataclass
class Exploration:
    """One field of one cycle.

    Attributes:
        campaign: Where everything is recorded.
        cycle: Number of the cycle.
        phase_field: The field.
        executor: Where calculations run.
        show: Told what happens.
        stopped: Why no further composition is chosen; the verdict says it.
        held_back: Why no further one goes on to a level, by the level's number, although the ladder has room.
    """

    campaign: Campaign
    cycle: int
    phase_field: PhaseField
    executor: Executor
    show: Show
    stopped: str = ""
    held_back: dict[int, str] = field(default_factory=dict)

    def run(self, compositions: Sequence[str] = ()) -> None:
        """Bring the exploration to its verdict from wherever it stands.

        Args:
            compositions: Formulas to probe, all at once; none to choose them batch by batch.
        """
        if any(verdict["phase_field"] == self.name for verdict in self.campaign.verdicts()):
            return
        if not self._records("competing") and (nothing := self.phases.known.nothing):
            self._give_up(f"competing.source: {nothing}")
            self.judge()
            return
        self.compute()
        while True:
            if batch := self.next_batch(compositions):
                self.plan(batch)
            elif not self.search_again():
                break
            self.compute()
        self.climb()
        self.judge()

    @property
    def name(self) -> str:
        """The field's name."""
        return str(self.phase_field)

    @cached_property
    def rungs(self) -> list[Rung]:
        """The levels of theory that the field climbs, the screening level first."""
        return ladder(self.campaign)

    @property
    def screening(self) -> Rung:
        """The level at which compositions are chosen."""
        return self.rungs[0]

    # which compositions ----------------------------------------------------------------------------------------------

    def next_batch(self, compositions: Sequence[str]) -> dict[str, str]:
        """The compositions to compute next, each with the reason for it; none when the field has had its share."""
        planned = len(self._records("probe"))
        if compositions:
            return {} if planned else dict.fromkeys(compositions, "asked for")
        batch = CompositionChoice(
            self.campaign, self.cycle, self.phase_field, self._neutral, self._hull, self._competing
        ).next(planned)
        self.stopped = batch.stopped
        if batch.hopeless:
            self._give_up(batch.stopped)
        return dict(batch.reasons)

    def _neutral(self) -> list[Composition]:
        """The neutral compositions of the field; of its section, if the hulls of the further levels rest on one."""
        settings = self.campaign.settings
        every = neutral_compositions(self.phase_field.elements, max_atoms=settings.probes.max_atoms)
        section = section_of(settings.ladder.section if len(self.rungs) > 1 else (), self.phase_field.elements)
        return [c for c in every if in_section(c, section)] if section else every

    def _hull(self) -> FieldHull:
        hull = hull_at(self.campaign, self.name, self.screening)
        if (best := hull.best) is not None:
            lowest = float(best["e_above_competing"])
            self.show(Event("best", self.cycle, self.name, "", str(best["formula"]), e_above_hull=lowest))
        return hull

    def _competing(self) -> list[CalculationRecord]:
        return self._records("competing")

    # structures and energies -----------------------------------------------------------------------------------------

    def plan(self, batch: dict[str, str]) -> None:
        """Build the structures of a batch, with the competing phases if it is the first, and record what to compute."""
        first = not self._records("competing")
        given = self.phases.known.structures if first else {}
        taken = taken_energies(self.phases, self.screening) if first else []
        tasks = [self._build_task("competing", formula) for formula in self.phases.searched] if first else []
        tasks += [self._build_task("probe", formula) for formula in batch]
        self.show(Event("stage", phase_field=self.name, text=f"building structures for {len(tasks)} compositions"))
        with self.campaign.timed(self.cycle, "generation"):
            built = [self._built(outcome) for outcome in self.executor.run(tasks)]
            built += [self._given(formula, structures) for formula, structures in given.items()]
        built = [*without_taken(built, taken), *taken]
        built.sort(key=lambda item: (item.role, item.composition))
        self.campaign.calculations.plan(self.name, self.cycle, self.screening.identity, built, batch)
        tell_failed(self.name, built, self.show)

    def search_again(self) -> bool:
        """Plan harder searches for the phases that a positive verdict would rest on; whether there are any."""
        to_search = self._second_search.to_search()
        if not to_search or budget_spent(self.campaign):
            return False
        self.show(Event("stage", phase_field=self.name, text=f"searching again for {len(to_search)} competing phases"))
        records = {record.composition: record for record in to_search}
        with self.campaign.timed(self.cycle, "generation"):
            outcomes = list(self.executor.run([self._second_search.task(record) for record in to_search]))
        for outcome in outcomes:
            self._blame_the_machine(outcome)
        again = [self._second_search.calculation(records[outcome.key], outcome) for outcome in outcomes]
        again.sort(key=lambda item: item.composition)
        self.campaign.calculations.plan(self.name, self.cycle, self.screening.identity, again, {})
        tell_failed(self.name, again, self.show)
        return True

    @cached_property
    def _second_search(self) -> SecondSearch:
        goes_on = len(self.rungs) > 1
        return SecondSearch(self.campaign, self.name, self.screening, self.phases.searched, goes_on)

    def foreseen(self) -> list[Task]:
        """What is built for this field in any case: the structures of the competing phases that are searched for."""
        if self.campaign.settings.competing.source != "offline" or self._records("competing"):
            return []
        return [self._build_task("competing", formula) for formula in self.phases.searched]

    def foreseen_calculation(self, built: Outcome) -> Task | None:
        """The calculation of such structures, whose output is kept and recorded when it is asked for."""
        return self._ahead(self._calculation(built))

    def _built(self, outcome: Outcome) -> Calculation:
        """What came of building structures; workers that wait for the last of a batch begin to compute the others."""
        calculation = self._calculation(outcome)
        self.executor.foresee_first(self._ahead(calculation))
        return calculation

    def _ahead(self, calculation: Calculation) -> Task | None:
        """None if it is known; where there is a budget, or a person is to be asked, no energy is computed ahead."""
        settings, probes = self.campaign.settings, self.campaign.settings.probes
        limited = (probes.budget_calculations, probes.budget_cpu_hours) != (None, None)
        if limited or settings.review or not self.screening.is_force_field:
            return None
        if not calculation.probes or self.campaign.calculations.is_planned(calculation.hash):
            return None
        return self._flow_task(calculation, self.screening)

    @cached_property
    def phases(self) -> CompetingPhases:
        """Which competing phases the field has."""
        return CompetingPhases(self.campaign, self.phase_field.elements)

    def _given(self, formula: str, structures: Sequence[ProbeStructure]) -> Calculation:
        probes = [probe.as_dict() for probe in structures]
        identity = structure_hash(probes, self.screening.identity, self.screening.maker.funnel)
        return Calculation(identity, "competing", formula, probes)

    def _build_task(self, role: Role, formula: str) -> Task:
        settings = self.campaign.settings
        return Task(f"{role} {formula}", build, (role, formula, structure_settings(settings, role), settings.seed))

    def _calculation(self, outcome: Outcome) -> Calculation:
        self._blame_the_machine(outcome)
        role, composition = outcome.key.split(" ", 1)
        probes = (outcome.value or {}).get("probes", [])
        identity = structure_hash(probes, self.screening.identity, self.screening.maker.funnel)
        if not probes:
            identity = f"none-{composition}-{identity[:32]}"
        origin = self.phases.origins.get(composition, "")
        return Calculation(identity, role, composition, probes, outcome.reason, origin)  # type: ignore[arg-type]

    def climb(self) -> None:
        """Take what the ladder lets through to each further level of theory and compute it there, batch by batch."""
        for lower, upper in pairwise(self.rungs):
            self.compute(upper)
            while (step := self._next_step(lower, upper)).items:
                self.campaign.calculations.plan(self.name, self.cycle, upper.identity, step.items, step.reasons)
                self.compute(upper)
            if step.stopped:
                self.held_back[upper.number] = step.stopped
            if not self._records("probe", upper):
                return

    def _next_step(self, lower: Rung, upper: Rung) -> Step:
        with self.campaign.timed(self.cycle, "acquisition"):
            return Climb(self.campaign, self.phase_field, lower, upper).next()

    def _records(self, role: Role, rung: Rung | None = None) -> list[CalculationRecord]:
        return self.campaign.calculations.of(self.name, role, (rung or self.screening).identity)

    def compute(self, rung: Rung | None = None) -> None:
        """Run what is still open of the field's calculations at one level, the screening level if none is named."""
        rung = rung or self.screening
        open_ = self.campaign.calculations.unfinished(self.name, rung.identity)
        if not (todo := {c.hash: c for c in sorted(open_, key=expected_cost, reverse=True)}):
            return
        tasks = [self._flow_task(c, rung) for c in todo.values()]
        self.show(Event("field", phase_field=self.name, total=len(tasks)))
        self.show(Event("stage", phase_field=self.name, text=f"computing at {rung.level.name}"))

        def begin(key: str) -> None:
            self.campaign.calculations.begin(key)
            self.show(Event("calculation", self.cycle, self.name, "", todo[key].composition, "running"))

        with self.campaign.timed(self.cycle, "calculations"):
            for outcome in self.executor.run(tasks, started=begin):
                self._blame_the_machine(outcome)
                result = outcome.value or {"state": "failed", "reason": outcome.reason}
                self._record(todo[outcome.key], result, outcome.passing)
        keep_summaries(self.campaign, self.name)

    def _flow_task(self, calculation: Calculation, rung: Rung) -> FlowTask:
        due = self.campaign.due(self.cycle)
        return flow_task(calculation, rung, self._output(calculation.hash), self.name, self.cycle, due)

    def _record(self, calculation: Calculation, result: dict[str, Any], passing: bool) -> None:
        output = self._output(calculation.hash)
        kept = os.path.relpath(output, self.campaign.folder) if output.exists() else ""
        ended = {"force_s": result.get("force_seconds"), **result, "output": kept}
        self.campaign.calculations.end(calculation.hash, ended, passing)
        reason = result.get("reason", "")
        event = Event("calculation", self.cycle, self.name, reason, calculation.composition, result["state"])
        self.show(event)

    def _output(self, calculation: str) -> Path:
        return self.campaign.outputs / f"{calculation}.json"

    def _blame_the_machine(self, outcome: Outcome) -> None:
        if outcome.blameless:
            log = self.campaign.folder / "workers.log"
            raise RunError(f"{outcome.reason}; nothing recorded is lost, see {log}, make room and run again")

    def _give_up(self, reason: str) -> None:
        """Record why nothing of the field is computed."""
        hopeless = Calculation(f"none-{self.name}", "probe", "".join(self.phase_field.elements), [], reason)
        self.campaign.calculations.plan(self.name, self.cycle, self.screening.identity, [hopeless], {})

    # verdict ---------------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Put the field on the hull of the highest level that it has reached, and record the verdict."""
        once = self._second_search.searched_once()
        verdict = FieldVerdict(
            self.campaign, self.cycle, self.name, self.rungs, self.phases, once, self.stopped, self.held_back
        ).row()
        self.campaign.record_verdict(verdict)
        lowest, composition = verdict["best_e_above_competing"], verdict["best_composition"]
        text = f"{verdict['verdict']}: {verdict['reason']}"
        self.show(Event("verdict", self.cycle, self.name, text, composition, e_above_hull=lowest))
