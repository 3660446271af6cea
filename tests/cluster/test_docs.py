"""The last section of docs/cluster.md, its commands run as they stand there, through Slurm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.mongo import MongoServer
from tests.cluster.slurm import Slurm

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def commands(page: str) -> list[str]:
    """Its lines of code from the first that concerns the campaign to the last before everything is stopped."""
    section = page.split("## On one machine, word for word")[1]
    lines = [line.removeprefix("    ") for line in section.splitlines() if line.startswith("    ")]
    first = next(number for number, line in enumerate(lines) if line.startswith("loop init"))
    return lines[first : lines.index("kill %2 %1")]


@pytest.mark.long
def test_the_page_gives_a_finished_campaign_of_three_cycles(
    mongo: MongoServer, slurm: Slurm, tmp_path: Path, repository: Path
):
    stand_ins = tmp_path / "one-machine"
    stand_ins.mkdir()
    (stand_ins / "password").write_text(mongo.password)
    (stand_ins / "environment").write_text(
        "".join(f"export {key}={value}\n" for key, value in slurm.environment.items())
    )
    lines = commands((repository / "docs" / "cluster.md").read_text())
    script = "\n".join(["set -e", *lines, "kill $(jobs -p)"]).replace(":27017", f":{mongo.port}")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(repository),
    }
    run = subprocess.run(
        ["bash"], input=script, cwd=repository, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    campaign = tmp_path / "salts"
    facts = json.loads(
        subprocess.run(
            [sys.executable, "-m", "loop.cli", "status", str(campaign), "--json"],
            env=environment, cwd=repository, capture_output=True, text=True, check=True,
        ).stdout
    )  # fmt: skip
    assert facts["cycles_completed"] == 3
    assert len(facts["fields"]) == 3
    assert len(list((campaign / "launches").rglob("FW_submit.script"))) >= 3  # a queue job for each batch at least
    assert mongo.launchpad().fireworks.count_documents({"state": {"$ne": "COMPLETED"}}) == 0
