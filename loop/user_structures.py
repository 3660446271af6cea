"""What of the user's own structures cannot be used: told line by line when a field begins, and not again."""

from __future__ import annotations

from collections.abc import Callable

from loop.campaign import Campaign
from loop.competing_phases import CompetingPhases
from loop.report.live import Event
from vae import PhaseField


def tell_of_phases(campaign: Campaign, phase_field: PhaseField, show: Callable[[Event], None]) -> None:
    """A line for each competing phase of the source that is set aside; nothing of a field that has begun.

    Raises:
        UserError: If the source cannot be read, or is a folder in which nothing fits the field.
    """
    name = str(phase_field)
    if campaign.calculations.levels(name):
        return
    for line in CompetingPhases(campaign, phase_field.elements).problems:
        show(Event("message", phase_field=name, text=line))
