"""What a cycle proposes, and the user's word on it, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from loop.campaign import Campaign
from loop.errors import UserError
from vae import PhaseField


def proposals_table(campaign: Campaign) -> pd.DataFrame:
    """The proposals of the cycle under way with their ranks: phase_field, state, rank, score, reason."""
    cycle = _cycle_under_review(campaign)
    states, reasons = campaign.proposal_states(cycle), campaign.all_proposals(cycle)
    ranking = campaign.ranking(cycle).set_index("phase_field")
    rows = [
        {
            "phase_field": name,
            "state": state,
            "rank": ranking["rank"].get(name),
            "score": ranking["score"].get(name),
            "reason": reasons[name],
        }
        for name, state in states.items()
    ]
    return pd.DataFrame(rows)


def decide(campaign: Campaign, approve: Sequence[str], veto: Sequence[str], add: Sequence[str]) -> None:
    """Approve, veto or add fields of the cycle under way.

    Args:
        campaign: Opened by its only driver.
        approve: Fields, or ``all``.
        veto: Fields, or ``all``.
        add: Fields of the user's own, approved at once.

    Raises:
        UserError: If a field was not proposed, or one to add is known, or was proposed or explored already.
    """
    cycle = _cycle_under_review(campaign)
    states = campaign.proposal_states(cycle)
    decisions = [(_proposed(name, states), "approved") for name in _expand(approve, states)]
    decisions += [(_proposed(name, states), "vetoed") for name in _expand(veto, states)]
    additions = list(dict.fromkeys(_new(name, states, campaign) for name in add))
    for name, state in decisions:
        campaign.decide_proposal(cycle, name, state)
    for name in additions:
        campaign.add_proposal(cycle, name, "added by hand")


def _cycle_under_review(campaign: Campaign) -> int:
    cycle = campaign.running_cycle()
    if cycle is None or not campaign.proposal_states(cycle) or campaign.ranking(cycle).empty:
        raise UserError(f"{campaign.folder} has no cycle that waits; `review: true` in the configuration makes them")
    return cycle


def _expand(names: Sequence[str], states: dict[str, str]) -> list[str]:
    waiting = [name for name, state in states.items() if state == "proposed"]
    return [each for name in names for each in (waiting if name == "all" else [name])]


def _parse(name: str) -> PhaseField:
    try:
        return PhaseField.parse(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def _proposed(name: str, states: dict[str, str]) -> str:
    field = str(_parse(name))
    if field not in states:
        raise UserError(f"{field} is not proposed in this cycle, choose from {list(states)}, or use --add")
    return field


def _new(name: str, states: dict[str, str], campaign: Campaign) -> str:
    field = _parse(name)
    if str(field) in states or str(field) in campaign.settled_fields():
        raise UserError(f"{field} is proposed, explored or vetoed already")
    if len(set(field.elements)) != 4 or len(field.anions) < 2 or not field.cations:
        raise UserError(f"{field} cannot be added: it needs four different elements, two of them anions, and a cation")
    from loop.cycle import load_known  # these load what the other commands of a review do without
    from loop.ladder import ladder

    if field in load_known(campaign).fields:
        raise UserError(
            f"{field} is a known field (known.source: {campaign.settings.known.source}); add one that is not, "
            f"or explore it by itself with `loop explore {field}`"
        )
    ladder(campaign, field.elements)  # its levels must be able to compute them
    return str(field)
