"""The queue that the tests use: one node of Slurm, with sbatch, scancel and a time limit that is kept."""

from pathlib import Path

import pytest

from tests.cluster.processes import wait_until
from tests.cluster.slurm import Slurm

pytestmark = pytest.mark.cluster


def test_a_job_runs(slurm: Slurm, tmp_path: Path):
    job = slurm.submit(f"echo $SLURM_JOB_ID > {tmp_path}/number")
    wait_until(lambda: slurm.state(job) == "COMPLETED", "the job is done")
    assert (tmp_path / "number").read_text().strip() == str(job)
    assert slurm.jobs() == []


def test_a_failing_job_is_told_from_one_that_succeeds(slurm: Slurm):
    job = slurm.submit("exit 3")
    wait_until(lambda: slurm.state(job) == "FAILED", "the job has failed")


def test_scancel_ends_a_running_job_and_its_processes(slurm: Slurm, tmp_path: Path):
    # The shell must not go on by itself where the sleep gets its signal first.
    job = slurm.submit(f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/process; wait")
    wait_until((tmp_path / "process").exists, "the job runs")
    process = Path("/proc") / (tmp_path / "process").read_text().strip()
    assert process.exists()
    slurm.cancel(job)
    wait_until(lambda: slurm.state(job) == "CANCELLED" and not slurm.jobs(), "the job is gone")
    wait_until(lambda: not process.exists(), "its processes have ended")


def test_more_jobs_than_processors_wait_in_the_queue(slurm: Slurm):
    jobs = [slurm.submit("sleep 600") for _ in range(slurm.cpus + 1)]
    wait_until(lambda: slurm.state(jobs[-2]) == "RUNNING", "all processors are taken")
    assert slurm.state(jobs[-1]) == "PENDING"
