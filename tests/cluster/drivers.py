"""Whole campaigns on a LaunchPad in tests: their drivers as processes, and what each must end with."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from tests.cluster.harness import PATIENCE, REPOSITORY, verdicts, wait_for

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
