"""FireWorks and jobflow run unchanged on the database that the tests use in MongoDB's place."""

import threading
import time
from pathlib import Path

import pytest

from tests.cluster.mongo import MongoServer

pytestmark = pytest.mark.cluster


def add(a: int, b: int) -> int:
    return a + b


def a_sum(a: int, b: int):
    from jobflow import Flow, job

    first = job(add)(a, b)
    second = job(add)(first.output, 10)
    return Flow([first, second], output=second.output)


def test_a_flow_goes_through_launchpad_and_job_store(mongo: MongoServer, tmp_path: Path, monkeypatch):
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire
    from jobflow.managers.fireworks import flow_to_workflow

    monkeypatch.chdir(tmp_path)
    launchpad, store = mongo.launchpad(), mongo.job_store()
    launchpad.reset("", require_password=False, max_reset_wo_password=0)
    flow = a_sum(1, 2)
    launchpad.add_wf(flow_to_workflow(flow, store=store))
    rapidfire(launchpad, FWorker(), nlaunches=2, sleep_time=0, strm_lvl="ERROR")
    assert [launchpad.get_fw_by_id(i).state for i in launchpad.get_fw_ids()] == ["COMPLETED", "COMPLETED"]
    store.connect()
    assert store.get_output(flow.job_uuids[-1]) == 13


def test_nobody_comes_in_without_the_password(mongo: MongoServer):
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

    address = {"host": "127.0.0.1", "port": mongo.port, "serverSelectionTimeoutMS": 2000}
    with pytest.raises(OperationFailure, match="Authentication required"):
        MongoClient(**address).fireworks.fireworks.find_one()
    with pytest.raises(OperationFailure, match="Authentication failed"):
        MongoClient(**address, username=mongo.username, password="guessed").fireworks.fireworks.find_one()


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_what_was_written_is_there_after_a_restart_on_the_same_port(mongo: MongoServer, kill: bool):
    from pymongo.errors import PyMongoError

    launchpad = mongo.launchpad(mongoclient_kwargs={"serverSelectionTimeoutMS": 300, "connectTimeoutMS": 300})
    launchpad.reset("", require_password=False, max_reset_wo_password=0)
    launchpad.db.kept.insert_many([{"number": number} for number in range(100)])
    mongo.stop(kill=kill)
    with pytest.raises(PyMongoError):
        launchpad.db.kept.count_documents({})
    mongo.start()
    assert launchpad.db.kept.count_documents({}) == 100


def test_a_server_started_by_another_thread_outlives_it(mongo: MongoServer):
    mongo.stop()
    thread = threading.Thread(target=mongo.start)
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert mongo.launchpad().db.kept.count_documents({}) == 0
    mongo.stop()


def test_an_output_larger_than_a_document_goes_to_the_additional_store(mongo: MongoServer):
    store = mongo.job_store()
    store.connect()
    frames = {
        "frames": "x" * 17 * 2**20
    }  # a document of MongoDB holds 16 MiB; this database does not refuse all larger
    output = {"trajectory": frames, "energy": -1.5}
    store.update([{"uuid": "a", "index": 1, "output": output}], key=["uuid", "index"], save={"data": ["trajectory"]})
    assert store.get_output("a")["trajectory"] != frames  # only what is small is fetched unless asked
    assert store.get_output("a", load=True) == output
