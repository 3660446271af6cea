"""The files that `loop init --cluster slurm` writes take a Flow through qlaunch, sbatch and rlaunch."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.mongo import MongoServer, configured
from tests.cluster.processes import wait_until
from tests.cluster.slurm import Slurm
from tests.cluster.test_mongo import a_sum

pytestmark = pytest.mark.cluster


def qlaunch(cluster_files: Path, *arguments: str, repository: Path) -> str:
    """Run it as a user does, in a folder of launches."""
    launches = cluster_files.parent / "launches"
    launches.mkdir(exist_ok=True)
    environment = {**os.environ, **configured(cluster_files), "PYTHONPATH": str(repository)}
    run = subprocess.run(
        ["qlaunch", *arguments], cwd=launches, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def submit(mongo: MongoServer, n: int, category: str = "screen"):
    """Put flows on the LaunchPad; workers use the JobStore of their own configuration."""
    from jobflow.managers.fireworks import flow_to_workflow

    launchpad, flows = mongo.launchpad(), [a_sum(1, number) for number in range(n)]
    for flow in flows:
        workflow = flow_to_workflow(flow)
        for firework in workflow.fws:
            firework.spec["_category"] = category
        launchpad.add_wf(workflow)
    return launchpad, flows


def one_job_takes_all(mongo: MongoServer, cluster_files: Path, repository: Path, jobs: Callable[[], object]) -> None:
    """Two Flows of two calculations through one queue job; `jobs` tells what is in the queue."""
    launchpad, flows = submit(mongo, 2)
    qlaunch(cluster_files, "singleshot", repository=repository)
    wait_until(lambda: len(launchpad.get_fw_ids({"state": "COMPLETED"})) == 4, "all four jobs are done", 120)
    wait_until(lambda: not jobs(), "the queue is empty")
    store = mongo.job_store()
    store.connect()
    assert [store.get_output(flow.job_uuids[-1]) for flow in flows] == [11, 12]


def test_one_job_takes_all_calculations(mongo: MongoServer, slurm: Slurm, cluster_files: Path, repository: Path):
    one_job_takes_all(mongo, cluster_files, repository, slurm.jobs)


def test_with_reservation_each_calculation_has_a_job_of_its_own_with_its_own_time(
    mongo: MongoServer, slurm: Slurm, cluster_files: Path, repository: Path
):
    adapter = cluster_files / "my_qadapter.yaml"
    adapter.write_text(adapter.read_text().replace("rlaunch rapidfire --timeout 72000", "rlaunch singleshot"))
    launchpad, _ = submit(mongo, 1)
    first = launchpad.get_fw_ids({"state": "READY"})[0]
    launchpad.update_spec([first], {"_queueadapter": {"walltime": "00:07:00"}})
    qlaunch(cluster_files, "-r", "singleshot", repository=repository)
    script = next((cluster_files.parent / "launches").rglob("FW_submit.script")).read_text()
    assert "#SBATCH --time=00:07:00" in script
    wait_until(lambda: launchpad.get_fw_by_id(first).state == "COMPLETED", "the reserved calculation is done", 120)


def test_a_second_kind_of_worker_takes_its_own_calculations_only(
    mongo: MongoServer, slurm: Slurm, cluster_files: Path, repository: Path
):
    worker, adapter = cluster_files / "dft_fworker.yaml", cluster_files / "dft_qadapter.yaml"
    text = (cluster_files / "my_fworker.yaml").read_text()
    worker.write_text(text.replace("category: [screen, dft, driver]", "category: [dft]"))
    text = (cluster_files / "my_qadapter.yaml").read_text()
    adapter.write_text(text.replace("rlaunch rapidfire --timeout 72000", f"rlaunch -w {worker} singleshot"))
    submit(mongo, 1)
    launchpad, _ = submit(mongo, 1, category="dft")
    arguments = ["-r", "-w", "../fireworks/dft_fworker.yaml", "-q", "../fireworks/dft_qadapter.yaml"]
    qlaunch(cluster_files, *arguments, "rapidfire", "-m", "20", repository=repository)
    done = {"state": "COMPLETED"}
    wait_until(lambda: launchpad.get_fw_ids(done), "the DFT calculation is done", 120)
    wait_until(lambda: not slurm.jobs(), "the queue is empty")
    assert {launchpad.get_fw_by_id(number).spec["_category"] for number in launchpad.get_fw_ids(done)} == {"dft"}
    assert launchpad.fireworks.count_documents({"state": "READY", "spec._category": "screen"}) == 1


def test_what_sbatch_refuses_is_in_the_log(mongo: MongoServer, slurm: Slurm, cluster_files: Path, repository: Path):
    adapter = cluster_files / "my_qadapter.yaml"
    adapter.write_text(adapter.read_text().replace("queue: null", "queue: nowhere"))
    submit(mongo, 1)
    qlaunch(cluster_files, "singleshot", repository=repository)
    assert "invalid partition specified: nowhere" in (cluster_files / "logs" / "qadapter_SLURM-error.log").read_text()
    assert slurm.jobs() == []


def test_no_password_is_in_what_was_written(mongo: MongoServer, slurm: Slurm, cluster_files: Path, repository: Path):
    launchpad, _ = submit(mongo, 1)
    printed = qlaunch(cluster_files, "singleshot", repository=repository)
    wait_until(lambda: len(launchpad.get_fw_ids({"state": "COMPLETED"})) == 2, "both jobs are done", 120)
    wait_until(lambda: not slurm.jobs(), "the queue is empty")
    assert mongo.password not in printed
    mongo.stop()
    kept = {cluster_files / "my_launchpad.yaml", cluster_files / "jobflow.yaml"}
    written = [path for path in cluster_files.parent.rglob("*") if path.is_file() and path not in kept]
    assert len(written) > 10
    assert [path for path in written if mongo.password.encode() in path.read_bytes()] == []
