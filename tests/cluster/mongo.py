"""A database that speaks MongoDB's protocol with authentication, for tests: nothing of ours depends on it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loop.cluster_setup import write_cluster_files
from tests.cluster.processes import free_port, start, stop, wait_until

#: Names the Python of an environment that has `mongoeco[wire]`; `.ci/run` makes one.
VARIABLE = "PHASELOOP_TEST_MONGOECO"


def mongo_python() -> str | None:
    """The Python that runs the server, or none."""
    path = os.environ.get(VARIABLE, "")
    return path if path and Path(path).is_file() else None


def configured(folder: Path) -> dict[str, str]:
    """The environment in which FireWorks and jobflow find their files in a folder."""
    return {"FW_CONFIG_FILE": str(folder / "FW_config.yaml"), "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml")}


@dataclass
class MongoServer:
    """A server on one SQLite file and one port, which may be stopped and started again in the middle of a test.

    Attributes:
        folder: Holds the SQLite file and the server's log.
        port: Where it listens, on 127.0.0.1.
        username: The only user.
        password: Planted: drawn anew each time, so that a test may search for it in whatever was written.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    username: str = "phaseloop"
    password: str = field(default_factory=lambda: f"planted-{secrets.token_hex(12)}", repr=False)
    _process: subprocess.Popen | None = field(default=None, repr=False)

    def start(self) -> None:
        """Serve; returns when connections are taken."""
        if self._process is not None:
            return
        python, script = mongo_python(), Path(__file__).with_name("mongo_server.py")
        assert python, f"{VARIABLE} names no Python"
        log = self.folder / "mongo.log"
        self._process = start(
            [python, "-I", str(script), str(self.folder / "mongo.sqlite"), str(self.port)],
            log,
            {"PHASELOOP_TEST_MONGO_USER": self.username, "PHASELOOP_TEST_MONGO_PASSWORD": self.password},
        )
        wait_until(lambda: self._listens() or self._process.poll() is not None, f"the database listens; see {log}")
        if self._process.poll() is not None:
            raise RuntimeError(f"the database did not start: {log.read_text()[-2000:]}")

    def stop(self, kill: bool = False) -> None:
        """Stop serving; `kill` is a crash, after which the file is what was written until then."""
        if self._process is not None:
            stop(self._process, kill)
        self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None
        return self._process.pid

    def connection(self) -> dict[str, Any]:
        """Where it is and who may come in, under pymongo's and FireWorks' names."""
        return {"host": "127.0.0.1", "port": self.port, "username": self.username, "password": self.password}

    def write_files(self, folder: Path, queue: str = "slurm") -> None:
        """Write what `loop init --cluster` writes, and add the password as a user would."""
        write_cluster_files(folder, queue, f"{self.username}@127.0.0.1:{self.port}")
        for name, empty in (("my_launchpad.yaml", "null"), ("jobflow.yaml", "''")):
            text = (folder / name).read_text()
            (folder / name).write_text(text.replace(f"password: {empty}", f"password: {self.password}"))

    def launchpad(self, name: str = "fireworks", **options: Any) -> Any:
        """A LaunchPad on it, in a database of that name."""
        from fireworks import LaunchPad

        return LaunchPad(**self.connection(), name=name, authsource="admin", strm_lvl="ERROR", **options)

    def job_store(self, name: str = "jobflow") -> Any:
        """jobflow's JobStore on it, with a GridFS store for what is too large for a document."""
        from jobflow import JobStore

        return JobStore.from_dict_spec(self.job_store_spec(name))

    def job_store_spec(self, name: str = "jobflow") -> dict[str, Any]:
        """The same as jobflow.yaml has it under JOB_STORE.

        Blobs are compressed because this database takes minutes for a GridFS file of 17 MB, in chunks, uncompressed.
        """
        access = {"database": name, **self.connection(), "auth_source": "admin"}
        blobs = {"type": "GridFSStore", "collection_name": "blobs", "compression": True, **access}
        return {
            "docs_store": {"type": "MongoStore", "collection_name": "outputs", **access},
            "additional_stores": {"data": blobs},
        }
