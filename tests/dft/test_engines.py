import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import compare_atoms
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.core import Lattice, Structure

from dft.engines import chgnet, denormals_as_zero, derivatives_at_once, lennard_jones


@pytest.mark.physics
def test_forces_and_stress_are_those_of_chgnet_itself():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt.translate_sites([0], [0.03, 0.01, 0.0])
    atoms = salt.to_ase_atoms()
    ours, theirs = chgnet(), CHGNetCalculator(on_isolated_atoms="ignore")
    for calculator in (ours, theirs):
        calculator.calculate(atoms, ["energy", "forces", "stress"])
    for key in ("energy", "forces", "stress"):
        assert np.allclose(ours.results[key], theirs.results[key], atol=1e-6), key
    assert np.abs(ours.results["forces"]).max() > 0.05  # eV/Å: the atom out of its place is pulled back


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda atoms: None, set()),
        (lambda atoms: atoms.positions.__setitem__((0, 0), 0.1), {"positions"}),
        (lambda atoms: atoms.set_cell([5.0, 5.0, 6.0]), {"cell"}),
        (lambda atoms: atoms.set_pbc([True, True, False]), {"pbc"}),
        (lambda atoms: atoms.numbers.__setitem__(1, 18), {"numbers"}),
        (lambda atoms: atoms.set_initial_magnetic_moments([1.0, 0.0]), {"initial_magmoms"}),
        (lambda atoms: atoms.set_tags([1, 0]), set()),
    ],
)
def test_what_has_changed_is_told_as_ase_tells_it_and_only_then_is_computed_again(change, named):
    atoms = Atoms("Ne2", [[0, 0, 0], [2.5, 2.5, 2.5]], cell=[5.0, 5.0, 5.0], pbc=True)
    calculator = lennard_jones()
    atoms.calc = calculator
    atoms.get_forces()
    before = calculator.calls
    atoms.get_potential_energy()
    assert calculator.calls == before
    change(atoms)
    assert set(calculator.check_state(atoms)) == named == set(compare_atoms(calculator.atoms, atoms))
    atoms.get_potential_energy()
    assert calculator.calls == before + bool(named)


def test_one_sweep_gives_every_derivative_by_its_own_leaf():
    x, y = torch.tensor([2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    with derivatives_at_once([x, y]):
        by_y = torch.autograd.grad((x**2 * y).sum(), [y])
        by_x = torch.autograd.grad((x**2 * y).sum(), x, create_graph=True)
    assert (by_x[0].item(), by_y[0].item()) == (12.0, 4.0)


def test_derivatives_are_as_they_were_afterwards():
    before = torch.autograd.grad
    with derivatives_at_once([]):
        assert torch.autograd.grad is not before
    assert torch.autograd.grad is before


def test_numbers_too_small_for_full_precision_are_zero_only_while_asked_for():
    tiny = torch.tensor([1e-40])
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor always counts them")
    assert (tiny * 1).item() > 0
    with denormals_as_zero():
        assert (tiny * 1).item() == 0
    assert (tiny * 1).item() > 0
