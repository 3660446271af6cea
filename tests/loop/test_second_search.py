"""Which competing phases are searched for again before a verdict, and what comes of it, on energies written down."""

import pytest

from dft.execute import Outcome
from dft.probes import ProbeStructure
from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings, Verdicts
from loop.feedback import judge
from loop.ladder import hull_at
from loop.second_search import SecondSearch, about_second_searches
from loop.tasks import flow_task
from tests.loop import plain_ladder as plain

LOW = plain.LOW
SALTS = [formula for formula in plain.COMPETING if len(formula) > 2]
#: from LiCl + NaBr, the stable pair: 60 meV/atom below, and 20 above
BELOW, ABOVE = {"LiNaClBr": -2.01}, {"LiNaClBr": -1.93}


@pytest.fixture
def drive(tmp_path):
    campaigns = []

    def begun(probes=BELOW, **sections):
        context = Campaign.drive(tmp_path / f"c{len(campaigns)}", Settings.model_validate(sections))
        campaign = context.__enter__()
        campaigns.append(context)
        plain.compute(campaign, LOW, probes, plain.COMPETING)
        return campaign

    yield begun
    for context in campaigns:
        context.__exit__(None, None, None)


def search(campaign, goes_on=False, searched=(*plain.COMPETING,), rung=LOW):
    return SecondSearch(campaign, plain.FIELD, rung, searched, goes_on)


def wanted(campaign, **choices):
    return [record.composition for record in search(campaign, **choices).to_search()]


def again(campaign, formula, energy, field=plain.FIELD):
    """The second search for a phase, ended; None for one that fails."""
    item = Calculation(f"again-{formula}", "competing", formula, [{}], origin="searched for again", again=True)
    campaign.calculations.plan(field, 1, LOW.identity, [item], {})
    if energy is None:
        campaign.calculations.begin(item.hash)
        campaign.calculations.end(item.hash, {"state": "failed", "reason": "the machine was switched off"})
    else:
        plain.finish(campaign, item.hash, formula, energy)


def test_what_the_probe_of_a_positive_decomposes_into_is_searched_for_again_and_nothing_else(drive):
    assert wanted(drive()) == ["LiCl", "NaBr"]
    assert wanted(drive(ABOVE)) == []


def test_nothing_is_where_structures_are_known_nobody_wants_it_or_all_is_dft(drive):
    assert wanted(drive(), searched=["NaBr"]) == ["NaBr"]
    assert wanted(drive(competing={"search_again": False})) == []
    assert wanted(drive(), rung=plain.HIGH) == []


def test_before_a_further_level_all_that_may_be_on_its_hull_is(drive):
    assert wanted(drive(ABOVE), goes_on=True) == SALTS
    assert wanted(drive(ABOVE, ladder={"window": 0.01}), goes_on=True) == []  # no probe goes on


@pytest.mark.parametrize("energy", [-2.0, None])
def test_no_field_is_positive_before_both_searches_have_given_an_energy(drive, energy):
    campaign = drive()
    again(campaign, "NaBr", -1.9)
    assert search(campaign).searched_once() == ["LiCl"]
    again(campaign, "LiCl", energy)
    assert wanted(campaign) == []  # no third one
    assert search(campaign).searched_once() == ([] if energy else ["LiCl"])


def test_a_phase_is_searched_for_twice_and_no_more(drive):
    campaign = drive()
    again(campaign, "LiCl", -2.0)
    assert wanted(campaign) == ["NaBr"]
    again(campaign, "NaBr", -1.9)
    assert wanted(campaign) == []


def test_the_lower_of_two_searches_is_on_the_hull_once(drive):
    campaign = drive()
    before = hull_at(campaign, plain.FIELD, LOW).best["e_above_competing"]
    again(campaign, "LiCl", -2.1)
    hull = hull_at(campaign, plain.FIELD, LOW)
    assert hull.best["e_above_competing"] == pytest.approx(before + 0.05)
    rows = hull.competing.set_index("formula")
    assert len(rows) == len(plain.COMPETING)
    assert rows.loc["LiCl", "energy_per_atom"] == -2.1
    assert rows.loc["LiCl", "choice"] == "searched for again"
    assert rows.loc["NaBr", "choice"] == ""
    assert (rows.loc["LiCl", "n_structures"], rows.loc["NaBr", "n_structures"]) == (2, 1)


@pytest.mark.parametrize("energy", [-1.99, None])
def test_a_second_search_that_finds_nothing_lower_or_fails_takes_nothing_away(drive, energy):
    campaign = drive()
    before = hull_at(campaign, plain.FIELD, LOW)
    again(campaign, "LiCl", energy)
    after = hull_at(campaign, plain.FIELD, LOW)
    assert after.best["e_above_competing"] == before.best["e_above_competing"]
    assert after.missing_competing == []


def test_another_field_with_the_same_phase_has_it_too(drive):
    campaign = drive()
    again(campaign, "LiCl", -2.1)
    other = "Li-K-Cl-Br"
    item = Calculation(f"{LOW.identity}-LiCl", "competing", "LiCl", [{}])
    campaign.calculations.plan(other, 2, LOW.identity, [item], {})
    (record,) = campaign.calculations.of(other, "competing", LOW.identity)
    assert record.energy_per_atom == -2.1
    assert [second.energy_per_atom for _, second in campaign.calculations.searched_again(other, LOW.identity)] == [-2.1]


def test_one_that_is_still_to_be_run_is_told_apart_when_a_campaign_goes_on(drive):
    campaign = drive()
    item = Calculation("again-LiCl", "competing", "LiCl", [{}], again=True)
    campaign.calculations.plan(plain.FIELD, 1, LOW.identity, [item], {})
    (left,) = campaign.calculations.unfinished(plain.FIELD, LOW.identity)
    assert (left.hash, left.role, left.again) == ("again-LiCl", "competing", True)


def test_the_structure_that_was_found_is_tried_again_beside_new_ones(drive):
    second = search(drive())
    record = second.to_search()[0]
    task = second.task(record)
    assert task.arguments[2].n_structures == 50
    assert task.arguments[3] == 1
    new = ProbeStructure(plain.cell("LiCl"), "new").as_dict()
    found = second.calculation(record, Outcome(task.key, {"probes": [new]}))
    assert (found.again, found.role, found.origin) == (True, "competing", "searched for again")
    assert [probe["generator"] for probe in found.probes] == ["line", "new"]
    assert found.probes[0]["structure"]["lattice"]["matrix"] == record.structure["lattice"]["matrix"]
    unbuilt = second.calculation(record, Outcome(task.key, None, "its worker process died twice"))
    assert (unbuilt.state, unbuilt.problem, unbuilt.again) == ("failed", "its worker process died twice", True)
    assert unbuilt.hash != record.hash


@pytest.mark.parametrize(("again_", "name"), [(True, "harder"), (False, "plain")])
def test_it_runs_with_the_maker_of_the_harder_search(tmp_path, again_, name):
    item = Calculation("x", "competing", "LiCl", [ProbeStructure(plain.cell("LiCl"), "line").as_dict()], again=again_)
    task = flow_task(item, LOW, tmp_path / "x.json", plain.FIELD, 1, None)
    assert task.maker.name == task.arguments[0].name == name


def test_the_verdict_waits_for_second_searches():
    verdict = judge(-0.06, "LiNaClBr", 1, 0.01, Verdicts(), searched_once=["LiCl"])
    assert verdict.verdict == "undecided"
    assert "near enough, but not before LiCl is searched for again" in verdict.reason
    assert judge(-0.06, "LiNaClBr", 1, 0.01, Verdicts()).verdict == "positive"


def test_the_verdict_tells_what_was_searched_for_again_and_what_it_brought(drive):
    campaign = drive()
    assert about_second_searches([]) == ""
    again(campaign, "LiCl", -2.046)
    again(campaign, "NaBr", -1.9005)
    again(campaign, "LiBr", None)
    told = about_second_searches(campaign.calculations.searched_again(plain.FIELD, LOW.identity))
    assert told == (
        ". Searched for again, harder: LiCl (46 meV/atom lower), nothing lower of NaBr"
        ". The second search for LiBr gave no energy: the machine was switched off"
    )
