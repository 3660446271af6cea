"""The parts that need no database: failures told apart, outputs looked at, passwords taken out, documents lightened."""

import gzip
import json
import logging
import os
import socket
import time

import pytest

from dft.cluster.collection import foreign_classes, outcome_of
from dft.cluster.connections import Cluster, Redaction, _secrets
from dft.cluster.firetasks import RefusedByWorkerError, refuse_wrong_versions, start_of, this_process
from dft.cluster.healing import classify, why_lost
from dft.cluster.patient_store import lightened, too_large
from dft.cluster.queues import asked, clock, jobs_there, why_over
from dft.cluster.submission import joint_state


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("dft.cluster.firetasks.RefusedByWorkerError: the worker on n1 has phaseloop 0.0.9, older", "refused"),
        ("FireWork failed to deserialize\nModuleNotFoundError: No module named 'dft.cluster'", "not installed"),
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("pymongo.errors.ServerSelectionTimeoutError: 127.0.0.1:27017", "database"),
        ("torch.OutOfMemoryError: CUDA out of memory", "out of memory"),
        ("slurmstepd: error: Detected 1 oom-kill event(s)", "out of memory"),
        ("lost: the queue ended job 7 at its wall time", "wall time"),
        ("slurmstepd: error: *** JOB 7 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***", "wall time"),
        ("lost: its worker process was killed", "lost"),
        ("custodian.custodian.NonRecoverableError: electronic steps did not converge", "not converged"),
        ("custodian.custodian.ValidationError: Validation failed: VasprunXMLValidator", "no output"),
        ("ValueError: screening takes structures of one composition", "input error"),
        ("RuntimeError: something else", "error"),
    ],
)
def test_failures_are_told_apart(text, kind):
    assert classify(text) == kind


STRUCTURE = {"@module": "pymatgen.core.structure", "@class": "Structure", "sites": [{"species": []}]}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"structure": STRUCTURE}, []),
        ({"a": [{"@module": "os", "@class": "system"}]}, ["os.system"]),
        ({"a": {"@module": "pymatgen.core", "@callable": "loadfn"}}, ["pymatgen.core.loadfn"]),
        ({"a": {"@module": "pymatgenx.core", "@class": "Structure"}}, ["pymatgenx.core.Structure"]),
        ({"a": {"@class": "Structure"}}, ["None.Structure"]),
        ({"a": {"@module": "", "@class": "", "blob_uuid": "1", "store": "data"}}, []),
        ({"a": {"@module": "os", "@class": "system", "blob_uuid": "1", "store": "data"}}, ["os.system"]),
        ({"sites": [{"properties": {"x": {"@module": "subprocess", "@class": "Popen", "args": "id"}}}]},
         ["subprocess.Popen"]),
    ],
    ids=["pymatgen", "os", "callable", "prefix", "no-module", "pointer", "pointer-with-class", "deep"],
)  # fmt: skip
def test_classes_of_other_packages_are_found(value, names):
    assert list(foreign_classes(value)) == names


def test_an_output_that_names_another_class_is_no_result():
    output = {"state": "done", "energy_per_atom": -1.0, "structure": {"@module": "builtins", "@class": "eval"}}
    outcome = outcome_of("aa", output)
    assert outcome.value is None
    assert "names builtins.eval" in outcome.reason


@pytest.mark.parametrize("output", [None, 3, {}, {"state": 1}, {"state": "done", "energy_per_atom": "-1"}])
def test_an_output_of_another_kind_is_no_result(output):
    outcome = outcome_of("aa", output)
    assert outcome.value is None
    assert "in the JobStore" in outcome.reason


def test_a_good_output_is_the_result_as_it_is():
    output = {"state": "done", "energy_per_atom": -1.5, "structure": STRUCTURE}
    assert outcome_of("aa", output).value is output


@pytest.mark.parametrize("name", ["structure", "survivors"])
def test_an_output_whose_structure_was_left_behind_is_no_result_and_says_where_it_is(tmp_path, name):
    output = {"state": "done", "energy_per_atom": -1.0, "structure": STRUCTURE, "survivors": []}
    lighter = lightened({"uuid": "a", "index": 1, "output": output}, [name], tmp_path)["output"]
    outcome = outcome_of("aa", lighter)
    assert outcome.value is None
    assert outcome.reason == (
        f"{name} is too large for a document of the JobStore and was left on {socket.gethostname()}, "
        f"{tmp_path / 'a-1.json.gz'}"
    )
    pointer = {"@module": "pymatgen.core.structure", "@class": "Structure", "blob_uuid": "1", "store": "data"}
    assert "in the additional store 'data'" in outcome_of("aa", output | {name: pointer}).reason


def test_an_older_project_is_refused_by_name():
    refuse_wrong_versions("0.0.1", "", "")
    with pytest.raises(
        RefusedByWorkerError, match=r"the worker on \S+ has phaseloop \S+, older than the driver's 99\.0"
    ):
        refuse_wrong_versions("99.0", "", "")


def test_another_engine_is_refused_by_name():
    with pytest.raises(RefusedByWorkerError, match=r"has ase \S+, the calculation needs 0\.1"):
        refuse_wrong_versions("0.0.1", "ase", "0.1")
    with pytest.raises(RefusedByWorkerError, match="has no-such-engine not installed"):
        refuse_wrong_versions("0.0.1", "no-such-engine", "1")


@pytest.mark.parametrize(
    ("states", "joint"),
    [
        (["COMPLETED", "COMPLETED"], "COMPLETED"),
        (["COMPLETED", "WAITING"], "OPEN"),
        (["FIZZLED", "WAITING"], "FIZZLED"),
        (["ARCHIVED"], "DEFUSED"),
        (["DEFUSED", "READY"], "DEFUSED"),
    ],
)
def test_the_state_of_a_calculation_is_that_of_all_its_fireworks(states, joint):
    assert joint_state(states) == joint


def test_hours_as_queues_write_them():
    assert [clock(hours) for hours in (0.5, 24, 100.01)] == ["00:30:00", "24:00:00", "100:00:36"]


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("SLURM", {"walltime": "01:30:00", "mem": "2560M"}),  # 2.5 GB of 1024 MiB
        ("PBS", {"walltime": "01:30:00", "pmem": "2560mb"}),
        ("SGE", {"walltime": "01:30:00", "memory": "2560M"}),
        ("Cobalt", {"walltime": "01:30:00"}),
    ],
)
def test_each_queue_is_asked_in_its_own_words(queue, expected):
    assert asked(queue, 1.5, 2.5) == expected
    assert asked(queue, None, None) == {}


def launch(**facts):
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return {"state": "RUNNING", "state_history": [{"state": "RUNNING", "updated_on": now}], **facts}


def test_a_run_is_lost_when_its_process_is_gone_or_silent():
    here = this_process() | {"queue_job": ""}
    assert why_lost(launch(phaseloop=here), 3600) == ""
    assert why_lost(launch(phaseloop=here | {"started": "1"}), 3600) == "lost: its worker process was killed"
    assert why_lost(launch(phaseloop=here | {"host": "elsewhere"}), 3600) == ""
    assert "no sign of life" in why_lost(launch(phaseloop=here | {"host": "elsewhere"}), -1)
    assert why_lost(None, 3600) == "lost: the LaunchPad has no launch of it"


def test_a_process_that_reuses_a_number_is_another_one():
    assert start_of(os.getpid()) == start_of(os.getpid()) != ""
    assert start_of(2**22 + 1) == ""


@pytest.fixture
def slurm_that_says(tmp_path, monkeypatch):
    def says(scontrol, squeue="7\n8\n"):
        for name, text in (("scontrol", scontrol), ("squeue", squeue)):
            (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return says


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("JobId=7 JobState=RUNNING Reason=None", ""),
        ("JobId=7 JobState=TIMEOUT Reason=TimeLimit", "the queue ended job 7 at its wall time"),
        ("JobId=7 JobState=OUT_OF_MEMORY", "the queue ended job 7: out of memory"),
        ("JobId=7 JobState=CANCELLED", "queue job 7 is over (cancelled, or its node failed)"),
        ("slurm_load_jobs error: Invalid job id specified", "queue job 7 is over (cancelled, or its node failed)"),
        ("slurm_load_jobs error: Unable to contact slurm controller", ""),
    ],
)
def test_the_queue_says_why_a_job_is_over(slurm_that_says, answer, reason):
    slurm_that_says(answer)
    assert why_over("SLURM", "7") == reason
    assert jobs_there("SLURM") == {"7", "8"}


def test_what_no_document_holds_stays_on_disk(tmp_path):
    small, large = {"uuid": "a", "index": 1, "output": {"state": "done"}}, list(range(3_000_000))
    assert too_large(small) == []
    document = {"uuid": "a", "index": 1, "output": {"state": "done", "trajectory": large, "energy_per_atom": -1.0}}
    assert too_large(document) == ["trajectory"]
    lighter = lightened(document, ["trajectory"], tmp_path)["output"]
    assert lighter["state"] == "done"
    assert lighter["energy_per_atom"] == -1.0
    with gzip.open(lighter["trajectory"]["file"], "rt") as handle:
        assert json.load(handle)["trajectory"] == large
    assert document["output"]["trajectory"] is large


SECRET = "planted-secret"


def test_passwords_are_found_wherever_a_configuration_has_them():
    more = [{"uri": "mongodb://u:p%40q@h/db"}]
    found = set(_secrets({"JOB_STORE": {"docs_store": {"password": SECRET}, "more": more}}))
    assert found == {SECRET, "p%40q", "p@q"}


def test_a_log_has_no_password(tmp_path):
    handler = logging.FileHandler(tmp_path / "log")
    handler.addFilter(Redaction(Cluster(None, None, (SECRET,))))
    logger = logging.getLogger("loop.test_a_log_has_no_password")
    logger.addHandler(handler)
    logger.warning("the password is %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("failed")
    text = (tmp_path / "log").read_text()
    assert SECRET not in text
    assert text.count("***") == 2
