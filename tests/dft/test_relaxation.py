import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from ase.filters import UnitCellFilter
from ase.optimize import BFGS
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from dft.engines import chgnet
from dft.levels import level
from dft.probes.rigid_ions import RigidIons
from dft.relaxation import (
    ATOM_STIFFNESS,
    BESIDE_IONS,
    BESIDE_IONS_CELL,
    CELL_STIFFNESS,
    EARLY,
    ION_SHARE,
    STRAIN_STEP,
    CellBFGS,
    CellFilter,
    is_hopeless,
)

FMAX = 0.05


@pytest.fixture
def strained():
    """Rock salt, pulled along one axis, sheared and with its atoms moved."""
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    atoms = salt.to_ase_atoms()
    atoms.set_cell(atoms.cell @ np.array([[1.06, 0.03, 0], [0, 0.97, 0], [0, 0.02, 1.04]]), scale_atoms=True)
    atoms.rattle(0.05, seed=0)
    return atoms


def relax(atoms, optimizer, cell_filter):
    relaxed = atoms.copy()
    relaxed.calc = chgnet("0.3.0")
    run = optimizer(cell_filter(relaxed), logfile=None)
    assert run.run(fmax=FMAX, steps=300)
    return relaxed, run.nsteps


def test_the_same_minimum_in_a_third_of_the_steps(strained):
    ours, steps = relax(strained, CellBFGS, CellFilter)
    theirs, their_steps = relax(strained, BFGS, UnitCellFilter)
    assert ours.get_potential_energy() / len(ours) == pytest.approx(
        theirs.get_potential_energy() / len(theirs), abs=5e-4
    )
    assert steps <= their_steps / 3


def test_converged_means_what_it_means_to_ase(strained):
    relaxed, _ = relax(strained, CellBFGS, CellFilter)
    forces = UnitCellFilter(relaxed).get_forces()
    assert np.linalg.norm(forces, axis=1).max() < FMAX
    pulled = CellBFGS(CellFilter(strained_of(relaxed, 1.02)), logfile=None)
    pulled.fmax = FMAX
    assert not pulled.converged()


def test_forces_count_as_they_are_in_the_deformed_cell(strained):
    strained.calc = chgnet("0.3.0")
    run = CellBFGS(CellFilter(strained), logfile=None)
    shrunk = run.atoms
    shrunk.set_positions(np.append(shrunk.get_positions()[:-3], 0.9 * shrunk.cell_factor * np.eye(3), axis=0))
    largest = np.linalg.norm(strained.get_forces(), axis=1).max()
    gradient = np.append(shrunk.get_forces()[:-3], np.zeros((3, 3)), axis=0)
    assert np.linalg.norm(gradient, axis=1).max() == pytest.approx(0.9 * largest)
    run.fmax = 0.95 * largest
    assert not run.gradient_converged(gradient.ravel())
    run.fmax = 1.05 * largest
    assert run.gradient_converged(gradient.ravel())


def strained_of(atoms, factor):
    changed = atoms.copy()
    changed.set_cell(atoms.cell * factor, scale_atoms=True)
    changed.calc = atoms.calc
    return changed


@pytest.mark.parametrize(("strain", "limited"), [(0.05, STRAIN_STEP), (-0.05, STRAIN_STEP), (0.01, 0.01)])
def test_a_step_strains_the_cell_within_its_limit_and_moves_the_atoms_all_the_same(strained, strain, limited):
    run = CellBFGS(CellFilter(strained), logfile=None)
    step = np.full((len(strained) + 3, 3), 0.05)
    step[-3:] = strain * run.atoms.cell_factor * np.eye(3)
    taken = run.determine_step(step.ravel(), np.linalg.norm(step, axis=1)).reshape(-1, 3)
    scale = min(1.0, run.maxstep / np.linalg.norm(step, axis=1).max())
    assert taken[:-3] == pytest.approx(step[:-3] * scale)
    assert np.abs(taken[-3:]).max() / run.atoms.cell_factor == pytest.approx(limited)


def test_the_first_step_does_not_depend_on_how_the_filter_counts_strain(strained):
    strained.calc = chgnet("0.3.0")
    deformed = []
    for factor in (1.0, 3.0):
        run = CellBFGS(CellFilter(strained, cell_factor=factor), logfile=None)
        run.initialize()
        step = np.linalg.solve(run.H0, run.atoms.get_forces().ravel())
        deformed.append(np.append(step[:-9], step[-9:] / factor))
    assert np.abs(deformed[0]).max() > 0.01
    assert deformed[0] == pytest.approx(deformed[1], abs=1e-6)


class Ions(Calculator):
    """The rigid-ion model of lithium chloride as ASE asks for it."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, *args):
        super().calculate(*args)
        cell, positions, n = self.atoms.cell.array, self.atoms.positions, len(self.atoms)
        model = RigidIons.of(AseAtomsAdaptor.get_structure(self.atoms), {"Li": 1.0, "Cl": -1.0})
        energy, gradient = model.target(cell, positions)(np.append(positions.ravel(), np.zeros(9)))
        strain = gradient[3 * n :].reshape(3, 3) * n**0.5 / self.atoms.get_volume()
        stress = full_3x3_to_voigt_6_stress((strain + strain.T) / 2)
        self.results = {"energy": energy, "forces": -gradient[: 3 * n].reshape(n, 3), "stress": stress}


def test_the_first_hessian_is_in_the_coordinates_of_the_filter(strained):
    strained.calc = Ions()
    run = CellBFGS(CellFilter(strained), logfile=None)
    beside = np.diag([BESIDE_IONS] * 3 * len(strained) + [BESIDE_IONS_CELL] * 9)
    softened = (run.H0 - beside) / ION_SHARE
    at = run.atoms.get_positions()
    differences = []
    for k in range(at.size):
        move = np.zeros(at.size)
        move[k] = 1e-4
        forces = []
        for sign in (1, -1):
            run.atoms.set_positions(at + sign * move.reshape(at.shape))
            forces.append(run.atoms.get_forces().ravel())
        differences.append((forces[1] - forces[0]) / 2e-4)
    # absolute values of the curvatures were taken: squares are compared
    assert softened @ softened == pytest.approx(np.array(differences) @ np.array(differences), rel=1e-4, abs=1e-2)


def test_charges_tell_which_motions_are_stiff(strained):
    alloy = strained.copy()
    alloy.symbols[alloy.symbols == "Cl"] = "Al"
    curvatures = [np.linalg.eigvalsh(CellBFGS(CellFilter(atoms), logfile=None).H0) for atoms in (strained, alloy)]
    assert curvatures[0].min() >= min(BESIDE_IONS, BESIDE_IONS_CELL)
    assert curvatures[0].max() > 2 * curvatures[0].min()
    assert curvatures[1] == pytest.approx([CELL_STIFFNESS] * 9 + [ATOM_STIFFNESS] * (curvatures[1].size - 9))


@pytest.mark.parametrize(("optimizer", "is_positive"), [(CellBFGS, True), (BFGS, False)])
def test_a_step_along_which_forces_grow_leaves_every_curvature_positive(strained, optimizer, is_positive):
    run = optimizer(CellFilter(strained), logfile=None)
    rng = np.random.default_rng(0)
    at, forces = rng.normal(size=(2, 3 * len(strained) + 9))
    run.update(at, forces, None, None)
    for _ in range(20):
        step = 0.1 * rng.normal(size=at.size)
        run.update(at + step, forces + 5.0 * step, at, forces)  # 5 eV/Å² the wrong way
        at, forces = at + step, forces + 5.0 * step
    assert (np.linalg.eigvalsh(run.H).min() > 0) == is_positive


def count_calls(calculator, monkeypatch):
    calls = []
    calculate = calculator.calculate
    monkeypatch.setattr(calculator, "calculate", lambda *args, **kwargs: (calls.append(1), calculate(*args, **kwargs)))
    return calls


@pytest.fixture
def far_off(strained):
    strained.rattle(0.25, seed=1)
    return strained


@pytest.mark.parametrize(("above", "is_given_up"), [(-1.0, True), (0.001, False)])
def test_a_relaxation_that_will_hardly_end_below_the_bar_is_given_up(far_off, monkeypatch, above, is_given_up):
    free, steps = relax(far_off, CellBFGS, CellFilter)
    far_off.calc = chgnet("0.3.0")
    calls = count_calls(far_off.calc, monkeypatch)
    bar = free.get_potential_energy() / len(free) + above
    run = CellBFGS(CellFilter(far_off), logfile=None, bar=bar)
    assert run.run(fmax=FMAX, steps=300) != is_given_up
    assert EARLY <= run.nsteps < steps if is_given_up else run.nsteps == steps
    assert len(calls) == run.nsteps + 1 - is_given_up  # giving up costs no further force call
    assert is_given_up or np.array_equal(far_off.positions, free.positions)


@pytest.mark.parametrize(
    ("energies", "expected", "is_up"),
    [
        ([0.0] * 5, 0.0, False),  # too early
        ([0.0] * 6, 0.0, True),
        ([0.0] * 6, 0.06, False),
        ([0.2, 0.15, 0.1, 0.05, 0.03, 0.0], 0.0, False),
        ([9.0, *[0.05] * 5, 0.0], 0.0, True),  # what was gained before the last steps says nothing
        ([0.0, 0.1, 0.1, 0.1, 0.1, 0.1], 0.0, True),
    ],
)
def test_what_a_relaxation_may_still_gain(energies, expected, is_up):
    assert is_hopeless(energies, expected, bar=-0.1) == is_up


def test_a_level_relaxes_with_it():
    maker = level("chgnet").relax_maker()
    assert maker.optimizer_kwargs["optimizer"] is CellBFGS
    assert maker.relax_kwargs["cell_filter"] is CellFilter


def test_forces_are_those_of_where_the_atoms_are(strained):
    strained.calc = chgnet("0.3.0")
    ours, theirs = CellFilter(strained), UnitCellFilter(strained, cell_factor=len(strained) ** 0.5)
    for _ in range(2):
        forces = ours.get_forces()
        assert np.array_equal(forces, theirs.get_forces())
        forces += 1.0  # what was handed out is not what is kept
        assert np.array_equal(ours.get_forces(), theirs.get_forces())
        ours.set_positions(ours.get_positions() + 0.01)
