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
from typing import Any

import numpy as np
from pymatgen.core import Composition, Structure

from dft.compositions import oxidation_states
from dft.guards import shortest_contact
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.ordered import SAME_ENERGY, scaled_to_minimum
from dft.probes.volumes import rattled, rough_volume

#: A prototype whose sites come nearer than this, as a fraction of the sum of covalent radii, at the expected volume
#: does not fit the elements.
FITS_FROM = 0.7

#: Atoms in a primitive cell above which a prototype is left out, unless all of its stoichiometry are larger.
LARGEST_CELL = 16


def prototypes(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """Structures of a composition in AFLOW's structure types, by electrostatic energy; none if no type fits."""
    charges = oxidation_states(composition)
    found: dict[tuple[int, int], tuple[float, ProbeStructure]] = {}
    for label, structure in _assigned(composition):
        structure.scale_lattice(rough_volume(structure.composition, charges))
        energy, structure = scaled_to_minimum(structure, charges)
        if shortest_contact(structure)[2] < FITS_FROM:
            continue
        key = (len(structure), round(energy / SAME_ENERGY))
        probe = ProbeStructure(rattled(structure, settings.rattle, rng), f"prototype: AFLOW {label}")
        found.setdefault(key, (energy, probe))
    return [probe for _, probe in sorted(found.values(), key=lambda pair: pair[0])]


def prototype(strukturbericht: str) -> tuple[str, Structure]:
    """Label and structure of an element's prototype by its Strukturbericht symbol or mineral name.

    Raises:
        ValueError: If AFLOW has none of that name.
    """
    for label, names, structure in _library().get("A", ()):
        if strukturbericht in names:
            return label, structure.copy()
    raise ValueError(f"AFLOW prototype {strukturbericht!r} of an element is unknown")


def _assigned(composition: Composition) -> Iterator[tuple[str, Structure]]:
    reduced = composition.reduced_composition
    known = _library().get(reduced.anonymized_formula, [])
    for label, _, structure in [entry for entry in known if len(entry[2]) <= LARGEST_CELL] or known:
        sites = structure.composition.reduced_composition
        for symbols in permutations(sorted(reduced.get_el_amt_dict())):
            mapping: dict[Any, Any] = dict(zip(sorted(sites.get_el_amt_dict()), symbols, strict=True))
            if all(sites[old] == reduced[new] for old, new in mapping.items()):
                copy = structure.copy()
                copy.replace_species(mapping)
                yield label, copy.get_sorted_structure()


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
