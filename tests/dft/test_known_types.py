"""The offline search against the structure type that a compound is known to crystallise in, at one level of theory."""

import numpy as np
import pytest
from pymatgen.core import Composition

from dft.competing import build_competing
from dft.levels import level
from dft.probes import ProbeSettings, ProbeStructure
from dft.probes.prototypes import prototypes
from dft.workflows import ScreeningMaker

#: The search need not find the type itself, but nothing that lies higher by more than this, eV/atom.
WITHIN = 0.010


def lowest(candidates: list[ProbeStructure]) -> float:
    return ScreeningMaker.make.original(ScreeningMaker.from_level(level("chgnet")), candidates)["energy_per_atom"]


@pytest.mark.physics
@pytest.mark.parametrize(("formula", "known"), [("LiCl", "Halite, Rock Salt B1"), ("SnS2", "trigonal omega C6")])
def test_search_finds_nothing_higher_than_the_known_type(formula, known):
    settings = ProbeSettings(rattle=0.01)
    everything = prototypes(Composition(formula), settings, np.random.default_rng(0))
    of_known_type = [p for p in everything if p.generator == f"prototype: AFLOW {known}"]
    assert of_known_type
    assert lowest(build_competing(formula, ProbeSettings(), 0)) <= lowest(of_known_type) + WITHIN
