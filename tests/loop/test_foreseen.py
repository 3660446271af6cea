"""What is computed ahead for the likely next field, with a model that is quick: it changes no record and no cost."""

import time

import pytest

from dft.execute import LocalExecutor, Task
from dft.tasks import nothing_more
from loop.campaign import Campaign
from loop.config import Settings
from loop.cycle import Cycle
from loop.exploration import Exploration
from vae import PhaseField

FIELD = PhaseField.parse("Na-Li-Br-Cl")
SETTINGS = {
    "level_of_theory": "lennard-jones",
    "level_settings": {"lennard-jones": {"fmax": 0.5, "max_steps": 20}},
    "probes": {"max_atoms": 8},
    "competing": {"max_atoms": 8, "by_analogy": 0, "search_again": False},
}


def wait_for(folder, n):
    """Return when a folder holds `n` outputs."""
    deadline = time.monotonic() + 600
    while len(list(folder.glob("*.json"))) < n and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture
def begun(tmp_path):
    campaigns = []

    def begin(name, **sections):
        settings = {**SETTINGS, **{key: {**SETTINGS.get(key, {}), **each} for key, each in sections.items()}}
        context = Campaign.drive(tmp_path / name, Settings.model_validate(settings))
        campaigns.append(context)
        return context.__enter__()

    yield begin
    for context in campaigns:
        context.__exit__(None, None, None)


def exploration(campaign, executor):
    return Exploration(campaign, 1, FIELD, executor, lambda event: None)


def records(campaign):
    """What is recorded of the calculations, the seconds that they took left out, and how often each was begun."""
    rows = campaign.database.query(
        "SELECT c.hash, c.composition, c.state, c.energy_per_atom, c.structure, c.force_calls, c.output, COUNT(a.id) "
        "FROM calculations c LEFT JOIN attempts a ON a.hash = c.hash GROUP BY c.hash ORDER BY c.hash"
    )
    return [tuple(row) for row in rows]


def outputs(campaign):
    return {path.name: path.stat().st_mtime_ns for path in campaign.outputs.glob("*.json")}


@pytest.mark.slow
def test_calculations_made_ahead_are_recorded_when_they_are_asked_for_as_if_made_then(begun):
    ahead, plain = begun("ahead"), begun("plain")
    with LocalExecutor(2) as executor:
        field = exploration(ahead, executor)
        executor.foresee(field.foreseen(), field.foreseen_calculation)
        list(executor.run([Task("elsewhere", wait_for, (ahead.outputs, 2))]))
        made = outputs(ahead)
        assert len(made) >= 2
        assert ahead.calculations.spent() == (0, 0.0)
        assert records(ahead) == []
        executor.foresee(field.foreseen())  # as at the beginning of its own cycle
        field.run(["LiNaBrCl"])
        exploration(plain, executor).run(["LiNaBrCl"])
    assert made.items() <= outputs(ahead).items()  # nothing was computed twice
    assert records(ahead) == records(plain)
    assert ahead.verdicts() == plain.verdicts()
    assert ahead.calculations.spent()[0] == plain.calculations.spent()[0]


@pytest.mark.parametrize("limits", [{"budget_calculations": 5}, {"budget_cpu_hours": 1.0}])
def test_nothing_is_computed_ahead_of_a_budget(begun, limits):
    with LocalExecutor(1) as executor:
        field = exploration(begun("c", probes=limits), executor)
        assert field.foreseen_calculation(built(field)) is None


def test_what_is_not_known_yet_is_computed_ahead(begun):
    campaign = begun("c")
    with LocalExecutor(1) as executor:
        field = exploration(campaign, executor)
        outcome = built(field)
    task, item = field.foreseen_calculation(outcome), field._calculation(outcome)
    assert task.key == item.hash
    assert task.output.parent == campaign.outputs
    campaign.calculations.plan(str(FIELD), 1, field.screening.identity, [item], {})
    assert field.foreseen_calculation(outcome) is None


class Listening(LocalExecutor):
    """Keeps what it is to foresee, by key, with what follows."""

    def __init__(self):
        super().__init__(1)
        self.told = []

    def foresee(self, tasks, then=nothing_more):
        self.told.append(([task.key for task in tasks], then))


def test_a_cycle_foresees_its_field_and_then_the_next_one_of_which_it_computes(begun):
    campaign, executor = begun("c"), Listening()
    cycle = Cycle(campaign, 1, executor, lambda event: None, last=False)
    now = exploration(campaign, executor)
    later = Exploration(campaign, 1, PhaseField.parse("Na-K-Br-Cl"), executor, lambda event: None)
    cycle._foresee(now, later)
    cycle._foresee(now, None)
    keys = [[task.key for task in field.foreseen()] for field in (now, later)]
    assert executor.told == [(keys[0] + keys[1], later.foreseen_calculation), (keys[0], nothing_more)]
    assert set(keys[1]) - set(keys[0])


def test_what_was_built_ahead_before_is_followed_by_its_calculation_too(begun):
    with LocalExecutor(1) as executor:
        field = exploration(begun("c"), executor)
        tasks = [task for task in field.foreseen() if task.key == "competing LiCl"]
        executor.foresee(tasks)
        list(executor.run([Task("elsewhere", time.sleep, (0.1,))]))
        deadline = time.monotonic() + 600
        while not executor._ready and time.monotonic() < deadline:
            list(executor.run([Task("elsewhere", time.sleep, (0.5,))]))
        executor.foresee(tasks, field.foreseen_calculation)
        assert len(executor._foreseen) == 1


def built(field):
    """The structures of one competing phase."""
    (task,) = (task for task in field.foreseen() if task.key == "competing LiCl")
    (outcome,) = field.executor.run([task])
    assert outcome.value["probes"]
    return outcome


def test_a_phase_without_a_structure_is_told_with_the_reason(begun):
    campaign, told = begun("c", competing={"max_atoms": 4, "formulas": ["Na2LiCl3"]}), []
    with LocalExecutor(1) as executor:
        Exploration(campaign, 1, FIELD, executor, told.append).plan({})
    lines = [event.text for event in told if event.kind == "message"]
    (line,) = (line for line in lines if line.startswith("Na-Li-Br-Cl: Na2LiCl3 failed ("))
    assert "more than max_atoms=4" in line
