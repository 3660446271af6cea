import pytest
import torch

from vae.interactions import fit_interactions, pair_properties
from vae.masked_model import MaskedConfig, MaskedVAE

ELEMENTS = ("Li", "Zr", "Hf", "Ce", "He", "O", "S", "Cl")
PENALTY = 3.0
MEMORY = torch.tensor([[0, 1, 4, 5], [0, 2, 4, 5], [1, 2, 5, 4], [0, 3, 4, 4]])


def symmetric(seed):
    one = torch.randn(6, 6, 3, generator=torch.Generator().manual_seed(seed))
    return one + one.transpose(0, 1)


@pytest.fixture
def model():
    compounds = torch.zeros((6, 6, 6), dtype=torch.uint8)
    for i, j, k in ((0, 1, 4), (0, 1, 5), (2, 4, 5)):
        for place in ((i, j, k), (j, i, k), (k, i, j), (i, k, j), (j, k, i), (k, j, i)):
            compounds[place] = 1
    torch.manual_seed(0)
    places = torch.tensor([0, 1, 2, 3]), torch.tensor([4, 5])
    config = MaskedConfig(n_latent=2)
    return MaskedVAE(config, torch.randn(6, 3), compounds, MEMORY, *places, (symmetric(1), symmetric(2))).eval()


def test_properties_do_not_depend_on_the_order_and_are_numbers():
    for table in pair_properties(ELEMENTS):
        assert torch.isfinite(table).all()  # helium has no electronegativity and no radius
        torch.testing.assert_close(table, table.transpose(0, 1))


def test_elements_that_stand_in_for_one_another_are_alike():
    of_cations, _ = pair_properties(ELEMENTS)
    likeness = of_cations[..., 15]
    assert likeness[1, 2] > likeness[1, 3] > likeness[1, 0]  # Zr: Hf before Ce before Li


def test_fitted_weights_balance_known_fields_and_all_fields(model):
    fit_interactions(model, MEMORY, PENALTY)
    evidence = model.evidence
    with torch.no_grad():
        _, grid = model.decode(model.encode()[0], own=False)
    left, right = evidence.of_cations[tuple(model.cation_pairs.T)], evidence.of_anions[tuple(model.anion_pairs.T)]
    share = torch.softmax(grid.flatten(), 0).reshape(grid.shape)
    expected = left.T @ share @ right
    row, column = model.places(MEMORY)
    observed = left[row].T @ right[column] / len(MEMORY)
    # Where the gradient of the penalized likelihood is zero.
    torch.testing.assert_close(
        observed - expected, 2 * PENALTY / len(MEMORY) * evidence.interactions, atol=2e-3, rtol=0
    )
    assert evidence.interactions.abs().max() > 0.01
    assert evidence.count_weights.abs().max() > 0.01


def test_single_fields_and_orders_agree_with_the_grid(model):
    fit_interactions(model, MEMORY)
    with torch.no_grad():
        tables, grid = model.decode(model.encode()[0])
        for field in ([0, 1, 4, 5], [1, 0, 4, 5], [1, 0, 5, 4]):
            fields = torch.tensor([field])
            alone = model.evidence.of(tables, tuple(fields.T))
            torch.testing.assert_close(alone, grid[model.places(fields)])


def test_counts_worked_by_hand(model):
    counts = model.evidence.counts(tuple(torch.tensor([[0, 1, 4, 5]]).T))
    # Two ternaries of both cations, none of both anions, and no binary.
    assert counts.tolist() == [[2, 0, 1, 0, 0, 0, 1, 0, 0, 0]]
