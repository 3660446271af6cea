"""The competing phases of a field: which structures are known, what is searched for, and what the page says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations, islice
from pathlib import Path
from textwrap import shorten

from dft.analogues import BY_ANALOGY, TERNARY, Analogue, by_analogy
from dft.competing import OFFLINE_SOURCE, parse_formula, with_further, without_ternary
from dft.databases import KnownPhases, answer_of_materials_project, from_folder, from_materials_project
from loop.campaign import Campaign
from loop.errors import UserError
from vae.datasets import known_formulas, reported_formulas
from vae.profiles import count_atoms

#: What is added of subfields of which nothing is known, where analogies were looked for.
NO_ANALOGY = ", and none follows by analogy"

#: The folder of a campaign that keeps the Materials Project's answers.
ANSWERS = "materials_project"

#: Structures set aside that a source names, and letters of the reason for each; the log has them all.
N_TOLD, REASON_WIDTH = 3, 80


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
                return from_materials_project(self.elements, self._cache, settings.window)
            return from_folder(settings.source, self.elements)
        except (ValueError, OSError) as error:
            raise UserError(f"competing.source: {error}") from None

    @property
    def answer(self) -> Path:
        """The file with the Materials Project's answer, energies included; asked for once."""
        _ = self.known
        return answer_of_materials_project(self.elements, self._cache, self.campaign.settings.competing.window)

    @property
    def _cache(self) -> Path:
        return self.campaign.folder / ANSWERS

    @cached_property
    def searched(self) -> list[str]:
        """Elements and the user's formulas without a known structure; offline every known formula and its analogues."""
        return [*self.known.lacking(self.elements), *self._listed, *(found.formula for found in self._analogues)]

    @cached_property
    def origins(self) -> dict[str, str]:
        """How the formulas came that no list has, such as ``formula by analogy with Na2SnS3``."""
        return {found.formula: f"{BY_ANALOGY}{found.like}" for found in self._analogues}

    @cached_property
    def source(self) -> str:
        """Where they come from and what may be missing, in words."""
        told = self.known.source
        if self.known.set_aside:
            told += f"; set aside: {_shortened(self.known.set_aside)}"
        if self.campaign.settings.competing.source == "materials_project":
            return told
        if not self._offline:
            bare = without_ternary(self.elements, [*self.known.structures, *self.searched])
            return told + (f"; no ternary of {', '.join(bare)} among them" if bare else "")
        guessed = {frozenset(parse_formula(formula).as_dict()) for formula in self.origins}
        if named := ["-".join(three) for three in combinations(self.elements, 3) if frozenset(three) in guessed]:
            told += f"; further formulas by analogy for {', '.join(named)}"
        if bare := without_ternary(self.elements, self.searched):
            told += f"; no ternary of {', '.join(bare)} is known to the list{NO_ANALOGY if self._n else ''}"
            told += ", so that none is on the hull"
        return told

    @property
    def problems(self) -> list[str]:
        """A line for each structure of the source that cannot be used, with the reason."""
        source = self.campaign.settings.competing.source
        where = "the Materials Project's " if source == "materials_project" else f"{source}/"
        return [f"competing.source: {where}{name} is set aside: {why}" for name, why in self.known.set_aside.items()]

    @property
    def _offline(self) -> bool:
        """Whether phases are searched for; a database and a folder name them themselves, however few they hold."""
        return self.campaign.settings.competing.source == "offline"

    @property
    def _n(self) -> int:
        """Formulas by analogy per ternary subfield."""
        return self.campaign.settings.competing.by_analogy if self._offline else 0

    @cached_property
    def _listed(self) -> list[str]:
        listed = known_formulas(self.elements) if self._offline else []
        formulas = with_further(listed, self.campaign.settings.competing.formulas, self.elements)
        return [formula for formula in formulas if parse_formula(formula).reduced_formula not in self.known.structures]

    @cached_property
    def _analogues(self) -> list[Analogue]:
        if not self._n:
            return []
        max_atoms = self.campaign.settings.competing.max_atoms
        return by_analogy(self.elements, _ternaries(), self._listed, self._n, max_atoms)


def _shortened(set_aside: Mapping[str, str]) -> str:
    """The first few of what is set aside, each with its reason: a caption has room for no more."""
    told = [f"{name} ({shorten(why, REASON_WIDTH)})" for name, why in islice(set_aside.items(), N_TOLD)]
    more = len(set_aside) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


@cache
def _ternaries() -> dict[str, dict[str, int]]:
    atoms = {formula: count_atoms(formula) for formula in reported_formulas()}
    return {formula: counts for formula, counts in atoms.items() if len(counts) == TERNARY}
