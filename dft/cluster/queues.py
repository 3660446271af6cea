"""The queue's own word on a job: Slurm, PBS and SGE by their commands, wherever those are installed."""

from __future__ import annotations

import re
import shutil
import subprocess

#: Seconds that a command of the queue may take.
PATIENCE = 20

#: Under which name each queue's adapter of FireWorks takes memory, and how a mebibyte is written there.
_MEMORY = {"SLURM": ("mem", "M"), "PBS": ("pmem", "mb"), "SGE": ("memory", "M")}

_TIME = re.compile(r"JobState=TIMEOUT|walltime.*exceeded", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"JobState=OUT_OF_MEMORY", re.IGNORECASE)
_OVER = re.compile(
    r"JobState=(?:CANCELLED|FAILED|COMPLETED|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|TIMEOUT|OUT_OF_MEMORY)"
    r"|job_state = [CFEX]\b|Invalid job id|Unknown Job|do not exist",
    re.IGNORECASE,
)

#: How each queue is asked about a job, and told to end it.
_COMMANDS = (
    (("scontrol", "show", "job"), "scancel"),
    (("qstat", "-x", "-f"), "qdel"),
    (("qstat", "-j"), "qdel"),
)


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


def jobs_there() -> set[str] | None:
    """Numbers of all jobs that the queue has waiting or running; none if no queue here answers."""
    for command in (["squeue", "--noheader", "--format=%A"], ["qstat"]):
        if not shutil.which(command[0]):
            continue
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return set(re.findall(r"^\s*(\d+)", found.stdout, re.MULTILINE)) if found.returncode == 0 else None
    return None


def why_over(job: str) -> str:
    """Why a queue job is over: wall time, out of memory, or that it ended; empty while it runs or nothing is known."""
    text = "\n".join(_ask([*question, job]) for question, _ in _COMMANDS if shutil.which(question[0]))
    if not _OVER.search(text) or re.search(r"JobState=(?:RUNNING|PENDING|COMPLETING|SUSPENDED)", text):
        return ""
    if _TIME.search(text):
        return f"the queue ended job {job} at its wall time"
    if _OUT_OF_MEMORY.search(text):
        return f"the queue ended job {job}: out of memory"
    return f"queue job {job} is over (cancelled, or its node failed)"


def end_job(job: str) -> bool:
    """Take a job out of the queue or end it; whether a queue that took the order is here."""
    for _, command in _COMMANDS:
        if shutil.which(command):
            return subprocess.run([command, job], capture_output=True, timeout=PATIENCE, check=False).returncode == 0
    return False


def _ask(command: list[str]) -> str:
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout + found.stderr
