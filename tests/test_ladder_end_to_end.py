"""A ladder of two levels with real engines, by the command line: CHGNet, and CHGNet's r2SCAN model above it."""

import json
import os
import subprocess
import sys

import pytest

from loop.campaign import Campaign
from loop.summary import campaign_record

CONFIGURATION = """
levels: [chgnet, chgnet-r2scan]
level_settings: {chgnet-r2scan: {fmax: 0.08}}
ladder: {keep: [1], window: 0.2, batch: null}
probes: {max_atoms: 8}
"""


def loop(*arguments, cwd=None):
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "loop.cli", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)
    if process.returncode:
        pytest.fail(f"loop {arguments} ended with {process.returncode}:\n{process.stdout}\n{process.stderr}")
    return process


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ladder")
    (folder / "c.yaml").write_text(CONFIGURATION)
    (folder / "salts.csv").write_text("composition\nLiNaClBr\nLi3NaCl3Br\n")
    loop("explore", "Na-Li-Br-Cl", "--config", "c.yaml", "--compositions", "salts.csv", "--dir", "c", cwd=folder)
    return folder / "c"


@pytest.mark.physics
@pytest.mark.slow
def test_the_verdict_is_that_of_the_highest_level(explored):
    (field,) = json.loads(loop("status", explored, "--json").stdout)["fields"]
    low, high = field["levels"]
    assert (low["name"], high["name"]) == ("chgnet", "chgnet-r2scan")
    assert (low["probes"], high["probes"]) == (2, 1)  # one was kept
    assert field["best_e_above_competing"] == high["best_e_above_competing"]
    assert field["best_composition"] == high["best_composition"] == low["best_composition"]
    assert "Level of theory: chgnet-r2scan, the highest of 2" in field["reason"]
    assert "fmax=0.08" in high["level"]
    assert high["competing_phases"] >= 8  # four elements and the four salts, computed again


@pytest.mark.physics
@pytest.mark.slow
def test_each_level_has_its_own_energies_and_hull(explored):
    (field,) = campaign_record(Campaign.read(explored)).fields
    (lower,) = field.lower
    assert set(field.competing["level"]) == {field.level}
    assert set(lower.competing["level"]) == {lower.level}
    assert field.level != lower.level
    salt = [table.set_index("formula")["energy_per_atom"]["LiCl"] for table in (lower.competing, field.competing)]
    assert abs(salt[0] - salt[1]) > 0.1  # r2SCAN has another zero of energy


@pytest.mark.physics
@pytest.mark.slow
def test_run_again_it_changes_nothing(explored):
    before = (explored / "campaign.db").read_bytes()
    loop("explore", "Na-Li-Br-Cl", "--config", explored.parent / "c.yaml", "--dir", explored)
    assert (explored / "campaign.db").read_bytes() == before


@pytest.mark.physics
@pytest.mark.slow
def test_the_page_shows_both_levels(explored):
    page = (explored / "report" / "index.html").read_text(encoding="utf-8")
    assert "The map and the verdict are those of chgnet-r2scan." in page
    assert (explored / "report" / "maps" / "Na-Li-Br-Cl-chgnet.png").exists()
    assert (explored / "report" / "tables" / "levels_Na-Li-Br-Cl.csv").exists()
