"""What `loop doctor` says about LaunchPad, JobStore, queue and clock, asked of real ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loop.cluster_setup import write_cluster_files
from tests.cluster.mongo import MongoServer, configured
from tests.cluster.slurm import Slurm

pytestmark = pytest.mark.cluster


def findings(folder: Path, **environment: str) -> dict[str, dict]:
    """What is found in a fresh process, for FireWorks and jobflow read their settings once."""
    code = (
        "import json; from dataclasses import asdict; from loop.doctor_cluster import cluster_findings\n"
        "print(json.dumps([asdict(finding) for finding in cluster_findings()]))"
    )
    environment = {**os.environ, **configured(folder), "HOME": str(folder), **environment}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return {finding["what"]: finding for finding in json.loads(run.stdout.splitlines()[-1])}


def test_everything_is_there(cluster_files: Path, mongo: MongoServer, slurm: Slurm):
    found = findings(cluster_files)
    assert all(finding["ok"] for finding in found.values()), found
    assert found["FireWorks LaunchPad"]["found"] == f"fireworks on 127.0.0.1:{mongo.port}, 0 calculations ready"
    assert found["jobflow JobStore"]["found"] == "MongoStore jobflow.outputs, 0 outputs"
    assert found["queue"]["found"] == "SLURM, 0 jobs of yours"
    assert found["clocks"]["found"].startswith("the database host's is 0.")
    slurm.submit("sleep 60")
    assert findings(cluster_files)["queue"]["found"] == "SLURM, 1 jobs of yours"


def test_a_database_that_was_never_prepared(mongo: MongoServer, tmp_path: Path):
    mongo.write_files(tmp_path / "fireworks")
    new = findings(tmp_path / "fireworks")["FireWorks LaunchPad"]
    assert (new["ok"], new["found"]) == (False, f"fireworks on 127.0.0.1:{mongo.port} is new")
    assert new["remedy"].startswith("lpad reset")


def test_a_database_that_is_away_or_refuses_is_told_with_its_fix(cluster_files: Path, mongo: MongoServer):
    launchpad, store = cluster_files / "my_launchpad.yaml", cluster_files / "jobflow.yaml"
    for path in (launchpad, store):
        path.write_text(path.read_text().replace(mongo.password, "another-password"))
    found = findings(cluster_files)
    assert found["FireWorks LaunchPad"]["found"] == found["jobflow JobStore"]["found"] == "refuses user or password"
    assert found["FireWorks LaunchPad"]["remedy"] == f"mend username, password and authsource in {launchpad}"
    mongo.stop()
    found = findings(cluster_files)
    assert not found["FireWorks LaunchPad"]["ok"]
    assert found["FireWorks LaunchPad"]["found"] == "does not answer within 3 s"
    assert str(store) in found["jobflow JobStore"]["remedy"]
    assert "another-password" not in json.dumps(found)


def test_a_password_that_was_forgotten_or_can_be_read_by_others(tmp_path: Path):
    write_cluster_files(tmp_path / "fireworks", "slurm", "127.0.0.1:1")
    (tmp_path / "fireworks" / "jobflow.yaml").chmod(0o644)
    found = findings(tmp_path / "fireworks")
    assert found["FireWorks LaunchPad"]["remedy"].startswith("a username needs a password")
    assert found["mode of jobflow.yaml"]["remedy"] == f"chmod 600 {tmp_path}/fireworks/jobflow.yaml"


def test_a_queue_without_its_commands(tmp_path: Path):
    write_cluster_files(tmp_path / "fireworks", "sge")
    found = findings(tmp_path / "fireworks", PATH="/nonexistent")["queue"]
    assert (found["ok"], found["found"]) == (False, "qsub and qstat not on PATH")


def test_a_clock_that_is_wrong_is_told():
    from datetime import UTC, datetime, timedelta
    from types import SimpleNamespace

    from loop.doctor_cluster import _clock

    late = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=5)
    client = SimpleNamespace(admin=SimpleNamespace(command=lambda name: {"localTime": late}))
    finding = _clock(client)
    assert not finding.ok
    assert finding.found.startswith("the database host's is 300.")
    assert finding.found.endswith("behind")
    assert "chrony" in finding.remedy
