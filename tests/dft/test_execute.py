import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from jobflow import Flow, Maker, job

from dft.execute import LocalExecutor, Task
from dft.flows import read_output, run_flow


def double(x):
    return {"twice": 2 * x}


def fail():
    raise ValueError("sulphur is missing\nand more")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def no_memory():
    raise MemoryError("cannot allocate")


def no_space():
    raise OSError(28, "No space left on device")


def test_outcomes_carry_values_and_times():
    with LocalExecutor(2) as executor:
        outcomes = {o.key: o for o in executor.run(Task(str(x), double, (x,)) for x in range(5))}
    assert {key: o.value["twice"] for key, o in outcomes.items()} == {str(x): 2 * x for x in range(5)}
    assert all(o.reason == "" and o.value["cpu_s"] >= 0 for o in outcomes.values())


def note(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(0.5)


def test_every_worker_warms_up_and_a_warm_up_that_fails_is_no_outcome(tmp_path):
    with LocalExecutor(2) as executor:
        executor.warm_up(note, tmp_path)
        executor.warm_up(fail)
        assert [o.value["twice"] for o in executor.run([Task("3", double, (3,))])] == [6]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_has_its_reason_and_no_value_of_another():
    with LocalExecutor(1) as executor:
        good, bad = executor.run([Task("good", double, (1,)), Task("bad", fail)])
    assert good.value["twice"] == 2
    assert bad.value is None
    assert bad.reason == "sulphur is missing"
    assert not bad.blameless
    assert not bad.passing


def test_a_task_that_lacked_memory_may_be_tried_another_day():
    with LocalExecutor(1) as executor:
        (outcome,) = executor.run([Task("a", no_memory)])
    assert outcome.value is None
    assert outcome.passing
    assert not outcome.blameless


def test_a_full_disk_is_not_the_fault_of_the_task():
    with LocalExecutor(1) as executor:
        (outcome,) = executor.run([Task("a", no_space)])
    assert outcome.blameless
    assert outcome.value is None


def slow_double(x):
    time.sleep(1.5)
    return double(x)


def test_a_task_that_kills_its_workers_fails_alone():
    tasks = [Task("0", slow_double, (0,)), Task("deadly", die), *(Task(str(x), slow_double, (x,)) for x in range(1, 4))]
    with LocalExecutor(2) as executor:
        outcomes = {o.key: o for o in executor.run(tasks)}
    assert outcomes["deadly"].reason == "its worker process died twice (killed, or out of memory)"
    assert outcomes["deadly"].passing
    assert [outcomes[str(x)].value["twice"] for x in range(4)] == [0, 2, 4, 6]


def count(folder, name):
    (folder / f"{name}-{time.monotonic_ns()}").touch()
    return {"name": name}


def until(folder, n):
    """Be busy until a folder holds so many files."""
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < n and time.monotonic() < deadline:
        time.sleep(0.05)


def test_what_is_foreseen_is_run_while_a_worker_would_wait_and_only_once(tmp_path):
    foreseen = [Task(name, count, (tmp_path, name)) for name in "ab"]
    with LocalExecutor(2) as executor:
        executor.warm_up(double, 0)
        executor.foresee([*foreseen, Task("c", count, (tmp_path, "not asked for"))])
        assert [o.key for o in executor.run([Task("slow", until, (tmp_path, 3))])] == ["slow"]
        assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == ["a", "b", "not asked for"]
        wanted = [*foreseen, Task("c", count, (tmp_path, "c"))]
        assert {o.key: o.value["name"] for o in executor.run(wanted)} == {"a": "a", "b": "b", "c": "c"}
    assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == ["a", "b", "c", "not asked for"]


def test_what_is_foreseen_and_still_running_when_it_is_asked_for_is_waited_for(tmp_path):
    slow = Task("late", slow_count, (tmp_path,))
    with LocalExecutor(2) as executor:
        executor.foresee([slow])
        assert [o.key for o in executor.run([Task("short", double, (1,))])] == ["short"]
        assert [o.key for o in executor.run([slow])] == ["late"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_foreseen_again_stays_and_what_follows_from_it_is_run_too(tmp_path):
    first, second = Task("a", count, (tmp_path, "a")), Task("b", count, (tmp_path, "b"))
    begun = []
    with LocalExecutor(2) as executor:
        executor.warm_up(double, 0)
        executor.foresee([first], lambda outcome: second if outcome.value["name"] == "a" else None)
        list(executor.run([Task("slow", until, (tmp_path, 2))]))
        assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == ["a", "b"]
        executor.foresee([first, Task("c", count, (tmp_path, "c"))])
        assert {o.key for o in executor.run([first, second], started=begun.append)} == {"a", "b"}
    assert sorted(begun) == ["a", "b"]
    assert len(list(tmp_path.glob("a-*"))) == 1


def test_one_that_is_foreseen_first_is_run_before_the_others(tmp_path):
    with LocalExecutor(1) as executor:
        executor.warm_up(double, 0)
        executor.foresee([Task("later", slow_count, (tmp_path,))])
        for outcome in executor.run([Task("now", double, (1,))]):
            executor.foresee_first(Task(f"after {outcome.value}", count, (tmp_path, "first")))
            executor.foresee_first(None)
        until(tmp_path, 1)
        assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["first"]


def slow_count(folder):
    time.sleep(1.5)
    return count(folder, "slow")


def test_a_foreseen_task_that_kills_its_worker_harms_no_other():
    with LocalExecutor(2) as executor:
        executor.foresee([Task("deadly", die)])
        (outcome,) = executor.run([Task("1", slow_double, (1,))])
        assert outcome.value["twice"] == 2
        assert [o.value["twice"] for o in executor.run([Task("2", double, (2,))])] == [4]


ORPHAN = """
import os, subprocess, sys, time
from dft.execute import LocalExecutor, Task

def sleep():
    program = subprocess.Popen(["sleep", "300"])  # stands for an engine outside Python
    open(sys.argv[1], "w").write(f"{os.getpid()} {program.pid}")
    time.sleep(300)

if __name__ == "__main__":
    with LocalExecutor(1) as executor:
        list(executor.run([Task("sleep", sleep)]))
"""


def test_workers_and_their_programs_do_not_outlive_a_killed_driver(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(ORPHAN)
    pid_file = tmp_path / "pid"
    driver = subprocess.Popen(
        [sys.executable, str(script), str(pid_file)], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    try:
        _wait(lambda: pid_file.exists() and pid_file.read_text().strip(), seconds=60)
        worker, program = map(int, pid_file.read_text().split())
    finally:
        driver.kill()
        driver.wait()
    _wait(lambda: not _alive(worker) and not _alive(program), seconds=20)


@dataclass
class Two(Maker):
    """A flow of two jobs, as engines outside Python make them; the second may fail."""

    name: str = "two"
    fails: bool = False

    def make(self, x):
        first = note_and_double(x)
        second = note_and_double(first.output["twice"], self.fails)
        return Flow([first, second], output=second.output)


@job
def note_and_double(x, fails=False):
    Path("note.txt").write_text(str(x))
    if fails:
        raise ValueError("the engine found no minimum")
    return {"twice": 2 * x}


def test_each_job_of_a_flow_has_a_folder_and_the_last_gives_the_output(tmp_path):
    assert run_flow(Two(), (3,), tmp_path / "out.json") == {"twice": 12}
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert read_output(tmp_path / "out.json") == {"twice": 12}


def test_what_a_failed_flow_leaves_is_kept_to_find_out_why(tmp_path):
    with pytest.raises(ValueError, match="the engine found no minimum"):
        run_flow(Two(fails=True), (3,), tmp_path / "out.json")
    notes = sorted(path.read_text() for path in (tmp_path / "out-failed").glob("job_*/note.txt"))
    assert notes == ["3", "6"]
    assert not (tmp_path / "out.json").exists()


def test_the_time_of_programs_that_a_task_runs_counts(tmp_path):
    with LocalExecutor(1) as executor:
        (outcome,) = executor.run([Task("busy", busy)])
    assert outcome.value["cpu_s"] > 0.3


def busy():
    code = "import time\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    return {}


def _wait(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        time.sleep(0.05)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().split()[2] != "Z"
    except FileNotFoundError:
        return False
