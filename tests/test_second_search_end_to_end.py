"""A field that would be positive, with the real engine: its phases are searched for again, a kill or not."""

import pytest

from loop.calculation_log import AGAIN
from loop.campaign import Campaign
from tests.explorations import explore, kill_when

FIELD = "Na-Li-Br-Cl"
#: So coarse and so generous that any field of salts is positive.
CONFIGURATION = """
level_settings: {chgnet: {fmax: 0.5}}
probes: {max_atoms: 8, compositions_per_field: 2, first_batch: 2}
competing: {max_atoms: 8, by_analogy: 0}
verdicts: {stable_below: 0.3, filtered_above: 0.6}
execution: {workers: 1, store: outputs}
"""


def states(folder):
    """State of the second searches, by what identifies them."""
    database = Campaign.read(folder).database
    rows = database.query("SELECT hash, state FROM calculations WHERE role = ?", (AGAIN,))
    database.close()
    return {row["hash"]: row["state"] for row in rows}


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    (folder / "c.yaml").write_text(CONFIGURATION)
    kill_when(explore(folder, "killed", FIELD), lambda: "running" in states(folder / "killed").values())
    assert not Campaign.read(folder / "killed").verdicts()
    for name in ("killed", "whole"):  # the second finds most of its calculations in the store
        assert explore(folder, name, FIELD).wait() == 0, (folder / f"{name}.log").read_text()
    return folder


def phases(folder):
    campaign = Campaign.read(folder)
    (level,) = campaign.calculations.levels(FIELD)
    return {r.composition: r for r in campaign.calculations.of(FIELD, "competing", level)}, level, campaign


@pytest.mark.physics
@pytest.mark.slow
def test_what_the_verdict_rests_on_was_searched_for_again(explored):
    found, level, campaign = phases(explored / "whole")
    (verdict,) = campaign.verdicts()
    assert verdict["verdict"] == "positive"
    assert "Searched for again, harder: " in verdict["reason"]
    pairs = campaign.calculations.searched_again(FIELD, level)
    assert {"LiCl", "NaBr"} & {first.composition for first, _ in pairs}
    for first, second in pairs:
        assert second.n_structures > first.n_structures
        assert second.energy_per_atom < first.energy_per_atom + 0.002  # where it began, within the force limit
        assert found[first.composition].energy_per_atom == min(first.energy_per_atom, second.energy_per_atom)


@pytest.mark.physics
@pytest.mark.slow
def test_killed_in_it_and_taken_up_again_it_ends_the_same(explored):
    assert states(explored / "killed") == states(explored / "whole")
    assert set(states(explored / "whole").values()) == {"done"}
    killed, whole = (Campaign.read(explored / name).verdicts() for name in ("killed", "whole"))
    assert killed == whole


@pytest.mark.physics
@pytest.mark.slow
def test_the_page_says_so(explored):
    page = (explored / "whole" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Searched for again, harder: " in page
