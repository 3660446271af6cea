"""Run a jobflow Flow in this process and keep its output in a file of its own."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from dft.custodian_logs import why_given_up


def run_flow(maker: Any, arguments: tuple[Any, ...], output: Path) -> dict[str, Any]:
    """Make a Flow, run it with jobflow in this process, and keep its JobStore in a file of its own.

    The file takes its name only when it is whole, so that what stands under that name is always a finished calculation.

    Args:
        maker: A jobflow Maker whose `make` gives a job or a flow.
        arguments: What `make` is called with.
        output: File for the JobStore; what it holds already is read instead of computed.

    Returns:
        The output of the flow's last job, and with it the seconds that it took, `wall_s` and `cpu_s`.

    Raises:
        ValueError: If custodian has given a calculation up, with what its log and the program's last words say.
        Exception: Whatever else the job raises.
    """
    import jobflow

    output = output.resolve()  # jobs run in folders of their own
    if not output.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as scratch:
            partial = Path(scratch) / output.name
            store = _json_job_store(partial)
            flow = maker.make(*arguments)
            has_files = isinstance(flow, jobflow.Flow)  # of an engine outside this process, in a folder per job
            try:
                jobflow.run_locally(
                    flow,
                    store=store,
                    log=False,
                    root_dir=scratch,
                    create_folders=has_files,
                    ensure_success=True,
                    raise_immediately=True,
                )
            except Exception as error:
                if has_files:
                    kept = output.with_name(f"{output.stem}-failed")
                    _keep_what_is_left(Path(scratch), kept)
                    if reason := why_given_up(error, kept):
                        raise ValueError(reason) from error
                raise
            store.close()
            partial.replace(output)
    return read_output(output)


def _keep_what_is_left(scratch: Path, kept: Path) -> None:
    """Keep the inputs and outputs of a calculation that failed, to find out why; those of an earlier try go."""
    shutil.rmtree(kept, ignore_errors=True)
    with contextlib.suppress(OSError):
        shutil.copytree(scratch, kept)


def read_output(output: Path) -> dict[str, Any]:
    """The output of the last job in a file that `run_flow` wrote: plain data, nothing in it is made into objects."""
    import json

    with output.open(encoding="utf-8") as handle:
        documents = json.load(handle)
    return max(documents, key=lambda document: (document["completed_at"], document["index"]))["output"]


def _json_job_store(path: Path) -> Any:
    """Documents in a file; what engines store beside them (trajectories, densities of states) is dropped at the end."""
    from jobflow import JobStore
    from maggma.stores import JSONStore, MemoryStore

    return JobStore(JSONStore(str(path), read_only=False), additional_stores={"data": MemoryStore()})
