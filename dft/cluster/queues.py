"""The queue's own word on a job: Slurm, PBS and SGE by their commands, wherever those are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

#: Seconds that a command of the queue may take.
PATIENCE = 20

#: Under which name each queue's adapter of FireWorks takes memory, and how a mebibyte is written there.
_MEMORY = {"SLURM": ("mem", "M"), "PBS": ("pmem", "mb"), "SGE": ("memory", "M")}

_TIME = re.compile(r"JobState=TIMEOUT|walltime.*exceeded", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"JobState=OUT_OF_MEMORY", re.IGNORECASE)
_OVER = re.compile(
    r"JobState=(?:CANCELLED|FAILED|COMPLETED|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|TIMEOUT|OUT_OF_MEMORY)"
    r"|job_state = [CFEX]\b|Invalid job id|Unknown Job|do not exist|^failed +\d",
    re.IGNORECASE | re.MULTILINE,
)

#: SGE's accounting of a job that it ended because of what the job had asked for: time, or memory.
_SGE_LIMIT = re.compile(r"^failed +37 ", re.MULTILINE)
_SGE_TIME = re.compile(r"^category .*\bh_rt=(\d+)", re.MULTILINE)
_SGE_RAN = re.compile(r"^ru_wallclock +(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class _Commands:
    """How a queue is asked.

    Attributes:
        jobs: Lists all jobs, a number at the start of each line.
        about: Tell of one job, its number appended.
        end: Ends one job, its number appended.
    """

    jobs: tuple[str, ...]
    about: tuple[tuple[str, ...], ...]
    end: str


_COMMANDS = {
    "SLURM": _Commands(("squeue", "--noheader", "--format=%A"), (("scontrol", "show", "job"),), "scancel"),
    "PBS": _Commands(("qstat",), (("qstat", "-x", "-f"),), "qdel"),
    "SGE": _Commands(("qstat", "-u", "*"), (("qstat", "-j"), ("qacct", "-j")), "qdel"),
}


def asked(queue: str, hours: float | None, gigabytes: float | None) -> dict[str, str]:
    """What a queue job of one calculation is to have, as FireWorks takes it in ``_queueadapter``.

    Args:
        queue: SLURM, PBS or SGE, as ``my_qadapter.yaml`` has it; of another, memory is not asked for.
        hours: Wall time; none to leave what the file says.
        gigabytes: Memory, of 1024 MiB, for what the queue counts it by: node, process, slot; none to leave it.
    """
    found = {} if hours is None else {"walltime": clock(hours)}
    if gigabytes is not None and queue in _MEMORY:
        name, unit = _MEMORY[queue]
        found[name] = f"{round(gigabytes * 1024)}{unit}"
    return found


def clock(hours: float) -> str:
    """Hours as queues write them, HH:MM:SS."""
    seconds = round(hours * 3600)
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def queue_here() -> str:
    """The kind of queue whose commands are on this host; empty if there is none."""
    programs = {"SLURM": "squeue", "SGE": "qconf", "PBS": "qstat"}
    return next((kind for kind, program in programs.items() if shutil.which(program)), "")


def jobs_there(queue: str) -> set[str] | None:
    """Numbers of all jobs that the queue has waiting or running; none if it does not answer here.

    Args:
        queue: SLURM, PBS or SGE; of any other nothing is known.
    """
    answer = _answer(_COMMANDS[queue].jobs) if queue in _COMMANDS else None
    if answer is None or answer.returncode:
        return None
    return set(re.findall(r"^\s*(\d+)", answer.stdout, re.MULTILINE))


def why_over(queue: str, job: str) -> str:
    """Why a queue job is over: wall time, out of memory, or that it ended; empty while it runs or nothing is known."""
    answers = [_answer([*command, job]) for command in (_COMMANDS[queue].about if queue in _COMMANDS else ())]
    text = "\n".join(answer.stdout + answer.stderr for answer in answers if answer)
    if not _OVER.search(text) or re.search(r"JobState=(?:RUNNING|PENDING|COMPLETING|SUSPENDED)", text):
        return ""
    if _TIME.search(text) or (_SGE_LIMIT.search(text) and _ran_out_of_time(text)):
        return f"the queue ended job {job} at its wall time"
    if _OUT_OF_MEMORY.search(text) or _SGE_LIMIT.search(text):
        return f"the queue ended job {job}: out of memory"
    return f"queue job {job} is over (cancelled, or its node failed)"


def end_job(queue: str, job: str) -> bool:
    """Take a job out of the queue or end it; whether the queue took the order."""
    answer = _answer([_COMMANDS[queue].end, job]) if queue in _COMMANDS else None
    return answer is not None and answer.returncode == 0


def _ran_out_of_time(account: str) -> bool:
    """Whether a job ended by SGE had run as long as it had asked for."""
    limit, ran = _SGE_TIME.search(account), _SGE_RAN.search(account)
    return bool(limit and ran) and int(ran.group(1)) >= int(limit.group(1))  # type: ignore[union-attr]


def _answer(command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """What a command of the queue says; none if it is not here or does not return."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
