import importlib.util
from pathlib import Path

import pytest

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.composition_choice import CompositionChoice
from loop.config import Probes, Settings
from loop.field_hull import field_hull
from loop.records import CalculationRecord

spec = importlib.util.spec_from_file_location("field_of_salts", Path(__file__).with_name("field_of_salts.py"))
salts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(salts)

CANDIDATES = salts.neutral(16)


def record(entry, role):
    formula = entry.composition.formula.replace(" ", "")
    return CalculationRecord(
        f"{role} {formula}", str(salts.FIELD), 1, role, formula, "test", "done", energy_per_atom=entry.energy_per_atom
    )


@pytest.fixture
def made(tmp_path):
    """A campaign in which `computed` probes have their energies, under the given settings of `probes`."""

    def make(computed=(), ended=0, **settings):
        manager = Campaign.drive(tmp_path / "c", Settings(probes=Probes(**settings)))
        campaign = manager.__enter__()
        made_managers.append(manager)
        items = [Calculation(f"h{i}", "probe", f"Li{i + 1}Cl", [{"n": i}]) for i in range(ended)]
        campaign.calculations.plan("Li-Sn-S-Cl", 1, "test", items, {})
        for item in items:
            campaign.calculations.begin(item.hash)
            campaign.calculations.end(item.hash, {"state": "done", "energy_per_atom": -1.0, "cpu_s": 1800.0})
        competing = [record(entry, "competing") for entry in salts.competing()]
        probes = [record(entry, "probe") for entry in computed]
        return CompositionChoice(
            campaign,
            1,
            salts.FIELD,
            lambda: CANDIDATES,
            lambda: field_hull(probes, competing),
            lambda: competing,
        )

    made_managers = []
    yield make
    for manager in made_managers:
        manager.__exit__(None, None, None)


def test_the_first_batch_is_spread(made):
    batch = made(first_batch=3).next(0)
    assert len(batch.reasons) == 3
    assert set(batch.reasons.values()) == {"first batch, spread over the field"}
    assert not batch.stopped


def test_further_batches_come_with_expectations(made):
    probes = salts.probes(16)[::5]
    batch = made(probes, batch=2, compositions_per_field=100).next(len(probes))
    assert len(batch.reasons) == 2
    assert all("chance to lie within 10 of the hull" in reason for reason in batch.reasons.values())


def test_the_share_of_a_field_ends_it(made):
    assert made(compositions_per_field=8).next(8).stopped == "all 8 compositions of its share were tried"


def test_the_budget_of_the_campaign_ends_it(made):
    assert "budget of 3 calculations is spent (3)" in made(ended=3, budget_calculations=3).next(0).stopped


def test_cpu_hours_are_counted_over_all_attempts(made):
    assert "budget of 1.5 CPU-hours is spent (1.50)" in made(ended=3, budget_cpu_hours=1.5).next(4).stopped


def test_a_field_in_which_nothing_more_is_found_is_left(made):
    high = [entry for entry in salts.probes(16) if salts.above_competing(entry.composition) > 0.05][:4]
    batch = made(high, first_batch=2, batch=1, compositions_per_field=9, stop_after_idle_batches=2).next(4)
    assert batch.stopped == "2 batches in a row found nothing within 25 meV/atom of the hull"


def test_a_field_of_which_nothing_more_is_expected_is_left(made):
    probes = salts.probes(16)[::2]
    batch = made(probes, compositions_per_field=99, stop_below_improvement=0.5).next(len(probes))
    assert "expected to lower the hull by" in batch.stopped
    assert batch.stopped.endswith("less than 500")


def test_an_impossible_field_is_hopeless_only_before_anything_is_planned(made):
    choice = made([], compositions_per_field=9)
    nothing = CompositionChoice(choice.campaign, 1, salts.FIELD, none, choice.hull, choice.competing)
    assert nothing.next(0).hopeless
    assert nothing.next(0).stopped == "no charge-neutral composition"


def none():
    raise ValueError("no charge-neutral composition")
