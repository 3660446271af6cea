"""The LaunchPad and the JobStore: opened with care for credentials, and waited for while they are away."""

from __future__ import annotations

import logging
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import yaml

from dft.cluster import FACTS
from dft.cluster.queues import queue_here

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

logger = logging.getLogger("loop")

T = TypeVar("T")

#: Seconds that a database may be away before a driver stops: maintenance of a server, not its end.
PATIENCE = 3600.0

#: Seconds between two attempts to reach a database, at most.
LONGEST_PAUSE = 15.0

#: Milliseconds after which one attempt to reach a database ends.
SELECTION_TIMEOUT = 10_000

_SECRET_KEYS = ("password", "secret_access_key", "aws_secret_access_key", "ssh_private_key_password")


@dataclass
class Cluster:
    """Where calculations of a cluster are asked for and where their outputs come back.

    Attributes:
        launchpad: FireWorks' LaunchPad.
        job_store: jobflow's JobStore, the same that the workers write to; none for a look at the LaunchPad alone.
        secrets: Passwords; no text that leaves this object may hold one.
        say: Told what a person should know.
        patience: Seconds that a database may be away.
        queue: Kind of the queue that ``my_qadapter.yaml`` submits to, SLURM, PBS or SGE, or whose commands are on this
            host; empty if there is none.
    """

    launchpad: LaunchPad
    job_store: JobStore | None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    say: Callable[[str], None] = logger.warning
    patience: float = PATIENCE
    queue: str = ""

    @property
    def store(self) -> JobStore:
        """The JobStore.

        Raises:
            ValueError: If this is a look at the LaunchPad alone.
        """
        if self.job_store is None:
            raise ValueError("the JobStore is not open: only the LaunchPad was asked for")
        return self.job_store

    def patiently(self, call: Callable[[], T]) -> T:
        """The result of a call to a database, repeated while the database is away.

        Raises:
            ConnectionError: If it stays away; the text holds no password.
        """
        from pymongo.errors import ConnectionFailure, PyMongoError

        start, pause, told = time.monotonic(), 0.2, False
        while True:
            try:
                return call()
            except ConnectionFailure as error:
                away = time.monotonic() - start
                if away > self.patience:
                    raise ConnectionError(
                        f"the database has been away for {away:.0f} s ({self.redact(str(error))[:200]}); "
                        "nothing recorded is lost, run again when it is back"
                    ) from None
                if not told:
                    self.say("the database does not answer; waiting for it")
                told = True
            except PyMongoError as error:
                raise ConnectionError(f"the database refuses: {self.redact(str(error))[:300]}") from None
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def find(self, collection: str, criteria: dict[str, Any], *keys: str) -> list[dict[str, Any]]:
        """Documents of one of the LaunchPad's collections, as plain data, with these keys alone."""
        projection = {"_id": 0, **dict.fromkeys(keys, 1)}
        return self.patiently(lambda: list(self.launchpad.db[collection].find(criteria, projection)))

    def update(self, collection: str, criteria: dict[str, Any], change: dict[str, Any]) -> int:
        """Change documents of one of the LaunchPad's collections; how many were changed."""
        found = self.patiently(lambda: self.launchpad.db[collection].update_many(criteria, change))
        return found.modified_count

    def redact(self, text: str) -> str:
        """A text without passwords."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


class Redaction(logging.Filter):
    """Takes passwords out of what is logged, tracebacks included."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.cluster = cluster

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and let it pass."""
        record.msg, record.args = self.cluster.redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = self.cluster.redact(logging.Formatter().formatException(record.exc_info))
        return True


def connect(say: Callable[[str], None] = logger.warning, with_store: bool = True) -> Cluster:
    """Open the LaunchPad and the JobStore that FireWorks and jobflow are configured for.

    Args:
        say: Told what a person should know.
        with_store: Without, only the LaunchPad is opened, and nothing made ready for a driver: jobflow need not be
            imported.

    Raises:
        ValueError: If one is not configured, cannot be shared or reached, or its password is not kept to its owner.
    """
    from fireworks import fw_config
    from pymongo.errors import PyMongoError

    launchpad_file = Path(fw_config.LAUNCHPAD_LOC or "")
    if not launchpad_file.is_file():
        raise ValueError(
            "FireWorks has no LaunchPad: set FW_CONFIG_FILE to a FW_config.yaml whose LAUNCHPAD_LOC names one "
            "(`loop init --cluster slurm` writes both)"
        )
    launchpad_settings = _read(launchpad_file)
    secrets, store = {*_secrets(launchpad_settings)}, None
    if with_store:
        store_file, store = _job_store()
        secrets |= {*_secrets(_read(store_file))} if store_file.is_file() else set()
    cluster = Cluster(_launchpad(launchpad_settings), store, tuple(secrets), say, queue=_queue())
    logging_filter = Redaction(cluster)
    for handler in logging.getLogger("loop").handlers:
        handler.addFilter(logging_filter)
    try:
        cluster.launchpad.connection.admin.command("ping")
        if cluster.launchpad.fw_id_assigner.find_one() is None:
            raise ValueError(f"the LaunchPad of {launchpad_file} was never prepared: `lpad reset`, once")
        if store is not None:
            store.connect()
            _index(cluster)
    except PyMongoError as error:
        where = f"{cluster.launchpad.host} (in {launchpad_file})"
        reason = cluster.redact(str(error)).split(", Timeout:")[0][:200]
        raise ValueError(f"the LaunchPad or JobStore at {cluster.redact(where)} cannot be used: {reason}") from None
    return cluster


def _queue() -> str:
    from fireworks import fw_config

    path = Path(fw_config.QUEUEADAPTER_LOC or "")
    return (str(_read(path).get("_fw_q_type") or "") if path.is_file() else "") or queue_here()


def _launchpad(settings: dict[str, Any]) -> LaunchPad:
    from fireworks import LaunchPad

    # a worker waits longer, as its file says; a driver says that it waits
    kwargs = {**(settings.get("mongoclient_kwargs") or {}), "serverSelectionTimeoutMS": SELECTION_TIMEOUT}
    return LaunchPad.from_dict({**settings, "mongoclient_kwargs": kwargs, "strm_lvl": "CRITICAL"})


def _job_store() -> tuple[Path, JobStore]:
    from jobflow import SETTINGS
    from maggma.stores import MemoryStore

    path = Path(SETTINGS.CONFIG_FILE).expanduser()
    if isinstance(SETTINGS.JOB_STORE.docs_store, MemoryStore):
        raise ValueError(
            f"jobflow's JobStore (JOBFLOW_CONFIG_FILE, now {path}) cannot be shared with workers: "
            "give a MongoStore (`loop init --cluster slurm` writes jobflow.yaml)"
        )
    return path, SETTINGS.JOB_STORE


def _read(path: Path) -> dict[str, Any]:
    """A configuration that may hold a password: nobody but its owner may read it then."""
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if any(_secrets(settings)) and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{path} holds a password and can be read by others: chmod 600 {path}")
    return settings


def _secrets(settings: Any) -> Iterator[str]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key in _SECRET_KEYS and isinstance(value, str) and value:
                yield value
            else:
                yield from _secrets(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _secrets(value)
    elif isinstance(settings, str) and settings.startswith(("mongodb://", "mongodb+srv://")):
        password = urlsplit(settings).password
        yield from {password, unquote(password)} if password else ()


def _index(cluster: Cluster) -> None:
    """The keys by which calculations are looked up; made once, then nothing happens.

    With the state and what was collected after the campaign, a look at the LaunchPad reads what is new, not all that
    the campaign ever had there. By its uuid jobflow replaces a document, and makes no index of it.
    """
    fireworks = cluster.launchpad.fireworks
    fireworks.create_index(f"{FACTS}.hash")
    fireworks.create_index([(f"{FACTS}.campaign", 1), ("state", 1), (f"{FACTS}.collected", 1)])
    for key in ("metadata.phaseloop.hash", "uuid"):
        cluster.store.ensure_index(key)
