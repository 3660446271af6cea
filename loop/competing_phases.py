"""The competing phases of a field: which structures are known, what is searched for, and what the page says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dft.competing import OFFLINE_SOURCE, with_further, without_ternary
from dft.databases import KnownPhases, from_folder, from_materials_project
from loop.campaign import Campaign
from loop.errors import UserError
from vae.datasets import known_formulas


@dataclass(frozen=True)
class CompetingPhases:
    """Where the competing phases of a field come from, by `competing` of the configuration.

    Attributes:
        campaign: Its settings say where from.
        elements: Of the field.
    """

    campaign: Campaign
    elements: Sequence[str]

    @cached_property
    def known(self) -> KnownPhases:
        """Those whose structures are known; none of them for an offline search.

        Raises:
            UserError: If the source cannot be read.
        """
        settings = self.campaign.settings.competing
        try:
            if settings.source == "offline":
                return KnownPhases({}, {}, OFFLINE_SOURCE)
            if settings.source == "materials_project":
                folder = self.campaign.folder / "materials_project"
                return from_materials_project(self.elements, folder, settings.window)
            return from_folder(settings.source, self.elements)
        except (ValueError, OSError) as error:
            raise UserError(f"competing.source: {error}") from None

    @cached_property
    def searched(self) -> list[str]:
        """Elements and the user's formulas without a known structure; offline every known formula."""
        listed = [] if self.known.structures else known_formulas(self.elements)
        formulas = with_further(listed, self.campaign.settings.competing.formulas, self.elements)
        return [*self.known.lacking(self.elements), *(f for f in formulas if f not in self.known.structures)]

    @cached_property
    def source(self) -> str:
        """Where they come from and what may be missing, in words."""
        told = self.known.source
        if self.known.set_aside:
            told += f"; set aside: {', '.join(self.known.set_aside)}"
        if not self.known.structures and (bare := without_ternary(self.elements, self.searched)):
            told += f"; no ternary of {', '.join(bare)} is known to the list, so that none is on the hull"
        return told
