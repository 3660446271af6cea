"""Before a field is called positive: what its best probe decomposes into is searched for a second time, harder.

A hull is as low as the searches for the phases on it have got, and a probe below it may only tell that one of them was
not found. docs/probes.md has an example.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pymatgen.core import Composition, Structure

from dft.execute import Outcome, Task
from dft.probes import ProbeSettings, ProbeStructure
from dft.probes.elements import is_element
from dft.workflows import structure_hash
from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.feedback import near_enough
from loop.field_space import formula_of
from loop.ladder import HARDER, Rung, hull_at
from loop.records import CalculationRecord
from loop.tasks import build
from loop.units import MEV

#: Lower by less, eV/atom, is the same structure relaxed once more.
SAME = 0.001


@dataclass(frozen=True)
class SecondSearch:
    """Second searches for competing phases of one field, at its screening level.

    Attributes:
        campaign: Where everything is recorded.
        phase_field: Name of the field.
        rung: The screening level; with one of DFT alone nothing is searched for twice.
        searched: Formulas whose structures came by search; what is known needs no second one.
        goes_on: Whether there is a further level, to which probes go from a distance of `ladder.window`.
    """

    campaign: Campaign
    phase_field: str
    rung: Rung
    searched: Collection[str]
    goes_on: bool

    def needed(self) -> list[CalculationRecord]:
        """The compounds that are to be searched for twice, by the lower of their energies.

        Those that the best probe decomposes into, if it makes the field positive; before a further level all that go
        on to it, if a probe does: any of them may be on the hull there.
        """
        settings = self.campaign.settings
        if not settings.competing.search_again or self.rung.harder is None:
            return []
        hull = hull_at(self.campaign, self.phase_field, self.rung)
        # A verdict, too, is by the probes that hold every element of the field.
        best, wanted = hull.of_whole_field(self.phase_field.split("-")).best, set()
        if best is None:
            return []
        if near_enough(best["e_above_competing"], self.rung.band(settings.verdicts), settings.verdicts):
            wanted |= set(best["competing_decomposition"])
        if self.goes_on and best["e_above_competing"] <= (window := settings.ladder.window):
            wanted |= set(hull.competing["formula"][hull.competing["e_above_hull"].astype(float) <= window])
        found = self.campaign.calculations.of(self.phase_field, "competing", self.rung.identity)
        return [r for r in found if formula_of(r.composition) in wanted and self._was_searched_for(r)]

    def _was_searched_for(self, record: CalculationRecord) -> bool:
        is_compound = not is_element(Composition(record.composition))
        return is_compound and record.composition in self.searched and record.energy_per_atom is not None

    def to_search(self) -> list[CalculationRecord]:
        """Those of them that no second search has been planned for."""
        planned = {first.composition for first, _ in self._pairs()}
        return [record for record in self.needed() if record.composition not in planned]

    def searched_once(self) -> list[str]:
        """Formulas of those whose second search has given no energy, as it failed or was not made."""
        twice = {first.composition for first, second in self._pairs() if second.energy_per_atom is not None}
        return [formula_of(record.composition) for record in self.needed() if record.composition not in twice]

    def _pairs(self) -> list[tuple[CalculationRecord, CalculationRecord]]:
        return self.campaign.calculations.searched_again(self.phase_field, self.rung.identity)

    def task(self, record: CalculationRecord) -> Task:
        """What builds the structures: more of them, and others."""
        settings = self.campaign.settings
        n_structures = HARDER[settings.probes.search].n_structures
        probe_settings = ProbeSettings(n_structures=n_structures, max_atoms=settings.competing.max_atoms)
        arguments = ("competing", record.composition, probe_settings, settings.seed + 1)
        return Task(record.composition, build, arguments)

    def calculation(self, record: CalculationRecord, outcome: Outcome) -> Calculation:
        """The second search; the structure that the first one found is among its candidates."""
        origin = "; ".join(filter(None, (record.choice, "searched for again")))
        built = (outcome.value or {}).get("probes", [])
        if not built:
            unbuilt = f"none-again-{record.hash}"
            return Calculation(unbuilt, "competing", record.composition, [], outcome.reason, origin, again=True)
        found = ProbeStructure(Structure.from_dict(record.structure or {}), record.generator)
        probes = [found.as_dict(), *built]
        maker = self.rung.maker_of(again=True)
        identity = structure_hash(probes, self.rung.identity, maker.funnel)
        return Calculation(identity, "competing", record.composition, probes, origin=origin, again=True)


def about_second_searches(pairs: Iterable[tuple[CalculationRecord, CalculationRecord]]) -> str:
    """What a verdict adds of the phases that were searched for twice, first search and second."""
    lower: list[str] = []
    same: list[str] = []
    failed: list[str] = []
    for first, second in pairs:
        if first.energy_per_atom is None or second.energy_per_atom is None:
            failed.append(f". The second search for {formula_of(first.composition)} gave no energy: {second.reason}")
            continue
        gain = first.energy_per_atom - second.energy_per_atom
        name = formula_of(first.composition)
        (lower if gain > SAME else same).append(f"{name} ({gain * MEV:.0f} meV/atom lower)" if gain > SAME else name)
    told = [*lower, *([f"nothing lower of {', '.join(same)}"] if same else [])]
    return (f". Searched for again, harder: {', '.join(told)}" if told else "") + "".join(failed)
