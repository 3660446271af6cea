"""What a chemist knows beside the list of known fields: priors on subfields and elements, and elements to leave out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pymatgen.core import Element

from vae.phase_fields import PhaseField
from vae.ranking import Ranking
from vae.toxicity import TOXICITY_CLASSES, toxicity_class


@dataclass(frozen=True)
class Prior:
    """Raises or lowers every field that contains some elements.

    Attributes:
        elements: A subfield such as Li-Sn-S, or one element.
        shift: Added to the score; negative raises a field in the ranking. In standard deviations of the scores.
        note: Why, printed beside the field: ``Li-Sn-S conducts well``.
    """

    elements: tuple[str, ...]
    shift: float
    note: str

    def __post_init__(self) -> None:
        unknown = [symbol for symbol in self.elements if not Element.is_valid_symbol(symbol)]
        if unknown or not self.elements:
            raise ValueError(f"prior {'-'.join(self.elements)!r}: {unknown[0] if unknown else 'it'} names no element")
        if not np.isfinite(self.shift):
            raise ValueError(f"prior {'-'.join(self.elements)!r}: shift {self.shift} is not a finite number")
        if not self.note.strip():
            raise ValueError(f"prior {'-'.join(self.elements)!r}: give a note that says why")

    def applies_to(self, phase_field: PhaseField) -> bool:
        """Whether the field contains all of the elements."""
        return set(self.elements) <= set(phase_field)


def apply_priors(ranking: Ranking, priors: Sequence[Prior]) -> Ranking:
    """Rank again with priors; the rank without them stays beside it.

    Returns:
        A ranking with the columns ``score_without_priors``, ``rank_without_priors`` and ``prior_notes``; ``score`` and
        ``rank`` include the priors. The ranking itself if there are none.
    """
    if not priors:
        return ranking
    table = ranking.table.copy()
    fields = [PhaseField.parse(name) for name in table["phase_field"]]
    applying = [[prior for prior in priors if prior.applies_to(phase_field)] for phase_field in fields]
    scale = float(table["score"].std(ddof=0)) or 1.0
    table["score_without_priors"] = table["score"]
    table["rank_without_priors"] = table["rank"]
    table["prior_notes"] = ["; ".join(prior.note for prior in found) for found in applying]
    table["score"] += scale * np.array([sum(prior.shift for prior in found) for found in applying])
    table = table.sort_values(["score", "phase_field"], kind="stable", ignore_index=True)
    table["rank"] = np.arange(1, len(table) + 1)
    return replace(ranking, table=table)


@dataclass(frozen=True)
class Limits:
    """Which elements may be used.

    Attributes:
        exclude: Elements by name.
        radioactive: Whether elements without a stable isotope may be used.
        max_hhi_production: Largest Herfindahl-Hirschman index of production; a market above 2500 is called
            concentrated. Gaultois et al., Chem. Mater. 25, 2911 (2013), doi 10.1021/cm400893e.
        max_hhi_reserve: The same of reserves.
        max_price: Largest price, US dollars per kilogram, in pymatgen's table of elemental costs.
        toxicity: Classes of `vae.toxicity` whose elements may not be used, such as ("1", "2A").
    """

    exclude: tuple[str, ...] = ()
    radioactive: bool = True
    max_hhi_production: float | None = None
    max_hhi_reserve: float | None = None
    max_price: float | None = None
    toxicity: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [symbol for symbol in self.exclude if not Element.is_valid_symbol(symbol)]
        if unknown:
            raise ValueError(f"exclude: {unknown[0]!r} is no element")
        strange = [name for name in self.toxicity if name not in TOXICITY_CLASSES]
        if strange:
            raise ValueError(f"toxicity: class {strange[0]!r} is unknown, choose from {sorted(TOXICITY_CLASSES)}")

    def reason_against(self, symbol: str) -> str:
        """Why an element may not be used; empty if it may. What a table lacks is no reason."""
        if symbol in self.exclude:
            return "excluded by name"
        if not self.radioactive and Element(symbol).is_radioactive:
            return "radioactive"
        if (found := toxicity_class(symbol)) in self.toxicity:
            return f"toxicity class {found}"
        if self.max_hhi_production is not None or self.max_hhi_reserve is not None:
            production, reserve = _hhi(symbol)
            if self.max_hhi_production is not None and (production or 0) > self.max_hhi_production:
                return f"HHI of production {production:.0f}"
            if self.max_hhi_reserve is not None and (reserve or 0) > self.max_hhi_reserve:
                return f"HHI of reserves {reserve:.0f}"
        if self.max_price is not None and (price := _price(symbol)) is not None and price > self.max_price:
            return f"{price:.0f} USD/kg"
        return ""


def exclude(fields: Iterable[PhaseField], limits: Limits) -> tuple[list[PhaseField], dict[str, str]]:
    """The fields that may be used, and for every element that rules some out, why."""
    fields = list(fields)
    against = {symbol: limits.reason_against(symbol) for symbol in sorted({e for f in fields for e in f})}
    reasons = {symbol: reason for symbol, reason in against.items() if reason}
    return [phase_field for phase_field in fields if not _touches(phase_field, reasons)], reasons


def _touches(phase_field: PhaseField, symbols: Collection[str]) -> bool:
    return any(symbol in symbols for symbol in phase_field)


def _hhi(symbol: str) -> tuple[float | None, float | None]:
    from pymatgen.analysis.hhi import HHIModel

    return HHIModel().get_hhi(symbol)


def _price(symbol: str) -> float | None:
    from pymatgen.analysis.cost import CostAnalyzer, CostDBElements

    try:
        return float(CostAnalyzer(CostDBElements()).get_cost_per_kg(symbol))
    except ValueError:  # the table has no price
        return None
