"""Calculations on a real LaunchPad that fail, are lost, deleted or too late: what is run again, and what given up."""

import time

import pytest

from dft.cluster.connections import Cluster, connect
from dft.cluster.executor import FireWorksExecutor
from dft.cluster.healing import HealSettings, describe, heal, retry
from dft.cluster.overview import overview
from dft.execute import LocalExecutor
from loop.campaign import Campaign
from loop.executors import ClusterExecutor
from loop.exploration import Exploration
from loop.settings_file import load_settings
from tests.cluster.calculations import TAG, executor, states, submit, task, work
from tests.cluster.harness import FOR_LENNARD_JONES, wait_for
from tests.cluster.large import FailingMaker, SlowMaker
from vae import PhaseField

pytestmark = pytest.mark.cluster


def test_a_failure_that_somebody_else_has_put_back_is_left_to_its_new_run(site, monkeypatch):
    from fireworks import FWorker

    cluster, settings = connect(), HealSettings()
    submit(cluster, [task("aa", FailingMaker())])
    work(site, monkeypatch)
    (document,) = cluster.find("fireworks", {}, "fw_id")
    (failure,) = describe(cluster, [document["fw_id"]])
    assert retry(cluster, failure, settings).again
    _, launch = cluster.launchpad.checkout_fw(FWorker(), str(site.folder))  # a worker is quick
    assert retry(cluster, failure, settings).again
    (after,) = cluster.find("fireworks", {}, "state", "launches", "spec.phaseloop.failed")
    assert (after["state"], after["launches"]) == ("RUNNING", [launch])
    assert len(after["spec"]["phaseloop"]["failed"]) == 1


def test_a_failure_is_run_again_as_often_as_allowed_and_then_has_its_reason(site, monkeypatch):
    cluster, tasks = connect(), [task("aa", FailingMaker()), task("bb", FailingMaker(message="unheard of"))]
    submit(cluster, tasks, retries=1)
    work(site, monkeypatch)
    submit(cluster, tasks, retries=1)  # both are put back
    assert states(cluster) == ["READY", "READY"]
    work(site, monkeypatch)
    outcomes = {o.key: o for o in executor(cluster, retries=1).run(tasks)}
    assert outcomes["aa"].value is None
    assert outcomes["aa"].reason.startswith("out of memory: RuntimeError: out of memory (")
    assert outcomes["bb"].reason.startswith("error: RuntimeError: unheard of (")
    assert (outcomes["aa"].passing, outcomes["bb"].passing) == (True, False)
    assert str(site.folder / "launches" / "launcher_") in outcomes["aa"].reason
    found = overview(cluster, TAG.campaign, 60.0)
    assert found["states"] == {"FIZZLED": 2}
    assert len(found["failures"]) == 2


def test_an_input_error_is_given_up_at_once(site, monkeypatch):
    cluster = connect()
    submit(cluster, [task("aa", FailingMaker(message="ValueError: no such functional"))])
    work(site, monkeypatch)
    (failure,) = heal(cluster, TAG.campaign, HealSettings())
    assert (failure.kind, failure.again) == ("input error", False)


def test_more_time_or_memory_is_asked_for_after_a_kill_that_tells_of_it(site, monkeypatch):
    monkeypatch.setattr("fireworks.fw_config.QUEUEADAPTER_LOC", str(site.config / "my_qadapter.yaml"))
    cluster, asked = connect(), {"walltime": 1.0, "memory": 1.5}
    tasks = [task("aa", FailingMaker(message="CANCELLED DUE TO TIME LIMIT")), task("bb", FailingMaker())]
    submit(cluster, tasks, **asked)
    first = {"walltime": "01:00:00", "mem": "1536M"}
    assert asked_of_queue(cluster) == {"aa": first, "bb": first}
    work(site, monkeypatch)
    submit(cluster, tasks, **asked)
    assert asked_of_queue(cluster) == {"aa": {**first, "walltime": "02:00:00"}, "bb": {**first, "mem": "3072M"}}


def asked_of_queue(cluster):
    specs = [d["spec"] for d in cluster.find("fireworks", {}, "spec._queueadapter", "spec.phaseloop.hash")]
    return {spec["phaseloop"]["hash"]: spec["_queueadapter"] for spec in specs}


def test_what_is_deleted_from_the_launchpad_is_lost_unless_its_output_is_stored(site, monkeypatch):
    monkeypatch.setattr("dft.cluster.executor.HEAL_EVERY", 0.0)
    cluster, waits = connect(), 0
    tasks = [task(key, SlowMaker(folder=str(site.folder), seconds=0), ((key,),)) for key in ("aa", "bb", "cc")]

    def sleep(seconds):
        """The first is computed, a person deletes all but the last, and that is computed when the second is lost."""
        nonlocal waits
        waits += 1
        if waits == 1:
            work(site, monkeypatch, n=1)
            ids = cluster.find("fireworks", {"spec.phaseloop.hash": {"$in": ["aa", "bb"]}}, "fw_id")
            for document in ids:
                cluster.launchpad.delete_wf(document["fw_id"])
        elif waits == 5:
            work(site, monkeypatch)
        assert waits < 9

    waiting = executor(cluster, wait=True)
    waiting.sleep = sleep
    outcomes = {outcome.key: outcome for outcome in waiting.run(tasks)}
    assert {key: (o.reason, o.passing) for key, o in outcomes.items()} == {
        "aa": ("", False),
        "bb": ("lost: it was deleted from the LaunchPad", True),
        "cc": ("", False),
    }
    assert submit(cluster, [task("bb", SlowMaker(), cycle=2)]) == ["bb"]


def test_a_database_that_is_not_itself_for_a_moment_has_lost_nothing(site, monkeypatch):
    monkeypatch.setattr("dft.cluster.executor.HEAL_EVERY", 0.0)
    cluster, waits, find = connect(), 0, Cluster.find

    def find_little(self, collection, criteria, *keys):
        """Twice there is no Firework, and once nothing at all: as while it is being restored."""
        if (collection == "fireworks" and waits in (2, 3)) or waits == 4:
            return []
        return find(self, collection, criteria, *keys)

    def sleep(seconds):
        nonlocal waits
        waits += 1
        if waits == 1:
            site.mongo.stop(kill=True)
            site.mongo.start()
        elif waits == 6:
            work(site, monkeypatch)
        assert waits < 9

    monkeypatch.setattr(Cluster, "find", find_little)
    waiting = executor(cluster, wait=True)
    waiting.sleep = sleep
    (outcome,) = waiting.run([task("aa", SlowMaker(folder=str(site.folder), seconds=0))])
    assert (outcome.reason, outcome.passing) == ("", False)


def test_what_is_not_finished_by_the_deadline_is_given_up(site):
    cluster = connect()
    tasks = [task("aa", SlowMaker(folder=str(site.folder)), due=1.0)]
    (outcome,) = executor(cluster, wait=True).run(tasks)
    assert "deadline" in outcome.reason
    assert outcome.passing
    assert states(cluster) == ["DEFUSED"]


def test_what_was_given_up_is_submitted_anew_in_a_later_cycle_and_only_there(site, monkeypatch):
    cluster, tasks = connect(), [[task("aa", FailingMaker(), cycle=cycle)] for cycle in (1, 2)]
    submit(cluster, tasks[0], retries=0)
    work(site, monkeypatch)
    for _ in range(2):  # again and again in its own cycle, as after an interruption
        (outcome,) = executor(cluster, retries=0).run(tasks[0])
        assert outcome.passing
    assert submit(cluster, tasks[1], retries=0) == ["aa"]
    assert states(cluster) == ["DEFUSED", "READY"]
    work(site, monkeypatch)
    (outcome,) = executor(cluster, retries=0).run(tasks[1])
    assert outcome.reason.startswith("out of memory")
    assert states(cluster) == ["DEFUSED", "FIZZLED"]


def explored(campaign, cycle, name, waiting):
    """Explore a field without ranking; what its hull rests on."""
    campaign.begin_cycle(cycle)
    executor = ClusterExecutor(waiting, campaign.folder)
    Exploration(campaign, cycle, PhaseField.parse(name), executor, lambda event: None).run()
    campaign.complete_cycle(cycle)
    return competing(campaign, name)


def competing(campaign, name):
    (level,) = campaign.calculations.levels(name)
    return {r.composition: (r.cycle, r.state, r.reason) for r in campaign.calculations.of(name, "competing", level)}


@pytest.mark.slow
@pytest.mark.long
def test_an_element_that_missed_a_deadline_is_made_for_a_later_field_and_stays_missed_in_the_first(site, monkeypatch):
    site.phases("phases", FOR_LENNARD_JONES)
    late = load_settings(site.campaign("late", deadline=1e-9) / "campaign.yaml")
    in_time = load_settings(site.campaign("in-time") / "campaign.yaml")
    cluster, missed = connect(), (1, "failed", "not finished by the cycle's deadline (execution.deadline)")
    with Campaign.drive(site.folder / "c", late) as campaign, LocalExecutor(1) as local:
        waiting = FireWorksExecutor(cluster, TAG, local, sleep=lambda seconds: None)
        first = explored(campaign, 1, "Na-Li-Br-Cl", waiting)
    assert len(first) == len(FOR_LENNARD_JONES)
    assert set(first.values()) == {missed}
    with Campaign.drive(site.folder / "c", in_time) as campaign, LocalExecutor(1) as local:
        waiting = FireWorksExecutor(cluster, TAG, local, sleep=lambda seconds: work(site, monkeypatch))
        assert explored(campaign, 2, "Li-Br-Cl", waiting) == dict.fromkeys(
            ("Br", "Cl2", "Li", "LiBr", "LiCl"), (2, "done", "")
        )
        assert competing(campaign, "Na-Li-Br-Cl") == first
        verdicts = {verdict["phase_field"]: verdict["best_composition"] for verdict in campaign.verdicts()}
    assert not verdicts["Na-Li-Br-Cl"]
    assert verdicts["Li-Br-Cl"]


def test_a_killed_worker_is_found_and_its_run_made_again(site, monkeypatch):
    cluster, tasks = connect(), [task("aa", SlowMaker(folder=str(site.folder), seconds=60))]
    submit(cluster, tasks)
    worker = site.worker()
    wait_for(lambda: (site.folder / "begun-x").exists(), what="the calculation to begin")
    site.close()
    assert overview(cluster, TAG.campaign, 60.0)["lost"] == [
        {"name": "test aa", "reason": "lost: its worker process was killed"}
    ]
    submit(cluster, tasks)
    assert states(cluster) == ["READY"]
    assert overview(cluster, TAG.campaign, 60.0)["lost"] == []
    (document,) = cluster.find("fireworks", {}, "spec.phaseloop.failed")
    assert len(document["spec"]["phaseloop"]["failed"]) == 1
    assert worker.poll() is not None


@pytest.mark.slow
@pytest.mark.long
def test_a_queue_job_that_is_cancelled_and_one_whose_time_is_up(site, slurm):
    # beside the worker's job a plain one: Slurm warns it by SIGTERM before it kills it
    trap = f"trap 'touch {site.folder}/warned' TERM; while true; do sleep 0.2; done"
    start, plain = time.monotonic(), slurm.submit(trap, "--time=1")
    cluster, tasks = connect(), [task("aa", SlowMaker(folder=str(site.folder), seconds=600))]
    settings = {"walltime": 1 / 60, "retries": 2}
    submit(cluster, tasks, **settings)
    for begun, end in (("x", slurm.cancel), ("xx", lambda job: None)):
        site.command_of("qlaunch", "-r", "rapidfire", "--nlaunches", "1")
        wait_for(lambda begun=begun: read(site.folder / "begun-x") == begun, what="the calculation to begin")
        (job,) = {*slurm.jobs()} - {plain}
        end(job)
        wait_for(lambda job=job: job not in slurm.jobs(), 200, "the queue job to end")
        submit(cluster, tasks, **settings)
        assert states(cluster) == ["READY"]
    (document,) = cluster.find("fireworks", {}, "spec")
    assert document["spec"]["_queueadapter"]["walltime"] == "00:02:00"
    assert [each["kind"] for each in document["spec"]["phaseloop"]["failed"]] == ["lost", "wall time"]
    wait_for(lambda: slurm.state(plain) == "TIMEOUT", what="the plain job to be killed")
    assert time.monotonic() - start > 55  # Slurm counts in minutes
    assert (site.folder / "warned").exists()


def read(path):
    return path.read_text() if path.exists() else ""
