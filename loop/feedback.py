"""Energies above the hull -> verdict on a field -> what the next cycle trains on and chooses from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pymatgen.core import Composition

from dft.compositions import is_charge_balanced
from loop.config import Feedback, Verdicts
from loop.units import MEV
from vae import PhaseField


@dataclass(frozen=True)
class Verdict:
    """What the probes say about a field.

    Attributes:
        verdict: positive, filtered or undecided.
        reason: One sentence with the numbers it rests on.
    """

    verdict: Literal["positive", "filtered", "undecided"]
    reason: str


def judge(
    lowest: float | None,
    composition: str,
    n_probes: int,
    error_band: float,
    limits: Verdicts,
    missing: Sequence[str] = (),
    searched_once: Sequence[str] = (),
) -> Verdict:
    """Judge a field by its lowest probe, allowing for the known error of the level of theory and for what is missing.

    Args:
        lowest: Smallest distance of a probe from the hull of the competing phases, eV/atom, negative below it; none if
            no probe has an energy.
        composition: Formula of that probe.
        n_probes: Probe compositions that have an energy.
        error_band: Known error of such a distance at this level of theory, eV/atom.
        limits: Thresholds, eV/atom.
        missing: Formulas of known competing phases without an energy. They could only raise the distance: a filtered
            field stays filtered, but none is positive while one that could take part in a mixture of salts is missing.
        searched_once: Formulas of competing phases whose second search is missing or gave no energy. None is positive
            while there are such.

    Returns:
        Positive only if the probe stays within `stable_below` with the whole error band added and no charge-balanced
        competing phase lacks its energy, filtered only if it stays beyond `filtered_above` with the band taken off.
    """
    if lowest is None:
        return Verdict("undecided", "no probe structure has an energy")
    where = (
        f"the lowest of {n_probes} probe compositions, {composition}, lies {lowest * MEV:+.0f} meV/atom from the hull "
        f"of the competing phases (error band ±{error_band * MEV:.0f})"
    )
    if near_enough(lowest, error_band, limits):
        if salts := [formula for formula in missing if is_charge_balanced(Composition(formula))]:
            return Verdict("undecided", f"{where}: near enough, but not without an energy of {', '.join(salts)}")
        if searched_once:
            are = "are" if len(searched_once) > 1 else "is"
            told = f"near enough, but not before {', '.join(searched_once)} {are} searched for again"
            return Verdict("undecided", f"{where}: {told}")
        return Verdict("positive", f"{where}: within {limits.stable_below * MEV:.0f} even at the worst")
    if lowest - error_band >= limits.filtered_above:
        return Verdict("filtered", f"{where}: beyond {limits.filtered_above * MEV:.0f} even at the best")
    return Verdict(
        "undecided",
        f"{where}: neither within {limits.stable_below * MEV:.0f} nor beyond "
        f"{limits.filtered_above * MEV:.0f} for certain",
    )


def near_enough(distance: float, error_band: float, limits: Verdicts) -> bool:
    """Whether a probe so far from the hull (eV/atom) makes its field positive even at the worst."""
    return distance + error_band <= limits.stable_below


def about_the_missing(known: Sequence[str], by_analogy: Sequence[str]) -> str:
    """What a verdict adds of competing phases without an energy: known ones, and formulas that came by analogy."""
    told = ""
    if known:
        told = f". The hull lacks {', '.join(known)}, which {_have(known)} no energy and could only raise this distance"
    if by_analogy:
        told += f". {', '.join(by_analogy)}, by analogy alone, {_have(by_analogy)} no energy and may not exist"
    return told


def about_those_beside(formulas: Iterable[str], elements: Collection[str]) -> str:
    """What there is to say of probes that lack an element of their field: they are no evidence for it."""
    lacking = {formula: set(elements) - set(Composition(formula).as_dict()) for formula in formulas}
    told = [f"{formula} lacks {', '.join(sorted(those))}" for formula, those in lacking.items() if those]
    return f"{'; '.join(told)}: computed, but no part of the verdict on {'-'.join(elements)}" if told else ""


def _have(some: Sequence[str]) -> str:
    return "have" if len(some) > 1 else "has"


def training_fields(
    known: Iterable[PhaseField], verdicts: Iterable[Mapping[str, Any]], rule: Feedback
) -> tuple[PhaseField, ...]:
    """The known fields, and those that earlier cycles found positive."""
    found = [PhaseField.parse(v["phase_field"]) for v in verdicts if v["verdict"] == "positive"]
    return tuple(dict.fromkeys([*known, *(found if rule.positives_join_training else [])]))


def left_out(
    known: Iterable[PhaseField], verdicts: Iterable[Mapping[str, Any]], rule: Feedback
) -> tuple[PhaseField, ...]:
    """The fields that are no candidates: the known ones, the positives, and the filtered ones if so decided."""
    gone = {"positive", "filtered"} if rule.filtered_leave_candidates else {"positive"}
    return (*known, *(PhaseField.parse(v["phase_field"]) for v in verdicts if v["verdict"] in gone))
