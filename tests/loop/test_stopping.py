import pytest

from loop.config import Probes
from loop.stopping import Spent, StopRules

NOTHING = Spent(0, 0.0)


def rules(**settings):
    return StopRules(Probes(**settings), found_within=0.025)


def test_no_rule_stops_a_field_that_has_just_begun():
    asked = rules()
    assert not asked.of_share(4)
    assert not asked.of_budget(Spent(10_000, 1e9))
    assert not asked.of_search([0.3] * 50)
    assert not asked.of_expectation([1e-9])


def test_the_share_of_a_field():
    assert rules(compositions_per_field=8).of_share(8) == "all 8 compositions of its share were tried"
    assert not rules(compositions_per_field=8).of_share(7)


@pytest.mark.parametrize(
    ("settings", "spent", "said"),
    [
        ({"budget_calculations": 40}, Spent(40, 0.0), "the campaign's budget of 40 calculations is spent (40)"),
        ({"budget_calculations": 40}, Spent(39, 1e9), ""),
        ({"budget_cpu_hours": 1.5}, Spent(1, 5400.0), "the campaign's budget of 1.5 CPU-hours is spent (1.50)"),
        ({"budget_cpu_hours": 1.5}, Spent(10_000, 5399.0), ""),
    ],
)
def test_budgets(settings, spent, said):
    assert rules(**settings).of_budget(spent) == said


@pytest.mark.parametrize(
    ("energies", "said"),
    [
        # batches of 2, then 1 each: [0.2, 0.3], [0.1], [0.05]
        ([0.2, 0.3, 0.1, 0.05], "2 batches in a row found nothing within 25 meV/atom of the hull"),
        ([0.2, 0.3, 0.02, 0.05], ""),  # the second found something
        ([0.02, 0.3, 0.1, None], "2 batches in a row found nothing within 25 meV/atom of the hull"),
        ([0.2, 0.3, 0.1], ""),  # one batch after the first is not two
        ([], ""),
    ],
)
def test_idle_batches_after_the_first(energies, said):
    assert rules(first_batch=2, batch=1, stop_after_idle_batches=2).of_search(energies) == said


def test_idle_batches_of_another_size_from_the_first_on():
    asked = rules(first_batch=4, batch=4, stop_after_idle_batches=2)
    assert not asked.of_search([0.2, 0.3], 0, 2)  # one batch
    assert not asked.of_search([0.2, 0.3, 0.02, 0.3], 0, 2)
    assert asked.of_search([0.2, 0.3, 0.1, 0.1], 0, 2) == asked.of_search([0.2] * 12)


def test_no_more_calculations_than_the_budget_has_left():
    asked = rules(budget_calculations=10)
    assert [asked.affordable(4, Spent(n, 0.0)) for n in (0, 8, 12)] == [4, 2, 0]
    assert rules().affordable(4, Spent(99, 0.0)) == 4


def test_expectation_looks_at_the_best_of_the_batch():
    asked = rules(stop_below_improvement=0.001)
    assert not asked.of_expectation([0.0002, 0.0011])
    said = asked.of_expectation([0.0002, 0.0004, None])
    assert said == "the next compositions are expected to lower the hull by 0.4 meV/atom at most, less than 1"
    assert not asked.of_expectation([None, None])  # random expects nothing


@pytest.mark.parametrize(
    ("planned", "spent", "room"),
    [(0, 0, 4), (4, 10, 3), (7, 10, 1), (8, 10, 0), (4, 48, 2), (4, 60, 0)],
)
def test_a_batch_is_no_larger_than_what_is_left(planned, spent, room):
    asked = rules(first_batch=4, batch=3, compositions_per_field=8, budget_calculations=50)
    assert asked.room(planned, Spent(spent, 0.0)) == room
