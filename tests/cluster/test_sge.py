"""The files that `loop init --cluster sge` writes take a Flow through qlaunch, qsub and rlaunch."""

from pathlib import Path

import pytest

from dft.cluster.queues import end_job, jobs_there, why_over
from tests.cluster.mongo import MongoServer
from tests.cluster.processes import wait_until
from tests.cluster.sge import SGE
from tests.cluster.test_qlaunch import one_job_takes_all, qlaunch, submit

pytestmark = pytest.mark.cluster


@pytest.fixture
def sge_files(mongo: MongoServer, tmp_path: Path, repository: Path) -> Path:
    """The files of FireWorks and jobflow, on a LaunchPad that is prepared and empty.

    SGE hands no environment on to its jobs, and the Flows of these tests are defined in the repository.
    """
    folder = tmp_path / "fireworks"
    mongo.write_files(folder, "sge")
    adapter = folder / "my_qadapter.yaml"
    adapter.write_text(adapter.read_text().replace("  export OMP_", f"  export PYTHONPATH={repository}\n  export OMP_"))
    mongo.launchpad().reset("", require_password=False, max_reset_wo_password=0)
    return folder


def test_a_job_that_ends_says_why(sge: SGE):
    timed, cancelled = sge.submit("sleep 300", "-l", "h_rt=00:00:02"), sge.submit("sleep 300")
    assert jobs_there("SGE") == {timed, cancelled}
    wait_until(lambda: sge.state(cancelled) == "r", "the second job runs")
    assert why_over("SGE", cancelled) == ""
    assert end_job("SGE", cancelled)
    wait_until(lambda: sge.account(timed) and sge.account(cancelled), "the accounting has both")
    assert why_over("SGE", timed) == f"the queue ended job {timed} at its wall time"
    assert why_over("SGE", cancelled) == f"queue job {cancelled} is over (cancelled, or its node failed)"
    wait_until(lambda: jobs_there("SGE") == set(), "the queue is empty")


def test_one_job_takes_all_calculations(mongo: MongoServer, sge: SGE, sge_files: Path, repository: Path):
    one_job_takes_all(mongo, sge_files, repository, lambda: jobs_there("SGE"))


def test_with_reservation_a_calculation_has_its_own_time_and_slots(
    mongo: MongoServer, sge: SGE, sge_files: Path, repository: Path
):
    adapter = sge_files / "my_qadapter.yaml"
    text = adapter.read_text().replace("rlaunch rapidfire --timeout 72000", "rlaunch singleshot")
    adapter.write_text(text.replace("parallel: null", "parallel: smp 2"))
    launchpad, _ = submit(mongo, 1)
    first = launchpad.get_fw_ids({"state": "READY"})[0]
    launchpad.update_spec([first], {"_queueadapter": {"walltime": "00:07:00", "memory": "2048M"}})
    qlaunch(sge_files, "-r", "singleshot", repository=repository)
    script = next((sge_files.parent / "launches").rglob("FW_submit.script")).read_text()
    assert {"#$ -l h_rt=00:07:00", "#$ -l h_vmem=2048M", "#$ -pe smp 2"} <= set(script.splitlines())
    wait_until(lambda: launchpad.get_fw_by_id(first).state == "COMPLETED", "the reserved calculation is done", 120)


def test_what_qsub_refuses_is_in_the_log(mongo: MongoServer, sge: SGE, sge_files: Path, repository: Path):
    adapter = sge_files / "my_qadapter.yaml"
    adapter.write_text(adapter.read_text().replace("queue: null", "queue: nowhere"))
    submit(mongo, 1)
    qlaunch(sge_files, "singleshot", repository=repository)
    assert "nowhere" in (sge_files / "logs" / "qadapter_SGE-error.log").read_text()
    assert jobs_there("SGE") == set()
