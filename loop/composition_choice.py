"""Which compositions of a field to compute next in a campaign, and when to stop asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from pymatgen.core import Composition

from dft.compositions import spread_compositions
from loop.acquisition import choose_compositions
from loop.campaign import Campaign
from loop.field_hull import FieldHull, entry_of
from loop.records import CalculationRecord
from loop.stopping import Spent, StopRules
from loop.strategies import Choice
from vae import PhaseField


@dataclass(frozen=True)
class Batch:
    """Compositions to compute next, or why there are none.

    Attributes:
        reasons: Why each was chosen, by formula.
        stopped: Why no further composition is chosen; empty if there is one.
        hopeless: Whether no composition of the field can be tried at all.
    """

    reasons: Mapping[str, str]
    stopped: str = ""
    hopeless: bool = False


@dataclass(frozen=True)
class CompositionChoice:
    """The next compositions of one field of a campaign, from its records alone.

    Attributes:
        campaign: Where everything is recorded.
        cycle: Number of the cycle.
        phase_field: The field.
        neutral: Gives the compositions to choose from.
        hull: Gives the hull of what is computed so far, at the level of theory at which compositions are chosen.
        competing: Gives the records of the competing phases at that level.
    """

    campaign: Campaign
    cycle: int
    phase_field: PhaseField
    neutral: Callable[[], list[Composition]]
    hull: Callable[[], FieldHull]
    competing: Callable[[], Sequence[CalculationRecord]]

    def next(self, planned: int) -> Batch:
        """The compositions to compute next, each with the reason for it; none when the field has had enough.

        Args:
            planned: How many compositions of the field were chosen before.
        """
        settings, spent = self.campaign.settings, Spent(*self.campaign.calculations.spent())
        rules = StopRules(settings.probes, settings.verdicts.stable_below)
        if stopped := rules.of_share(planned) or rules.of_budget(spent):
            return Batch({}, stopped)
        n = rules.room(planned, spent)
        try:
            return self._first(n) if planned == 0 else self._further(n, rules)
        except ValueError as error:
            return Batch({}, str(error), hopeless=planned == 0)

    def _first(self, n: int) -> Batch:
        chosen = spread_compositions(self.neutral(), n)
        return Batch({plain_formula(composition): "first batch, spread over the field" for composition in chosen})

    def _further(self, n: int, rules: StopRules) -> Batch:
        hull = self.hull()
        if hull.reason:
            raise ValueError(hull.reason)
        if stopped := rules.of_search([None if pd.isna(e) else e for e in hull.probes["e_above_hull"]]):
            return Batch({}, stopped)
        with self.campaign.timed(self.cycle, "acquisition"):
            chosen = self._choose(n, hull.probes)
        if stopped := rules.of_expectation([choice.improvement for choice in chosen]):
            return Batch({}, stopped)
        reasons = {plain_formula(Composition(choice.formula)): choice.reason for choice in chosen}
        return Batch(reasons, "" if reasons else "no composition within max_atoms is left")

    def _choose(self, n: int, probes: pd.DataFrame) -> list[Choice]:
        has_energy = probes["e_above_competing"].notna()
        settings = self.campaign.settings
        return choose_compositions(
            self.phase_field,
            [entry_of(record) for record in self.competing() if record.energy_per_atom is not None],
            zip(probes["composition"][has_energy], probes["e_above_competing"][has_energy], strict=True),
            self.neutral(),
            n,
            seed=settings.seed,
            strategy=settings.probes.strategy,
            failed=probes["composition"][~has_energy],
        )


def plain_formula(composition: Composition) -> str:
    """A formula without spaces, the elements by electronegativity."""
    return composition.formula.replace(" ", "")
