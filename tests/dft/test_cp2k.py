"""CP2K itself, through atomate2 and custodian: minutes where Debian's cp2k is installed, skipped elsewhere."""

import shutil
from pathlib import Path

import pytest
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry

from dft.cp2k import missing, prepare_basis_sets
from dft.execute import LocalExecutor, Task
from dft.first_principles import FirstPrinciplesMaker, engine_settings, first_principles_level
from dft.flows import run_flow
from dft.hull import LEVEL_KEY
from dft.probes import ProbeStructure
from dft.section import section_points

#: Enough to see that everything is in place: a short-ranged basis, 3 k-points along each vector, closed shells.
CHEAP = {
    "basis": "DZVP-MOLOPT-SR-GTH",
    "cutoff": 400,
    "kpoint_density": 2.5,
    "spin_polarized": False,
    "smearing": False,
    "input": {"alpha": 0.4},
}


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    if not shutil.which("cp2k.psmp") or not Path("/usr/share/cp2k").is_dir():
        pytest.skip("cp2k.psmp and its data folder are not installed (apt-get install cp2k)")
    return prepare_basis_sets(tmp_path_factory.mktemp("cp2k") / "data")


@pytest.fixture
def cheap_level(data_folder, monkeypatch):
    monkeypatch.setenv("CP2K_DATA_DIR", str(data_folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return lambda name: first_principles_level(name, **CHEAP)


@pytest.fixture
def level(cheap_level):
    return cheap_level("cp2k-static")


def rocksalt(cation, a):
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return cell.get_primitive_structure()


def mixed(a):
    """LiNaCl2: rock salt with layers of lithium and of sodium in turn, P4/mmm."""
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.tetragonal(a / 2**0.5, a), ["Li", "Na", "Cl", "Cl"], places)


def compute(level, structures, folder):
    maker = FirstPrinciplesMaker.from_level(level)
    tasks = [
        Task(name, run_flow, (maker, ([ProbeStructure(structure, "by hand")],), folder / f"{name}.json"))
        for name, structure in structures.items()
    ]
    with LocalExecutor() as executor:
        return {outcome.key: outcome.value or {"reason": outcome.reason} for outcome in executor.run(tasks)}


@pytest.mark.physics
@pytest.mark.slow
def test_a_hull_of_two_chlorides_and_their_mixture(level, tmp_path):
    cells = {"LiCl": rocksalt("Li", 5.13), "NaCl": rocksalt("Na", 5.64), "LiNaCl2": mixed(5.41)}
    out = compute(level, cells, tmp_path)
    assert {name: (each.get("state"), each.get("reason")) for name, each in out.items()} == dict.fromkeys(
        cells, ("done", "")
    )
    assert {each["level"] for each in out.values()} == {level.identity}
    # GTH valence energies: Li 1s2 2s1 and Cl 3s2 3p5, about -204 and -410 eV; CP2K 2023.1 gives -614.210 eV for both
    assert 2 * out["LiCl"]["energy_per_atom"] == pytest.approx(-614.210, abs=0.01)
    assert out["LiCl"]["max_force"] == pytest.approx(0.0, abs=1e-3)  # by symmetry
    assert out["LiCl"]["cpu_s"] > 1  # CP2K's own time counts, not only that of the worker
    entries = {name: entry(name, each, level) for name, each in out.items()}
    (point,) = section_points([entries["LiNaCl2"]], [entries["LiCl"], entries["NaCl"]], ["LiCl", "NaCl"])
    # LiCl and NaCl do not mix: layers that share one lattice constant lie above both; CP2K 2023.1 gives 29 meV/atom
    assert point.e_above_competing == pytest.approx(0.029, abs=0.003)
    assert point.competing_decomposition == {"LiCl": 0.5, "NaCl": 0.5}


def entry(name, output, level):
    composition = Composition(name)
    return ComputedEntry(
        composition, output["energy_per_atom"] * composition.num_atoms, data={LEVEL_KEY: level.identity}
    )


@pytest.mark.physics
@pytest.mark.long
def test_cell_and_positions_relax(cheap_level, tmp_path):
    out = compute(cheap_level("cp2k"), {"LiCl": rocksalt("Li", 5.0)}, tmp_path)["LiCl"]
    assert (out["state"], out["reason"]) == ("done", "")
    # CP2K 2023.1 relaxes to a = 5.19 Å and -614.214 eV
    relaxed = Structure.from_dict(out["structure"])
    assert (4 * relaxed.volume) ** (1 / 3) == pytest.approx(5.192, abs=0.01)
    assert 2 * out["energy_per_atom"] == pytest.approx(-614.214, abs=0.003)


@pytest.mark.physics
@pytest.mark.slow
def test_prepared_folder_holds_what_the_default_level_needs(data_folder, monkeypatch):
    monkeypatch.setenv("CP2K_DATA_DIR", str(data_folder))
    settings = engine_settings("cp2k", {})
    assert missing(settings, ["Li", "Na", "K", "Mg", "Al", "Sn", "P", "S", "O", "N", "F", "Cl", "Br", "I"]) == ""
    assert "for Pu in" in missing(settings, ["Li", "Pu"])
