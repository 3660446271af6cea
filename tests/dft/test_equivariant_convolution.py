import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

pytest.importorskip("sevenn", reason="extra `sevennet` is not installed")

from e3nn.o3 import TensorProduct
from sevenn.calculator import SevenNetCalculator

from dft.engines import sevennet
from dft.equivariant_convolution import Messages, groups

pytestmark = pytest.mark.extras

#: Two paths from vectors (to scalars and to vectors), one from scalars, as in SevenNet's layers.
PATHS = [(1, 1, 0, "uvu", True), (0, 1, 1, "uvu", True), (1, 0, 2, "uvu", True)]


def product(instructions=PATHS):
    return TensorProduct(
        "2x0e+3x1e", "1x0e+1x1e", "3x0e+2x1e+3x1e", instructions, shared_weights=False, internal_weights=False
    )


@pytest.mark.physics
def test_energy_forces_and_stress_are_those_of_sevennet_itself():
    sulfide = Structure(
        Lattice([[3.7, 0, 0], [-1.85, 3.2, 0], [0.1, 0, 6.1]]),
        ["Sn", "S", "S"],
        [[0.03, 0, 0], [1 / 3, 2 / 3, 0.24], [2 / 3, 1 / 3, 0.76]],
    )
    atoms = sulfide.to_ase_atoms()
    ours, theirs = sevennet(), SevenNetCalculator("7net-l3i5", device="cpu")
    for calculator in (ours, theirs):
        calculator.calculate(atoms, ["energy", "forces", "stress"])
    for key in ("energy", "forces", "stress"):
        assert np.allclose(ours.results[key], theirs.results[key], atol=2e-5), key
    assert np.abs(ours.results["forces"]).max() > 0.05  # eV/Å: tin out of its place is pulled back


def test_messages_and_their_derivatives_are_those_of_the_tensor_product():
    rng = torch.Generator().manual_seed(0)
    reference = product()
    x, harmonics, weights = (
        torch.randn(n, width, generator=rng, requires_grad=True)
        for n, width in ((3, 11), (5, 4), (5, reference.weight_numel))
    )
    centre, neighbour = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([1, 2, 0, 0, 2])
    expected = torch.zeros(3, 18).index_add(0, centre, reference(x[neighbour], harmonics, weights))
    blocks = {}
    for group in groups(reference):
        near = x[:, group.start : group.start + group.channels * group.dim]
        near = near.view(3, group.channels, group.dim).transpose(1, 2)
        coupled = (harmonics @ group.coupling).view(5, group.components, group.dim)
        out = Messages.apply(near, coupled, weights, centre, neighbour, group)
        blocks |= {path.output: out[:, path.components].transpose(1, 2).reshape(3, -1) for path in group.paths}
    ours = torch.cat([blocks[i] for i in sorted(blocks)], dim=1)
    torch.testing.assert_close(ours, expected)
    some = torch.randn(3, 18, generator=rng)
    derivatives = (torch.autograd.grad((out * some).sum(), [x, harmonics, weights]) for out in (ours, expected))
    for mine, other in zip(*derivatives, strict=True):
        torch.testing.assert_close(mine, other)


def test_paths_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="convolution is of an unknown kind"):
        groups(product([(1, 1, 0, "uvw", True)]))
