"""When a field has had enough: a share or a budget is spent, nothing more is expected, or nothing more is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.campaign import Campaign
from loop.config import Probes
from loop.units import HOUR, MEV


@dataclass(frozen=True)
class Spent:
    """What a campaign has spent so far, competing phases and failures included.

    Attributes:
        calculations: Ended ones.
        cpu_seconds: In all attempts.
    """

    calculations: int
    cpu_seconds: float


@dataclass(frozen=True)
class StopRules:
    """The rules of the section `probes`, each a question whose answer is a sentence, or empty to go on.

    Attributes:
        settings: The section.
        found_within: A batch has found something if a composition lies this near to the hull, eV/atom.
    """

    settings: Probes
    found_within: float

    def of_share(self, planned: int) -> str:
        """Whether the field has had its share of compositions."""
        share = self.settings.compositions_per_field
        return f"all {share} compositions of its share were tried" if planned >= share else ""

    def of_budget(self, spent: Spent) -> str:
        """Whether the campaign's budget is spent."""
        calculations, hours = self.settings.budget_calculations, self.settings.budget_cpu_hours
        if calculations is not None and spent.calculations >= calculations:
            return f"the campaign's budget of {calculations} calculations is spent ({spent.calculations})"
        if hours is not None and spent.cpu_seconds >= hours * HOUR:
            return f"the campaign's budget of {hours:g} CPU-hours is spent ({spent.cpu_seconds / HOUR:.2f})"
        return ""

    def of_search(
        self, e_above_hull: Sequence[float | None], uncounted: int | None = None, batch: int | None = None
    ) -> str:
        """Whether the last batches have found nothing.

        Args:
            e_above_hull: Of the field's probes in the order in which they were chosen, eV/atom; none for failures.
            uncounted: How many stand before the batches that count; none for the first, spread batch of a field.
            batch: How many are in a batch; none for what the section says.
        """
        patience = self.settings.stop_after_idle_batches
        found = [energy is not None and energy <= self.found_within for energy in e_above_hull]
        uncounted = self.settings.first_batch if uncounted is None else uncounted
        batches = _batches(found, uncounted, batch or self.settings.batch)
        if patience is None or len(batches) <= patience or any(map(any, batches[-patience:])):
            return ""
        of = "the last batch" if patience == 1 else f"{patience} batches in a row"
        return f"{of} found nothing within {self.found_within * MEV:.0f} meV/atom of the hull"

    def of_expectation(self, improvements: Sequence[float | None]) -> str:
        """Whether no composition of the next batch is expected to lower the hull by enough.

        Args:
            improvements: Expected lowering by each, eV/atom; none from strategies that expect nothing.
        """
        threshold = self.settings.stop_below_improvement
        expected = [value for value in improvements if value is not None]
        if threshold is None or not expected or max(expected) >= threshold:
            return ""
        return (
            f"the next compositions are expected to lower the hull by {max(expected) * MEV:.2g} meV/atom at most, "
            f"less than {threshold * MEV:g}"
        )

    def room(self, planned: int, spent: Spent) -> int:
        """How many compositions the next batch may hold."""
        wanted = self.settings.batch if planned else self.settings.first_batch
        return self.affordable(min(wanted, self.settings.compositions_per_field - planned), spent)

    def affordable(self, wanted: int, spent: Spent) -> int:
        """As many calculations as wanted, or as the budget has left."""
        limit = self.settings.budget_calculations
        return max(0, wanted if limit is None else min(wanted, limit - spent.calculations))


def budget_spent(campaign: Campaign) -> str:
    """Why the campaign may compute nothing more, as a sentence; empty while it may."""
    settings = campaign.settings
    rules = StopRules(settings.probes, settings.verdicts.stable_below)
    return rules.of_budget(Spent(*campaign.calculations.spent()))


def _batches(found: Sequence[bool], first: int, size: int) -> list[Sequence[bool]]:
    later = [found[start : start + size] for start in range(first, len(found), size)]
    return [found[:first], *later]
