"""The ladder of levels of theory: what each level is, and what a verdict says about it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from dft.levels import LevelOfTheory, level
from dft.probes import ProbeSettings
from dft.section import in_section
from dft.workflows import ScreeningMaker
from loop.campaign import Campaign
from loop.config import Settings, Verdicts
from loop.database import to_json
from loop.errors import UserError
from loop.field_hull import FieldHull, field_hull
from loop.ladder_settings import section_of
from loop.levels_of_field import AT
from loop.records import Role
from loop.units import MEV

if TYPE_CHECKING:
    from dft.first_principles import FirstPrinciplesLevel, FirstPrinciplesMaker


class Search(NamedTuple):
    """How hard the lowest structure of a composition is looked for.

    Attributes:
        n_structures: Structures built; complexes come besides.
        n_relaxed: Structures relaxed.
        margin: eV/atom; relaxations that will hardly end within it above the lowest are given up.
    """

    n_structures: int
    n_relaxed: int
    margin: float

    @property
    def funnel(self) -> dict[str, Any]:
        """Settings of a `ScreeningMaker`."""
        return {"n_relaxed": self.n_relaxed, "margin": self.margin}


#: By the name that `probes.search` has.
SEARCHES = {"quick": Search(20, 10, 0.03), "thorough": Search(50, 25, 0.05)}

#: Structures that are handed on to a further level that is a force field, at most. Levels disagree by more than what
#: lies between them at the first: of three alone SevenNet would have missed Li2SnS3 by 50 meV/atom.
HANDED_ON = ScreeningMaker.n_survivors

#: The same at a further level, of what is handed on; of cells above 16 atoms fewer.
FURTHER = {name: each._replace(n_structures=HANDED_ON, n_relaxed=HANDED_ON) for name, each in SEARCHES.items()}

#: The second search for a competing phase, by the name of the first.
HARDER = {"quick": Search(50, 25, 0.05), "thorough": Search(100, 50, 0.08)}


@dataclass(frozen=True)
class Rung:
    """One level of a campaign's ladder.

    Attributes:
        number: From 0, the screening level.
        level: The level of theory.
        maker: What computes one composition at it.
        section: End members between which hulls of this level are built; empty for whole fields.
        harder: What computes a competing phase that is searched for a second time: at a force field's screening level.
    """

    number: int
    level: LevelOfTheory | FirstPrinciplesLevel
    maker: ScreeningMaker | FirstPrinciplesMaker
    section: tuple[str, ...] = ()
    harder: ScreeningMaker | None = None

    @cached_property
    def identity(self) -> str:
        """Identity of the level, as entries carry it; asked for with every calculation, and it reads versions."""
        return self.level.identity

    @property
    def is_force_field(self) -> bool:
        """Whether it is cheap enough for several structures per composition."""
        return isinstance(self.level, LevelOfTheory)

    def maker_of(self, again: bool) -> ScreeningMaker | FirstPrinciplesMaker:
        """What computes a composition for the first time, or again."""
        return self.harder if again and self.harder else self.maker

    def band(self, limits: Verdicts) -> float:
        """The error of a distance from the hull that verdicts allow for, eV/atom."""
        return self.level.error_band if limits.error_band is None else limits.error_band


def structure_settings(settings: Settings, role: Role) -> ProbeSettings:
    """How the structures of a first search are built."""
    return ProbeSettings(
        generators=settings.probes.generators,
        n_structures=SEARCHES[settings.probes.search].n_structures,
        max_atoms=(settings.probes if role == "probe" else settings.competing).max_atoms,
        folder=settings.probes.folder or "",
    )


def ladder(campaign: Campaign, elements: Collection[str] = ()) -> list[Rung]:
    """The levels of a campaign, the screening level first, each fit to run on this machine.

    Args:
        campaign: Its settings say which.
        elements: Those that calculations will hold: a force field must have learned them, their basis sets and POTCARs
            must be there.

    Raises:
        UserError: If there is no such level, or its engine or data are missing.
    """
    return rungs_of(campaign.settings, elements)


def rungs_of(settings: Settings, elements: Collection[str] = ()) -> list[Rung]:
    """As `ladder`, of settings that no campaign has been begun with yet."""
    rungs = []
    for number, name in enumerate(settings.ladder_of_levels):
        checkpoint = (settings.checkpoint or "") if name == "mace" or len(settings.ladder_of_levels) == 1 else ""
        try:
            rungs.append(_rung(settings, number, name, checkpoint, elements))
        except (ValueError, OSError) as error:
            raise UserError(str(error)) from None
    return rungs


def _rung(settings: Settings, number: int, name: str, checkpoint: str, elements: Collection[str]) -> Rung:
    overrides = settings.level_settings.get(name, {})
    found = level(name, checkpoint, **overrides)
    section = settings.ladder.section if number else ()
    if isinstance(found, LevelOfTheory):
        found.require(elements)
        first = settings.probes.search
        maker, harder = (
            ScreeningMaker.from_level(found, **search.funnel)
            for search in ((FURTHER if number else SEARCHES)[first], HARDER[first])
        )
        return Rung(number, found, maker, section, None if number else harder)
    from dft.first_principles import FirstPrinciplesMaker, missing

    if reason := missing(name, elements, overrides):
        raise ValueError(f"level_of_theory {name!r} cannot run here: {reason}")
    return Rung(number, found, FirstPrinciplesMaker.from_level(found), section)


def checked_ladder(campaign: Campaign, elements: Collection[str]) -> list[Rung]:
    """As `ladder`, and keep each level's name and error for figures that are made from the records alone."""
    rungs = ladder(campaign, elements)
    known = json.loads(campaign.database.meta("levels") or "{}")
    facts = {
        r.identity: {"name": r.level.name, "error_band": r.level.error_band, "error_source": r.level.error_source}
        for r in rungs
    }
    campaign.database.set_meta(levels=to_json({**known, **facts}))
    return rungs


def about_the_level(
    campaign: Campaign, phase_field: str, rungs: list[Rung], reached: Rung, held_back: Mapping[int, str]
) -> str:
    """What a verdict adds about the level that it was found at; nothing where there is but one.

    Args:
        campaign: Holds the calculations.
        phase_field: The field.
        rungs: The ladder.
        reached: The level of the verdict.
        held_back: Why fewer compositions went on to a level than the ladder lets through, by its number.
    """
    if len(rungs) == 1:
        return ""
    told = [where_it_stopped(rungs, reached, campaign.settings.ladder.window, held_back.get(reached.number + 1, ""))]
    told += [
        f"Fewer compositions went on to {rungs[number].level.name} than could: {why}"
        for number, why in held_back.items()
        if number <= reached.number
    ]
    return f". {'. '.join(told)}{outside_the_section(campaign, phase_field, rungs, reached)}"


def where_it_stopped(rungs: list[Rung], reached: Rung, window: float, held_back: str = "") -> str:
    """A sentence that says at which level of the ladder the verdict was found, and why not higher.

    Args:
        rungs: The ladder.
        reached: The level of the verdict.
        window: Compositions that lie this near to the hull go on, eV/atom.
        held_back: Why none went on although some could.
    """
    if reached is rungs[-1] or reached.number == rungs[-1].number:
        return f"Level of theory: {reached.level.name}, the highest of {len(rungs)}"
    following = rungs[reached.number + 1].level.name
    if held_back:
        return f"Level of theory: {reached.level.name}; nothing went on to {following}: {held_back}"
    return (
        f"Level of theory: {reached.level.name}; no composition within {window * MEV:.0f} meV/atom of its hull was "
        f"left for {following}"
    )


def outside_the_section(campaign: Campaign, phase_field: str, rungs: list[Rung], reached: Rung) -> str:
    """A warning where, on the whole hull of the first level, probes fall apart into phases that the section lacks.

    Args:
        campaign: Holds the calculations.
        phase_field: The field.
        rungs: The ladder.
        reached: The level of the verdict; without a section there is nothing to say.
    """
    section = section_of(reached.section, phase_field.split("-"))
    if not section:
        return ""
    parts = hull_at(campaign, phase_field, rungs[0]).probes["competing_decomposition"]
    outside = sorted({phase for each in parts for phase in each if not in_section(phase, section)})
    if not outside:
        return ""
    return (
        f". At {rungs[0].level.name} probes fall apart into {', '.join(outside)} outside the section: on the whole "
        "hull this distance would be larger"
    )


def phases_in_words(rungs: list[Rung], reached: Rung, window: float, taken: str = "") -> str:
    """Which competing phases stand on the hull of a level above the first; nothing to say of the first.

    Args:
        rungs: The ladder.
        reached: The level of the verdict.
        window: Competing phases this near to the hull went on, eV/atom.
        taken: Whose energies stand there without having been computed; empty if all were.
    """
    if taken:
        return f"{AT}{reached.level.name} {taken}"
    if not reached.number:
        return ""
    below = rungs[reached.number - 1].level.name
    what = "the end members and those" if reached.section else "the elements and those"
    return (
        f"{AT}{reached.level.name} {what} within {window * MEV:.0f} meV/atom of the hull at {below}, "
        "in the structures found there"
    )


def hull_at(campaign: Campaign, phase_field: str, rung: Rung) -> FieldHull:
    """The hull of a field at one level, from the calculations made for it."""
    log, section = campaign.calculations, section_of(rung.section, phase_field.split("-"))
    probes, competing = (log.of(phase_field, role, rung.identity) for role in ("probe", "competing"))
    return field_hull(probes, competing, section)
