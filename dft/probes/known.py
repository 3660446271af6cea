"""Probe structures from structures that exist: given ones as they are, and relatives with their ions substituted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import permutations

import numpy as np
from pymatgen.core import Composition, Structure
from pymatgen.core.periodic_table import Species

from dft.compositions import oxidation_states
from dft.ion_likeness import likeness
from dft.probes.arrangements import scaled_to_minimum
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.volumes import rattled
from dft.structure_files import read_folder

#: A substitution less probable than this, per pair of ions, is not tried (pymatgen's own default for predictions).
LEAST_PROBABLE = 1e-3


def given(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """The structures of the composition in the user's folder, as they are."""
    wanted = composition.reduced_composition
    return [
        ProbeStructure(structure, f"given: {name}")
        for name, structure in _folder(settings.folder).items()
        if structure.composition.reduced_composition == wanted
    ]


def substituted(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """Relatives in the user's folder with their ions replaced, the most probable substitutions first.

    Source:
        Hautier et al., Inorg. Chem. 50, 656 (2011), doi 10.1021/ic102031h: how probably ions replace each other.
    """
    charges = oxidation_states(composition)
    found = sorted(_substitutions(composition, charges, settings), key=lambda item: -item[0])
    built = []
    for probability, name, structure in found[: settings.n_structures]:
        _, scaled = scaled_to_minimum(structure, charges)
        label = f"substitution: {name}, probability {probability:.2g}"
        built.append(ProbeStructure(rattled(scaled, settings.rattle, rng), label))
    return built


def _substitutions(
    composition: Composition, charges: dict[str, float], settings: ProbeSettings
) -> Iterator[tuple[float, str, Structure]]:
    reduced = composition.reduced_composition
    for name, parent in _folder(settings.folder).items():
        theirs = parent.composition.reduced_composition
        if theirs == reduced or theirs.anonymized_formula != reduced.anonymized_formula:
            continue
        try:
            old_charges = oxidation_states(theirs)
        except ValueError:
            continue  # no charges, no ions that could replace each other
        old = sorted(theirs.get_el_amt_dict())
        for new in permutations(sorted(reduced.get_el_amt_dict())):
            if any(theirs[a] != reduced[b] for a, b in zip(old, new, strict=True)):
                continue
            pairs = [(Species(a, old_charges[a]), Species(b, charges[b])) for a, b in zip(old, new, strict=True)]
            probability = float(np.prod([likeness(a, b) for a, b in pairs]))
            if probability >= LEAST_PROBABLE ** len(pairs):
                child = parent.copy()
                child.replace_species(dict(zip(old, new, strict=True)))
                yield probability, name, child.get_sorted_structure()


def _folder(folder: str) -> dict[str, Structure]:
    if not folder:
        raise ValueError("generators 'given' and 'substitution' need a folder of structures: set folder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_folder(folder).structures
