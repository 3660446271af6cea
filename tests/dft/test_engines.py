import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from dft.engines import chgnet, first_derivatives_only


@pytest.mark.physics
def test_forces_and_stress_are_those_of_chgnet_itself():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt.translate_sites([0], [0.03, 0.01, 0.0])
    atoms = salt.to_ase_atoms()
    metered = chgnet()
    metered.calculate(atoms, ["energy", "forces", "stress"])
    ours = {key: np.copy(metered.results[key]) for key in ("energy", "forces", "stress")}
    metered.inner.calculate(atoms, ["energy", "forces", "stress"], ["positions"])
    for key, value in ours.items():
        assert np.allclose(value, metered.inner.results[key], atol=1e-5), key
    assert np.abs(ours["forces"]).max() > 0.05  # eV/Å: the atom out of its place is pulled back


def test_derivatives_are_as_they_were_afterwards():
    before = torch.autograd.grad
    with first_derivatives_only():
        assert torch.autograd.grad is not before
    assert torch.autograd.grad is before
