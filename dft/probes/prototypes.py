"""Known structure types: AFLOW's prototypes, every assignment of the elements to their sites.

Source:
    Mehl et al., Comput. Mater. Sci. 136, S1 (2017), doi 10.1016/j.commatsci.2017.01.017, as packaged by pymatgen.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pymatgen.core import Composition, Element, Structure

from dft.compositions import oxidation_states
from dft.guards import shortest_contact
from dft.probes.arrangements import SAME_ENERGY, scaled_to_minimum
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.rigid_ions import relaxed_as_ions, scale_to_bonds
from dft.probes.volumes import rattled, rough_volume

#: A prototype whose sites come nearer than this, as a fraction of the sum of covalent radii, at the expected volume
#: does not fit the elements.
FITS_FROM = 0.7

#: Atoms in a primitive cell above which a rare prototype is left out, unless all of its stoichiometry are larger.
LARGEST_CELL = 16


#: The structure types in which most salts crystallise (Wyckoff, Crystal Structures 1-2, 1963-64), as AFLOW calls them.
#: By energy they come before the others, since the ionic energy ranks layered and molecular ones far too low.
COMMON_TYPES = frozenset(
    {
        *("B1", "B2", "B3", "B4", "B8_1", "B10", "B16"),
        *("C1", "C2", "C4", "C6", "C7", "C18", "C23", "C33", "C42", "C43"),
        *("D0_3", "D0_5", "D0_9", "D0_15", "D0_18", "A4B_cI10_217_c_a", "D5_1", "D5_8", "D5_11", "D5_c"),
        *("E0_1", "E1_1", "F5_1", "E2_1", "AB3C_oP20_62_c_cd_a", "AB3C_hR10_148_c_f_c", "G0_1", "H1_1", "H2_5"),
    }
)

#: Pyrite, twice, and marcasite: types with dumbbells of anions.
DUMBBELL_TYPES = frozenset({"C2", "AB2_aP12_1_4a_8a", "C18"})


def prototypes(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """Structures of a composition in AFLOW's structure types: common ones by electrostatic energy, others by elements.

    To each two of them comes one that was described for a compound of similar elements. None if no type fits. Relaxed
    as ions in the cell that they have: with the cell those that are layers or molecules would lose the room between
    them.
    """
    charges = oxidation_states(composition)
    found: dict[tuple[int, int], _Fitting] = {}
    for label, unlikeness, structure in in_known_types(composition):
        structure.scale_lattice(rough_volume(structure.composition, charges))
        energy, structure = scaled_to_minimum(structure, charges)
        if label.split()[-1] in DUMBBELL_TYPES:
            scale_to_bonds(structure, charges)
        if shortest_contact(structure)[2] >= FITS_FROM:
            fitting = _Fitting(label, label.split()[-1] not in COMMON_TYPES, energy, unlikeness, structure)
            key = (len(structure), round(energy / SAME_ENERGY))
            found[key] = min(found.get(key, fitting), fitting, key=lambda one: (one.is_rare, one.unlikeness))
    return [
        ProbeStructure(
            rattled(relaxed_as_ions(fitting.structure, with_cell=False), settings.rattle, rng),
            f"prototype: AFLOW {fitting.label}",
        )
        for fitting in _in_turn(list(found.values()))[: settings.n_structures]
    ]


class _Fitting(NamedTuple):
    """A type that fits: its ionic energy, eV/atom, and how unlike the elements are that it was described for."""

    label: str
    is_rare: bool
    energy: float
    unlikeness: float
    structure: Structure


def _in_turn(fitting: list[_Fitting]) -> list[_Fitting]:
    """Two by energy, the common types before the rare, then one of the most similar elements."""
    by_energy = sorted(fitting, key=lambda one: (one.is_rare, one.energy))
    by_elements = sorted(fitting, key=lambda one: one.unlikeness)
    places = [(k / 2, one) for k, one in enumerate(by_energy)] + [(k + 0.75, one) for k, one in enumerate(by_elements)]
    once = {id(one): one for _, one in sorted(places, key=lambda place: place[0])}
    return list(once.values())


def prototype(strukturbericht: str) -> tuple[str, Structure]:
    """Label and structure of an element's prototype by its Strukturbericht symbol or mineral name.

    Raises:
        ValueError: If AFLOW has none of that name.
    """
    for label, names, structure in _library().get("A", ()):
        if strukturbericht in names:
            return label, structure.copy()
    raise ValueError(f"AFLOW prototype {strukturbericht!r} of an element is unknown")


def in_known_types(composition: Composition) -> Iterator[tuple[str, float, Structure]]:
    """Label, unlikeness and structure of each type in each assignment of the elements.

    Unlikeness is how far, on average, an atom is in Pettifor's order of the elements from the one whose place it takes.
    """
    reduced = composition.reduced_composition
    known = _library().get(reduced.anonymized_formula, [])
    for label, _, structure in [entry for entry in known if _is_tried(entry)] or known:
        sites = structure.composition.reduced_composition
        for symbols in permutations(sorted(reduced.get_el_amt_dict())):
            mapping: dict[Any, Any] = dict(zip(sorted(sites.get_el_amt_dict()), symbols, strict=True))
            if all(sites[old] == reduced[new] for old, new in mapping.items()):
                copy = structure.copy()
                copy.replace_species(mapping)
                far = {old: abs(_place(old) - _place(new)) for old, new in mapping.items()}
                unlikeness = sum(sites[old] * far[old] for old in mapping) / sites.num_atoms
                yield label, unlikeness, copy.get_sorted_structure()


def _is_tried(entry: tuple[str, tuple[str, ...], Structure]) -> bool:
    label, _, structure = entry
    return len(structure) <= LARGEST_CELL or label.split()[-1] in COMMON_TYPES


def _place(symbol: str) -> float:
    """In Pettifor's order (Solid State Commun. 51, 31 (1984), doi 10.1016/0038-1098(84)90765-8); zero beyond Lr."""
    return float(Element(symbol).mendeleev_no or 0)


@cache
def _library() -> dict[str, list[tuple[str, tuple[str, ...], Structure]]]:
    """Label, names and ordered primitive structure of each prototype, by anonymous formula."""
    # The table alone: importing the module that holds it takes seven seconds, for what is not needed here.
    module = find_spec("pymatgen.analysis.prototypes")
    assert module is not None
    assert module.origin is not None
    path = Path(module.origin).with_name("aflow_prototypes.json.gz")
    library: dict[str, list[tuple[str, tuple[str, ...], Structure]]] = {}
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        tags = {key: value if value != "None" else "" for key, value in entry["tags"].items()}
        snl = Structure.from_dict(entry["snl"])
        snl.remove_oxidation_states()
        structure = Structure(snl.lattice, [site.specie.symbol for site in snl], snl.frac_coords)
        names = tuple(filter(None, (tags["strukturbericht"], tags["mineral"], tags["aflow"])))
        label = " ".join(filter(None, (tags["mineral"], tags["strukturbericht"] or tags["aflow"])))
        formula = structure.composition.reduced_composition.anonymized_formula
        library.setdefault(formula, []).append((label, names, structure))
    return library
