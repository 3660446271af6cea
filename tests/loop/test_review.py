import pandas as pd
import pytest

from loop.campaign import Campaign
from loop.config import Settings
from loop.errors import UserError
from loop.review import decide, proposals_table


@pytest.fixture
def campaign(tmp_path):
    """A campaign whose first cycle has proposed two fields."""
    with Campaign.drive(tmp_path, Settings(review=True)) as campaign:
        campaign.begin_cycle(1)
        table = pd.DataFrame({"phase_field": ["Li-Sn-S-Cl", "Li-Al-O-F"], "rank": [1, 2], "score": [0.1, 0.2]})
        campaign.record_ranking(1, table, {}, 10)
        campaign.record_proposals(1, {"Li-Sn-S-Cl": "rank 1", "Li-Al-O-F": "rank 2"})
        yield campaign


def test_decisions_are_recorded_and_a_veto_settles_a_field(campaign):
    decide(campaign, approve=["Cl-S-Sn-Li"], veto=["Li-Al-O-F"], add=["Li-Y-S-I"])
    assert list(campaign.proposals(1)) == ["Li-Sn-S-Cl", "Li-Y-S-I"]
    table = proposals_table(campaign)
    assert table["state"].tolist() == ["approved", "vetoed", "approved"]
    assert table["rank"].tolist()[:2] == [1, 2]
    assert campaign.settled_fields() == {"Li-Al-O-F"}


def test_all_means_those_that_wait(campaign):
    decide(campaign, approve=[], veto=["Li-Sn-S-Cl"], add=[])
    decide(campaign, approve=["all"], veto=[], add=[])
    assert campaign.proposal_states(1) == {"Li-Sn-S-Cl": "vetoed", "Li-Al-O-F": "approved"}


def test_a_field_that_was_not_proposed_is_named_and_nothing_is_recorded(campaign):
    with pytest.raises(UserError, match="Li-Y-S-I is not proposed in this cycle"):
        decide(campaign, approve=["Li-Sn-S-Cl"], veto=["Li-Y-S-I"], add=[])
    assert set(campaign.proposal_states(1).values()) == {"proposed"}


@pytest.mark.parametrize("field", ["Li-S-Cl", "S-O-Cl-F", "Li-Sn-Al-Cl", "Li-Li-S-Cl"])
def test_a_field_that_no_ranker_could_learn_from_is_not_added(campaign, field):
    with pytest.raises(UserError, match="cannot be added: it needs four different elements"):
        decide(campaign, approve=[], veto=[], add=[field])


def test_a_known_field_is_not_added(campaign):
    with pytest.raises(UserError, match=r"Ag-Bi-S-Cl is a known field \(known\.source: bundled\); .*loop explore"):
        decide(campaign, approve=[], veto=[], add=["Li-Y-S-I", "Bi-Ag-Cl-S"])
    assert set(campaign.proposal_states(1)) == {"Li-Sn-S-Cl", "Li-Al-O-F"}


def test_a_field_that_the_level_cannot_compute_is_not_added(campaign):
    with pytest.raises(UserError, match=r"level_of_theory 'chgnet' .* has not learned Ra: leave"):
        decide(campaign, approve=[], veto=[], add=["Li-Ra-S-Cl"])


def test_a_cycle_whose_fields_are_all_vetoed_takes_others(campaign):
    decide(campaign, approve=[], veto=["all"], add=[])
    assert campaign.proposals(1) == {}
    campaign.record_proposals(1, {"Li-Y-S-I": "rank 3"})
    assert list(campaign.proposals(1)) == ["Li-Y-S-I"]
    assert [row["phase_field"] for row in campaign.chosen_fields()] == ["Li-Y-S-I"]


def test_no_cycle_waits(tmp_path):
    with Campaign.drive(tmp_path, Settings()) as campaign, pytest.raises(UserError, match="has no cycle that waits"):
        proposals_table(campaign)
