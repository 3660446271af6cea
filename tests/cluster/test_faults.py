"""Campaigns on a real LaunchPad whose parts die: each ends with the verdicts of an undisturbed one."""

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from loop.campaign import Campaign
from tests.cluster.harness import FOR_LENNARD_JONES, PATIENCE, REAL, REPOSITORY, Site, kill, verdicts, wait_for
from tests.cluster.mongo import VARIABLE, MongoServer, mongo_python

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KILLS = 20  # moments at which the driver is killed

FIELD = "Na-Li-Br-Cl"


def explore(folder):
    """The command that explores one field: the loop without the training of a ranker, which needs no cluster."""
    return "explore", FIELD, "--dir", folder


class Drivers:
    """Starts drivers and workers by forking a process that has the libraries loaded."""

    def __init__(self, site):
        self.site, self.ended = site, {}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked.py"))],
            env=site.environment,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            umask=0,  # a careless user's: what drivers write is still not for everybody to change
        )
        self._answers = []
        assert self._process.stdout.readline().strip() == "ready"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._process.stdout:
            words = line.split()
            if words[0] == "ended":
                self.ended[int(words[1])] = int(words[2])
            else:
                self._answers.append(int(words[0]))

    def start(self, *arguments, log="driver.log"):
        return self._order(program="loop", arguments=list(map(str, arguments)), log=str(self.site.folder / log))

    def worker(self):
        """What `Site.worker` starts, sooner."""
        folder = self.site.folder / "worker"
        folder.mkdir(exist_ok=True)
        arguments = ["rapidfire", "--nlaunches", "infinite", "--sleep", "1"]
        pid = self._order(program="rlaunch", arguments=arguments, log=f"{folder}.log", folder=str(folder))
        worker = SimpleNamespace(pid=pid, wait=lambda: wait_for(lambda: pid in self.ended))
        self.site.processes.append(worker)
        return worker

    def _order(self, **order):
        before = len(self._answers)
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        wait_for(lambda: len(self._answers) > before, what="a driver")
        return self._answers[-1]

    def run(self, *arguments, code=0, seconds=PATIENCE):
        """A command to its end; what it said."""
        log = f"run-{time.monotonic_ns()}.log"
        pid = self.start(*arguments, log=log)
        wait_for(lambda: pid in self.ended, seconds, f"loop {' '.join(map(str, arguments))}")
        text = (self.site.folder / log).read_text()
        assert self.ended[pid] == code, text[-3000:]
        return text

    def kill(self, pid):
        """SIGKILL to a driver and the processes it started."""
        if pid not in self.ended:
            os.killpg(pid, signal.SIGKILL)
        wait_for(lambda: pid in self.ended)

    def close(self):
        self.site.close()
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
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


@pytest.fixture(scope="module")
def drivers(site):
    drivers = Drivers(site)
    yield drivers
    drivers.close()


@pytest.fixture(scope="module")
def undisturbed(site, drivers):
    """The verdicts of a campaign on this machine."""
    folder = site.campaign("undisturbed", executor="local")
    drivers.run(*explore(folder))
    return facts(drivers, folder)


@pytest.fixture
def fresh(site):
    """An empty LaunchPad and JobStore: nothing is known from the last campaign."""
    site.close()
    launchpad, store = site.mongo.launchpad(), site.mongo.job_store()
    launchpad.reset("", require_password=False, max_reset_wo_password=10**6)
    store.connect()
    store.remove_docs({})
    yield
    site.close()


def facts(drivers, folder):
    """What `loop status --json` prints."""
    text = drivers.run("status", folder, "--json")
    return json.loads(text[text.index("{") :])


def completed_launches(site):
    """How often each calculation was computed to its end."""
    launchpad = site.mongo.launchpad()
    fireworks = launchpad.fireworks.find({}, {"fw_id": 1, "spec.phaseloop": 1})
    hashes = {document["fw_id"]: document["spec"]["phaseloop"]["hash"] for document in fireworks}
    computed = {"state": "COMPLETED", "action.stored_data.skipped": {"$exists": False}}
    done = launchpad.launches.find(computed, {"fw_id": 1})
    return Counter(hashes[launch["fw_id"]] for launch in done)


def assert_undisturbed(drivers, folder, undisturbed):
    found = facts(drivers, folder)
    assert verdicts(found) == verdicts(undisturbed)
    assert found["calculations"] == undisturbed["calculations"]
    assert set(completed_launches(drivers.site).values()) == {1}
    return found


def test_a_campaign_through_the_launchpad_is_the_campaign(site, drivers, undisturbed, fresh):
    folder = site.campaign("plain")
    drivers.worker()
    drivers.run(*explore(folder))
    found = assert_undisturbed(drivers, folder, undisturbed)
    assert found["launchpad"]["states"] == {"COMPLETED": found["calculations"]["done"]}
    assert set(found["launchpad"]["fields"]) == {row["phase_field"] for row in found["fields"]}
    assert found["launchpad"]["core_hours"] > 0
    text = drivers.run("status", folder)
    assert "LaunchPad:" in text
    assert "nothing to do" in drivers.run(*explore(folder))


def test_a_driver_killed_at_random_moments(site, drivers, undisturbed, fresh):
    folder = site.campaign("killed")
    drivers.worker()
    rng = random.Random(0)
    launchpad = site.mongo.launchpad()
    for number in range(KILLS):
        pid = drivers.start(*explore(folder))
        if number >= 3:  # the first die while they build structures
            wait_for(lambda pid=pid: pid in drivers.ended or launchpad.fireworks.count_documents({}), what="a Firework")
        time.sleep(rng.uniform(0, 3))
        drivers.kill(pid)
    drivers.run(*explore(folder))
    assert_undisturbed(drivers, folder, undisturbed)


def test_workers_killed_inside_calculations(site, drivers, undisturbed, fresh):
    folder = site.campaign("workers", retries=20)
    pid = drivers.start(*explore(folder))
    launchpad = site.mongo.launchpad()
    for _ in range(3):
        worker = drivers.worker()
        wait_for(lambda: launchpad.fireworks.count_documents({"state": "RUNNING"}), what="a run")
        time.sleep(0.3)
        kill(worker)
    drivers.worker()
    wait_for(lambda: pid in drivers.ended, what="the campaign")
    assert_undisturbed(drivers, folder, undisturbed)


@pytest.mark.physics
def test_a_worker_killed_inside_chgnet(site, drivers, fresh):
    site.phases("real-phases", REAL)
    (site.folder / "salts.csv").write_text("composition\nNaLiBrCl\n")
    changes = {"level_of_theory": "chgnet", "competing": {"source": "../real-phases"}, "probes": {"max_atoms": 8}}
    folders = [site.campaign("chgnet-here", changes, executor="local"), site.campaign("chgnet", changes)]
    pid, here = (
        drivers.start(*explore(folder), "--compositions", site.folder / "salts.csv") for folder in reversed(folders)
    )
    launchpad, worker = site.mongo.launchpad(), site.worker()
    wait_for(lambda: launchpad.fireworks.count_documents({"state": "COMPLETED"}), what="a result")
    wait_for(lambda: launchpad.launches.count_documents({"state": "RUNNING", "phaseloop.pid": {"$exists": True}}))
    kill(worker)
    site.worker()
    wait_for(lambda: {pid, here} <= drivers.ended.keys(), what="the campaigns")
    expected, found = (facts(drivers, folder) for folder in folders)
    assert found["calculations"] == expected["calculations"] == {"done": 9}
    assert verdicts(found) == verdicts(expected)
    assert set(completed_launches(site).values()) == {1}


def test_the_database_away_for_half_a_minute(site, drivers, undisturbed, fresh):
    folder = site.campaign("away", retries=20)
    drivers.worker()
    pid = drivers.start(*explore(folder), log="away.log")
    launchpad = site.mongo.launchpad()
    wait_for(lambda: launchpad.fireworks.count_documents({"state": "COMPLETED"}), what="a result")
    site.mongo.stop(kill=True)
    time.sleep(30)
    site.mongo.start()
    wait_for(lambda: pid in drivers.ended, what="the campaign")
    assert drivers.ended[pid] == 0, (site.folder / "away.log").read_text()[-2000:]
    assert_undisturbed(drivers, folder, undisturbed)


def test_the_database_stopped_inside_a_submission(site, drivers, undisturbed, fresh):
    folder = site.campaign("submission", retries=20)
    pid = drivers.start(*explore(folder))
    launchpad = site.mongo.launchpad()
    wait_for(lambda: launchpad.fireworks.count_documents({}), what="a Firework")
    site.mongo.stop(kill=True)
    drivers.kill(pid)
    site.mongo.start()
    drivers.worker()
    drivers.run(*explore(folder))
    assert_undisturbed(drivers, folder, undisturbed)


def test_a_second_driver_is_refused_and_two_campaigns_share_one_launchpad(site, drivers, undisturbed, fresh):
    folders = [site.campaign(name) for name in ("one", "two")]
    pids = [drivers.start(*explore(folder)) for folder in folders]
    wait_for(lambda: (folders[0] / "campaign.db").exists())
    assert "is being driven by process" in drivers.run(*explore(folders[0]), code=2)
    drivers.worker()
    wait_for(lambda: all(pid in drivers.ended for pid in pids), what="the campaigns")
    for folder in folders:
        found = facts(drivers, folder)
        assert verdicts(found) == verdicts(undisturbed)
        assert found["calculations"] == undisturbed["calculations"]


def test_a_worker_with_an_older_project_refuses_by_name(site, drivers, undisturbed, fresh):
    older = site.folder / "older" / "phaseloop-0.0.9.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: phaseloop\nVersion: 0.0.9\n")
    folder = site.campaign("older-worker")
    pid = drivers.start(*explore(folder), log="older.log")
    worker = site.worker("older-worker-log", PYTHONPATH=f"{older.parent}:{REPOSITORY}")
    log = site.folder / "older.log"
    wait_for(lambda: log.exists() and "older than the driver's" in log.read_text(), what="a refusal")
    kill(worker)
    assert "has phaseloop 0.0.9" in log.read_text()
    assert not completed_launches(site)
    drivers.worker()
    wait_for(lambda: pid in drivers.ended, what="the campaign")
    assert_undisturbed(drivers, folder, undisturbed)


@pytest.fixture
def small_disk(site):
    """A folder on a disk of its own, of four megabytes."""
    folder = site.folder / "small-disk"
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


def test_a_full_campaign_folder_and_a_read_only_one(site, drivers, undisturbed, fresh, small_disk):
    for file in site.campaign("template").iterdir():
        (small_disk / file.name).write_bytes(file.read_bytes())
    drivers.worker()
    pid = drivers.start(*explore(small_disk))
    wait_for(lambda: site.mongo.launchpad().fireworks.count_documents({"state": "COMPLETED"}), what="a result")
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


def test_the_cluster_takes_the_next_steps_itself(site, drivers, undisturbed, fresh):
    folder = site.campaign("alone", advance="cluster", executor="local")  # each step reads this file again
    text = drivers.run("run", "--dir", folder, "--cycles", 1, "--executor", "fireworks")
    assert "the cluster takes the next step" in text
    drivers.worker()
    wait_for(lambda: facts(drivers, folder)["cycles_completed"] == 1, what="the cycle")
    found = facts(drivers, folder)
    assert verdicts(found) == verdicts(undisturbed)
    assert found["launchpad"]["categories"]["screen"] == {"COMPLETED": found["calculations"]["done"]}


def here_and_there(site, drivers, name, changes):
    """Folders of the same campaign, run in processes of this machine and by a cluster that takes its own next steps."""
    here = site.campaign(f"{name}-here", changes, executor="local")
    there = site.campaign(name, changes, advance="cluster")
    drivers.run("run", "--dir", here, "--cycles", 1)
    assert "the cluster takes the next step" in drivers.run("run", "--dir", there, "--cycles", 1)
    drivers.worker()
    wait_for(lambda: facts(drivers, there)["cycles_completed"] == 1, what="the cycle")
    return here, there


@pytest.mark.physics
def test_a_ladder_is_climbed_by_the_cluster_batch_by_batch_as_it_is_here(site, drivers, fresh):
    changes = {
        "levels": ["lennard-jones", "chgnet"],
        "level_settings": {"chgnet": {"fmax": 0.5}},
        "ladder": {"keep": [2], "batch": 1, "window": 9, "structures": 1, "section": ["LiCl", "NaBr"]},
        "probes": {"compositions_per_field": 4, "first_batch": 4, "max_atoms": 8},
    }
    here, there = here_and_there(site, drivers, "climb", changes)
    found, expected = (facts(drivers, folder)["fields"] for folder in (there, here))
    assert found == expected
    assert [level["probes"] for level in found[0]["levels"]] == [4, 2]
    chosen = [
        campaign.database.query("SELECT composition, reason FROM uses WHERE reason != '' ORDER BY rowid")
        for campaign in map(Campaign.read, (here, there))
    ]
    assert [tuple(row) for row in chosen[0]] == [tuple(row) for row in chosen[1]]
    assert sum("; at chgnet expected " in row["reason"] for row in chosen[1]) == 2


@pytest.mark.slow
@pytest.mark.long
def test_what_a_positive_rests_on_is_searched_for_again_by_the_cluster_as_it_is_here(site, drivers, fresh):
    changes = {
        "competing": {"source": "offline", "max_atoms": 8, "by_analogy": 0},
        "probes": {"compositions_per_field": 2, "first_batch": 2, "max_atoms": 8},
        "verdicts": {"error_band": 0.0, "stable_below": 5.0, "filtered_above": 9.0},
    }
    here, there = here_and_there(site, drivers, "again", changes)
    kept = [
        (campaign.verdicts()[0]["reason"], sorted(map(tuple, campaign.database.query("SELECT role, hash FROM uses"))))
        for campaign in map(Campaign.read, (here, there))
    ]
    assert kept[0] == kept[1]
    assert "Searched for again, harder: " in kept[1][0]
    assert sum(role == "again" for role, _ in kept[1][1]) >= 2


def test_nothing_that_was_written_has_the_password_or_is_for_all_to_change(site, undisturbed):
    site.close()
    ours = [path for path in site.folder.iterdir() if path.name not in ("config", "mongo")]
    written = [path for top in ours for path in (top, *top.rglob("*")) if path.is_file()]
    assert len(written) > 50
    with_password = [path for path in written if site.mongo.password.encode() in path.read_bytes()]
    assert with_password == []
    launchpad, store = site.mongo.launchpad(), site.mongo.job_store()
    store.connect()
    kept = [str(list(launchpad.db[name].find())) for name in ("fireworks", "launches", "workflows")]
    assert site.mongo.password not in "".join(kept) + str(list(store.query({})))
    campaigns = [path for path in written if (path.parent / "campaign.db").exists() or path.name == "campaign.db"]
    assert not [path for path in campaigns if path.stat().st_mode & stat.S_IWOTH]
