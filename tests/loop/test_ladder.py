"""What each level of a ladder says of a field, on one whose every energy is written down."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from loop.campaign import Campaign
from loop.config import Settings
from loop.errors import UserError
from loop.ladder import hull_at, ladder, outside_the_section, phases_in_words, where_it_stopped
from loop.level_summaries import keep_summaries
from loop.summary import campaign_record, status

spec = importlib.util.spec_from_file_location("plain_ladder", Path(__file__).with_name("plain_ladder.py"))
plain = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plain)

FIELD, COMPETING, PROBES, LOW, HIGH = plain.FIELD, plain.COMPETING, plain.PROBES, plain.LOW, plain.HIGH
compute, rung = plain.compute, plain.rung


@pytest.fixture
def campaign(tmp_path):
    settings = Settings.model_validate({"levels": ["chgnet", "chgnet-r2scan"], "ladder": {"keep": [2], "window": 0.06}})
    with Campaign.drive(tmp_path / "c", settings) as campaign:
        campaign.record_proposals(1, {FIELD: "asked for"})
        compute(campaign, LOW, PROBES, COMPETING)
        yield campaign


def test_every_level_has_a_hull_of_its_own(campaign):
    compute(campaign, HIGH, {"LiNaClBr": -101.93}, {f: e - 100 for f, e in COMPETING.items()})
    low, high = (hull_at(campaign, FIELD, each) for each in (LOW, HIGH))
    assert len(low.probes), len(high.probes) == (4, 1)
    # a hundred eV/atom lower, and yet as far from its own hull
    assert high.best["e_above_competing"] == pytest.approx(0.02)
    assert set(high.competing["level"]) == {"high|test"}


def test_the_record_shows_the_highest_level_and_keeps_the_lower(campaign):
    compute(campaign, HIGH, {"LiNaClBr": -1.96}, COMPETING)
    campaign.database.set_meta(levels=json.dumps({"high|test": {"name": "high", "error_band": 0.01}}))
    (field,) = campaign_record(campaign).fields
    assert (field.level, field.level_name, field.error_band) == ("high|test", "high", 0.01)
    assert [(lower.level, lower.level_name, len(lower.probes)) for lower in field.lower] == [("low|test", "low", 4)]
    levels = status(campaign)["fields"][0]["levels"]
    assert [(each["name"], each["probes"], each["best_composition"]) for each in levels] == [
        ("low", 4, "NaLi3BrCl3"),
        ("high", 1, "NaLiBrCl"),
    ]
    assert levels[1]["best_e_above_competing"] == pytest.approx(-0.01)


STATUS_WITHOUT_HULLS = """
import sys
from pathlib import Path
from loop.commands.common import opened
from loop.summary import status
with opened(Path(sys.argv[1])) as campaign:
    print(status(campaign)["fields"][0]["levels"])
assert "pymatgen.analysis.phase_diagram" not in sys.modules
"""


def test_the_status_of_a_batch_that_has_ended_is_kept(campaign):
    before = status(campaign)["fields"][0]["levels"]
    keep_summaries(campaign, FIELD)
    assert status(campaign)["fields"][0]["levels"] == before
    told = subprocess.run(
        [sys.executable, "-c", STATUS_WITHOUT_HULLS, campaign.folder], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str(before)
    compute(campaign, HIGH, {"LiNaClBr": -1.96}, COMPETING)
    assert [each["name"] for each in status(campaign)["fields"][0]["levels"]] == ["low", "high"]


def test_where_it_stopped_is_said():
    rungs = [LOW, HIGH]
    assert where_it_stopped(rungs, HIGH, 0.05) == "Level of theory: high, the highest of 2"
    assert "no composition within 50 meV/atom of its hull was left for high" in where_it_stopped(rungs, LOW, 0.05)
    told = where_it_stopped(rungs, LOW, 0.05, "the campaign's budget of 3 calculations is spent (3)")
    assert told.startswith("Level of theory: low; nothing went on to high: the campaign's budget of 3")


def test_which_phases_stand_on_a_further_hull_is_said():
    rungs = [LOW, HIGH]
    assert phases_in_words(rungs, LOW, 0.05) == ""
    assert phases_in_words(rungs, HIGH, 0.05) == (
        "; at high the elements and those within 50 meV/atom of the hull at low, in the structures found there"
    )


def test_a_section_that_probes_leave_is_said(campaign):
    # LiCl + NaBr is the stable pair: between LiBr and NaCl nothing is as stable as on the whole hull
    within, across = rung(1, "high", ("LiCl", "NaBr")), rung(1, "high", ("LiBr", "NaCl"))
    told = outside_the_section(campaign, FIELD, [LOW, across], across)
    assert told.startswith(". At low probes fall apart into LiCl, NaBr outside the section")
    assert "LiBr outside the section" in outside_the_section(campaign, FIELD, [LOW, within], within)  # Li2NaClBr2
    assert outside_the_section(campaign, FIELD, [LOW, HIGH], HIGH) == ""


def test_a_level_that_cannot_run_here_is_told_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr("dft.cp2k.shutil.which", lambda program: None)
    settings = Settings.model_validate({"levels": ["chgnet", "cp2k"]})
    with (
        Campaign.drive(tmp_path / "c", settings) as campaign,
        pytest.raises(UserError, match=r"level_of_theory 'cp2k' cannot run here: no program 'cp2k\.psmp' on the path"),
    ):
        ladder(campaign, ["Li"])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"levels": ["chgnet", "dftb"]}, "levels: 'dftb' is unknown, choose from"),
        ({"levels": ["chgnet", "chgnet"]}, "levels: 'chgnet' stands there twice"),
        ({"levels": ["chgnet"], "level_of_theory": "sevennet"}, "'sevennet' and levels .* contradict: leave one out"),
        ({"level_settings": {"cp2k": {}}}, r"level_settings: 'cp2k' is not among the levels \['chgnet'\]"),
        ({"level_settings": {"chgnet": {"encut": 5}}}, "setting 'encut' of level_of_theory 'chgnet' is unknown"),
        ({"level_settings": {"chgnet": {"fmax": -1}}}, "setting 'fmax' .* is -1, and must be a positive number"),
        ({"ladder": {"keep": [0]}}, "greater than or equal to 1"),
        ({"ladder": {"section": ["LiCl"]}}, "two end members or more"),
    ],
)
def test_a_ladder_that_cannot_be_climbed_is_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        Settings.model_validate(values)


def test_one_level_is_a_ladder_of_one():
    assert Settings().ladder_of_levels == ("chgnet",)
    assert Settings.model_validate({"level_of_theory": "sevennet"}).ladder_of_levels == ("sevennet",)
    assert Settings.model_validate({"levels": ["chgnet", "cp2k"]}).ladder_of_levels == ("chgnet", "cp2k")
