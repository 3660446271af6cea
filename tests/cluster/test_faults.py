"""Campaigns on a real LaunchPad whose parts die: each ends with the verdicts of an undisturbed one."""

import random
import subprocess
import time

import pytest

from tests.cluster.drivers import assert_undisturbed, completed_launches, explore, facts
from tests.cluster.harness import REAL, REPOSITORY, kill, verdicts, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KILLS = 20  # moments at which the driver is killed


def test_a_driver_killed_at_random_moments(lasting_site, drivers, undisturbed, fresh):
    folder = lasting_site.campaign("killed")
    drivers.worker()
    rng = random.Random(0)
    launchpad = lasting_site.mongo.launchpad()
    for number in range(KILLS):
        pid = drivers.start(*explore(folder))
        if number >= 3:  # the first die while they build structures
            wait_for(lambda pid=pid: pid in drivers.ended or launchpad.fireworks.count_documents({}), what="a Firework")
        time.sleep(rng.uniform(0, 3))
        drivers.kill(pid)
    drivers.run(*explore(folder))
    assert_undisturbed(drivers, folder, undisturbed)


def test_workers_killed_inside_calculations(lasting_site, drivers, undisturbed, fresh):
    folder = lasting_site.campaign("workers", retries=20)
    pid = drivers.start(*explore(folder))
    launchpad = lasting_site.mongo.launchpad()
    for _ in range(3):
        worker = drivers.worker()
        wait_for(lambda: launchpad.fireworks.count_documents({"state": "RUNNING"}), what="a run")
        time.sleep(0.3)
        kill(worker)
    drivers.worker()
    wait_for(lambda: pid in drivers.ended, what="the campaign")
    assert_undisturbed(drivers, folder, undisturbed)


@pytest.mark.physics
def test_a_worker_killed_inside_chgnet(lasting_site, drivers, fresh):
    lasting_site.phases("real-phases", REAL)
    (lasting_site.folder / "salts.csv").write_text("composition\nNaLiBrCl\n")
    changes = {"level_of_theory": "chgnet", "competing": {"source": "../real-phases"}, "probes": {"max_atoms": 8}}
    folders = [
        lasting_site.campaign("chgnet-here", changes, executor="local"),
        lasting_site.campaign("chgnet", changes),
    ]
    pid, here = (
        drivers.start(*explore(folder), "--compositions", lasting_site.folder / "salts.csv")
        for folder in reversed(folders)
    )
    launchpad, worker = lasting_site.mongo.launchpad(), lasting_site.worker()
    wait_for(lambda: launchpad.fireworks.count_documents({"state": "COMPLETED"}), what="a result")
    wait_for(lambda: launchpad.launches.count_documents({"state": "RUNNING", "phaseloop.pid": {"$exists": True}}))
    kill(worker)
    lasting_site.worker()
    wait_for(lambda: {pid, here} <= drivers.ended.keys(), what="the campaigns")
    expected, found = (facts(drivers, folder) for folder in folders)
    assert found["calculations"] == expected["calculations"] == {"done": 9}
    assert verdicts(found) == verdicts(expected)
    assert set(completed_launches(lasting_site).values()) == {1}


@pytest.mark.long
def test_the_database_away_for_half_a_minute(lasting_site, drivers, undisturbed, fresh):
    folder = lasting_site.campaign("away", retries=20)
    drivers.worker()
    pid = drivers.start(*explore(folder), log="away.log")
    launchpad = lasting_site.mongo.launchpad()
    wait_for(lambda: launchpad.fireworks.count_documents({"state": "COMPLETED"}), what="a result")
    lasting_site.mongo.stop(kill=True)
    time.sleep(30)
    lasting_site.mongo.start()
    wait_for(lambda: pid in drivers.ended, what="the campaign")
    assert drivers.ended[pid] == 0, (lasting_site.folder / "away.log").read_text()[-2000:]
    assert_undisturbed(drivers, folder, undisturbed)


def test_the_database_stopped_inside_a_submission(lasting_site, drivers, undisturbed, fresh):
    folder = lasting_site.campaign("submission", retries=20)
    pid = drivers.start(*explore(folder))
    launchpad = lasting_site.mongo.launchpad()
    wait_for(lambda: launchpad.fireworks.count_documents({}), what="a Firework")
    lasting_site.mongo.stop(kill=True)
    drivers.kill(pid)
    lasting_site.mongo.start()
    drivers.worker()
    drivers.run(*explore(folder))
    assert_undisturbed(drivers, folder, undisturbed)


@pytest.mark.long
def test_a_worker_with_an_older_project_refuses_by_name(lasting_site, drivers, undisturbed, fresh):
    older = lasting_site.folder / "older" / "phaseloop-0.0.9.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: phaseloop\nVersion: 0.0.9\n")
    folder = lasting_site.campaign("older-worker")
    pid = drivers.start(*explore(folder), log="older.log")
    worker = lasting_site.worker("older-worker-log", PYTHONPATH=f"{older.parent}:{REPOSITORY}")
    log = lasting_site.folder / "older.log"
    wait_for(lambda: log.exists() and "older than the driver's" in log.read_text(), what="a refusal")
    kill(worker)
    assert "has phaseloop 0.0.9" in log.read_text()
    assert not completed_launches(lasting_site)
    drivers.worker()
    wait_for(lambda: pid in drivers.ended, what="the campaign")
    assert_undisturbed(drivers, folder, undisturbed)


@pytest.fixture
def small_disk(lasting_site):
    """A folder on a disk of its own, of four megabytes."""
    folder = lasting_site.folder / "small-disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    with path.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


def test_a_full_campaign_folder_and_a_read_only_one(lasting_site, drivers, undisturbed, fresh, small_disk):
    for file in lasting_site.campaign("template").iterdir():
        (small_disk / file.name).write_bytes(file.read_bytes())
    drivers.worker()
    pid = drivers.start(*explore(small_disk))
    wait_for(lambda: lasting_site.mongo.launchpad().fireworks.count_documents({"state": "COMPLETED"}), what="a result")
    drivers.kill(pid)
    with pytest.raises(OSError, match="No space"):
        fill(small_disk / "filler")
    text = drivers.run(*explore(small_disk), code=1)
    assert "cannot be written" in text
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    text = drivers.run(*explore(small_disk), code=1)
    assert "cannot be written" in text
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    drivers.run(*explore(small_disk))
    assert_undisturbed(drivers, small_disk, undisturbed)
