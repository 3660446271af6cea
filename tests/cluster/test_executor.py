"""Flows through a real LaunchPad and JobStore, and back as outcomes."""

from pathlib import Path

import pytest

from dft.cluster import StillOpen, TakenBack
from dft.cluster.connections import connect
from dft.cluster.healing import HealSettings, heal
from dft.cluster.overview import take_back
from dft.cluster.submission import Tag, insert, repair, submitted, workflow_of
from tests.cluster.calculations import TAG, executor, states, submit, task, work
from tests.cluster.large import FailingMaker, FlowMaker, LargeMaker, SlowMaker

pytestmark = pytest.mark.cluster


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
