"""What a cycle's ranker starts from, and what a level must have learned."""

import pandas as pd
import pytest
import torch

from dft.execute import LocalExecutor
from loop.campaign import Campaign
from loop.config import Settings
from loop.cycle import Cycle, elements_of_candidates
from loop.errors import UserError
from loop.ladder import checked_ladder
from vae.datasets import known_phase_fields
from vae.paper import PaperRanker
from vae.training import WARM_STARTS

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
def ranked(tmp_path, earlier):
    """The ranker of a cycle after one whose ranker had been trained from earlier weights so many times in a row."""
    pd.DataFrame({"phase_field": map(str, KNOWN)}).to_csv(tmp_path / "known.csv", index=False)
    settings = {
        "known": {"source": str(tmp_path / "known.csv")},
        "ranker": {"name": "paper"},
        "candidates": {"cations": ["Sn"], "anions": ["S", "Cl", "Br"]},
    }

    def of(warm_starts):
        earlier.warm_starts = warm_starts
        with (
            Campaign.drive(tmp_path / "c", Settings.model_validate(settings)) as campaign,
            LocalExecutor(1) as executor,
        ):
            cycle = Cycle(campaign, 2, executor, lambda event: None)
            cycle._checkpoint(2).parent.mkdir()
            earlier.save(cycle._checkpoint(1))
            campaign.begin_cycle(2)
            cycle.rank()
            return PaperRanker.load(cycle._checkpoint(2))

    return of


@pytest.mark.parametrize(("before", "now"), [(0, 1), (WARM_STARTS - 1, WARM_STARTS), (WARM_STARTS, 0)])
def test_a_ranker_starts_from_the_last_cycles_three_times_in_a_row(ranked, fresh, before, now):
    found = ranked(before)
    weights = found._fitted().state_dict()
    assert found.warm_starts == now
    assert all(torch.equal(weights[name], fresh[name]) for name in fresh) == (now == 0)


def test_a_known_field_that_has_a_verdict_counts_once(tmp_path, earlier):
    known = [str(field) for field in KNOWN if len(field.anions) == 2]
    pd.DataFrame({"phase_field": known}).to_csv(tmp_path / "known.csv", index=False)
    settings = Settings.model_validate({"known": {"source": str(tmp_path / "known.csv")}})
    with Campaign.drive(tmp_path / "c", settings) as campaign, LocalExecutor(1) as executor:
        for name, verdict in (("Ag-Sn-S-Cl", "filtered"), (known[0], "positive")):
            campaign.record_verdict(
                {"phase_field": name, "cycle": 1, "verdict": verdict, "best_composition": "AgSnSCl"}
            )
        candidates = ["Ag-Sb-S-Cl", "Ag-Sb-S-Br", "Li-Sn-O-F"]
        odds = Cycle(campaign, 2, executor, lambda event: None)._log_odds(earlier, candidates)
    assert odds[0] > odds[2]  # one shares three elements with the positive field, one shares none


@pytest.mark.parametrize(
    ("cation", "limits", "refused"), [("Ra", {}, True), ("Ra", {"radioactive": False}, False), ("Fr", {}, False)]
)
def test_elements_that_are_computed_must_be_learned(tmp_path, cation, limits, refused):
    settings = Settings.model_validate({"candidates": {"cations": [cation, "Sn"]}, "limits": limits})
    with Campaign.drive(tmp_path, settings) as campaign:
        if refused:
            with pytest.raises(UserError, match=f"has not learned {cation}: leave"):
                checked_ladder(campaign, elements_of_candidates(settings))
        else:  # francium has no descriptors
            assert checked_ladder(campaign, elements_of_candidates(settings))
