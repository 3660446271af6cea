"""The last Firework of a batch: it takes the campaign's next step, so that the loop needs no login session."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fireworks import FiretaskBase, Firework, FWAction, explicit_serialize

from dft.cluster.firetasks import CheckIn
from dft.cluster.submission import Tag

#: Seconds for which another driver's end is waited for; a longer one is a person's, who goes on by himself.
ANOTHER_DRIVER = 600.0


@explicit_serialize
class TakeNextStep(FiretaskBase):
    """Runs `loop run --detach` on a campaign, in a process of its own.

    Other Parameters:
        folder: The campaign folder; it must be visible where this runs.
        cycles: Completed cycles that the campaign is to be brought to.
    """

    required_params = ("folder", "cycles")

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Take the step; what a person must mend fails this Firework with its sentence.

        Raises:
            FileNotFoundError: If the campaign folder is not visible here.
            RuntimeError: If the step failed.
        """
        command = ["-m", "loop.cli", "run", "--dir", self["folder"], "--cycles", str(self["cycles"]), "--detach"]
        if not Path(self["folder"]).is_dir():
            raise FileNotFoundError(f"the campaign folder {self['folder']} is not visible here")
        deadline = time.monotonic() + ANOTHER_DRIVER
        while True:
            ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
            if "is being driven by process" not in ended.stderr or time.monotonic() > deadline:
                break
            time.sleep(5)
        print(ended.stdout, ended.stderr, sep="\n")
        if ended.returncode and "is being driven by process" not in ended.stderr:
            raise RuntimeError(f"the step ended with {ended.returncode}: {ended.stderr.strip()[-400:]}")
        return FWAction(stored_data={"said": ended.stdout.strip()[-400:]})


def last_firework(folder: Path, tag: Tag, cycles: int) -> Firework:
    """The Firework that takes a campaign's next step when all calculations of a batch have ended, well or badly."""
    facts = {
        "hash": f"step-{uuid.uuid4().hex}",
        "submission": uuid.uuid4().hex,
        "campaign": tag.campaign,
        "campaign_name": tag.name,
        "phase_field": "",
        "cycle": 0,
        "version": version("phaseloop"),
    }
    spec = {"_category": "driver", "_add_launchpad_and_fw_id": True, "_allow_fizzled_parents": True, "phaseloop": facts}
    tasks = [CheckIn(package="", version=""), TakeNextStep(folder=str(folder), cycles=cycles)]
    return Firework(tasks, spec=spec, name=f"{tag.name}: next step")
