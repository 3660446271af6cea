from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.mongo import VARIABLE, MongoServer, mongo_python
from tests.cluster.sge import SGE, missing_for_sge
from tests.cluster.slurm import Slurm, missing_for_slurm


@pytest.fixture(scope="session")
def lasting_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """One database for all tests: it takes seconds to start."""
    if mongo_python() is None:
        pytest.skip(f"no database: {VARIABLE} names no Python that has mongoeco[wire]; .ci/run makes one")
    server = MongoServer(tmp_path_factory.mktemp("mongo"))
    try:
        yield server
    finally:
        server.stop(kill=True)


@pytest.fixture
def mongo(lasting_mongo: MongoServer) -> MongoServer:
    """A database over TCP, with a password and nothing in it; a test may stop it and start it again."""
    lasting_mongo.start()
    client = lasting_mongo.launchpad().connection
    for name in ("fireworks", "jobflow"):
        client.drop_database(name)
    client.close()
    return lasting_mongo


@pytest.fixture
def cluster_files(mongo: MongoServer, tmp_path: Path) -> Path:
    """The files of FireWorks and jobflow for a Slurm cluster, on a LaunchPad that is prepared and empty."""
    folder = tmp_path / "fireworks"
    mongo.write_files(folder)
    mongo.launchpad().reset("", require_password=False, max_reset_wo_password=0)
    return folder


@pytest.fixture(scope="session")
def slurm_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """One node for all tests: it takes seconds to start."""
    if missing := missing_for_slurm():
        pytest.skip(f"no queue: {missing}")
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture
def slurm(slurm_node: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """An empty queue, found by sbatch and qlaunch through the environment, and emptied afterwards."""
    for key, value in slurm_node.environment.items():
        monkeypatch.setenv(key, value)
    try:
        yield slurm_node
    finally:
        slurm_node.cancel_all()


@pytest.fixture(scope="session")
def sge_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SGE]:
    """One SGE for all tests: it takes seconds to start."""
    if missing := missing_for_sge():
        pytest.skip(f"no SGE: {missing}")
    sge = SGE(tmp_path_factory.mktemp("sge"))
    try:
        sge.start()
        yield sge
    finally:
        sge.stop()


@pytest.fixture
def sge(sge_node: SGE, monkeypatch: pytest.MonkeyPatch) -> Iterator[SGE]:
    """An empty queue, found by qsub and qlaunch through the environment, and emptied afterwards."""
    for key, value in sge_node.environment.items():
        monkeypatch.setenv(key, value)
    try:
        yield sge_node
    finally:
        sge_node.cancel_all()
