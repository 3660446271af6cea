"""What comes back from a JobStore: plain data, looked at before it is used, and never made into objects."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dft.cluster.connections import Cluster
from dft.execute import Outcome

#: Packages whose classes an output may name; what reads a structure later makes objects of these alone.
TRUSTED = ("jobflow", "pymatgen", "atomate2", "emmet")

#: What a campaign goes on with, or hands to the next level of a ladder.
NEEDED = ("structure", "survivors")

_WANTED = ["output", "metadata", "completed_at", "index", "uuid", "name"]


def documents(cluster: Cluster, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the JobStore holds of finished calculations, by hash; large values in other stores are left there."""
    criteria = {"metadata.phaseloop.hash": {"$in": list(keys)}, "metadata.phaseloop.result": True}
    found = cluster.patiently(lambda: list(cluster.store.query(criteria, list(_WANTED), load=False)))
    last: dict[str, dict[str, Any]] = {}
    for document in found:
        key = document["metadata"]["phaseloop"]["hash"]
        if document.get("output") is not None and (key not in last or _when(document) > _when(last[key])):
            last[key] = document
    return last


def _when(document: dict[str, Any]) -> tuple[str, int]:
    return str(document.get("completed_at")), int(document.get("index") or 0)


def kept(key: str, document: dict[str, Any], path: Path) -> Outcome:
    """The outcome that a document tells of, and the document in a file, as a calculation made here leaves one."""
    outcome = outcome_of(key, document["output"])
    if outcome.reason:
        return outcome
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps([{**document, "_id": key}], default=str), encoding="utf-8")
        partial.replace(path)
    except OSError as error:  # the disk's fault; the JobStore still has the output
        return Outcome(key, reason=f"{path} cannot be written: {error.strerror}", blameless=True)
    return outcome


def outcome_of(key: str, output: Any) -> Outcome:
    """The outcome that an output tells of; one that must not or cannot be used is a failure with its reason."""
    if not isinstance(output, dict) or not isinstance(output.get("state"), str):
        return Outcome(key, reason="the output in the JobStore is none of this project: it has no state")
    for name, where in left_elsewhere(output):
        return Outcome(key, reason=f"{name} is too large for a document of the JobStore and was left {where}")
    for name in foreign_classes(output):
        return Outcome(key, reason=f"the output in the JobStore names {name}, of none of {', '.join(TRUSTED)}: refused")
    energy = output.get("energy_per_atom")
    if energy is not None and (isinstance(energy, bool) or not isinstance(energy, (int, float))):
        return Outcome(key, reason=f"the energy in the JobStore is no number: {str(energy)[:80]}")
    return Outcome(key, output, reason="")


def left_elsewhere(output: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Values that a campaign needs and that the output only points to, each with where it is.

    A worker left them on its disk (`dft.cluster.patient_store.lightened`), or jobflow in another store.
    """
    for name in NEEDED:
        value = output.get(name)
        if isinstance(value, dict) and "kept_on" in value:
            yield name, f"on {value['kept_on']}, {value.get('file')}"
        elif isinstance(value, dict) and "blob_uuid" in value:
            yield name, f"in the additional store {value.get('store')!r}"


def foreign_classes(value: Any) -> Iterator[str]:
    """Names of classes and functions in plain data that belong to no package that is trusted."""
    if isinstance(value, dict):
        names = [f"{value.get('@module')}.{value[key]}" for key in ("@class", "@callable") if key in value]
        if "@module" in value and not names:
            names = [str(value["@module"])]
        if "blob_uuid" in value and set(names) == {"."}:
            names = []  # jobflow's pointer to a value of no class
        for name in names:
            if "@callable" in value or not _is_trusted(value.get("@module")):
                yield name
        for inner in value.values():
            yield from foreign_classes(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from foreign_classes(inner)


def _is_trusted(module: Any) -> bool:
    return isinstance(module, str) and module.split(".")[0] in TRUSTED
