"""A reciprocal salt field whose every energy is written down: A+ and B(4+) with X(2-) and Y(-), here Li-Sn-S-Cl."""

from itertools import product
from math import gcd

import numpy as np
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from loop.field_space import FieldSpace
from vae import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")
SYMBOLS = ("Li", "Sn", "S", "Cl")
SALTS = {"Li2S": -1.5, "LiCl": -2.1, "SnS2": -0.5, "SnCl4": -0.9}  # eV/atom


def neutral(max_atoms):
    """Compositions of all four elements, Li+ Sn4+ S2- Cl-."""
    counts = product(range(1, max_atoms), repeat=4)
    kept = [c for c in counts if sum(c) <= max_atoms and c[0] + 4 * c[1] == 2 * c[2] + c[3] and gcd(*c) == 1]
    return [Composition(dict(zip(SYMBOLS, c, strict=True))) for c in kept]


def above_competing(composition):
    """-0.03 at Li3SnS3Cl and smoothly rising to 0.12 far from it, eV/atom."""
    x = np.array([composition.get_atomic_fraction(s) for s in SYMBOLS])
    centre = np.array([3, 1, 3, 1]) / 8
    return -0.03 + 0.15 * (1 - np.exp(-np.sum((x - centre) ** 2) / 0.06))


def energies_per_atom(compositions):
    """Formation energies of the smooth field, eV/atom."""
    space = FieldSpace(FIELD, tuple(competing()))
    return space.hull_energies(space.fractions(compositions)) + [above_competing(c) for c in compositions]


def competing(references=None):
    """The elements and the four salts, total energies in eV; `references` shifts the elements, eV per atom of each."""
    shift = references or {}
    elements = [ComputedEntry(s, shift.get(s, 0.0)) for s in SYMBOLS]
    return elements + [shifted(Composition(f), e * Composition(f).num_atoms, shift) for f, e in SALTS.items()]


def shifted(composition, energy, shift):
    return ComputedEntry(composition, energy + sum(composition[s] * e for s, e in shift.items()))


def probes(max_atoms=18, references=None, multiple=1):
    """An entry for each neutral composition."""
    compositions = neutral(max_atoms)
    return [
        shifted(c * multiple, e * c.num_atoms * multiple, references or {})
        for c, e in zip(compositions, energies_per_atom(compositions), strict=True)
    ]
