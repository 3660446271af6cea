import pytest
from pymatgen.core import Lattice, Structure

from dft.probes import ProbeSettings, ProbeStructure
from loop.calculation_log import Calculation
from loop.tasks import build, expected_cost


def calculation(a, n_cells=1):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    probe = ProbeStructure(salt.make_supercell((n_cells, 1, 1), in_place=False), "given")
    return Calculation("", "probe", "LiCl", [probe.as_dict()], "", "")


def test_larger_and_denser_cells_are_expected_to_take_longer():
    loose, dense, large = calculation(6.0), calculation(5.0), calculation(5.0, n_cells=2)
    assert expected_cost(loose) < expected_cost(dense) < expected_cost(large)


def test_more_ways_of_building_take_longer():
    one, three = calculation(5.0), calculation(5.0)
    (probe,) = one.probes
    one.probes[:] = [{**probe, "generator": f"given: {n}"} for n in range(3)]
    three.probes[:] = [{**probe, "generator": f"{way}: 1"} for way in ("given", "molecules", "chains")]
    assert expected_cost(three) == pytest.approx(1.25 * expected_cost(one))


def test_a_calculation_without_structures_comes_last():
    assert expected_cost(Calculation("", "probe", "LiCl", [], "nothing to build", "")) == 0


def test_what_nothing_builds_is_told_with_its_formula(tmp_path):
    Structure(Lattice.cubic(3), ["Ar"], [[0, 0, 0]]).to(str(tmp_path / "argon.cif"))
    settings = ProbeSettings(generators=("chains", "given"), folder=str(tmp_path))
    with pytest.raises(ValueError, match=r"KNaCl2 has no structure by any of the generators \[chains, given\]: choose"):
        build("probe", "KNaCl2", settings, 0)
