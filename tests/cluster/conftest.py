from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.mongo import VARIABLE, MongoServer, mongo_python


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[MongoServer]:
    """A database of its own for a test, over TCP, with a password."""
    if mongo_python() is None:
        pytest.skip(f"no database: {VARIABLE} names no Python that has mongoeco[wire]; .ci/run makes one")
    folder = tmp_path / "mongo"
    folder.mkdir()
    server = MongoServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop(kill=True)
