"""Stand-ins for a cluster on this machine, until Ctrl-C: `python -m tests.cluster FOLDER`.

The same that the tests start: a database that speaks MongoDB's protocol on port 27017, with a password, and one node of
Slurm. Nothing of it is for work that matters.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.cluster.mongo import VARIABLE, MongoServer, mongo_python
from tests.cluster.slurm import Slurm, missing_for_slurm

PORT = 27017


def serve(folder: Path) -> None:
    """Start both, say how they are found, and wait for SIGINT or SIGTERM."""
    missing = missing_for_slurm() or ("" if mongo_python() else f"{VARIABLE} names no Python that has mongoeco[wire]")
    if missing:
        sys.exit(f"cannot start: {missing}")
    for part in ("mongo", "slurm"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    mongo, slurm = MongoServer(folder / "mongo", PORT, password=_password(folder / "password")), Slurm(folder / "slurm")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = folder / "environment"  # is there as long as both are
    environment.unlink(missing_ok=True)
    try:
        mongo.start()
        slurm.start()
        environment.write_text("".join(f"export {k}={v}\n" for k, v in slurm.environment.items()))
        print(f"ready: database on 127.0.0.1:{PORT}, user {mongo.username}, its password in {folder}/password")
        print(f"in every shell that talks to Slurm: source {folder}/environment", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("stopping")
    finally:
        environment.unlink(missing_ok=True)
        slurm.stop()
        mongo.stop()


def _password(path: Path) -> str:
    """The same at every start, for a database that is kept."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(MongoServer(path.parent).password)
    return path.read_text()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    serve(Path(sys.argv[1]).resolve())
