"""Makers for tests, where workers can import them."""

import time
from dataclasses import dataclass
from pathlib import Path

from jobflow import Flow, Maker, Response, job


@dataclass
class LargeMaker(Maker):
    """A result with a trajectory that no document of the database holds."""

    name: str = "large"
    megabytes: int = 20

    @job
    def make(self, probes):
        return {"state": "done", "energy_per_atom": -1.0, "trajectory": "x" * (self.megabytes * 1_000_000)}


@dataclass
class SlowMaker(Maker):
    """Says in a file that it has begun, takes its time, and counts how often it was computed."""

    name: str = "slow"
    folder: str = ""
    seconds: float = 30.0

    @job
    def make(self, probes):
        with (Path(self.folder) / f"begun-{probes[0]}").open("a") as handle:
            handle.write("x")
        time.sleep(self.seconds)
        with (Path(self.folder) / f"computed-{probes[0]}").open("a") as handle:
            handle.write("x")
        return {"state": "done", "energy_per_atom": -float(len(str(probes[0])))}


@dataclass
class FailingMaker(Maker):
    """Fails with a message, as often as it is computed."""

    name: str = "failing"
    message: str = "out of memory"

    @job
    def make(self, probes):
        raise RuntimeError(self.message)


@job
def half(x):
    return {"half": x / 2}


@job
def sum_up(parts):
    return {"state": "done", "energy_per_atom": -sum(part["half"] for part in parts)}


@job
def replaced(flow_value):
    following = half(flow_value)
    return Response(replace=Flow([following], output=following.output))


@dataclass
class FlowMaker(Maker):
    """A flow of several jobs, one of which is replaced while it runs."""

    name: str = "flow"

    def make(self, probes):
        first, second = half(probes[0]), replaced(probes[0])
        last = sum_up([first.output, second.output])
        return Flow([first, second, last], output=last.output)
