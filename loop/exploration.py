"""The exploration of one phase field: choose compositions, build structures, compute, judge; batch after batch."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pymatgen.core import Composition, Structure

from dft.competing import OFFLINE_SOURCE, build_competing
from dft.compositions import neutral_compositions, spread_compositions
from dft.databases import KnownPhases, from_folder, from_materials_project
from dft.execute import LocalExecutor, Outcome, Task, run_flow
from dft.levels import LevelOfTheory, level
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.workflows import ScreeningMaker, structure_hash
from loop.acquisition import choose_compositions
from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.errors import RunError, UserError
from loop.feedback import judge
from loop.field_hull import FieldHull, entry_of, field_hull
from loop.records import Role
from loop.report.live import Event
from vae import PhaseField
from vae.datasets import known_formulas

logger = logging.getLogger("loop")

Show = Callable[[Event], None]

#: How hard the lowest structure of a composition is looked for: structures built, and rounds of (survivors, steps).
SEARCHES: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "quick": (20, ((4, 6), (2, 12))),
    "thorough": (50, ((12, 8), (6, 12), (3, 20))),
}


@dataclass
class Exploration:
    """One field of one cycle.

    Attributes:
        campaign: Where everything is recorded.
        cycle: Number of the cycle.
        phase_field: The field.
        executor: Where calculations run.
        show: Told what happens.
    """

    campaign: Campaign
    cycle: int
    phase_field: PhaseField
    executor: LocalExecutor
    show: Show

    def run(self, compositions: Sequence[str] = ()) -> None:
        """Bring the exploration to its verdict from wherever it stands.

        Args:
            compositions: Formulas to probe, all at once; none to choose them batch by batch.
        """
        if any(verdict["phase_field"] == self.name for verdict in self.campaign.verdicts()):
            return
        self.compute()
        while batch := self.next_batch(compositions):
            self.plan(batch)
            self.compute()
        self.judge()

    @property
    def name(self) -> str:
        """The field's name."""
        return str(self.phase_field)

    @cached_property
    def level(self) -> LevelOfTheory:
        """The level of theory of every energy of the campaign."""
        return checked_level(self.campaign)

    @cached_property
    def maker(self) -> ScreeningMaker:
        """What computes one composition."""
        return screening_maker(self.campaign)

    # which compositions ----------------------------------------------------------------------------------------------

    def next_batch(self, compositions: Sequence[str]) -> dict[str, str]:
        """The compositions to compute next, each with the reason for it; none when the field has had its share."""
        planned = len(self.campaign.calculations.of(self.name, "probe"))
        if compositions:
            return {} if planned else dict.fromkeys(compositions, "asked for")
        settings = self.campaign.settings.probes
        wanted = min(settings.batch if planned else settings.first_batch, settings.compositions_per_field - planned)
        if wanted < 1:
            return {}
        try:
            return self._first_batch(wanted) if planned == 0 else self._further_batch(wanted)
        except ValueError as error:
            if planned == 0:
                self._give_up(str(error))
            else:
                logger.warning("%s: no further compositions: %s", self.name, error)
                self.show(Event("message", text=f"{self.name}: no further compositions: {error}"))
            return {}

    def _neutral(self) -> list[Composition]:
        return neutral_compositions(self.phase_field.elements, max_atoms=self.campaign.settings.probes.max_atoms)

    def _first_batch(self, n: int) -> dict[str, str]:
        chosen = spread_compositions(self._neutral(), n)
        return {_formula(composition): "first batch, spread over the field" for composition in chosen}

    def _further_batch(self, n: int) -> dict[str, str]:
        hull = self._hull()
        if hull.reason:
            raise ValueError(hull.reason)
        probes = hull.probes
        has_energy = probes["e_above_competing"].notna()
        known = zip(probes["composition"][has_energy], probes["e_above_competing"][has_energy], strict=True)
        settings = self.campaign.settings
        competing = self.campaign.calculations.of(self.name, "competing")
        with self.campaign.timed(self.cycle, "acquisition"):
            chosen = choose_compositions(
                self.phase_field,
                [entry_of(record) for record in competing if record.energy_per_atom is not None],
                list(known),
                self._neutral(),
                n,
                seed=settings.seed,
                strategy=settings.probes.strategy,
                failed=probes["composition"][~has_energy],
            )
        return {_formula(composition): reason for composition, reason in chosen}

    # structures and energies -----------------------------------------------------------------------------------------

    def plan(self, batch: dict[str, str]) -> None:
        """Build the structures of a batch, with the competing phases if it is the first, and record what to compute."""
        first = not self.campaign.calculations.of(self.name, "competing")
        given = self.known_phases.structures if first else {}
        tasks = [self._build_task("competing", formula) for formula in self._searched_formulas()] if first else []
        tasks += [self._build_task("probe", formula) for formula in batch]
        self.show(Event("stage", text=f"{self.name}: building structures for {len(tasks)} compositions"))
        with self.campaign.timed(self.cycle, "generation"):
            built = [self._calculation(outcome) for outcome in self.executor.run(tasks)]
            built += [self._given(formula, structures) for formula, structures in given.items()]
        built.sort(key=lambda item: (item.role, item.composition))
        self.campaign.calculations.plan(self.name, self.cycle, self.level.identity, built, batch)

    @cached_property
    def known_phases(self) -> KnownPhases:
        """Competing phases whose structures are known; none of them for an offline search."""
        settings = self.campaign.settings.competing
        elements = self.phase_field.elements
        try:
            if settings.source == "offline":
                return KnownPhases({}, {}, OFFLINE_SOURCE)
            if settings.source == "materials_project":
                return from_materials_project(elements, self.campaign.folder / "materials_project", settings.window)
            return from_folder(settings.source, elements)
        except (ValueError, OSError) as error:
            raise UserError(f"competing.source: {error}") from None

    def _searched_formulas(self) -> list[str]:
        """What is searched for: elements without a known structure, and every formula if nothing else is known."""
        elements = self.phase_field.elements
        known = self.known_phases.structures
        return [*(e for e in elements if e not in known), *(() if known else known_formulas(elements))]

    def _given(self, formula: str, structures: Sequence[ProbeStructure]) -> Calculation:
        identity = structure_hash(structures, self.level.identity, self.maker.funnel)
        return Calculation(identity, "competing", formula, [probe.as_dict() for probe in structures])

    def _build_task(self, role: Role, formula: str) -> Task:
        settings = self.campaign.settings
        probe_settings = ProbeSettings(
            generators=settings.probes.generators,
            n_structures=SEARCHES[settings.probes.search][0],
            max_atoms=settings.probes.max_atoms,
            folder=settings.probes.folder or "",
        )
        return Task(f"{role} {formula}", build, (role, formula, probe_settings, settings.seed))

    def _calculation(self, outcome: Outcome) -> Calculation:
        self._blame_the_machine(outcome)
        role, composition = outcome.key.split(" ", 1)
        probes = (outcome.value or {}).get("probes", [])
        identity = structure_hash(_structures(probes), self.level.identity, self.maker.funnel)
        if not probes:
            identity = f"none-{composition}-{identity[:32]}"
        return Calculation(identity, role, composition, probes, outcome.reason)  # type: ignore[arg-type]

    def compute(self) -> None:
        """Run what is still open of the field's calculations."""
        open_ = self.campaign.calculations.unfinished(self.name)
        todo = {c.hash: c for c in sorted(open_, key=_expected_cost, reverse=True)}
        if not todo:
            return
        tasks = [Task(c.hash, screen, (self.maker, c.probes, str(self._output(c.hash)))) for c in todo.values()]
        self.show(Event("field", phase_field=self.name, total=len(tasks)))
        self.show(Event("stage", text="computing"))
        with self.campaign.timed(self.cycle, "calculations"):
            for outcome in self.executor.run(tasks, started=self.campaign.calculations.begin):
                self._blame_the_machine(outcome)
                self._record(todo[outcome.key], outcome.value or {"state": "failed", "reason": outcome.reason})

    def _record(self, calculation: Calculation, result: dict[str, Any]) -> None:
        output = self._output(calculation.hash)
        kept = os.path.relpath(output, self.campaign.folder) if output.exists() else ""
        self.campaign.calculations.end(
            calculation.hash, {"force_s": result.get("force_seconds"), **result, "output": kept}
        )
        reason = result.get("reason", "")
        event = Event("calculation", self.cycle, self.name, reason, calculation.composition, result["state"])
        logger.info("%s %s %s %s", self.name, calculation.composition, result["state"], reason)
        self.show(event)

    def _output(self, calculation: str) -> Path:
        return self.campaign.outputs / f"{calculation}.json"

    def _blame_the_machine(self, outcome: Outcome) -> None:
        if outcome.blameless:
            log = self.campaign.folder / "workers.log"
            raise RunError(f"{outcome.reason}; nothing recorded is lost, see {log}, make room and run again")

    def _give_up(self, reason: str) -> None:
        """Record a field in which no probe composition can be made."""
        hopeless = Calculation(f"none-{self.name}", "probe", "".join(self.phase_field.elements), [], reason)
        self.campaign.calculations.plan(self.name, self.cycle, self.level.identity, [hopeless], {})

    # verdict ---------------------------------------------------------------------------------------------------------

    def _hull(self) -> FieldHull:
        competing = self.campaign.calculations.of(self.name, "competing")
        return field_hull(self.campaign.calculations.of(self.name, "probe"), competing)

    def _source(self) -> str:
        aside = self.known_phases.set_aside
        return self.known_phases.source + (f"; set aside: {', '.join(aside)}" if aside else "")

    def judge(self) -> None:
        """Put the field on its hull and record the verdict."""
        limits = self.campaign.settings.verdicts
        band = self.level.error_band if limits.error_band is None else limits.error_band
        hull = self._hull()
        best = hull.best
        lowest = None if best is None else float(best["e_above_competing"])
        composition = "" if best is None else str(best["formula"])
        verdict = judge(lowest, composition, hull.n_probes, band, limits)
        problems = [text for text in (hull.reason, *hull.probes["reason"]) if text]
        reason = f"{verdict.reason}: {problems[0]}" if best is None and problems else verdict.reason
        if missing := hull.missing_competing:
            reason += f". The hull lacks {', '.join(missing)}, which have no energy and could only raise this distance"
        self.campaign.record_verdict(
            {
                "phase_field": self.name,
                "cycle": self.cycle,
                "verdict": verdict.verdict,
                "reason": reason,
                "best_e_above_hull": None if best is None else float(best["e_above_hull"]),
                "best_e_above_competing": lowest,
                "best_composition": composition,
                "level": self.level.identity,
                "error_band": band,
                "competing_source": f"{self._source()}; {hull.n_competing} of {len(hull.competing)} have an energy",
            }
        )
        logger.info("%s is %s: %s", self.name, verdict.verdict, reason)
        text = f"{verdict.verdict}: {reason}"
        self.show(Event("verdict", self.cycle, self.name, text, composition, e_above_hull=lowest))


def checked_level(campaign: Campaign) -> LevelOfTheory:
    """The level of theory of a campaign.

    Raises:
        UserError: If there is no such level or its engine is missing.
    """
    try:
        return level(campaign.settings.level_of_theory, campaign.settings.checkpoint or "")
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from None


def screening_maker(campaign: Campaign) -> ScreeningMaker:
    """What computes one composition of a campaign.

    Raises:
        UserError: If there is no such level of theory or its engine is missing.
    """
    _, rounds = SEARCHES[campaign.settings.probes.search]
    return ScreeningMaker.from_level(checked_level(campaign), rounds=rounds)


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


def load_engine(maker: ScreeningMaker) -> None:
    """Load in a worker what `build` and `screen` need, so that it is there when the first task comes."""
    Composition("LiCl").oxi_state_guesses()  # reads pymatgen's table of oxidation states
    maker.load_engine()


def _expected_cost(calculation: Calculation) -> tuple[int, int]:
    """For an order in which the longest come first, so that no worker ends long before the others."""
    sizes = [len(probe["structure"]["sites"]) for probe in calculation.probes]
    return max(sizes, default=0), len(sizes)


def _structures(probes: list[dict[str, Any]]) -> list[ProbeStructure]:
    return [ProbeStructure(Structure.from_dict(probe["structure"]), probe["generator"]) for probe in probes]


def _formula(composition: Composition) -> str:
    return composition.formula.replace(" ", "")
