"""Flows through a real LaunchPad and JobStore, and back as outcomes."""

import os
import time
from pathlib import Path

import pytest

from dft.cluster import StillOpen, TakenBack
from dft.cluster.connections import Cluster, connect
from dft.cluster.executor import FireWorksExecutor
from dft.cluster.healing import HealSettings, describe, heal, retry
from dft.cluster.overview import overview, take_back
from dft.cluster.submission import Tag, insert, repair, submitted, workflow_of
from dft.execute import FlowTask, LocalExecutor
from loop.campaign import Campaign
from loop.executors import ClusterExecutor
from loop.exploration import Exploration
from loop.settings_file import load_settings
from tests.cluster.harness import FOR_LENNARD_JONES, Site, wait_for
from tests.cluster.large import FailingMaker, FlowMaker, LargeMaker, SlowMaker
from vae import PhaseField

pytestmark = pytest.mark.cluster

TAG = Tag("campaign-1", "first")


@pytest.fixture
def site(mongo, tmp_path, monkeypatch):
    site = Site(tmp_path, mongo)
    site.configure()
    monkeypatch.chdir(tmp_path)  # outputs are kept there
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", str(site.config / "my_launchpad.yaml"))
    monkeypatch.setattr("jobflow.SETTINGS.JOB_STORE", mongo.job_store())
    monkeypatch.setattr("jobflow.SETTINGS.CONFIG_FILE", str(site.config / "jobflow.yaml"))
    yield site
    site.close()


def task(key, maker, inputs=(("x",),), **facts):
    return FlowTask(
        key, print, maker=maker, inputs=inputs, output=Path(f"outputs/{key}.json"), name=f"test {key}", **facts
    )


def executor(cluster, tag=TAG, wait=False, **settings):
    return FireWorksExecutor(cluster, tag, LocalExecutor(1), HealSettings(**settings), wait=wait, sleep=lambda s: None)


def submit(cluster, tasks, tag=TAG, **settings):
    started = []
    with pytest.raises(StillOpen):
        list(executor(cluster, tag, **settings).run(tasks, started.append))
    return started


def work(site, monkeypatch, n=0):
    """Be a worker until nothing is left."""
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire

    folder = site.folder / "launches"
    folder.mkdir(exist_ok=True)
    before = os.getcwd()
    try:
        rapidfire(site.mongo.launchpad(), FWorker(), str(folder), nlaunches=n, sleep_time=1, strm_lvl="ERROR")
    finally:
        os.chdir(before)


def states(cluster):
    return sorted(document["state"] for document in cluster.find("fireworks", {}, "state"))


def test_what_is_submitted_twice_is_there_once_and_what_is_stored_is_not_submitted(site, monkeypatch):
    cluster = connect()
    tasks = [task(f"hash-{n}", FlowMaker(), ((float(n),),)) for n in range(3)]
    assert submit(cluster, tasks) == ["hash-0", "hash-1", "hash-2"]
    assert submit(cluster, tasks) == []
    assert len(cluster.find("workflows", {}, "name")) == 3
    work(site, monkeypatch)
    outcomes = {o.key: o for o in executor(cluster).run(tasks)}
    assert {key: o.value["energy_per_atom"] for key, o in outcomes.items()} == {
        f"hash-{n}": -float(n) for n in range(3)
    }
    again = list(executor(cluster, Tag("campaign-2", "second")).run(tasks))
    assert [outcome.reason for outcome in again] == ["", "", ""]
    assert len(cluster.find("workflows", {}, "name")) == 3


def test_facts_stand_in_the_spec_and_no_password_anywhere(site):
    cluster = connect()
    submit(cluster, [task("aa", FlowMaker(), ((1.0,),), phase_field="Li-Sn-S-Cl", cycle=2, category="dft")])
    documents = list(cluster.launchpad.fireworks.find())
    for document in documents:
        facts = document["spec"]["phaseloop"]
        assert (facts["hash"], facts["campaign"], facts["cycle"], facts["phase_field"]) == (
            "aa",
            TAG.campaign,
            2,
            "Li-Sn-S-Cl",
        )
        assert document["spec"]["_category"] == "dft"
        assert document["name"].startswith("test aa: ")
    assert site.mongo.password not in str(documents) + str(list(cluster.launchpad.workflows.find()))


def test_there_is_an_index_for_each_look_up_however_often_one_connects(site):
    connect()
    cluster = connect()
    of_fireworks = [index["key"] for index in cluster.launchpad.fireworks.index_information().values()]
    assert [("spec.phaseloop.hash", 1)] in of_fireworks
    assert [("spec.phaseloop.campaign", 1), ("state", 1), ("spec.phaseloop.collected", 1)] in of_fireworks
    of_outputs = [index["key"] for index in cluster.store.docs_store._collection.index_information().values()]
    assert sorted(of_outputs) == [[("_id", 1)], [("metadata.phaseloop.hash", 1)], [("uuid", 1)]]


@pytest.mark.parametrize("killed_after", ["_insert_missing-1", "_insert_missing-2"], ids=["fireworks", "workflows"])
def test_a_kill_inside_a_submission_is_repaired(site, monkeypatch, killed_after):
    import dft.cluster.submission as module

    class Killed(BaseException):
        pass

    cluster, count, original = connect(), 0, module._insert_missing

    def insert_then_die(*arguments):
        nonlocal count
        count += 1
        original(*arguments)
        if killed_after.endswith(str(count)):
            raise Killed

    monkeypatch.setattr(module, "_insert_missing", insert_then_die)
    with pytest.raises(Killed):
        insert(cluster, [workflow_of(task("aa", FlowMaker(), ((1.0,),)), TAG)])
    monkeypatch.setattr(module, "_insert_missing", original)
    assert not cluster.launchpad.run_exists()
    submit(cluster, [task("aa", FlowMaker(), ((1.0,),))])
    assert states(cluster) == ["READY", "READY", "WAITING"]
    assert len(cluster.find("workflows", {}, "name")) == 1


def test_healing_beside_a_submission_takes_nothing_from_it(site, monkeypatch):
    import dft.cluster.submission as module

    cluster, original, seen = connect(), module._insert_missing, []

    def insert_then_heal(collection, key, *arguments):
        original(collection, key, *arguments)
        seen.append((key, states(cluster)))
        heal(cluster, TAG.campaign, HealSettings())

    monkeypatch.setattr(module, "_insert_missing", insert_then_heal)
    submit(cluster, [task("aa", FlowMaker(), ((1.0,),))])
    assert seen == [("fw_id", ["WAITING"] * 3), ("nodes", ["WAITING"] * 3)]  # no Workflow yet, and not ready yet
    assert states(cluster) == ["READY", "READY", "WAITING"]


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


@pytest.mark.parametrize("has_large_store", [True, False])
def test_an_output_larger_than_a_document_comes_back_without_its_trajectory(site, monkeypatch, has_large_store):
    from jobflow import SETTINGS

    if not has_large_store:
        SETTINGS.JOB_STORE.additional_stores.clear()
    cluster, tasks = connect(), [task("aa", LargeMaker())]
    submit(cluster, tasks)
    work(site, monkeypatch)
    (outcome,) = executor(cluster).run(tasks)
    assert outcome.value["energy_per_atom"] == -1.0
    trajectory = outcome.value["trajectory"]
    assert trajectory["store"] == "data" if has_large_store else Path(trajectory["file"]).is_file()


def test_a_result_that_names_a_foreign_class_is_refused(site, monkeypatch):
    cluster, tasks = connect(), [task("aa", SlowMaker(folder=str(site.folder), seconds=0))]
    submit(cluster, tasks)
    work(site, monkeypatch)
    evil = {"@module": "os", "@class": "system", "command": "touch pwned"}
    cluster.store.docs_store._collection.update_one({"uuid": "aa"}, {"$set": {"output.structure": evil}})
    (outcome,) = executor(cluster).run(tasks)
    assert "names os.system" in outcome.reason


def test_a_run_whose_output_is_stored_is_not_computed_again(site, monkeypatch):
    cluster, tasks = connect(), [task("aa", SlowMaker(folder=str(site.folder), seconds=0))]
    submit(cluster, tasks)
    work(site, monkeypatch)
    (document,) = cluster.find("fireworks", {}, "fw_id")
    cluster.launchpad.rerun_fw(document["fw_id"])
    work(site, monkeypatch)
    assert (site.folder / "computed-x").read_text() == "x"
    assert [outcome.reason for outcome in executor(cluster).run(tasks)] == [""]


def test_cancelling_touches_no_other_campaign(site, monkeypatch):
    cluster, other = connect(), Tag("campaign-2", "second")
    tasks = [task(f"a{n}", SlowMaker(folder=str(site.folder), seconds=0)) for n in range(2)]
    submit(cluster, tasks)
    submit(cluster, [task("b", SlowMaker(folder=str(site.folder), seconds=0))], other)
    assert take_back(cluster, TAG.campaign) == {"waiting": 2, "queued": 0, "ended": 0, "left running": 0}
    assert states(cluster) == ["DEFUSED", "DEFUSED", "READY"]
    assert submit(cluster, tasks) == ["a0", "a1"]  # anew
    work(site, monkeypatch)
    assert len(list(executor(cluster).run(tasks))) == 2


def test_cancelling_leaves_a_run_that_the_launchpad_has_no_launch_of(site):
    cluster = connect()
    submit(cluster, [task(f"a{n}", SlowMaker(folder=str(site.folder))) for n in range(2)])
    for key, launches in (("a0", []), ("a1", [99])):  # its worker died between two writes
        change = {"$set": {"state": "RUNNING", "launches": launches}}
        assert cluster.update("fireworks", {"spec.phaseloop.hash": key}, change) == 1
    assert take_back(cluster, TAG.campaign, running=True) == {"waiting": 0, "queued": 0, "ended": 0, "left running": 2}


def test_what_is_cancelled_while_its_campaign_waits_ends_the_wait(site):
    cluster, tasks = connect(), [task("aa", SlowMaker(folder=str(site.folder)))]
    submit(cluster, tasks)
    take_back(cluster, TAG.campaign)
    waiting = executor(cluster, wait=True)
    with pytest.raises(StillOpen):
        list(executor(cluster).run(tasks))
    waiting.sleep = lambda seconds: take_back(cluster, TAG.campaign)
    with pytest.raises(TakenBack, match="1 calculations were taken off"):
        list(waiting.run(tasks))


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


def test_another_campaigns_calculation_is_waited_for_and_submitted_if_it_is_taken_back(site, monkeypatch):
    cluster, other = connect(), Tag("campaign-2", "second")
    tasks = [task("aa", SlowMaker(folder=str(site.folder), seconds=0))]
    submit(cluster, tasks)
    assert submit(cluster, tasks, other) == []
    take_back(cluster, TAG.campaign)
    assert submit(cluster, tasks, other) == ["aa"]
    work(site, monkeypatch)
    assert [outcome.reason for outcome in executor(cluster, other).run(tasks)] == [""]
    assert (site.folder / "computed-x").read_text() == "x"


def test_what_fails_in_another_campaign_is_left_to_it_and_computed_by_us(site, monkeypatch):
    cluster, other, tasks = connect(), Tag("campaign-2", "second"), [task("aa", FailingMaker())]
    submit(cluster, tasks)
    waiting = executor(cluster, other, wait=True, retries=0)
    waiting.sleep = lambda seconds: work(site, monkeypatch)
    (outcome,) = waiting.run(tasks)
    assert outcome.reason.startswith("out of memory")
    facts = {d["spec"]["phaseloop"]["campaign"]: d["spec"]["phaseloop"] for d in cluster.find("fireworks", {}, "spec")}
    assert len(facts) == 2
    assert "failed" not in facts[TAG.campaign]
    assert len(facts[other.campaign]["failed"]) == 1


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


def test_a_file_that_others_can_read_is_no_place_for_a_password(site):
    path = site.config / "my_launchpad.yaml"
    path.chmod(0o644)
    with pytest.raises(ValueError, match=r"my_launchpad.yaml holds a password and can be read by others: chmod 600"):
        connect()


def test_a_wrong_password_is_told_without_it(site):
    path = site.config / "my_launchpad.yaml"
    path.write_text(path.read_text().replace(site.mongo.password, "guessed-password"))
    with pytest.raises(ValueError, match="cannot be used: Authentication failed") as error:
        connect()
    assert "guessed-password" not in str(error.value)
    assert site.mongo.password not in str(error.value)


def test_repair_leaves_others_alone(site):
    cluster = connect()
    submit(cluster, [task("aa", FlowMaker(), ((1.0,),))])
    repair(cluster, "campaign-2")
    repair(cluster, TAG.campaign)
    assert states(cluster) == ["READY", "READY", "WAITING"]
    assert submitted(cluster, TAG.campaign, ["aa"])["aa"].state == "OPEN"
