"""Rigid ions: derivatives, the known balance of rocksalt, and what a lattice gains before its first single point."""

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from scipy.optimize import check_grad

from dft.compositions import oxidation_states
from dft.levels import force_field
from dft.probes import ProbeSettings, build_probes
from dft.probes.electrostatics import born_minimum
from dft.probes.rigid_ions import RigidIons, relaxed_as_ions, stiffness_as_ions

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def displaced(structure, by, seed=0):
    noise = np.random.default_rng(seed).normal(scale=by, size=(len(structure), 3))
    moved = structure.cart_coords + noise
    return Structure(structure.lattice, structure.species, moved, coords_are_cartesian=True)


def energy_and_gradient(structure):
    """Of positions and strain in one vector, with the neighbours of the structure."""
    model = RigidIons.of(structure, oxidation_states(structure.composition))
    return model.target(structure.lattice.matrix, structure.cart_coords)


def test_derivatives_are_those_of_the_energy():
    structure = displaced(SALT, 0.2)
    target = energy_and_gradient(structure)
    at = np.concatenate([structure.cart_coords.ravel(), np.random.default_rng(1).normal(scale=0.05, size=9)])
    assert np.linalg.norm(target(at)[1]) > 1.0
    assert check_grad(lambda x: target(x)[0], lambda x: target(x)[1], at) < 1e-3


def test_stiffness_is_the_derivative_of_the_derivatives():
    structure = displaced(SALT, 0.2)
    target, at = energy_and_gradient(structure), np.concatenate([structure.cart_coords.ravel(), np.zeros(9)])
    moves = 1e-4 * np.eye(len(at))
    differences = np.array([(target(at + move)[1] - target(at - move)[1]) / 2e-4 for move in moves])
    stiffness = stiffness_as_ions(structure)
    assert np.abs(stiffness).max() > 10.0  # eV/Å²
    assert np.abs(stiffness - differences).max() < 1e-5


@pytest.mark.parametrize("formula", ["LiAl", "LiP5", "HeNe"])
def test_what_is_no_salt_has_no_stiffness_of_ions(formula):
    symbols = [symbol for symbol, n in Composition(formula).get_el_amt_dict().items() for _ in range(round(n))]
    structure = Structure(Lattice.cubic(9.0), symbols, np.random.default_rng(0).random((len(symbols), 3)))
    assert stiffness_as_ions(structure) is None


def test_rocksalt_ends_at_the_volume_where_attraction_and_repulsion_balance():
    _, scale = born_minimum(SALT, {"Na": 1.0, "Cl": -1.0})  # with Ewald's sum
    relaxed = relaxed_as_ions(displaced(SALT, 0.1))
    assert relaxed.volume == pytest.approx(SALT.volume * scale**3, rel=0.1)
    bonds = relaxed.get_neighbor_list(1.2 * relaxed.volume ** (1 / 3) / 2)[3]
    assert len(bonds) == 48
    assert np.std(bonds) < 0.02  # Å: every ion back in its place


def test_a_fixed_cell_stays_as_it_is():
    relaxed = relaxed_as_ions(displaced(SALT, 0.2), with_cell=False)
    assert np.allclose(relaxed.lattice.matrix, SALT.lattice.matrix)
    assert np.abs(relaxed.get_distance(0, 4) - SALT.get_distance(0, 4)) < 0.05


@pytest.mark.parametrize("formula", ["LiAl", "N2O5", "B6O", "LiP5", "Na2S2"])
def test_what_is_no_salt_of_fully_charged_anions_is_given_back(formula):
    elements = list(Composition(formula).get_el_amt_dict().items())
    symbols = [symbol for symbol, n in elements for _ in range(round(n))]
    structure = Structure(Lattice.cubic(9.0), symbols, np.random.default_rng(0).random((len(symbols), 3)))
    assert relaxed_as_ions(structure) is structure


@pytest.mark.parametrize(("formula", "bond"), [("RuS2", 2.2), ("MnS2", 2.2), ("NiSe2", 2.5), ("PtP2", 2.25)])
def test_pyrite_and_marcasite_start_with_anions_a_single_bond_apart_and_layers_do_not(formula, bond):
    anion = Composition(formula).elements[-1].symbol
    found = shortest_between(anion, formula)
    assert found["C2"] == pytest.approx(bond, abs=0.1)  # Å
    assert found["C18"] == pytest.approx(bond, abs=0.1)
    assert found["C6"] > bond + 0.6


@pytest.mark.parametrize(("formula", "apart"), [("TiTe2", 3.2), ("FeI2", 3.6), ("TiO2", 2.4), ("IrTe2", 3.2)])
def test_anions_that_touch_several_of_their_kind_are_not_taken_for_pairs(formula, apart):
    anion = Composition(formula).elements[-1].symbol
    found = shortest_between(anion, formula)
    assert min(found["C4"], found["C6"]) > apart


def shortest_between(anion, formula):
    """The shortest distance between two of these anions, Å, by AFLOW's type."""
    settings = ProbeSettings(generators=("prototypes",), n_structures=20, rattle=0.0)
    found = {}
    for probe in build_probes(Composition(formula), settings, 0):
        i, j, _, distance = probe.structure.get_neighbor_list(6.0)
        is_anion = np.array([site.specie.symbol == anion for site in probe.structure])
        shortest = distance[is_anion[i] & is_anion[j]].min()
        label = probe.generator.split()[-1]
        found[label] = min(shortest, found.get(label, np.inf))
    return found


@pytest.mark.parametrize(("formula", "share"), [("Li3PO4", 0.5), ("Li3BO3", 0.5), ("Li2SO4", 0.5), ("Li4SnS4", 0.0)])
def test_where_a_cation_is_covalent_every_second_lattice_stays_as_placed(formula, share):
    built = build_probes(Composition(formula), ProbeSettings(n_structures=10, restarts=2, supercells=2), 0)
    assert sum(probe.generator.endswith(", as placed") for probe in built) == share * len(built)


@pytest.mark.physics
def test_first_single_points_tell_more_of_where_relaxations_end(monkeypatch):
    import sys

    maker = force_field("chgnet")
    single, relax = maker.static_maker(), maker.relax_maker()

    def agreement():
        """Correlation of the energies of first single points with those that relaxations end with."""
        built = build_probes(Composition("Na4ZrS3Cl2"), ProbeSettings(n_structures=8, max_atoms=10), 0)
        ends, starts = [], []
        for probe in built:
            starts.append(single._run_ase_safe(probe.structure).trajectory.frame_properties[-1]["energy"])
            ends.append(relax._run_ase_safe(probe.structure).trajectory.frame_properties[-1]["energy"])
        return np.corrcoef(starts, ends)[0, 1], np.mean(starts) - min(ends)

    with_ions, above = agreement()
    monkeypatch.setattr(sys.modules["dft.probes.ordered"], "relaxed_as_ions", lambda structure, with_cell: structure)
    without, above_without = agreement()
    assert with_ions > without
    assert above < 0.7 * above_without
