"""Competing phases: structures of the elements and of known formulas, found by search where no database is at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import combinations

import numpy as np
from pymatgen.core import Composition

from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.probes.elements import element_structures, is_element

#: What the structures of competing phases rest on, for reports.
OFFLINE_SOURCE = (
    "known formulas, structures by search (AFLOW prototypes, ordered lattices, molecules, complexes, chains); "
    "elements in known types"
)

#: Structures of molecules, molecular ions or complexes, and of chains, beyond the others, as shares of their number:
#: what they hold may be molecules, chains or a network, and none is to take another's place.
SHARE_OF_MOLECULES, SHARE_OF_CHAINS = 0.4, 0.3

#: Of a compound's other structures: single points on the small cells of prototypes are cheap and the ionic energy ranks
#: layered types badly, so that most are prototypes; the rest are ordered lattices.
SHARE_OF_PROTOTYPES = 0.6

#: From a seed to that of further orientations: far from the seeds that campaigns and second searches have.
_NEXT_SEED = 1_000_003


def build_competing(formula: str, settings: ProbeSettings, seed: int) -> list[ProbeStructure]:
    """Candidate structures of one competing phase; each says how it was found.

    Args:
        formula: An element or a compound, such as ``S`` or ``Li2SnS3``.
        settings: As for probes, but for the generators and their numbers; formulas up to `settings.max_atoms`.
        seed: Of the campaign; the result depends on nothing else.

    Returns:
        For an element its known structure first; for a compound those of molecules, molecular ions or complexes, then
        chains, then prototypes, by the energy of the ions and by the elements in turn, then ordered lattices, layers
        first.

    Raises:
        ValueError: If the formula is none, is too large for the cell, or no structure fits.
    """
    composition = parse_formula(formula)
    if is_element(composition):
        return element_structures(composition.elements[0].symbol, settings, np.random.default_rng(seed))
    n_atoms = round(composition.reduced_composition.num_atoms)
    if n_atoms > settings.max_atoms:
        raise ValueError(
            f"competing phase {formula!r} has {n_atoms} atoms in its formula, more than max_atoms={settings.max_atoms}"
        )
    kinds = ("molecules", "molecular-ions", "complexes")  # of which a compound has one at most
    n_molecules, n_chains = (round(share * settings.n_structures) for share in (SHARE_OF_MOLECULES, SHARE_OF_CHAINS))
    molecules = [probe for kind in kinds for probe in _turned(kind, composition, settings, seed, n_molecules)]
    chains = _turned("chains", composition, settings, seed, n_chains)
    known = _built("prototypes", composition, settings, seed, round(SHARE_OF_PROTOTYPES * settings.n_structures))
    layers_first = replace(settings, layers_first=True)
    ordered = _built("ordered", composition, layers_first, seed, settings.n_structures - len(known))
    return molecules + chains + known + ordered


def _turned(
    generator: str, composition: Composition, settings: ProbeSettings, seed: int, n_structures: int
) -> list[ProbeStructure]:
    """As many as asked for, the same molecules or chains in further orientations where there are fewer of them."""
    found: list[ProbeStructure] = []
    while len(found) < n_structures:
        further = _built(generator, composition, settings, seed + len(found) * _NEXT_SEED, n_structures - len(found))
        if not further:
            break
        found += further
    return found


def _built(
    generator: str, composition: Composition, settings: ProbeSettings, seed: int, n_structures: int
) -> list[ProbeStructure]:
    return build_probes(composition, replace(settings, generators=(generator,), n_structures=n_structures), seed)


def with_further(formulas: Iterable[str], further: Iterable[str], elements: Collection[str]) -> list[str]:
    """Known formulas of a field, and those further ones that its elements make; each compound once, in this order."""
    fitting = [f for f in further if set(elements).issuperset(parse_formula(f).as_dict())]
    once: dict[str, str] = {}
    for formula in [*formulas, *fitting]:
        once.setdefault(parse_formula(formula).reduced_formula, formula)
    return list(once.values())


def without_ternary(elements: Collection[str], formulas: Iterable[str]) -> list[str]:
    """The subfields of three elements that have no formula, such as ``Li-Si-S``: a hull may lack what they hold."""
    listed = {frozenset(parse_formula(formula).as_dict()) for formula in formulas}
    return ["-".join(three) for three in combinations(elements, 3) if frozenset(three) not in listed]


def parse_formula(formula: str) -> Composition:
    """A composition with whole numbers of atoms.

    Raises:
        ValueError: If the formula names no elements or fractions of atoms.
    """
    try:
        composition = Composition(formula, strict=True)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{formula!r} is no formula ({error}): write it as Li2SnS3") from None
    if not composition.elements or any(amount % 1 for amount in composition.values()):
        raise ValueError(f"{formula!r} is no formula of whole atoms: write it as Li2SnS3")
    return composition
