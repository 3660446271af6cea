"""The user's own structures: what of them cannot be used is told, once."""

from types import SimpleNamespace

import pytest
from pymatgen.core import Lattice, Structure

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings
from loop.cycle import Cycle
from loop.errors import UserError
from loop.exploration import Exploration
from loop.explore import explore_field
from loop.ladder import ladder
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


@pytest.fixture
def of_another_field(campaign_of, folder):
    return campaign_of(level_of_theory="lennard-jones", competing={"source": str(folder)})


def test_a_field_of_which_the_folder_holds_nothing_is_undecided_and_the_campaign_goes_on(of_another_field):
    other = PhaseField.parse("Mg-Al-O-F")
    of_another_field.begin_cycle(1)
    told = []
    Exploration(of_another_field, 1, other, None, told.append).run()  # nothing runs: no executor is needed
    (verdict,) = of_another_field.verdicts()
    assert verdict["verdict"] == "undecided"
    assert "of 3 structures in" in verdict["reason"]
    assert "none fits Mg-Al-O-F" in verdict["reason"]
    assert of_another_field.calculations.states() == {"failed": 1}
    later = Cycle(of_another_field, 2, SimpleNamespace(), lambda event: None)
    assert later._judged("undecided") == []  # what was never computed is no evidence against a field


def test_an_exploration_of_it_is_refused(of_another_field):
    with pytest.raises(UserError, match=r"competing\.source: of 3 structures in .* none fits Mg-Al-O-F"):
        explore_field(of_another_field, PhaseField.parse("Mg-Al-O-F"), [], lambda event: None)
    assert of_another_field.completed_cycles() == 0


def test_one_that_has_begun_goes_on_although_the_files_are_gone(of_another_field, monkeypatch):
    field, begun = PhaseField.parse("Mg-Al-O-F"), []
    item = Calculation("a", "competing", "Mg", [], "no")
    of_another_field.calculations.plan(str(field), 1, ladder(of_another_field)[0].identity, [item], {})
    monkeypatch.setattr(Exploration, "run", lambda self, compositions: begun.append(self.name))
    explore_field(of_another_field, field, [], lambda event: None)
    assert begun == [str(field)]


def test_a_cycle_tells_of_the_phases_before_it_explores(campaign_of, folder, monkeypatch):
    campaign, told = campaign_of(competing={"source": str(folder)}), []
    monkeypatch.setattr(Cycle, "rank", lambda self: None)
    monkeypatch.setattr(Cycle, "propose", lambda self: [FIELD])
    monkeypatch.setattr(Exploration, "run", lambda self: told.append("explored"))
    executor = SimpleNamespace(foresee=lambda *tasks: None)
    Cycle(campaign, 1, executor, lambda event: told.append(event.text or event.kind), last=True).run()
    assert ["b.cif" in text for text in told] == [False, False, True, False]
    assert told[-1] == "explored"
