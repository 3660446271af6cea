"""What custodian's log tells of a DFT calculation that did not end well."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

#: What custodian keeps of the program's own words; the first that is not empty is quoted.
_LAST_WORDS = ("std_err.txt", "vasp.out", "cp2k.out")


def why_given_up(error: Exception, folder: Path) -> str:
    """Why custodian has given a calculation up, in one line; empty if the error is none of custodian's.

    Its own messages name classes and addresses in memory, and not what went wrong.

    Args:
        error: What was raised.
        folder: With the folders of the calculation's jobs.
    """
    from custodian.custodian import CustodianError

    if not isinstance(error, CustodianError):
        return ""
    log = max(folder.rglob("custodian.json"), key=lambda path: path.stat().st_mtime, default=None)
    if log is None:
        return f"custodian has given the calculation up ({type(error).__name__})"
    where = f"its files are in {folder}"
    if errors := _errors(_read(log)):
        return f"custodian has given the calculation up after these errors: {_counted(errors)}; {where}"
    told = next(filter(None, (_last_line(log.with_name(name)) for name in _LAST_WORDS)), "")
    return f"the program ended without usable output{f', saying {told!r}' if told else ''}; {where}"


def why_unconverged(document: dict[str, Any]) -> str:
    """Why the energy of a task document of VASP or CP2K must not count although it has one; empty if it may.

    Custodian lets a calculation pass that was stopped at its wall time: it notes an error without an action against
    it. atomate2 then reads the last energy there is, and calls a run of CP2K successful that had to stop early.

    Args:
        document: Of one calculation.
    """
    if stopped := [name for entry in _plain(document.get("custodian")) for name in _given_up(entry)]:
        return f"the calculation was stopped before it had converged: {_counted(stopped)}"
    state = document.get("state")
    if state is None or getattr(state, "value", state) == "successful":
        return ""
    (analysis,) = _plain([document.get("analysis") or {}])
    told = "; ".join(analysis.get("errors") or [])
    return told or "the calculation did not converge within its electronic and ionic steps"


def _read(log: Path) -> list[dict[str, Any]]:
    """Custodian's log; nothing where it was cut short."""
    with contextlib.suppress(OSError, ValueError):
        return list(json.loads(log.read_text(encoding="utf-8")))
    return []


def _given_up(entry: dict[str, Any]) -> list[str]:
    """The errors that custodian had no answer to."""
    return _errors([{"corrections": [c for c in entry.get("corrections") or [] if _no_answer(c)]}])


def _no_answer(correction: dict[str, Any]) -> bool:
    return not correction.get("actions") and not correction.get("skipped")


def _errors(entries: list[dict[str, Any]]) -> list[str]:
    """Names of all errors in custodian's log, as often as they came."""
    return [str(e) for entry in entries for c in entry.get("corrections") or [] for e in c.get("errors") or []]


def _counted(names: list[str]) -> str:
    return ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in Counter(names).items())


def _plain(entries: Any) -> list[dict[str, Any]]:
    """Parts of a task document, which may be models of pydantic, as plain values."""
    return [entry if isinstance(entry, dict) else entry.model_dump() for entry in entries or []]


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
    return ""
