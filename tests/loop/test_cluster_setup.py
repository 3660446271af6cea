"""The files of FireWorks and jobflow: each is loaded by the library that will read it."""

import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from loop.cluster_setup import QUEUES, cluster_files, write_cluster_files
from loop.errors import UserError
from loop.settings_file import load_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A path that shells and YAML stumble over unless it is quoted."""
    folder = tmp_path / "a campaign's #1: folder" / "fireworks"
    write_cluster_files(folder, "slurm", "me@db.example.org:27018")
    return folder


def with_password(path: Path, password: str) -> Path:
    text = path.read_text()
    path.write_text(text.replace("password: null", f"password: '{password}'").replace("password: ''", "password: 'p'"))
    return path


def test_nobody_else_reads_the_files_that_take_a_password(folder):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}
    assert modes["my_launchpad.yaml"] == modes["jobflow.yaml"] == 0o600
    assert not any(mode & 0o022 for mode in modes.values())


def test_no_password_is_written(folder):
    assert yaml.safe_load((folder / "my_launchpad.yaml").read_text())["password"] is None
    assert yaml.safe_load((folder / "jobflow.yaml").read_text())["JOB_STORE"]["docs_store"]["password"] == ""


def test_fireworks_understands_every_key_of_the_launchpad(folder):
    from fireworks import LaunchPad

    path = with_password(folder / "my_launchpad.yaml", "secret")
    launchpad = LaunchPad.from_file(str(path))
    understood = launchpad.to_dict()
    assert {key: understood[key] for key in yaml.safe_load(path.read_text())} == {
        **yaml.safe_load(path.read_text()),
        "mongoclient_kwargs": understood["mongoclient_kwargs"],
    }
    assert (launchpad.host, launchpad.port) == ("db.example.org", 27018)
    assert (launchpad.username, launchpad.password) == ("me", "secret")
    launchpad.connection.close()


def test_fireworks_understands_every_key_of_the_worker(folder):
    from fireworks import FWorker

    path = folder / "my_fworker.yaml"
    understood = FWorker.from_file(str(path)).to_dict()
    assert {key: understood[key] for key in yaml.safe_load(path.read_text())} == yaml.safe_load(path.read_text())
    assert FWorker.from_file(str(path)).query["spec._category"] == {"$in": ["screen", "dft", "driver"]}


def test_fireworks_finds_all_of_them_through_its_configuration(folder, tmp_path):
    names = "LAUNCHPAD_LOC, FWORKER_LOC, QUEUEADAPTER_LOC, PING_TIME_SECS"
    code = f"from fireworks.fw_config import {names}; print({names}, sep='|')"
    environment = {**os.environ, "FW_CONFIG_FILE": str(folder / "FW_config.yaml"), "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    files = [str(folder / name) for name in ("my_launchpad.yaml", "my_fworker.yaml", "my_qadapter.yaml")]
    assert run.stdout.strip().split("|") == [*files, "600"]


def test_jobflow_understands_every_key_of_its_file(folder):
    from jobflow.settings import JobflowSettings

    store = JobflowSettings(CONFIG_FILE=str(with_password(folder / "jobflow.yaml", "secret"))).JOB_STORE
    blobs = store.additional_stores["data"]
    assert type(store.docs_store).__name__ == "MongoStore"
    assert type(blobs).__name__ == "GridFSStore"
    for part in (store.docs_store, blobs):
        assert (part.host, part.port, part.database) == ("db.example.org", 27018, "jobflow")
        assert (part.password, part.auth_source) == ("p", "admin")  # written once, understood twice
    assert (store.docs_store.collection_name, blobs.collection_name) == ("outputs", "outputs_blobs")


@pytest.mark.parametrize("queue", QUEUES)
def test_every_key_of_the_queue_is_a_line_of_its_script(queue, tmp_path):
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

    folder = tmp_path / "it's here"
    write_cluster_files(folder, queue)
    adapter = CommonAdapter.from_file(str(folder / "my_qadapter.yaml"))
    adapter.update({key: "7" for key, value in adapter.items() if value is None})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # FireWorks warns of a key that its template does not know
        script = adapter.get_script_str(str(tmp_path))
    assert "24:00:00" in script
    assert f"cd {tmp_path}\nrlaunch rapidfire" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    exports = "\n".join(line for line in script.splitlines() if line.startswith("export"))
    printed = subprocess.run(
        ["bash"], input=f'{exports}\necho "$FW_CONFIG_FILE"', text=True, capture_output=True, check=True
    )
    assert printed.stdout.strip() == str(folder / "FW_config.yaml")


def test_what_is_there_is_not_written_over(folder):
    with_password(folder / "my_launchpad.yaml", "secret")
    with pytest.raises(UserError, match=r"my_launchpad.yaml exists already; .* --force"):
        write_cluster_files(folder, "slurm")
    assert "secret" in (folder / "my_launchpad.yaml").read_text()
    write_cluster_files(folder, "slurm", force=True)
    assert "secret" not in (folder / "my_launchpad.yaml").read_text()


def test_the_command_adds_them_to_a_campaign_that_is_there(tmp_path):
    def init(*arguments):
        command = [sys.executable, "-m", "loop.cli", "init", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    (tmp_path / "campaign.yaml").write_text("name: mine\n")
    made = init("--cluster", "pbs", "--database", "db:27018")
    assert made.returncode == 0, made.stderr
    assert f"export FW_CONFIG_FILE={tmp_path}/fireworks/FW_config.yaml" in made.stdout
    assert (tmp_path / "campaign.yaml").read_text() == "name: mine\n"
    again = init("--cluster", "pbs")
    assert (again.returncode, again.stdout) == (2, "")
    assert "my_launchpad.yaml exists already" in again.stderr
    (tmp_path / "campaign.yaml").unlink()
    assert init("--cluster", "pbs", "--force").returncode == 0
    assert load_settings(tmp_path / "campaign.yaml").execution.executor == "fireworks"


def test_unknown_queues_and_addresses_are_named(tmp_path):
    with pytest.raises(UserError, match="'lsf' is unknown, choose from slurm, pbs, sge"):
        write_cluster_files(tmp_path, "lsf")
    with pytest.raises(UserError, match=r"'db:x' is no \[USER@\]HOST\[:PORT\]"):
        write_cluster_files(tmp_path, "slurm", "db:x")
    with pytest.raises(UserError, match="a password does not go there") as refusal:
        write_cluster_files(tmp_path, "slurm", "me:secret@db")
    assert "secret" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_the_examples_of_the_repository_are_what_is_written(repository):
    values = {
        "host": "localhost",
        "port": "27017",
        "folder": "/path/to/campaign/fireworks",
        "programs": "/path/to/environment/bin",
        "username": "your-name",
        "worker": "your-name-cluster",
    }
    for name, text in cluster_files("slurm", values).items():
        assert (repository / "configs" / "fireworks" / name).read_text() == text, name
