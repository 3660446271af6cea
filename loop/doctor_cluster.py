"""What a cluster needs: LaunchPad, JobStore, queue, and one clock; a password is never shown."""

from __future__ import annotations

import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loop.doctor import Finding

if TYPE_CHECKING:
    from pymongo import MongoClient

#: Milliseconds within which a database must answer.
PATIENCE = 3000

#: Seconds by which this machine's clock and the database host's may differ: far less than between two signs of life.
TOLERATED = 30.0

_SETUP = "only needed on a cluster: loop init DIR --cluster slurm"

#: Commands of a queue that FireWorks uses: to submit, to look; arguments with which the second answers at once.
_QUEUES = {
    "SLURM": ("sbatch", "squeue", ["-h", "-o", "%i", "--me"]),
    "PBS": ("qsub", "qstat", []),
    "SGE": ("qsub", "qstat", []),
}


def cluster_findings() -> Iterator[Finding]:
    """Ask the LaunchPad, the JobStore and the queue that are configured; nothing is written."""
    yield from _launchpad_findings()
    yield from _job_store_findings()
    yield _queue()


def _launchpad_findings() -> Iterator[Finding]:
    from fireworks import LaunchPad, fw_config
    from pymongo.errors import PyMongoError

    what, path = "FireWorks LaunchPad", Path(fw_config.LAUNCHPAD_LOC or "")
    if not path.is_file():
        yield Finding(what, False, "not configured" if path == Path() else f"{path} does not exist", _SETUP)
        return
    yield from _kept_secret(path)
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        options = {**(settings.get("mongoclient_kwargs") or {}), "serverSelectionTimeoutMS": PATIENCE}
        launchpad = LaunchPad.from_dict(
            {**settings, "mongoclient_kwargs": options, "strm_lvl": "CRITICAL", "logdir": None}
        )
        ready, begun = launchpad.fireworks.count_documents({"state": "READY"}), launchpad.fw_id_assigner.find_one()
    except (PyMongoError, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        yield Finding(what, False, *_trouble(error, path))
        return
    with launchpad.connection as client:
        where = f"{launchpad.name} on {_address(client)}"
        if begun:
            yield Finding(what, True, f"{where}, {ready} calculations ready")
        else:
            yield Finding(
                what, False, f"{where} is new", "lpad reset: it prepares a new database, and empties a used one"
            )
        yield _clock(client)


def _job_store_findings() -> Iterator[Finding]:
    from maggma.stores import MemoryStore
    from pymongo.errors import PyMongoError

    what = "jobflow JobStore"
    try:
        from jobflow import SETTINGS
    except (OSError, ValueError, TypeError, ImportError) as error:  # it reads its file when it is imported
        yield Finding(
            what,
            False,
            f"its settings cannot be read: {type(error).__name__}",
            f"mend the file that JOBFLOW_CONFIG_FILE names; {_SETUP}",
        )
        return
    store: Any = SETTINGS.JOB_STORE
    path = Path(SETTINGS.CONFIG_FILE).expanduser()
    if isinstance(store.docs_store, MemoryStore):
        yield Finding(what, False, "in memory alone", _SETUP)
        return
    yield from _kept_secret(path)
    for part in (store.docs_store, *store.additional_stores.values()):
        if isinstance(getattr(part, "mongoclient_kwargs", None), dict):
            part.mongoclient_kwargs.setdefault("serverSelectionTimeoutMS", PATIENCE)
    try:
        store.connect()
        found = f"{_collection(store.docs_store)}, {store.count()} outputs"
        store.close()
    except (PyMongoError, OSError, ValueError) as error:
        yield Finding(what, False, *_trouble(error, path))
        return
    yield Finding(what, True, found)
    if not store.additional_stores:
        yield Finding(
            "store for large outputs", False, "none", f"additional_stores in {path}, for outputs above 16 MiB"
        )


def _kept_secret(path: Path) -> Iterator[Finding]:
    """A file that others could read is named whether or not a password stands in it today."""
    if path.is_file() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(f"mode of {path.name}", False, "others may read it", f"chmod 600 {path}")


def _trouble(error: Exception, path: Path) -> tuple[str, str]:
    """What went wrong and what to do about it, told by the kind of the error: its text may hold a password."""
    from pymongo.errors import ConfigurationError, OperationFailure, ServerSelectionTimeoutError

    if isinstance(error, ServerSelectionTimeoutError):
        return f"does not answer within {PATIENCE / 1000:.0f} s", f"start the database, or mend host and port in {path}"
    if isinstance(error, OperationFailure):
        return "refuses user or password", f"mend username, password and authsource in {path}"
    if isinstance(error, ConfigurationError):
        return "its settings are incomplete", f"a username needs a password: fill in both in {path}, or neither"
    return (
        f"cannot be opened: {type(error).__name__}",
        f"mend {path}; `loop init DIR --cluster slurm` writes one that can be read",
    )


def _address(client: MongoClient) -> str:
    return ", ".join(f"{host}:{port}" for host, port in sorted(client.nodes))


def _collection(store: Any) -> str:
    """Kind and place of a store; its own name may be an address with a password."""
    places = (getattr(store, key, None) for key in ("database", "collection_name"))
    return " ".join([type(store).__name__, ".".join(str(place) for place in places if place)]).strip()


def _clock(client: MongoClient) -> Finding:
    """The difference of the clocks, less half of the way there and back."""
    before = time.time()
    told: Any = client.admin.command("hello").get("localTime")
    after = time.time()
    if not isinstance(told, datetime):
        return Finding("clocks", True, "the database does not tell its time")
    ahead = told.replace(tzinfo=UTC).timestamp() - (before + after) / 2
    found = f"the database host's is {abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}"
    remedy = "let both hosts keep the time (chrony, systemd-timesyncd): runs would count as lost that are not"
    return Finding("clocks", abs(ahead) < TOLERATED, found, "" if abs(ahead) < TOLERATED else remedy)


def _queue() -> Finding:
    from fireworks import fw_config

    path = Path(fw_config.QUEUEADAPTER_LOC or "")
    if not path.is_file():
        submit = next(filter(None, map(shutil.which, ("sbatch", "qsub"))), None)
        return Finding(
            "queue", submit is not None, submit or "neither sbatch nor qsub on PATH", "" if submit else _SETUP
        )
    try:
        kind = str(yaml.safe_load(path.read_text(encoding="utf-8"))["_fw_q_type"])
    except (OSError, TypeError, KeyError, yaml.YAMLError):
        return Finding("queue", False, f"{path.name} names no _fw_q_type", f"mend {path}; {_SETUP}")
    if kind not in _QUEUES:
        return Finding("queue", True, f"{kind}, not looked at")
    return _queue_answers(kind, *_QUEUES[kind])


def _queue_answers(kind: str, submit: str, look: str, arguments: list[str]) -> Finding:
    missing = [name for name in (submit, look) if shutil.which(name) is None]
    if missing:
        return Finding(
            "queue", False, f"{' and '.join(missing)} not on PATH", "run this on a node that may submit jobs"
        )
    try:
        answer = subprocess.run([look, *arguments], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return Finding(
            "queue", False, f"{look} does not answer within 30 s", "ask your cluster's status page; then again"
        )
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding(
            "queue", False, f"{look}: {reason[:120]}", f"{look} must work in this shell; ask who runs the queue"
        )
    mine = len(answer.stdout.split()) if kind == "SLURM" else None
    return Finding("queue", True, f"{kind}" + ("" if mine is None else f", {mine} jobs of yours"))
