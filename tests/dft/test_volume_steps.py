from dataclasses import dataclass, field

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from dft.candidates import Candidate
from dft.volume_steps import SOFTNESS, VOLUME_STEP, single_points_of
from dft.workflows import ScreeningMaker
from tests.dft.scripted import VOLUME, A, Scripted


@dataclass
class Pressed(Scripted):
    """A maker of single points: at rest at one volume, Å³, pressed or pulled elsewhere, the stiffer the more."""

    rest: float = 60.0
    stiffness: float = 1.0
    volumes: list = field(default_factory=list)

    def _run_ase_safe(self, structure):
        self.volumes.append(structure.volume)
        result = super()._run_ase_safe(structure)
        strain = np.log(structure.volume / self.rest)
        frame = result.trajectory.frame_properties[-1]
        frame["stress"] = self.stiffness * strain / SOFTNESS * np.array([1, 1, 1, 0, 0, 0])
        frame["energy"] = len(structure) * (strain**2 - 1)
        return result


def pressed(rest, stiffness, generator="prototype: a"):
    single = Pressed(1, {1.0: (0, 1, True)}, rest=rest * VOLUME["a"], stiffness=stiffness)
    candidate = Candidate(generator, A.structure, A.structure)
    ScreeningMaker(static_maker=single)._single_point(candidate)
    return candidate, single


@pytest.mark.parametrize("stiffness", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("rest", [0.8, 0.95, 1.07, 1.25, 1.5])
def test_single_points_bring_a_cell_near_to_rest_however_stiff_it_is(rest, stiffness):
    candidate, single = pressed(rest, stiffness)
    strain = np.log([*single.volumes, candidate.structure.volume]) - np.log(single.rest)
    assert abs(strain[-1]) < 0.06
    assert candidate.energy_per_atom == pytest.approx(min(strain[:-1] ** 2) - 1)
    assert max(np.abs(np.diff(strain))) <= np.log(VOLUME_STEP) + 1e-9


def test_one_single_point_is_enough_near_rest_and_where_ions_have_shaped_the_cell():
    assert len(pressed(1.05, 1.0)[1].volumes) == 1
    assert len(pressed(3.0, 1.0)[1].volumes) == 3
    assert len(pressed(3.0, 1.0, "ordered lattice: fcc anions, octahedral cations")[1].volumes) == 1
    assert len(pressed(3.0, 1.0, "ordered lattice: fcc anions, layered octahedral cations")[1].volumes) == 3


@pytest.mark.parametrize("formula", ["Br2", "BrCl", "BN", "Li3PO4", "NaHe2"])
def test_where_the_pressure_is_that_of_bonds_there_is_one(formula):
    composition = Composition(formula)
    symbols = [symbol for symbol, n in composition.get_el_amt_dict().items() for _ in range(round(n))]
    structure = Structure(Lattice.cubic(9.0), symbols, np.random.default_rng(0).random((len(symbols), 3)))
    assert single_points_of(Candidate("prototype: x", structure, structure)) == 1


def test_guards_count_from_where_several_single_points_have_left_a_cell():
    candidate, single = pressed(3.0, 1.0)
    assert candidate.start.volume == candidate.structure.volume > single.volumes[-1]
    assert pressed(1.05, 1.0)[0].start.volume == VOLUME["a"]


def test_a_single_point_that_fails_after_another_costs_nothing_but_itself():
    broken = {VOLUME["a"]: (0, 1, True), VOLUME["a"] * VOLUME_STEP: RuntimeError("the engine broke")}
    single = Pressed(1, broken, rest=3.0 * VOLUME["a"])
    candidate = Candidate("prototype: a", A.structure, A.structure)
    ScreeningMaker(static_maker=single)._single_point(candidate)
    assert (len(single.volumes), candidate.state, candidate.reason) == (2, "running", "")
    assert candidate.energy_per_atom == pytest.approx(np.log(3.0) ** 2 - 1)
