"""What a cycle's ranker starts from, and what a level must have learned."""

import pandas as pd
import pytest
import torch

from dft.execute import LocalExecutor
from loop.campaign import Campaign
from loop.config import Settings
from loop.cycle import WARM_STARTS, Cycle, run_campaign
from vae.datasets import known_phase_fields
from vae.paper import PaperRanker

KNOWN = list(known_phase_fields().fields[:20])


@pytest.fixture(scope="module")
def earlier():
    """A ranker that has learned from fewer fields."""
    return PaperRanker(seed=0).fit(KNOWN[:-1])


@pytest.fixture(scope="module")
def fresh():
    """The weights of one that started from nothing."""
    return PaperRanker(seed=0).fit(KNOWN)._fitted().state_dict()


@pytest.fixture
def weights_of_cycle(tmp_path, earlier):
    pd.DataFrame({"phase_field": map(str, KNOWN)}).to_csv(tmp_path / "known.csv", index=False)
    settings = {
        "known": {"source": str(tmp_path / "known.csv")},
        "ranker": {"name": "paper"},
        "candidates": {"cations": ["Sn"], "anions": ["S", "Cl", "Br"]},
    }

    def ranked(number):
        with (
            Campaign.drive(tmp_path / "c", Settings.model_validate(settings)) as campaign,
            LocalExecutor(1) as executor,
        ):
            cycle = Cycle(campaign, number, executor, lambda event: None)
            cycle._checkpoint(number).parent.mkdir()
            earlier.save(cycle._checkpoint(number - 1))
            campaign.begin_cycle(number)
            cycle.rank()
            return PaperRanker.load(cycle._checkpoint(number))._fitted().state_dict()

    return ranked


@pytest.mark.parametrize(
    ("cycle", "anew"), [(2, False), (WARM_STARTS + 1, False), (WARM_STARTS + 2, True), (WARM_STARTS + 3, False)]
)
def test_a_ranker_starts_from_the_last_cycles_three_times_in_a_row(weights_of_cycle, fresh, cycle, anew):
    found = weights_of_cycle(cycle)
    assert all(torch.equal(found[name], fresh[name]) for name in fresh) == anew


def test_elements_that_limits_keep_out_need_not_be_learned(tmp_path):
    settings = {"candidates": {"cations": ["Ra", "Sn"]}, "limits": {"radioactive": False}, "execution": {"workers": 1}}
    with Campaign.drive(tmp_path, Settings.model_validate(settings)) as campaign:
        assert run_campaign(campaign, 0, lambda event: None, lambda campaign: None) == 0
