"""The verdict on an explored field with all that it rests on, as the campaign records it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loop.campaign import Campaign
from loop.competing_phases import CompetingPhases
from loop.feedback import about_the_missing, about_those_beside, judge
from loop.ladder import Rung, about_the_level, hull_at, phases_in_words
from loop.second_search import about_second_searches
from loop.taken_energies import AS_THEY_ARE, takes_energies


@dataclass(frozen=True)
class FieldVerdict:
    """What the verdict on a field is formed from, when its last calculation has ended.

    Attributes:
        campaign: Where everything is recorded.
        cycle: The cycle that explored it.
        phase_field: Name of the field.
        rungs: The ladder.
        phases: Its competing phases.
        searched_once: Formulas of those whose second search is missing or gave no energy.
        stopped: Why no further composition was chosen.
        held_back: Why no further one went on to a level, by the level's number.
    """

    campaign: Campaign
    cycle: int
    phase_field: str
    rungs: list[Rung]
    phases: CompetingPhases
    searched_once: Sequence[str]
    stopped: str
    held_back: Mapping[int, str]

    def row(self) -> dict[str, Any]:
        """The columns of the table of verdicts: from the hull of the highest level that the field has reached."""
        settings, log = self.campaign.settings, self.campaign.calculations
        reached = [r for r in self.rungs if r.number == 0 or log.of(self.phase_field, "probe", r.identity)][-1]
        limits, band = settings.verdicts, reached.band(settings.verdicts)
        elements, every = self.phase_field.split("-"), hull_at(self.campaign, self.phase_field, reached)
        hull = every.of_whole_field(elements)
        best = hull.best
        lowest = None if best is None else float(best["e_above_competing"])
        composition = "" if best is None else str(best["formula"])
        # What had no energy at the screening level never came to a further one.
        hulls = (hull_at(self.campaign, self.phase_field, self.rungs[0]), hull) if reached.number else (hull,)
        missing = list(dict.fromkeys(formula for each in hulls for formula in each.missing_competing))
        guessed = list(dict.fromkeys(formula for each in hulls for formula in each.missing_by_analogy))
        verdict = judge(lowest, composition, hull.n_probes, band, limits, missing, self.searched_once)
        of_hull = [hull.reason] if len(hull.competing) else []  # where nothing was planned, the probes say why
        problems = [text for text in (*of_hull, *hull.probes["reason"], hull.reason) if text]
        reason = f"{verdict.reason}: {problems[0]}" if best is None and problems else verdict.reason
        reason += about_the_level(self.campaign, self.phase_field, self.rungs, reached, self.held_back)
        reason += about_second_searches(log.searched_again(self.phase_field, self.rungs[0].identity))
        reason += about_the_missing(missing, guessed)
        if beside := about_those_beside(every.probes["formula"], elements):
            reason += f". {beside}"
        if self.stopped:
            reason += f". Stopped: {self.stopped}"
        taken = AS_THEY_ARE if takes_energies(settings, reached) else ""
        source = self.phases.source + phases_in_words(self.rungs, reached, settings.ladder.window, taken)
        return {
            "phase_field": self.phase_field,
            "cycle": self.cycle,
            "verdict": verdict.verdict,
            "reason": reason,
            "best_e_above_hull": None if best is None else float(best["e_above_hull"]),
            "best_e_above_competing": lowest,
            "best_composition": composition,
            "level": reached.identity,
            "error_band": band,
            "competing_source": f"{source}; {hull.n_competing} of {len(hull.competing)} have an energy",
        }
