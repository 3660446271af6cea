"""A ladder of two levels with real engines, climbed batch by batch: CHGNet, and its r2SCAN model above it."""

import pytest
from pymatgen.core import Composition, Lattice, Structure

from loop.acquisition import choose_compositions
from loop.campaign import Campaign
from loop.field_hull import entry_of
from loop.levels_of_field import levels_of
from tests.explorations import explore, kill_when
from vae import PhaseField

FIELD = "Na-Li-Br-Cl"
CONFIGURATION = """
levels: [chgnet, chgnet-r2scan]
level_settings: {chgnet: {fmax: 0.5}, chgnet-r2scan: {fmax: 0.5}}
ladder: {keep: [5], batch: 2, window: 9, structures: 1}
probes: {max_atoms: 8, compositions_per_field: 6, first_batch: 6}
competing: {source: phases, max_atoms: 8}
execution: {workers: 1, store: outputs}
"""
#: Rock salts and their edges in Å; the elements are searched for.
SALTS = {("Li", "Cl"): 5.1, ("Li", "Br"): 5.5, ("Na", "Cl"): 6.0, ("Na", "Br"): 6.4}


def records(folder, number, role="probe"):
    """The calculations at a level, by its place in the ladder, in the order in which they were chosen."""
    campaign = Campaign.read(folder)
    levels = campaign.calculations.levels(FIELD)
    return campaign.calculations.of(FIELD, role, levels[number]) if len(levels) > number else []


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """Folders of the same exploration, one killed in its second batch at r2SCAN and taken up again, one undisturbed."""
    folder = tmp_path_factory.mktemp("climb")
    (folder / "c.yaml").write_text(CONFIGURATION)
    (folder / "phases").mkdir()
    for salt, a in SALTS.items():
        structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), salt, [[0, 0, 0], [0.5, 0.5, 0.5]])
        structure.to(folder / f"phases/{''.join(salt)}.cif")
    kill_when(explore(folder, "killed", FIELD), lambda: len(records(folder / "killed", 1)) > 2)
    assert not Campaign.read(folder / "killed").verdicts()
    for name in ("killed", "whole"):  # the second finds most of its calculations in the store
        assert explore(folder, name, FIELD).wait() == 0, (folder / f"{name}.log").read_text()
    return folder


@pytest.mark.physics
@pytest.mark.slow
def test_no_more_go_on_than_the_ladder_keeps(explored):
    chosen = records(explored / "whole", 1)
    assert len(records(explored / "whole", 0)) == 6
    assert len(chosen) == len({Composition(r.composition).reduced_formula for r in chosen}) == 5
    assert len(records(explored / "whole", 1, "competing")) == 8
    reason = Campaign.read(explored / "whole").verdicts()[0]["reason"]
    assert "Level of theory: chgnet-r2scan, the highest of 2" in reason


@pytest.mark.physics
@pytest.mark.slow
def test_killed_and_taken_up_again_it_chooses_the_same(explored):
    killed, whole = (
        [(r.composition, r.choice, r.energy_per_atom) for r in records(explored / name, 1)]
        for name in ("killed", "whole")
    )
    assert killed == whole


@pytest.mark.physics
@pytest.mark.slow
@pytest.mark.parametrize("known", [0, 2, 4])
def test_each_batch_is_chosen_from_the_prior_and_from_what_the_upper_level_said_before(explored, known):
    campaign = Campaign.read(explored / "whole")
    low, high = (level.hull for level in levels_of(campaign, FIELD))
    below = list(zip(low.probes["formula"], low.probes["e_above_competing"], strict=True))
    before = high.probes.iloc[:known]
    phases = records(explored / "whole", 1 if known else 0, "competing")
    choices = choose_compositions(
        PhaseField.parse(FIELD),
        [entry_of(record) for record in phases],
        zip(before["formula"], before["e_above_competing"], strict=True),
        [formula for formula, _ in below],
        min(2, 5 - known),
        seed=0,
        cheaper=below,
    )
    assert [choice.formula for choice in choices] == high.probes["formula"].iloc[known : known + 2].tolist()
    for choice, told in zip(choices, high.probes["choice"].iloc[known : known + 2], strict=True):
        assert told.endswith(f"compositions there; at chgnet-r2scan {choice.reason}")


@pytest.mark.physics
@pytest.mark.slow
def test_the_page_says_why_at_both_levels(explored):
    page = (explored / "whole" / "report" / "index.html").read_text(encoding="utf-8")
    assert "first batch, spread over the field" in page
    assert "; at chgnet-r2scan expected " in page
