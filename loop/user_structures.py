"""What of the user's own structures cannot be used: told when a campaign or a field begins, and not again."""

from __future__ import annotations

from collections.abc import Callable

from dft.structure_files import read_folder
from loop.campaign import Campaign
from loop.competing_phases import CompetingPhases
from loop.errors import UserError
from loop.report.live import Event
from vae import PhaseField


def tell_of_folder(campaign: Campaign, show: Callable[[Event], None]) -> None:
    """A line for each file of `probes.folder` that no generator can use; nothing in a campaign that has begun.

    Raises:
        UserError: If the folder holds no structures.
    """
    folder = campaign.settings.probes.folder_read
    if not folder or campaign.database.query("SELECT 1 FROM calculations LIMIT 1"):
        return
    try:
        found = read_folder(folder)
    except OSError as error:
        raise UserError(f"probes.folder: {error}") from None
    for name, why in found.set_aside.items():
        show(Event("message", text=f"probes.folder: {folder}/{name} is set aside: {why}"))


def tell_of_phases(campaign: Campaign, phase_field: PhaseField, show: Callable[[Event], None]) -> None:
    """A line for each competing phase of the source that is set aside; nothing of a field that has begun.

    Of a folder that probes are taken from, too, `tell_of_folder` has told.

    Raises:
        UserError: If the source cannot be read.
    """
    name = str(phase_field)
    if campaign.calculations.levels(name):
        return
    lines = CompetingPhases(campaign, phase_field.elements).problems
    if campaign.settings.competing.source != campaign.settings.probes.folder_read:
        for line in lines:
            show(Event("message", phase_field=name, text=line))
