"""One cycle of the loop: rank, choose, build, compute, judge. Each step is recorded before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pymatgen.core import Composition, Structure

from dft.competing import build_competing
from dft.compositions import neutral_compositions, spread_compositions
from dft.execute import LocalExecutor, Outcome, Task, run_flow
from dft.levels import LevelOfTheory, level
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.workflows import ScreeningMaker, structure_hash
from loop.acquisition import choose_fields
from loop.campaign import Calculation, Campaign
from loop.errors import RunError, UserError, Waiting
from loop.feedback import MEV, judge, left_out, training_fields
from loop.field_hull import field_hull
from loop.progress import Reporter
from loop.records import Role
from vae import PhaseField
from vae.datasets import KnownFields, known_formulas, known_phase_fields, read_phase_fields

#: How a composition's structures are screened: coarse relaxations, their steps, and relaxations to the force limit.
FUNNEL = {"n_coarse": 8, "coarse_steps": 30, "n_final": 1}


@dataclass
class Cycle:
    """One pass of the loop over a campaign.

    Attributes:
        campaign: Where everything is recorded.
        number: From 1.
        executor: Where calculations run.
        reporter: Where progress is shown.
    """

    campaign: Campaign
    number: int
    executor: LocalExecutor
    reporter: Reporter

    def run(self) -> None:
        """Bring the cycle to its end from wherever it stands."""
        self.campaign.begin_cycle(self.number)
        self.rank()
        for phase_field in self.propose():
            self.explore(phase_field)
        self.campaign.complete_cycle(self.number)

    def explore(self, phase_field: PhaseField, compositions: Sequence[str] = ()) -> None:
        """Find out about one field: structures, energies, hull, verdict.

        Args:
            phase_field: Which.
            compositions: Formulas to probe; none to choose them.
        """
        self.plan(phase_field, compositions)
        self.compute(phase_field)
        self.judge(phase_field)

    @cached_property
    def level(self) -> LevelOfTheory:
        """The level of theory of every energy of the campaign."""
        return level(self.campaign.settings.level_of_theory)

    @cached_property
    def known(self) -> KnownFields:
        """The known phase fields, before anything that the campaign found."""
        return load_known(self.campaign)

    def rank(self) -> None:
        """Train on what is known by now and rank the candidates."""
        if not self.campaign.ranking(self.number).empty:
            return
        from vae.ranking import make_ranker, rank

        settings = self.campaign.settings
        earlier = [v for v in self.campaign.verdicts() if v["cycle"] < self.number]
        training = training_fields(self.known.fields, earlier, settings.feedback)
        candidates = settings.candidates.enumerate(left_out(self.known.fields, earlier, settings.feedback))
        if not candidates:
            raise UserError("no candidate fields are left; widen `candidates` in the configuration")
        self.reporter.say(f"cycle {self.number}: training on {len(training)} fields, ranking {len(candidates)}")
        with self.timed("training"), self.reporter.counting("training", 100) as advance:
            ranker = make_ranker(settings.ranker.name, seed=settings.seed)
            ranker.fit(training, progress=lambda done, total: advance(done * 100 // max(total, 1)))
        with self.timed("ranking"):
            ranking = rank(ranker, candidates, training)
            checkpoint = self.campaign.folder / "checkpoints" / f"cycle-{self.number}.pt"
            checkpoint.parent.mkdir(exist_ok=True)
            ranker.save(checkpoint)
        self.campaign.record_ranking(self.number, ranking.table, ranking.diagnostics, len(training))

    def propose(self) -> list[PhaseField]:
        """Choose the fields of this cycle."""
        if not self.campaign.proposal_states(self.number):
            ranking, settled = self.campaign.ranking(self.number), self.campaign.settled_fields()
            proposals = choose_fields(ranking, settled, self.campaign.settings.fields_per_cycle)
            if not proposals:
                raise UserError("every candidate field has been explored; widen `candidates` in the configuration")
            self.campaign.record_proposals(self.number, proposals)
        self._wait_for_review()
        proposals = self.campaign.proposals(self.number)
        for name, reason in proposals.items():
            self.reporter.say(f"cycle {self.number}: exploring {name}: {reason}")
        return [PhaseField.parse(name) for name in proposals]

    def _wait_for_review(self) -> None:
        open_proposals = [n for n, state in self.campaign.proposal_states(self.number).items() if state == "proposed"]
        if self.campaign.settings.review and open_proposals:
            raise Waiting(
                f"cycle {self.number} proposes {', '.join(open_proposals)}; look at them with "
                f"`loop review {self.campaign.folder}`, approve, veto or add, then run again"
            )

    def plan(self, phase_field: PhaseField, compositions: Sequence[str] = ()) -> None:
        """Build the structures of a field's probes and competing phases and record what is to be computed."""
        if self.campaign.is_planned(str(phase_field)):
            return
        try:
            compositions = compositions or self._choose_compositions(phase_field)
        except ValueError as error:
            self.campaign.record_calculations(
                str(phase_field), self.number, self.level.identity, [_hopeless(phase_field, error)]
            )
            return
        tasks = [
            *(self._build_task("probe", formula) for formula in compositions),
            *(self._build_task("competing", formula) for formula in competing_formulas(phase_field)),
        ]
        with self.timed("generation"), self.reporter.counting(f"{phase_field}: structures", len(tasks)) as advance:
            planned = []
            for outcome in self.executor.run(tasks):
                planned.append(self._planned(outcome))
                advance()
        planned.sort(key=lambda item: (item.role, item.composition))
        self.campaign.record_calculations(str(phase_field), self.number, self.level.identity, planned)

    def _choose_compositions(self, phase_field: PhaseField) -> list[str]:
        settings = self.campaign.settings.probes
        neutral = neutral_compositions(phase_field.elements, max_atoms=settings.max_atoms)
        return [c.formula.replace(" ", "") for c in spread_compositions(neutral, settings.compositions_per_field)]

    def _build_task(self, role: Role, formula: str) -> Task:
        settings = self.campaign.settings
        probe_settings = ProbeSettings(max_atoms=settings.probes.max_atoms)
        return Task(f"{role} {formula}", build, (role, formula, probe_settings, settings.seed))

    def _planned(self, outcome: Outcome) -> Calculation:
        role, composition = outcome.key.split(" ", 1)
        if outcome.blameless:
            raise RunError(f"{outcome.reason}; nothing recorded is lost, see {self.campaign.folder / 'loop.log'}")
        probes = (outcome.value or {}).get("probes", [])
        structures = _structures(probes)
        identity = structure_hash(structures, self.level.identity, FUNNEL)
        if not probes:
            identity = f"none-{composition}-{identity[:32]}"
        return Calculation(identity, role, composition, probes, outcome.reason)  # type: ignore[arg-type]

    def compute(self, phase_field: PhaseField) -> None:
        """Run what is still open of a field's calculations."""
        todo = self.campaign.open_calculations(str(phase_field))
        tasks = [
            Task(c.hash, screen, (self._maker(), c.probes, str(self.campaign.outputs / f"{c.hash}.json"))) for c in todo
        ]
        names = {c.hash: c.composition for c in todo}
        counter = self.reporter.counting(f"{phase_field}: calculations", len(tasks))
        with self.timed("calculations"), counter as advance:
            for outcome in self.executor.run(tasks, started=self.campaign.record_running):
                if outcome.blameless:
                    raise RunError(
                        f"{outcome.reason}; nothing recorded is lost, see {self.campaign.folder / 'loop.log'}"
                    )
                result = outcome.value or {"state": "failed", "reason": outcome.reason}
                self._record(outcome.key, result)
                advance(note=f"{names[outcome.key]} {result['state']}")

    def _record(self, calculation: str, result: dict[str, Any]) -> None:
        output = self.campaign.outputs / f"{calculation}.json"
        result = {"force_s": result.get("force_seconds"), **result}
        self.campaign.record_result(calculation, {**result, "output": str(output) if output.exists() else ""})

    def judge(self, phase_field: PhaseField) -> None:
        """Put the field on its hull and record the verdict."""
        name = str(phase_field)
        if any(verdict["phase_field"] == name for verdict in self.campaign.verdicts()):
            return
        limits = self.campaign.settings.verdicts
        band = self.level.error_band if limits.error_band is None else limits.error_band
        competing = self.campaign.calculations_of(name, "competing")
        hull = field_hull(self.campaign.calculations_of(name, "probe"), competing)
        best = hull.best
        lowest = None if best is None else float(best["e_above_competing"])
        formula = "" if best is None else str(best["formula"])
        verdict = judge(lowest, formula, hull.n_probes, band, limits)
        found = sum(record.energy_per_atom is not None for record in competing)
        self.campaign.record_verdict(
            {
                "phase_field": name,
                "cycle": self.number,
                "verdict": verdict.verdict,
                "reason": hull.reason or verdict.reason,
                "best_e_above_hull": None if best is None else float(best["e_above_hull"]),
                "best_e_above_competing": lowest,
                "best_composition": formula,
                "level": self.level.identity,
                "error_band": band,
                "competing_source": f"offline search (prototypes and ordered lattices): {found} of {len(competing)} "
                "formulas of the bundled Materials Project list have an energy",
            }
        )
        energy = "" if lowest is None else f" ({formula} {lowest * MEV:+.0f} meV/atom)"
        self.reporter.say(f"cycle {self.number}: {name} is {verdict.verdict}{energy}")

    def _maker(self) -> ScreeningMaker:
        return ScreeningMaker.from_level(self.level, **FUNNEL)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall time of what happens in here to a stage of the cycle."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.campaign.add_seconds(self.number, stage, time.perf_counter() - start)


def run_campaign(
    campaign: Campaign, cycles: int, reporter: Reporter, write_report: Callable[[Campaign], object]
) -> int:
    """Bring a campaign to `cycles` completed cycles in total, with a report after each.

    Returns:
        How many cycles were made now.
    """
    first = campaign.completed_cycles() + 1
    workers = campaign.settings.execution.workers
    with LocalExecutor(workers, log=campaign.folder / "workers.log") as executor:
        for number in range(first, cycles + 1):
            cycle = Cycle(campaign, number, executor, reporter)
            cycle.run()
            with cycle.timed("report"):
                write_report(campaign)
    return max(0, cycles - first + 1)


def load_known(campaign: Campaign) -> KnownFields:
    """The known fields that the campaign was begun with.

    Raises:
        UserError: If the list cannot be read or has changed since the campaign was begun.
    """
    import json

    from loop.database import to_json

    source = campaign.settings.known.source
    try:
        known = known_phase_fields() if source == "bundled" else read_phase_fields(Path(source))
    except (ValueError, OSError) as error:
        raise UserError(f"known.source: {error}") from None
    facts = {"source": known.source, "licence": known.licence, "n_fields": len(known.fields), "hash": known.hash}
    recorded = campaign.database.meta("data")
    if recorded is None:
        campaign.database.write(("INSERT INTO meta VALUES ('data', ?)", (to_json(facts),)))
    elif json.loads(recorded)["hash"] != known.hash:
        raise UserError(
            f"known.source: {source} holds other fields than when {campaign.folder} was begun; "
            "restore it, or begin a new campaign with --dir"
        )
    return known


def competing_formulas(phase_field: PhaseField) -> list[str]:
    """The elements of a field and the known binary and ternary formulas of its chemical system."""
    return [*phase_field.elements, *known_formulas(phase_field.elements)]


def build(role: Role, formula: str, settings: ProbeSettings, seed: int) -> dict[str, Any]:
    """Build the structures to try at one composition; runs in a worker."""
    if role == "probe":
        probes = build_probes(Composition(formula), settings, seed)
    else:
        probes = build_competing(formula, settings, seed)
    return {"probes": [probe.as_dict() for probe in probes]}


def screen(maker: ScreeningMaker, probes: list[dict[str, Any]], output: str) -> dict[str, Any]:
    """Run the screening Flow of one composition; runs in a worker."""
    return run_flow(maker, (_structures(probes),), Path(output))


def _structures(probes: list[dict[str, Any]]) -> list[ProbeStructure]:
    return [ProbeStructure(Structure.from_dict(probe["structure"]), probe["generator"]) for probe in probes]


def _hopeless(phase_field: PhaseField, problem: Exception) -> Calculation:
    """The record of a field in which no probe composition can be made."""
    return Calculation(f"none-{phase_field}", "probe", "".join(phase_field.elements), [], str(problem))
