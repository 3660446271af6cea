"""What goes on from one level of theory to the next, on fields whose every energy is written down."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Structure

from loop.campaign import Campaign
from loop.climb import Climb
from loop.config import Settings
from loop.errors import UserError
from loop.field_space import FieldSpace
from loop.strategies import Knowledge, choose
from vae import PhaseField


def beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plain, salts = beside("plain_ladder"), beside("field_of_salts")
LOW, HIGH = plain.LOW, plain.HIGH
FIELD = PhaseField.parse(plain.FIELD)


def settings(**sections):
    return Settings.model_validate({"levels": ["chgnet", "chgnet-r2scan"], **sections})


def next_step(campaign, upper=HIGH, field=FIELD):
    return Climb(campaign, field, LOW, upper).next()


def formulas(items, role):
    return {item.composition for item in items if item.role == role}


# the lowest, all at once -------------------------------------------------------------------------------------------


@pytest.fixture
def campaign(tmp_path):
    with Campaign.drive(tmp_path / "c", settings(ladder={"keep": [2], "window": 0.06, "batch": None})) as campaign:
        plain.compute(campaign, LOW, plain.PROBES, plain.COMPETING)
        yield campaign


def test_the_lowest_probes_and_the_phases_near_the_hull_go_on(campaign):
    step = next_step(campaign)
    # from LiCl + NaBr: LiNaClBr +20 meV/atom, Li3NaCl3Br +10; the other two lie at +75 and further
    assert list(step.reasons) == ["Li3NaCl3Br", "LiNaClBr"]
    assert step.reasons["LiNaClBr"] == "+20 meV/atom at low, number 2 of 4 compositions there"
    assert formulas(step.items, "probe") == {"LiNaClBr", "Li3NaCl3Br"}
    # NaCl and LiBr are on the hull too: nothing on their edges lies below them
    assert formulas(step.items, "competing") == set(plain.COMPETING)


def test_with_another_strategy_than_hull_the_lowest_go_on_all_at_once(tmp_path):
    other = settings(probes={"strategy": "grid"}, ladder={"keep": [2], "window": 0.06})
    with Campaign.drive(tmp_path / "c", other) as campaign:
        plain.compute(campaign, LOW, plain.PROBES, plain.COMPETING)
        assert list(next_step(campaign).reasons) == ["Li3NaCl3Br", "LiNaClBr"]


def test_the_structure_handed_on_is_the_lowest_one(campaign):
    salt = next(item for item in next_step(campaign).items if item.composition == "LiCl")
    assert salt.probes[0]["generator"] == "line"
    assert Structure.from_dict(salt.probes[0]["structure"]).composition.reduced_formula == "LiCl"


def test_elements_go_on_wherever_they_lie_and_phases_beyond_the_window_do_not(tmp_path):
    with Campaign.drive(tmp_path / "c", settings(ladder={"keep": [1], "window": 0.05})) as campaign:
        competing = {**plain.COMPETING, "Li2Cl": -1.0, "LiCl2": -1.32}
        plain.compute(campaign, LOW, {"LiNaClBr": -1.93}, competing)
        items = next_step(campaign).items
    # Li2Cl = Li + LiCl at -1.333 lies 333 meV/atom above it, LiCl2 = LiCl + Cl at -1.333 13 above it
    assert formulas(items, "competing") == {*plain.COMPETING, "LiCl2"}


def test_on_a_section_the_end_members_go_on_and_the_elements_do_not(campaign):
    step = next_step(campaign, plain.rung(1, "high", ("LiCl", "NaBr")))
    assert formulas(step.items, "competing") == {"LiCl", "NaBr"}
    assert list(step.reasons) == ["Li3NaCl3Br", "LiNaClBr"]


@pytest.mark.parametrize("batch", [None, 2])
def test_nothing_goes_on_where_no_probe_is_within_the_window(tmp_path, batch):
    with Campaign.drive(tmp_path / "c", settings(ladder={"window": 0.005, "batch": batch})) as campaign:
        plain.compute(campaign, LOW, plain.PROBES, plain.COMPETING)
        step = next_step(campaign)
        assert (step.items, step.reasons, step.stopped) == ((), {}, "")


def test_a_level_without_a_hull_hands_nothing_on(tmp_path):
    with Campaign.drive(tmp_path / "c", settings()) as campaign:
        plain.compute(campaign, LOW, plain.PROBES, {"LiCl": -2.0})
        assert not next_step(campaign).items


# batch by batch, with the lower level as a prior -------------------------------------------------------------------

COMPOSITIONS = salts.neutral(16)
FORMATION = dict(zip(COMPOSITIONS, salts.energies_per_atom(COMPOSITIONS), strict=True))  # eV/atom
PHASES = {e.composition.reduced_formula: e.energy_per_atom for e in salts.competing()}


def name(composition):
    return composition.formula.replace(" ", "")


def of_low(composition):
    """What the lower level says, eV/atom: 8 meV/atom too high or too low, as the number of lithium atoms is even."""
    return FORMATION[composition] + (0.008 if composition["Li"] % 2 else -0.008)


def screened(folder, **sections):
    """A campaign whose field is known at the lower level; a context."""
    ladder = {"keep": [7], "window": 0.2, "batch": 3, **sections.pop("ladder", {})}
    return Campaign.drive(folder, settings(ladder=ladder, **sections))


def screen(campaign):
    plain.compute(campaign, LOW, {name(c): of_low(c) for c in COMPOSITIONS}, PHASES, str(salts.FIELD))


def take(campaign, step, energies=FORMATION):
    """Compute a step at the upper level, whose zero of energy is another one."""
    plan = campaign.calculations.plan
    plan(str(salts.FIELD), 1, HIGH.identity, step.items, step.reasons)
    by_name = {name(c): e for c, e in energies.items()} | PHASES
    for item in step.items:
        plain.finish(campaign, item.hash, item.composition, by_name[item.composition] - 100.0)


def climbed(campaign, energies=FORMATION):
    """The batches that go on, one after the other, until none does."""
    batches = []
    while (step := next_step(campaign, field=salts.FIELD)).items:
        batches.append(step)
        take(campaign, step, energies)
    return batches, step.stopped


@pytest.fixture
def known_below(tmp_path):
    with screened(tmp_path / "c") as campaign:
        screen(campaign)
        yield campaign


def test_the_first_batch_is_that_of_the_hull_strategy_with_the_lower_level_as_prior(known_below):
    step = next_step(known_below, field=salts.FIELD)
    space = FieldSpace(salts.FIELD, tuple(salts.competing()))
    below = {c.reduced_formula: salts.above_competing(c) + of_low(c) - FORMATION[c] for c in COMPOSITIONS}
    chosen = choose("hull", Knowledge(space, cheaper=below), COMPOSITIONS, 3, np.random.default_rng(0))
    assert [Composition(c).reduced_formula for c in step.reasons] == [choice.formula for choice in chosen]
    assert formulas(step.items, "competing") == set(PHASES)
    reason = next(iter(step.reasons.values()))
    assert " meV/atom at low, number " in reason
    assert f" of {len(COMPOSITIONS)} compositions there; at high expected " in reason
    assert "chance to lie within 10 of the hull" in reason


def test_the_competing_phases_go_on_once_and_no_more_compositions_than_the_ladder_keeps(known_below):
    batches, stopped = climbed(known_below)
    assert [len(step.reasons) for step in batches] == [3, 3, 1]
    assert [bool(formulas(step.items, "competing")) for step in batches] == [True, False, False]
    assert len({c for step in batches for c in step.reasons}) == 7
    assert stopped == ""


def test_what_the_upper_level_says_changes_what_comes_next(known_below, tmp_path):
    batches, _ = climbed(known_below)
    first = set(batches[0].reasons)
    # the same field, in which the first batch lies 100 meV/atom higher than expected
    other = {c: e + (0.1 if name(c) in first else 0.0) for c, e in FORMATION.items()}
    with screened(tmp_path / "other") as campaign:
        screen(campaign)
        turned, _ = climbed(campaign, other)
    assert list(turned[0].reasons) == list(batches[0].reasons)
    assert list(turned[1].reasons) != list(batches[1].reasons)


def test_what_was_begun_goes_on_with_the_same_choices(known_below, tmp_path):
    whole, _ = climbed(known_below)
    with screened(tmp_path / "stopped") as campaign:
        screen(campaign)
        take(campaign, next_step(campaign, field=salts.FIELD))
        second = next_step(campaign, field=salts.FIELD)
        campaign.calculations.plan(str(salts.FIELD), 1, HIGH.identity, second.items, second.reasons)
    with screened(tmp_path / "stopped") as campaign:  # results come in another order than they were asked for
        open_ = campaign.calculations.unfinished(str(salts.FIELD), HIGH.identity)
        for item in reversed(open_):
            plain.finish(campaign, item.hash, item.composition, FORMATION[Composition(item.composition)] - 100.0)
        rest, _ = climbed(campaign)
        assert [list(step.reasons) for step in rest] == [list(step.reasons) for step in whole[2:]]
        chosen = [r.choice for r in campaign.calculations.of(str(salts.FIELD), "probe", HIGH.identity)]
    before = [r.choice for r in known_below.calculations.of(str(salts.FIELD), "probe", HIGH.identity)]
    assert sorted(chosen) == sorted(before)


def test_a_failure_counts_and_is_not_tried_again(known_below):
    step = next_step(known_below, field=salts.FIELD)
    take(known_below, step)
    failed = next(item for item in step.items if item.role == "probe")
    known_below.calculations.end(failed.hash, {"state": "failed", "reason": "lost atoms"})
    rest, _ = climbed(known_below)
    assert failed.composition not in {c for step in rest for c in step.reasons}
    assert sum(len(step.reasons) for step in rest) == 4


def test_the_budget_of_the_campaign_holds_at_the_upper_level(tmp_path):
    screening = len(COMPOSITIONS) + len(PHASES)
    # the first batch brings the competing phases with it and may exceed it, as at the first level
    with screened(tmp_path / "c", probes={"budget_calculations": screening + len(PHASES) + 5}) as campaign:
        screen(campaign)
        batches, stopped = climbed(campaign)
    assert [len(step.reasons) for step in batches] == [3, 2]
    assert stopped.startswith("the campaign's budget of ")


def test_a_spent_budget_lets_nothing_go_on(tmp_path):
    with screened(tmp_path / "c", probes={"budget_calculations": 3}) as campaign:
        screen(campaign)
        assert climbed(campaign) == ([], f"the campaign's budget of 3 calculations is spent ({len(FORMATION) + 8})")


def test_batches_that_find_nothing_end_it(tmp_path):
    high = {c: e + 0.2 for c, e in FORMATION.items()}
    with screened(tmp_path / "c", probes={"stop_after_idle_batches": 2}) as campaign:
        screen(campaign)
        batches, stopped = climbed(campaign, high)
    assert [len(step.reasons) for step in batches] == [3, 3]
    assert stopped == "2 batches in a row found nothing within 25 meV/atom of the hull"


def test_a_first_batch_goes_on_whatever_is_expected(tmp_path):
    with screened(tmp_path / "c", probes={"stop_below_improvement": 0.9}) as campaign:
        screen(campaign)
        batches, stopped = climbed(campaign)
    assert [len(step.reasons) for step in batches] == [3]
    assert "expected to lower the hull by" in stopped


def test_without_a_hull_at_the_upper_level_nothing_more_is_spent_there(known_below):
    step = next_step(known_below, field=salts.FIELD)
    take(known_below, step)
    tin = next(item for item in step.items if item.composition == "Sn")
    known_below.calculations.end(tin.hash, {"state": "failed", "reason": "no convergence"})
    stopped = next_step(known_below, field=salts.FIELD).stopped
    assert "no elemental reference entry for ['Sn']" in stopped


def test_on_a_section_batches_are_chosen_without_the_elements(tmp_path):
    section = plain.rung(1, "high", ("LiCl", "NaBr"))
    probes = {"LiNaClBr": -1.93, "Li3NaCl3Br": -1.965, "LiNa3ClBr3": -1.90, "Li2NaCl2Br": -1.94, "LiNa2ClBr2": -1.92}
    with Campaign.drive(tmp_path / "c", settings(ladder={"keep": [4], "window": 0.06, "batch": 2})) as campaign:
        plain.compute(campaign, LOW, probes, plain.COMPETING)
        first = next_step(campaign, section)
        energies = {**probes, **plain.COMPETING, next(iter(first.reasons)): -2.0}  # a phase below the end members
        campaign.calculations.plan(plain.FIELD, 1, section.identity, first.items, first.reasons)
        for item in first.items:
            plain.finish(campaign, item.hash, item.composition, energies[item.composition])
        second = next_step(campaign, section)
    assert formulas(first.items, "competing") == {"LiCl", "NaBr"}
    assert len(first.reasons) == len(second.reasons) == 2
    assert not second.stopped
    assert not first.reasons.keys() & second.reasons.keys()


def test_a_campaign_of_an_earlier_version_goes_on_as_it_was_begun(tmp_path):
    with screened(tmp_path / "c") as campaign:
        screen(campaign)
        recorded = json.loads(campaign.database.meta("settings"))
        del recorded["ladder"]["batch"]  # it had no such key: the lowest went on, all at once
        campaign.database.set_meta(settings=json.dumps(recorded))
    with Campaign.drive(tmp_path / "c", None) as campaign:
        assert [len(step.reasons) for step in climbed(campaign)[0]] == [7]
    with pytest.raises(UserError, match=r"ladder\.batch was None when .* is now 3"), screened(tmp_path / "c"):
        pass
    with Campaign.drive(tmp_path / "c", settings(ladder={"keep": [7], "window": 0.2, "batch": 3}), True) as campaign:
        assert campaign.settings.ladder.batch == 3
        assert climbed(campaign) == ([], "")
