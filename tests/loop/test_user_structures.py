"""The user's own structures: what of them cannot be used is told, once."""

from types import SimpleNamespace

import pytest
from pymatgen.core import Lattice, Structure

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings
from loop.cycle import Cycle, run_campaign
from loop.errors import UserError
from loop.exploration import Exploration
from loop.user_structures import tell_of_folder, tell_of_phases
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


def test_files_for_probes_that_cannot_be_used_are_told_when_a_campaign_begins_and_not_again(campaign_of, folder):
    campaign, told = campaign_of(probes={"folder": str(folder), "generators": ["ordered", "given"]}), []
    tell_of_folder(campaign, told.append)
    assert [event.kind for event in told] == ["message"] * 2
    assert told[0].text.startswith(f"probes.folder: {folder}/a.cif is set aside: it cannot be read as a structure")
    campaign.calculations.plan(str(FIELD), 1, "a level", [Calculation("a", "competing", "Na", [], "no")], {})
    tell_of_folder(campaign, told.append)
    assert len(told) == 2


def test_a_folder_that_no_generator_reads_is_not_looked_at(campaign_of, folder):
    told = []
    tell_of_folder(campaign_of(probes={"folder": str(folder)}), told.append)
    assert told == []


def test_a_folder_for_both_is_told_of_once(campaign_of, folder):
    both = {"probes": {"folder": str(folder), "generators": ["given"]}, "competing": {"source": str(folder)}}
    campaign, told = campaign_of(**both), []
    tell_of_folder(campaign, told.append)
    tell_of_phases(campaign, FIELD, told.append)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (None, r"probes\.folder: the generator given takes structures from it; name a folder of them"),
        ("nowhere", r"probes\.folder: 'nowhere' is no folder with structures: put files "),
    ],
)
def test_generators_without_their_folder_are_refused_at_once(campaign_of, where, told):
    campaign = campaign_of(probes={"folder": where, "generators": ["ordered", "given"]})
    with pytest.raises(UserError, match=told):
        tell_of_folder(campaign, print)


def test_a_run_refuses_them_before_it_ranks(campaign_of):
    campaign = campaign_of(level_of_theory="lennard-jones", probes={"generators": ["given"]})
    with pytest.raises(UserError, match=r"probes\.folder: "):
        run_campaign(campaign, 1, print, print)
    assert campaign.running_cycle() is None


def test_a_cycle_tells_of_the_phases_before_it_explores(campaign_of, folder, monkeypatch):
    campaign, told = campaign_of(competing={"source": str(folder)}), []
    monkeypatch.setattr(Cycle, "rank", lambda self: None)
    monkeypatch.setattr(Cycle, "propose", lambda self: [FIELD])
    monkeypatch.setattr(Exploration, "run", lambda self: told.append("explored"))
    executor = SimpleNamespace(foresee=lambda *tasks: None)
    Cycle(campaign, 1, executor, lambda event: told.append(event.text or event.kind), last=True).run()
    assert ["b.cif" in text for text in told] == [False, False, True, False]
    assert told[-1] == "explored"
