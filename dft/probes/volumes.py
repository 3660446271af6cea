"""Sizes of ions and atoms: where a relaxation starts from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from pymatgen.core import Composition, Element, Structure

from dft.compositions import ANION_CHARGES

#: Ionic radii, Å, above which a cation may take part in the packing of the anions (K, Rb, Cs, Ba, Tl and the like).
LARGE_CATION = 1.29

#: Crystal radii of the trivalent anions, Å: Shannon's of N (Acta Cryst. A 32, 751 (1976)), and of P and As, which his
#: table lacks, Pauling's on the same scale.
_ANION_RADII = {"N": 1.32, "P": 1.85, "As": 1.95}

#: Alloys of unlike metals are denser than their elements; the contraction of the lithium stannides.
ALLOY_CONTRACTION = 0.85

#: Largest volume of a compound with a metal, as a multiple of that of its elements as solids.
ROOM_OF_ELEMENTS = 1.3

#: Mean volumes of atoms in molecular crystals, Å³ (Hofmann, Acta Cryst. B 58, 489 (2002),
#: doi 10.1107/S0108768101021814); for the other non-metals that of the element stands in.
_MOLECULAR_VOLUMES = {
    "H": 5.08, "C": 13.87, "N": 11.8, "O": 11.39, "F": 11.17, "P": 29.5, "S": 25.2, "Cl": 25.8, "Br": 32.7, "I": 46.2,
}  # fmt: skip


def atomic_volume(symbol: str) -> float:
    """Volume per atom of the solid element, Å³, from its molar volume."""
    return float(Element(symbol).molar_volume) / 0.602214


def volume_of_elements(composition: Composition) -> float:
    """Volume of the elements of a composition as solids, Å³."""
    return sum(n * atomic_volume(symbol) for symbol, n in composition.get_el_amt_dict().items())


def rough_volume(composition: Composition, charges: Mapping[str, float]) -> float:
    """Volume of a cell before its structure is known, Å³: spheres of the ions, or the metals of an alloy."""
    amounts = composition.get_el_amt_dict()
    if not has_anions(composition):
        return ALLOY_CONTRACTION * volume_of_elements(composition)
    return sum(n * 4 / 3 * np.pi * ionic_radius(symbol, charges[symbol]) ** 3 / 0.74 for symbol, n in amounts.items())


def least_volume(composition: Composition) -> float:
    """The smallest volume to start from, Å³: of compounds without a metal, such as N2O5 and B6O; zero with one.

    Between molecules there is room that no radius of an ion knows of.
    """
    amounts = composition.get_el_amt_dict()
    if any(Element(symbol).is_metal for symbol in amounts):
        return 0.0
    return sum(n * _MOLECULAR_VOLUMES.get(symbol, atomic_volume(symbol)) for symbol, n in amounts.items())


def most_volume(composition: Composition) -> float:
    """The largest volume to start from, Å³: of compounds with a metal. Infinite without, or if an element's is unknown.

    Charges such as Co(9+) in CoAs3 are not real, and ions of full charge then far too large. Compounds are denser than
    their elements, some molecules in a crystal are not: SnCl4 takes 1.13 times as much.
    """
    if least_volume(composition) or any(Element(symbol).molar_volume is None for symbol in composition.as_dict()):
        return np.inf
    return ROOM_OF_ELEMENTS * volume_of_elements(composition)


def has_anions(composition: Composition) -> bool:
    """Whether an element of the composition is one of the anions; the others are alloys."""
    return any(symbol in ANION_CHARGES for symbol in composition.get_el_amt_dict())


@cache
def is_large_cation(symbol: str) -> bool:
    """Whether the element's cations are as large as anions."""
    return symbol not in ANION_CHARGES and Element(symbol).average_cationic_radius > LARGE_CATION


@cache
def ionic_radius(symbol: str, charge: float) -> float:
    """Shannon's crystal radius for the nearest tabulated charge, Å; the atomic radius where none is tabulated.

    Raises:
        ValueError: If the element has neither.
    """
    if charge < 0 and symbol in _ANION_RADII:
        return _ANION_RADII[symbol]
    element = Element(symbol)
    radii = element.ionic_radii
    if not radii:
        if not element.atomic_radius:
            raise ValueError(f"element {symbol!r} has neither an ionic nor an atomic radius: choose another element")
        return float(element.atomic_radius)
    return float(radii[min(radii, key=lambda state: (abs(state - charge), state))])


def rattled(structure: Structure, rattle: float, rng: np.random.Generator) -> Structure:
    """The structure with every atom displaced at random (standard deviation in Å per coordinate)."""
    return displaced(structure, noise_for(structure, rattle, rng))


def noise_for(structure: Structure, rattle: float, rng: np.random.Generator) -> np.ndarray:
    """The displacements that `rattled` would make, Å, shape (n, 3)."""
    return rng.normal(scale=rattle, size=(len(structure), 3))


def displaced(structure: Structure, moves: np.ndarray) -> Structure:
    """The structure with its atoms moved, Å, shape (n, 3)."""
    return Structure(structure.lattice, structure.species, structure.cart_coords + moves, coords_are_cartesian=True)
