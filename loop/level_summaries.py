"""The short account of a field at each level of theory, kept so that `loop status` need not build hulls."""

from __future__ import annotations

import json
from typing import Any

from loop.campaign import Campaign
from loop.records import Role

_KEY = "level_summaries"


def keep_summaries(campaign: Campaign, phase_field: str) -> None:
    """Record the account of a field after a batch of it has ended."""
    from loop.levels_of_field import levels_of

    accounts = {level.identity: level.summary for level in levels_of(campaign, phase_field)}
    campaign.database.set_meta(**{_KEY: json.dumps({**_kept(campaign), phase_field: accounts})})


def level_summaries(campaign: Campaign, phase_field: str) -> list[dict[str, Any]]:
    """The levels that a field has reached, the screening level first, as of the last batch that has ended.

    A level whose first batch is being computed has no hull yet. What a campaign of an earlier version did not keep is
    found anew.
    """
    kept = _kept(campaign).get(phase_field, {})
    reached = campaign.calculations.levels(phase_field)
    begun = [each for each in reached if each not in kept and campaign.calculations.unfinished(phase_field, each)]
    if {*kept, *begun}.issuperset(reached):
        return [kept[each] if each in kept else _without_hull(campaign, phase_field, each) for each in reached]
    # pymatgen's phase diagrams take two seconds to import
    from loop.levels_of_field import levels_of

    return [level.summary for level in levels_of(campaign, phase_field)]


def _without_hull(campaign: Campaign, phase_field: str, identity: str) -> dict[str, Any]:
    facts = json.loads(campaign.database.meta("levels") or "{}").get(identity, {})
    roles: tuple[tuple[str, Role], ...] = (("probes", "probe"), ("competing_phases", "competing"))
    records = {key: campaign.calculations.of(phase_field, role, identity) for key, role in roles}
    return {
        "level": identity,
        "name": facts.get("name", identity.split("|")[0]),
        **{key: sum(record.energy_per_atom is not None for record in some) for key, some in records.items()},
        "best_composition": None,
        "best_e_above_hull": None,
        "best_e_above_competing": None,
    }


def _kept(campaign: Campaign) -> dict[str, Any]:
    return dict(json.loads(campaign.database.meta(_KEY) or "{}"))
