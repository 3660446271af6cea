"""The files that FireWorks and jobflow need on a cluster, written once into a campaign folder."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from importlib.resources import files
from pathlib import Path

from loop.errors import UserError

#: Queues whose files can be written.
QUEUES = ("slurm", "pbs", "sge")

#: Files that take a password: readable by their owner alone, from the first moment.
_PRIVATE = ("my_launchpad.yaml", "jobflow.yaml")

_PLAIN = ("my_fworker.yaml", "FW_config.yaml")


def write_cluster_files(folder: Path, queue: str, database: str = "localhost", force: bool = False) -> list[Path]:
    """Write the files of FireWorks and jobflow, filled in and commented, into a folder.

    No password is written: the user adds it to the two files that only their owner can read. Nothing is made, not even
    the folder, where an argument is refused.

    Args:
        folder: Where they go; its absolute path is written into them.
        queue: slurm, pbs or sge.
        database: [USER@]HOST[:PORT] of the MongoDB server; default: your name here, port 27017.
        force: Write over files that are there.

    Returns:
        The files, in order.

    Raises:
        UserError: If the queue is unknown, `database` is no address, or a file is there already.
    """
    if queue not in QUEUES:
        raise UserError(f"--cluster {queue!r} is unknown, choose from {', '.join(QUEUES)}")
    folder = folder.resolve()
    texts = cluster_files(queue, {**_address(database), **_surroundings(folder)})
    there = [name for name in texts if (folder / name).exists()]
    if there and not force:
        raise UserError(f"{folder / there[0]} exists already; edit it, or write over it with --force")
    (folder / "logs").mkdir(parents=True, exist_ok=True)  # FireWorks writes there and does not make it
    for name, text in texts.items():
        _write(folder / name, text, 0o600 if name in _PRIVATE else 0o644)
    return [folder / name for name in texts]


def cluster_files(queue: str, values: dict[str, str]) -> dict[str, str]:
    """The files' names and texts.

    Args:
        queue: One of QUEUES.
        values: host, port, folder, programs (the folder of rlaunch), username and worker.
    """
    values = {**values, "mpi": "srun" if queue == "slurm" else "mpirun"}
    sources = {name: (name,) for name in (*_PRIVATE, *_PLAIN)} | {
        "my_qadapter.yaml": (f"my_qadapter_{queue}.yaml", "my_qadapter_every.yaml")
    }
    if queue == "sge":
        sources["SGE_template.txt"] = ("SGE_template.txt",)
    return {name: "".join(_fill(part, values) for part in parts) for name, parts in sources.items()}


def _address(database: str) -> dict[str, str]:
    user, _, place = database.rpartition("@")
    host, _, port = place.partition(":")
    port = port or "27017"
    if not host or not port.isdigit() or ":" in user:
        raise UserError(f"--database {place!r} is no [USER@]HOST[:PORT]; a password does not go there")
    return {"host": host, "port": port, "username": user or getpass.getuser()}


def _surroundings(folder: Path) -> dict[str, str]:
    return {
        "folder": str(folder),
        "programs": str(Path(sys.executable).parent),
        "worker": f"{getpass.getuser()}-{os.uname().nodename.split('.')[0]}",
    }


def _fill(source: str, values: dict[str, str]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["shell"] = shlex.quote
    text = files("loop").joinpath("cluster_files", source).read_text(encoding="utf-8")
    return environment.from_string(text).render(values)


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file anew whose mode is right before anything stands in it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as handle:
        handle.write(text)
