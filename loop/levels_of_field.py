"""A field at each level of theory that it has reached, from the campaign's records alone: no engine is needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loop.campaign import Campaign
from loop.field_hull import FieldHull, field_hull
from loop.ladder_settings import section_of

#: What comes after it in a source of competing phases is about the highest level alone.
AT = "; at "


@dataclass(frozen=True)
class FieldLevel:
    """One field at one level of theory.

    Attributes:
        identity: Of the level.
        name: Its short name, such as ``cp2k``.
        error_band: Its known error of energies above the hull, eV/atom; zero where it was not recorded.
        section: End members between which the hull is built; empty for the whole field.
        hull: The calculations on their hull.
    """

    identity: str
    name: str
    error_band: float
    section: tuple[str, ...]
    hull: FieldHull

    @property
    def columns(self) -> dict[str, Any]:
        """What a `loop.records.FieldRecord` says of it."""
        return {
            "level": self.identity,
            "level_name": self.name,
            "section": self.section,
            "probes": self.hull.probes,
            "competing": self.hull.competing,
        }

    @property
    def summary(self) -> dict[str, Any]:
        """Its short account: level, name, how many probes and competing phases have an energy, the best probe."""
        best = self.hull.best
        return {
            "level": self.identity,
            "name": self.name,
            "probes": self.hull.n_probes,
            "competing_phases": self.hull.n_competing,
            "best_composition": None if best is None else str(best["formula"]),
            "best_e_above_hull": None if best is None else float(best["e_above_hull"]),
            "best_e_above_competing": None if best is None else float(best["e_above_competing"]),
        }


def levels_of(campaign: Campaign, phase_field: str) -> list[FieldLevel]:
    """The levels that a field has reached, the screening level first, the one of its verdict last."""
    known = json.loads(campaign.database.meta("levels") or "{}")
    section = section_of(campaign.settings.ladder.section, phase_field.split("-"))
    return [
        _level(campaign, phase_field, identity, known.get(identity, {}), section if number else ())
        for number, identity in enumerate(campaign.calculations.levels(phase_field))
    ]


def _level(
    campaign: Campaign, phase_field: str, identity: str, facts: dict[str, Any], section: tuple[str, ...]
) -> FieldLevel:
    log = campaign.calculations
    probes, competing = (log.of(phase_field, role, identity) for role in ("probe", "competing"))
    name, band = facts.get("name", identity.split("|")[0]), facts.get("error_band", 0.0)
    return FieldLevel(identity, name, band, section, field_hull(probes, competing, section))
