"""What goes on from one level of theory to the next, on a field whose every energy is written down."""

import json
from dataclasses import dataclass

import pytest
from jobflow import Maker
from pymatgen.core import Composition, Lattice, Structure

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings
from loop.errors import UserError
from loop.ladder import Rung, hull_at, ladder, outside_the_section, phases_in_words, promoted, where_it_stopped
from loop.summary import campaign_record, status

FIELD = "Na-Li-Br-Cl"
# eV/atom; the elements are the zero of energy, and LiCl + NaBr is the stable pair
COMPETING = {"Li": 0.0, "Na": 0.0, "Br": 0.0, "Cl": 0.0, "LiCl": -2.0, "NaBr": -1.9, "LiBr": -1.7, "NaCl": -2.05}
#: on the hull LiNaClBr would lie at -1.95, Li3NaCl3Br at -1.975, LiNa3ClBr3 at -1.925, Li2NaClBr2 at -1.867
PROBES = {"LiNaClBr": -1.93, "Li3NaCl3Br": -1.965, "LiNa3ClBr3": -1.85, "Li2NaClBr2": -1.78}


@dataclass(frozen=True)
class PlainLevel:
    """A level of theory of which only the name matters."""

    name: str
    error_band: float = 0.01
    error_source: str = "the test"

    @property
    def identity(self):
        return f"{self.name}|test"


@dataclass
class PlainMaker(Maker):
    name: str = "plain"

    @property
    def funnel(self):
        return {}


def rung(number, name, section=()):
    return Rung(number, PlainLevel(name), PlainMaker(), section)


LOW, HIGH = rung(0, "low"), rung(1, "high")


def cell(formula):
    species = [str(e) for e, n in Composition(formula).items() for _ in range(int(n))]
    return Structure(
        Lattice.cubic(3.0 * len(species)), species, [[i / len(species), 0, 0] for i in range(len(species))]
    )


def compute(campaign, level, probes, competing):
    items = [Calculation(f"{level.identity}-{f}", "probe", f, [{}]) for f in probes]
    items += [Calculation(f"{level.identity}-{f}", "competing", f, [{}]) for f in competing]
    campaign.calculations.plan(FIELD, 1, level.identity, items, {})
    for formula, energy in {**probes, **competing}.items():
        finish(campaign, f"{level.identity}-{formula}", formula, energy)


def finish(campaign, identity, formula, energy):
    done = {"state": "done", "energy_per_atom": energy, "structure": cell(formula).as_dict(), "generator": "line"}
    campaign.calculations.begin(identity)
    campaign.calculations.end(identity, done)


@pytest.fixture
def campaign(tmp_path):
    settings = Settings.model_validate({"levels": ["chgnet", "chgnet-r2scan"], "ladder": {"keep": [2], "window": 0.06}})
    with Campaign.drive(tmp_path / "c", settings) as campaign:
        campaign.record_proposals(1, {FIELD: "asked for"})
        compute(campaign, LOW, PROBES, COMPETING)
        yield campaign


def formulas(items, role):
    return {item.composition for item in items if item.role == role}


def test_the_lowest_probes_and_the_phases_near_the_hull_go_on(campaign):
    items, reasons = promoted(campaign, FIELD, LOW, HIGH)
    # from LiCl + NaBr: LiNaClBr +20 meV/atom, Li3NaCl3Br +10; the other two lie at +75 and further
    assert list(reasons) == ["Li3NaCl3Br", "LiNaClBr"]
    assert reasons["LiNaClBr"] == "+20 meV/atom at low, number 2 of 4 compositions there"
    assert formulas(items, "probe") == {"LiNaClBr", "Li3NaCl3Br"}
    # NaCl and LiBr are on the hull too: nothing on their edges lies below them
    assert formulas(items, "competing") == set(COMPETING)


def test_the_structure_handed_on_is_the_lowest_one(campaign):
    items, _ = promoted(campaign, FIELD, LOW, HIGH)
    salt = next(item for item in items if item.composition == "LiCl")
    assert salt.probes[0]["generator"] == "line"
    assert Structure.from_dict(salt.probes[0]["structure"]).composition.reduced_formula == "LiCl"


def test_elements_go_on_wherever_they_lie_and_phases_beyond_the_window_do_not(tmp_path):
    settings = Settings.model_validate({"ladder": {"keep": [1], "window": 0.05}})
    with Campaign.drive(tmp_path / "c", settings) as campaign:
        compute(campaign, LOW, {"LiNaClBr": -1.93}, {**COMPETING, "Li2Cl": -1.0, "LiCl2": -1.32})
        items, _ = promoted(campaign, FIELD, LOW, HIGH)
    # Li2Cl = Li + LiCl at -1.333 lies 333 meV/atom above it, LiCl2 = LiCl + Cl at -1.333 13 above it
    assert formulas(items, "competing") == {*COMPETING, "LiCl2"}


def test_on_a_section_the_end_members_go_on_and_the_elements_do_not(campaign):
    items, reasons = promoted(campaign, FIELD, LOW, rung(1, "high", ("LiCl", "NaBr")))
    assert formulas(items, "competing") == {"LiCl", "NaBr"}
    assert list(reasons) == ["Li3NaCl3Br", "LiNaClBr"]


def test_nothing_goes_on_where_no_probe_is_within_the_window(tmp_path):
    with Campaign.drive(tmp_path / "c", Settings.model_validate({"ladder": {"window": 0.005}})) as campaign:
        compute(campaign, LOW, PROBES, COMPETING)
        assert promoted(campaign, FIELD, LOW, HIGH) == ([], {})


def test_a_level_without_a_hull_hands_nothing_on(tmp_path):
    with Campaign.drive(tmp_path / "c", Settings()) as campaign:
        compute(campaign, LOW, PROBES, {"LiCl": -2.0})
        assert promoted(campaign, FIELD, LOW, HIGH) == ([], {})


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


def test_where_it_stopped_is_said():
    rungs = [LOW, HIGH]
    assert where_it_stopped(rungs, HIGH, 0.05) == "Level of theory: high, the highest of 2"
    assert "no composition within 50 meV/atom of its hull was left for high" in where_it_stopped(rungs, LOW, 0.05)


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
