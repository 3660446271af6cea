"""A worker's JobStore: it waits for a database that is away, and has room for what no document holds."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jobflow import JobStore

logger = logging.getLogger(__name__)

#: Seconds that a finished calculation waits for the database that is to take it.
PATIENCE = 24 * 3600.0

#: Bytes of JSON that a document may have: MongoDB takes 16 MB of BSON, which is a little longer than JSON at times.
LARGEST_DOCUMENT = 12_000_000

#: Additional store that takes large values, where jobflow.yaml names one of this name.
LARGE_STORE = "data"


class PatientJobStore(JobStore):
    """The same JobStore; a result that took hours is not lost to a database that is away for minutes."""

    def connect(self, force_reset: bool = False) -> None:
        """Connect, when the database is there."""
        _patiently(partial(super().connect, force_reset=force_reset))

    def update(self, docs: Any, key: Any = None, save: Any = None) -> None:
        """Store documents when the database is there, their large values elsewhere (see `lightened`)."""
        stores: Any = self
        for document in map(_plain, docs if isinstance(docs, list) else [docs]):
            large = too_large(document)
            if large and LARGE_STORE in stores.additional_stores:
                _patiently(partial(super().update, document, key, _saving(save or stores.save, large)))
            else:
                lighter = lightened(document, large, Path.cwd()) if large else document
                _patiently(partial(super().update, lighter, key, save))


def made_patient(store: Any) -> PatientJobStore:
    """A JobStore that waits, on the same stores."""
    if isinstance(store, PatientJobStore):
        return store
    return PatientJobStore(store.docs_store, store.additional_stores, store.save, store.load)


def _saving(save: Any, large: list[str]) -> dict[str, Any]:
    """What jobflow is to save in additional stores, with these values of the output beside."""
    wanted = dict(save) if isinstance(save, dict) else {}
    before = wanted.get(LARGE_STORE)
    listed = [] if before is None else list(before) if isinstance(before, (list, tuple)) else [before]
    return {**wanted, LARGE_STORE: [*listed, *(["output", name] for name in large)]}


def too_large(document: dict[str, Any]) -> list[str]:
    """The largest values of a document's output, as few as bring it below what a document may have; usually none."""
    output = document.get("output")
    total = len(json.dumps(document, default=str))
    if total <= LARGEST_DOCUMENT or not isinstance(output, dict):
        return []
    sizes = {name: len(json.dumps(value, default=str)) for name, value in output.items()}
    chosen: list[str] = []
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total <= LARGEST_DOCUMENT:
            break
        chosen.append(name)
        total -= sizes[name]
    return chosen


def lightened(document: dict[str, Any], large: list[str], folder: Path) -> dict[str, Any]:
    """A document without its large values: they stay on disk, and the document says where.

    `dft.cluster.collection.outcome_of` refuses an output that lacks what a campaign needs, and says where it is.
    """
    output = dict(document["output"])
    path = folder / f"{document['uuid']}-{document['index']}.json.gz"
    with gzip.open(path, "wt", encoding="utf-8") as handle:
        json.dump({name: output[name] for name in large}, handle, default=str)
    logger.warning("%s is too large for the JobStore and stays in %s", ", ".join(large), path)
    for name in large:
        output[name] = {"kept_on": socket.gethostname(), "file": str(path)}
    return {**document, "output": output}


def _plain(document: Any) -> dict[str, Any]:
    from monty.json import jsanitize

    return jsanitize(document, strict=True, allow_bson=True)


def _patiently(call: Callable[[], Any]) -> None:
    from pymongo.errors import ConnectionFailure

    start, pause = time.monotonic(), 0.5
    while True:
        try:
            call()
            return
        except ConnectionFailure:
            if time.monotonic() - start > PATIENCE:
                raise
            logger.warning("the JobStore does not answer; waiting for it")
        time.sleep(pause)
        pause = min(2 * pause, 30.0)
