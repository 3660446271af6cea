import pytest
import torch

from vae.training import TrainingConfig, train


class SmallestSum(torch.nn.Module):
    """Its loss is its weight; notes what 1e-40, too small for a float32 of full precision, counts as."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.counted = []

    def loss(self, x, generator):
        self.counted.append(times_one(1e-40))
        return self.weight.sum() + 0 * x.sum()


def times_one(value):
    return (torch.tensor([value]) * 1).item()


def test_numbers_too_small_for_full_precision_are_zero_in_training_only():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor always counts them")
    model = SmallestSum()
    train(model, torch.zeros(4, 1), TrainingConfig(epochs=1), seed=0)
    assert set(model.counted) == {0.0}
    assert times_one(1e-40) > 0
