"""The ladder from CHGNet to SevenNet with both engines, and SevenNet's relaxations beside measured crystals."""

import pytest
from pymatgen.core import Lattice, Structure

pytest.importorskip("sevenn", reason="extra `sevennet` is not installed")

from dft.levels import level
from loop.campaign import Campaign
from loop.ladder import hull_at, ladder
from tests.explorations import explore

pytestmark = [pytest.mark.extras, pytest.mark.physics]

FIELD = "Na-Li-Br-Cl"
CONFIGURATION = """
levels: [chgnet, sevennet]
ladder: {keep: [2], window: 0.3}
probes: {max_atoms: 8, compositions_per_field: 3, first_batch: 3}
competing: {max_atoms: 8}
execution: {workers: 1}
"""


@pytest.mark.parametrize(("salt", "measured"), [(("Li", "Cl"), 5.13), (("Na", "Cl"), 5.64)])
def test_salts_relax_to_their_measured_edges(salt, measured):
    start = Structure.from_spacegroup("Fm-3m", Lattice.cubic(1.05 * measured), salt, [[0, 0, 0], [0.5, 0.5, 0.5]])
    relaxed = level("sevennet").relax_maker()._run_ase_safe(start.get_primitive_structure()).final_mol_or_struct
    edge = (4 * relaxed.volume) ** (1 / 3)  # Å, of the cubic cell
    assert edge == pytest.approx(measured, rel=0.03)


@pytest.mark.slow
def test_a_field_climbs_from_chgnet_to_sevennet_each_with_a_hull_of_its_own(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIGURATION)
    assert explore(tmp_path, "explored", FIELD).wait() == 0, (tmp_path / "explored.log").read_text()
    campaign = Campaign.read(tmp_path / "explored")
    (verdict,) = campaign.verdicts()
    assert "Level of theory: sevennet, the highest of 2" in verdict["reason"]
    low, high = (hull_at(campaign, FIELD, rung) for rung in ladder(campaign))
    assert len(low.probes) == 3
    assert 1 <= len(high.probes) <= 2
    assert set(high.probes["formula"]) <= set(low.probes["formula"])
    for hull, name in ((low, "chgnet"), (high, "sevennet")):
        assert hull.missing_competing == []
        assert all(r.startswith(name) for r in [*hull.probes["level"], *hull.competing["level"]])
    assert verdict["best_e_above_competing"] == pytest.approx(high.best["e_above_competing"])
