import numpy as np
import pytest
import torch
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.core import Lattice, Structure

from dft.engines import chgnet, denormals_as_zero, derivatives_at_once


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
