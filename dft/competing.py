"""Competing phases: structures of the elements and of known formulas, found by search where no database is at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pymatgen.core import Composition

from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.probes.elements import element_structures, is_element

#: What the structures of competing phases rest on, for reports.
OFFLINE_SOURCE = "known formulas, structures by prototype search (AFLOW) and ordered lattices; elements in known types"

#: Of a compound's structures: single points on the small cells of prototypes are cheap and the ionic energy ranks
#: layered types badly, so that most are prototypes; the rest are ordered lattices.
SHARE_OF_PROTOTYPES = 0.6


def build_competing(formula: str, settings: ProbeSettings, seed: int) -> list[ProbeStructure]:
    """Candidate structures of one competing phase; each says how it was found.

    Args:
        formula: An element or a compound, such as ``S`` or ``Li2SnS3``.
        settings: As for probes, but for the generators and their numbers; formulas up to `settings.max_atoms`.
        seed: Of the campaign; the result depends on nothing else.

    Returns:
        For an element its known structure first; for a compound prototypes, then ordered lattices.

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
    n_prototypes = round(SHARE_OF_PROTOTYPES * settings.n_structures)
    known = build_probes(composition, replace(settings, generators=("prototypes",), n_structures=n_prototypes), seed)
    ordered = replace(settings, generators=("ordered",), n_structures=settings.n_structures - len(known))
    return known + build_probes(composition, ordered, seed)


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
