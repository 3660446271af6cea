import sys

import numpy as np
import pytest
from pymatgen.core import Composition

from dft.competing import build_competing
from dft.guards import shortest_contact
from dft.levels import force_field
from dft.probes import ProbeSettings, build_probes
from dft.workflows import ScreeningMaker

SETTINGS = ProbeSettings(n_structures=12, generators=("chains",), rattle=0.0)
MODULE = sys.modules["dft.probes.chains"]  # the package has the function by that name


def built(formula, settings=SETTINGS):
    return build_probes(Composition(formula), settings, 0)


def chain(formula, label, charge=0):
    amounts = {s: round(n) for s, n in Composition(formula).get_el_amt_dict().items()}
    return next(c for _, c in MODULE._drawn(amounts, 24, charge) if c.label == label)


def around(structure, symbol, reach):
    """Numbers of atoms of other elements than the metal within `reach` Å of each atom of an element."""
    rest = structure.copy()
    rest.remove_species(["Li"])
    centres = [i for i, site in enumerate(rest) if site.specie.symbol == symbol]
    first = rest.get_neighbor_list(reach)[0]
    return [int((first == i).sum()) for i in centres]


@pytest.mark.parametrize(
    ("formula", "label", "charge", "atoms_at_a_centre"),
    [("PO3", "P2, 2 bridges of O", 1, 4), ("SO3", "S3, 3 bridges of O", 0, 4), ("SiS2", "Si2, 4 bridges of S", 0, 4)],
)
def test_every_centre_of_a_chain_has_its_bonds_at_their_lengths(formula, label, charge, atoms_at_a_centre):
    drawn = chain(formula, label, charge)
    assert drawn.unusual_bonds == 0
    atoms, period = MODULE.embedded_chain(drawn, np.random.default_rng(0))
    ends = [i for pair in drawn.bonds for i in pair]
    assert [ends.count(i) for i in range(drawn.n_centres)] == [atoms_at_a_centre] * drawn.n_centres
    for (i, j), order in drawn.bonds.items():
        step = np.array([0.0, 0.0, period]) * ((i, j) in drawn.across)
        distance = np.linalg.norm(atoms[i] + step - atoms[j])
        assert distance == pytest.approx(drawn.length(i, j), abs=0.12), (i, j, order)


def test_only_the_last_centre_is_bonded_to_the_next_period():
    drawn = chain("PO3", "P3, 3 bridges of O", 1)
    assert {pair[0] for pair in drawn.across} == {0}
    assert len(drawn.across) == 1
    assert len(chain("SiS2", "Si2, 4 bridges of S").across) == 2


@pytest.mark.parametrize("formula", ["LiPO3", "LiBS2", "Li2SiO3", "SO3", "SiS2"])
def test_structures_hold_the_composition_and_no_atoms_too_near(formula):
    found = built(formula)
    assert found
    assert {p.structure.composition.reduced_formula for p in found} == {formula}
    assert {p.generator.split(", ")[-1] for p in found} == {"hexagonal", "square"}
    assert min(shortest_contact(p.structure)[2] for p in found) > 0.6


def test_phosphorus_of_a_metaphosphate_has_four_oxygens_and_shares_two():
    structure = next(p.structure for p in built("LiPO3") if "P2, 2 bridges" in p.generator)
    assert around(structure, "P", 1.8) == [4, 4]
    assert sorted(around(structure, "O", 1.8)) == [1, 1, 1, 1, 2, 2]


def test_both_ways_to_bridge_are_among_the_first():
    labels = [p.generator for p in built("LiBS2")[:4]]
    assert sum("2 bridges" in label for label in labels) == sum("4 bridges" in label for label in labels) == 2


@pytest.mark.parametrize("formula", ["LiCl", "Li3PO4", "Li4P2O7", "SF6", "PF5", "P4S3", "Li2SnS3", "Li5Sn4"])
def test_none_is_built_where_no_chain_holds_the_atoms(formula):
    """Too many at a phosphorus or sulfur, too few to bridge, a metal as the centre, nothing but metals."""
    assert built(formula) == []


def test_the_same_seed_builds_the_same_chains():
    assert [p.as_dict() for p in built("SO3")] == [p.as_dict() for p in built("SO3")]


def test_a_competing_phase_gets_them_beyond_its_other_structures():
    found = build_competing("LiPO3", ProbeSettings(n_structures=10, max_atoms=20), 0)
    kinds = [p.generator.split(":")[0] for p in found]
    assert kinds.count("chains") == 3
    assert kinds.count("molecular ions") == 4
    assert len(found) == 17


@pytest.mark.physics
def test_phosphorus_pentoxide_is_lower_with_endless_bridges_than_as_molecules():
    """Its stable forms are polymers, not P4O10 (Stachel et al., Acta Cryst. C 51, 1049 (1995))."""
    maker = ScreeningMaker.from_level(force_field("chgnet"))
    energies = {}
    for name in ("molecules", "chains"):
        probes = built("P2O5", ProbeSettings(n_structures=4, generators=(name,), max_atoms=16))
        energies[name] = maker.make.__wrapped__(maker, probes)["energy_per_atom"]
    assert energies["chains"] < energies["molecules"] - 0.01
