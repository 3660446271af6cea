import os
import subprocess
import sys

import pytest

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings


@pytest.fixture
def folder(tmp_path):
    """A campaign of one field that has a failed calculation."""
    with Campaign.drive(tmp_path / "c", Settings()) as campaign:
        campaign.begin_cycle(1)
        campaign.record_proposals(1, {"Li-Sn-S-Cl": "asked for by name"})
        campaign.calculations.plan("Li-Sn-S-Cl", 1, "chgnet", [Calculation("a", "probe", "Li3SnS3Cl", [], "no")], {})
    return tmp_path / "c"


def unread(*arguments, both=False, options=()):
    """A command whose output nobody reads: what is left on standard error, and its exit code."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, *options, "-m", "loop.cli", *map(str, arguments)]
    error = writing if both else subprocess.PIPE
    process = subprocess.run(command, stdout=writing, stderr=error, text=True, check=False)
    os.close(writing)
    return process.stderr or "", process.returncode


@pytest.mark.parametrize(
    ("command", "options"),
    [(("--help",), ()), (("status", "{}"), ()), (("status", "{}"), ("-u",)), (("status", "{}", "--json"), ())],
    ids=["help", "status", "unbuffered", "json"],
)
def test_what_prints_alone_ends_well_when_nobody_reads(folder, command, options):
    assert unread(*(word.format(folder) for word in command), options=options) == ("", 0)


def test_what_writes_files_writes_all_of_them_when_nobody_reads(tmp_path):
    assert unread("init", tmp_path, "--cluster", "slurm") == ("", 0)
    assert (tmp_path / "campaign.yaml").exists()


def test_a_mistake_keeps_its_exit_code_when_nobody_reads_the_sentence(tmp_path):
    assert unread("status", tmp_path, both=True) == ("", 2)
