"""The user's own structures: what of them cannot be used is told, once."""

import pytest
from pymatgen.core import Lattice, Structure

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings
from loop.user_structures import tell_of_phases
from vae import PhaseField

FIELD = PhaseField.parse("Na-K-Cl")


@pytest.fixture
def folder(tmp_path):
    """One salt, and two files that nobody can read."""
    folder = tmp_path / "mine"
    folder.mkdir()
    Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(str(folder / "NaCl.cif"))
    for name in "ab":
        (folder / f"{name}.cif").write_text("data_nothing\n")
    return folder


@pytest.fixture
def campaign_of(tmp_path):
    campaigns = []

    def of(**settings):
        campaigns.append(Campaign.drive(tmp_path / "c", Settings.model_validate(settings)))
        return campaigns[-1].__enter__()

    yield of
    for campaign in campaigns:
        campaign.__exit__(None, None, None)


def test_phases_that_cannot_be_used_are_told_when_their_field_begins_and_not_again(campaign_of, folder):
    campaign, told = campaign_of(competing={"source": str(folder)}), []
    tell_of_phases(campaign, FIELD, told.append)
    assert [(event.kind, event.phase_field) for event in told] == [("message", str(FIELD))] * 2
    assert told[1].text.startswith(f"competing.source: {folder}/b.cif is set aside: it cannot be read as a structure")
    campaign.calculations.plan(str(FIELD), 1, "a level", [Calculation("a", "competing", "Na", [], "no")], {})
    tell_of_phases(campaign, FIELD, told.append)
    assert len(told) == 2
    tell_of_phases(campaign, PhaseField.parse("Na-Li-Cl"), told.append)
    assert len(told) == 4
