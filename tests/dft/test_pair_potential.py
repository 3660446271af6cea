import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from dft.pair_potential import CUTOFF, DEPTH, REACH, LennardJones


def energy(atoms):
    atoms = atoms.copy()
    atoms.calc = LennardJones()
    return atoms.get_potential_energy()


def pair(distance):
    return Atoms("Li2", [[0, 0, 0], [distance, 0, 0]], cell=[30, 30, 30], pbc=True)


def test_a_pair_is_lowest_where_it_should_be_and_free_beyond_the_cutoff():
    lowest = REACH * 2 * 1.28  # the covalent radius of lithium in ASE, Å
    distances = np.linspace(0.95, 1.05, 101) * lowest
    energies = [energy(pair(d)) for d in distances]
    assert distances[np.argmin(energies)] == pytest.approx(1.003 * lowest, rel=0.002)
    assert min(energies) == pytest.approx(-0.790 * DEPTH, rel=0.002)  # the smooth end at the cut-off takes a fifth
    assert energy(pair(CUTOFF * lowest + 0.01)) == 0


@pytest.fixture
def salt():
    atoms = bulk("NaCl", "rocksalt", 5.5, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = LennardJones()
    return atoms


def test_forces_are_the_slope_of_the_energy(salt):
    step = 1e-4
    moved = []
    for sign in (1, -1):
        atoms = salt.copy()
        atoms.positions[2, 1] += sign * step
        moved.append(energy(atoms))
    assert salt.get_forces()[2, 1] == pytest.approx((moved[1] - moved[0]) / (2 * step), rel=1e-4)
    assert np.abs(salt.get_forces().sum(axis=0)).max() < 1e-10


@pytest.mark.parametrize(("voigt", "pair"), list(enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)])))
def test_stress_is_the_slope_of_the_energy_with_strain(salt, voigt, pair):
    step, strained = 1e-4, []
    for sign in (1, -1):
        strain = np.eye(3)
        strain[pair] += sign * step / 2
        strain[pair[::-1]] += sign * step / 2
        atoms = salt.copy()
        atoms.set_cell(salt.cell @ strain, scale_atoms=True)
        strained.append(energy(atoms))
    slope = (strained[0] - strained[1]) / (2 * step * salt.get_volume())
    assert salt.get_stress()[voigt] == pytest.approx(slope, rel=1e-4)
