from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.drivers import Drivers, explore, facts
from tests.cluster.harness import FOR_LENNARD_JONES, Site
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


def running(queue: Slurm | SGE, missing: str) -> Iterator[Slurm | SGE]:
    """A queue for all tests: it takes seconds to start."""
    if missing:
        pytest.skip(f"no queue: {missing}")
    try:
        queue.start()
        yield queue
    finally:
        queue.stop()


def emptied(queue: Slurm | SGE, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm | SGE]:
    """An empty queue, found by its commands and by qlaunch through the environment, and emptied afterwards."""
    for key, value in queue.environment.items():
        monkeypatch.setenv(key, value)
    try:
        yield queue
    finally:
        queue.cancel_all()


@pytest.fixture(scope="session")
def slurm_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    yield from running(Slurm(tmp_path_factory.mktemp("slurm")), missing_for_slurm())


@pytest.fixture
def slurm(slurm_node: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    yield from emptied(slurm_node, monkeypatch)


@pytest.fixture(scope="session")
def sge_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SGE]:
    yield from running(SGE(tmp_path_factory.mktemp("sge")), missing_for_sge())


@pytest.fixture
def sge(sge_node: SGE, monkeypatch: pytest.MonkeyPatch) -> Iterator[SGE]:
    yield from emptied(sge_node, monkeypatch)


@pytest.fixture
def site(mongo: MongoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A cluster with an empty LaunchPad, for which FireWorks and jobflow are configured in this process."""
    site = Site(tmp_path, mongo)
    site.configure()
    monkeypatch.chdir(tmp_path)  # outputs are kept there
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", str(site.config / "my_launchpad.yaml"))
    monkeypatch.setattr("jobflow.SETTINGS.JOB_STORE", mongo.job_store())
    monkeypatch.setattr("jobflow.SETTINGS.CONFIG_FILE", str(site.config / "jobflow.yaml"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def lasting_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One cluster for all whole campaigns: what undisturbed ones end with is found once."""
    if mongo_python() is None:
        pytest.skip(f"no database: {VARIABLE} names no Python that has mongoeco[wire]; .ci/run makes one")
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "mongo").mkdir()
    mongo = MongoServer(folder / "mongo")
    mongo.start()
    site = Site(folder, mongo)
    site.configure()
    site.phases("phases", FOR_LENNARD_JONES)
    yield site
    site.close()
    mongo.stop(kill=True)


@pytest.fixture(scope="session")
def drivers(lasting_site: Site) -> Iterator[Drivers]:
    drivers = Drivers(lasting_site)
    yield drivers
    drivers.close()


@pytest.fixture(scope="session")
def undisturbed(lasting_site: Site, drivers: Drivers) -> dict[str, Any]:
    """The verdicts of a campaign on this machine."""
    folder = lasting_site.campaign("undisturbed", executor="local")
    drivers.run(*explore(folder))
    return facts(drivers, folder)


@pytest.fixture
def fresh(lasting_site: Site) -> Iterator[None]:
    """An empty LaunchPad and JobStore: nothing is known from the last campaign."""
    lasting_site.close()
    launchpad, store = lasting_site.mongo.launchpad(), lasting_site.mongo.job_store()
    launchpad.reset("", require_password=False, max_reset_wo_password=10**6)
    store.connect()
    store.remove_docs({})
    yield
    lasting_site.close()
