"""Settings of a campaign with several levels of theory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class LadderSettings(BaseModel):
    """How a field climbs from each level of theory to the next; of no effect where there is but one level."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (8, 4), min_length=1, description="compositions that go on from each level to the next; the last number repeats"
    )
    batch: int | None = Field(
        2,
        ge=1,
        description="of these, how many at a time, chosen by `hull` as results come in; null: the lowest, all at once",
    )
    window: float = Field(
        0.05, gt=0, description="eV/atom above a level's hull; what lies beyond, competing phases too, goes no further"
    )
    structures: int | None = Field(
        None, ge=1, le=5, description="structures per composition that go on; null: 5 to a force field, 1 to DFT"
    )
    section: tuple[str, ...] = Field(
        (), description="end members such as [LiCl, NaBr]: hulls above the first level are built between them alone"
    )

    @field_validator("section")
    @classmethod
    def _end_members_span_a_section(cls, section: tuple[str, ...]) -> tuple[str, ...]:
        if section:
            from dft.section import check_end_members

            check_end_members(section)
        return section

    def kept_at_step(self, step: int) -> int:
        """How many compositions of a field go on from level number `step`, from 0, to the next."""
        return self.keep[min(step, len(self.keep) - 1)]


def check_levels(levels: Sequence[str], level_of_theory: str, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a ladder that cannot be climbed; whether its engines are installed is asked when a campaign starts.

    Raises:
        ValueError: Naming the level or the setting.
    """
    from dft.levels import NAMES, check_overrides

    for name in levels:
        if name not in NAMES:
            raise ValueError(f"levels: {name!r} is unknown, choose from {sorted(NAMES)}")
        if levels.count(name) > 1:
            raise ValueError(f"levels: {name!r} stands there twice")
    if levels and level_of_theory not in ("chgnet", levels[0]):
        raise ValueError(f"level_of_theory {level_of_theory!r} and levels {list(levels)} contradict: leave one out")
    used = levels or (level_of_theory,)
    for name, overrides in settings.items():
        if name not in used:
            raise ValueError(f"level_settings: {name!r} is not among the levels {list(used)}")
        check_overrides(name, dict(overrides))


def check_taken(source: str, levels: Sequence[str], settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to take the Materials Project's energies where no level of the campaign matches them.

    Raises:
        ValueError: Naming the setting.
    """
    from dft.corrections import MP2020
    from dft.first_principles import engine_settings
    from dft.vasp import VaspSettings

    key = "competing.energies: materials_project"
    if source != "materials_project":
        raise ValueError(f"{key} needs the same for competing.source, which is {source!r}")
    if "vasp" not in levels:
        raise ValueError(f"{key} matches the level 'vasp' alone, which is not among the levels {list(levels)}")
    vasp = engine_settings("vasp", dict(settings.get("vasp", {})))
    if not (isinstance(vasp, VaspSettings) and vasp.as_the_materials_project):
        raise ValueError(
            f"{key} needs level_settings: {{vasp: {{corrections: {MP2020}}}}} and none that changes an energy, "
            f"but they are {dict(settings.get('vasp', {}))}"
        )


def section_of(section: Collection[str], elements: Collection[str]) -> tuple[str, ...]:
    """The section if it lies in the field of these elements, else none: that field has the hull of all its elements."""
    from pymatgen.core import Composition

    inside = {element.symbol for formula in section for element in Composition(formula).elements} <= set(elements)
    return tuple(section) if inside else ()
