"""The elements in their known structures, where every hull begins.

Structure types from AFLOW's prototypes (doi 10.1016/j.commatsci.2017.01.017), which type an element crystallises in
from ASE's reference states and, for the others, from Donohue, "The Structures of the Elements" (Wiley, 1974) and
Young, "Phase Diagrams of the Elements" (University of California Press, 1991).
"""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers, reference_states
from pymatgen.core import Composition, Structure

from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.prototypes import prototype
from dft.probes.volumes import atomic_volume, rattled

#: Structure types tried for an element that is neither a metal in A1, A2 or A3 nor a single known type; the first is
#: the known ground state, at low temperature. Strukturbericht symbols, or AFLOW's name where there is none.
_KNOWN_TYPES: dict[str, tuple[str, ...]] = {
    "H": ("Cubic alpha N2",), "B": ("alpha boron",), "C": ("A9", "A4"), "N": ("Cubic alpha N2", "gamma nitrogen"),
    "O": ("alpha oxygen",), "F": ("A14", "alpha oxygen"), "Si": ("A4",), "P": ("A17",), "S": ("A16",),
    "Cl": ("A14",), "Mn": ("A12", "A1", "A2"), "Ga": ("A11",), "Ge": ("A4",), "As": ("A7", "A17"),
    "Se": ("A8", "beta Selenium"), "Br": ("A14",), "In": ("A6", "A1"), "Sn": ("A4", "A5"), "Sb": ("A7",),
    "Te": ("A8",), "I": ("A14",), "Hg": ("A10", "A6"), "Bi": ("A7",), "Po": ("A_h",), "Pa": ("A_a", "A1"),
    "U": ("A20", "A2"), "Np": ("A_c", "A2"), "Pu": ("alpha Pu", "A1"), "Sm": ("C19", "A3"),
    **dict.fromkeys(("La", "Pr", "Nd", "Pm"), ("A3'", "A1")), "Ce": ("A1", "A3'"),
}  # fmt: skip

_CLOSE_PACKED = ("A1", "A2", "A3")
_ASE_TYPES = {"fcc": "A1", "bcc": "A2", "hcp": "A3"}

#: Bond lengths of the diatomic molecules, Å (Huber & Herzberg, "Constants of Diatomic Molecules", 1979), and volume
#: per atom of the solid at low temperature, Å³ (Donohue 1974).
_MOLECULES = {
    "H": (0.741, 19.0), "N": (1.098, 22.5), "O": (1.208, 17.4), "F": (1.412, 16.0),
    "Cl": (1.988, 28.9), "Br": (2.281, 32.8), "I": (2.666, 42.7),
}  # fmt: skip

#: Elements of other molecules, chains and layers.
_WEAKLY_BOUND = ("P", "S", "As", "Se", "Te")

#: Factors on the volume where weak forces hold the crystal together: the energy is so flat there that a relaxation
#: stops early (black phosphorus 22, tellurium 7 meV/atom too high at CHGNet).
_STRETCHES = (1.0, 0.85, 1.2)


def element_structures(symbol: str, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """The known structure of an element first, then, for a metal, the other close packings."""
    ase_type = str((reference_states[atomic_numbers[symbol]] or {}).get("symmetry", ""))
    known = _KNOWN_TYPES.get(symbol) or (_ASE_TYPES.get(ase_type, "A1"),)
    others = tuple(name for name in _CLOSE_PACKED if name not in known and symbol not in _KNOWN_TYPES)
    built = []
    for name in (*known, *others):
        label, structure = prototype(name)
        origin = "known structure" if name == known[0] else "prototype"
        for stretch in _STRETCHES if symbol in (*_MOLECULES, *_WEAKLY_BOUND) else (1.0,):
            filled = _of_element(symbol, structure, stretch, settings.rattle / 3, rng)
            built.append(ProbeStructure(filled, f"{origin}: AFLOW {label}"))
    return built


def is_element(composition: Composition) -> bool:
    """Whether there is only one element."""
    return len(composition.elements) == 1


def _of_element(
    symbol: str, structure: Structure, stretch: float, rattle: float, rng: np.random.Generator
) -> Structure:
    bond, volume = _MOLECULES.get(symbol, (None, atomic_volume(symbol)))
    structure = Structure(structure.lattice, [symbol] * len(structure), structure.frac_coords)
    structure.scale_lattice(volume * len(structure) * stretch)
    if bond is not None:
        structure = _with_bond_length(structure, bond)
    if len(structure) == 1 or bond is not None:
        return structure
    return rattled(structure, rattle, rng)


def _with_bond_length(structure: Structure, bond: float) -> Structure:
    """Molecules of two with their centres kept and their bonds set."""
    first, second, offset, distance = structure.get_neighbor_list(4.0)
    cart = structure.cart_coords.copy()
    for i in range(len(structure)):
        mine = np.flatnonzero(first == i)
        k = mine[np.argmin(distance[mine])]
        partner = structure.cart_coords[second[k]] + offset[k] @ structure.lattice.matrix
        axis = partner - structure.cart_coords[i]
        cart[i] += axis * (0.5 - 0.5 * bond / np.linalg.norm(axis))
    return Structure(structure.lattice, structure.species, cart, coords_are_cartesian=True)
