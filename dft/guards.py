"""What a relaxed structure must not have done: each guard returns the reason, or nothing."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Structure

#: A contact shorter than this fraction of the sum of the covalent radii is no bond (design rule, not a fit).
SHORTEST_CONTACT = 0.6

#: The volume may change by this factor at most, either way.
VOLUME_FACTOR = 2.0


def why_rejected(before: Structure, after: Structure) -> str:
    """The first reason to reject a structure after a relaxation; empty if there is none."""
    return changed_composition(before, after) or not_finite(after) or bad_volume(before, after) or bad_contact(after)


def changed_composition(before: Structure, after: Structure) -> str:
    """Whether atoms were lost, gained or exchanged."""
    if before.composition == after.composition:
        return ""
    return f"composition changed from {before.formula} to {after.formula}"


def not_finite(structure: Structure) -> str:
    """Whether a coordinate or lattice vector is not a number."""
    finite = np.isfinite(structure.lattice.matrix).all() and np.isfinite(structure.frac_coords).all()
    return "" if finite else "a coordinate or lattice vector is not a number"


def bad_volume(before: Structure, after: Structure) -> str:
    """Whether the volume more than doubled or halved."""
    ratio = after.volume / before.volume
    if 1 / VOLUME_FACTOR <= ratio <= VOLUME_FACTOR:
        return ""
    return f"volume changed by a factor of {ratio:.2f}, beyond {VOLUME_FACTOR:g} either way"


def bad_contact(structure: Structure) -> str:
    """Whether two atoms are nearer than 0.6 of the sum of their covalent radii (ASE's; Cordero et al. 2008).

    Source:
        Cordero et al., Dalton Trans. 2832 (2008), doi 10.1039/b801115j.
    """
    i, j, fraction = shortest_contact(structure)
    if fraction >= SHORTEST_CONTACT:
        return ""
    names = f"{structure[i].specie.symbol}-{structure[j].specie.symbol}"
    return f"contact {names} at {fraction:.2f} of the sum of covalent radii, below {SHORTEST_CONTACT:g}"


def shortest_contact(structure: Structure) -> tuple[int, int, float]:
    """The two sites nearest each other, periodic images of one site included, as a fraction of covalent radii."""
    radii = np.array([covalent_radii[site.specie.Z] for site in structure])
    first, second, _, distance = structure.get_neighbor_list(2 * float(radii.max()))
    if len(distance) == 0:
        return 0, 0, np.inf
    fraction = distance / (radii[first] + radii[second])
    k = int(np.argmin(fraction))
    return int(first[k]), int(second[k]), float(fraction[k])
