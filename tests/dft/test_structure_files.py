import pytest
from pymatgen.core import Composition, Lattice, Structure

from dft.probes import ProbeSettings, build_probes
from dft.structure_files import read_folder, smallest_cell


def rocksalt(cation, anion, a):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture
def folder(tmp_path):
    rocksalt("Na", "Br", 5.97).to(str(tmp_path / "NaBr.cif"))
    rocksalt("Li", "Cl", 5.13).to(str(tmp_path / "LiCl.cif"))
    half = Structure(Lattice.cubic(4), [{"Li": 0.5}, {"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5]])
    half.to(str(tmp_path / "half.cif"))
    third = Structure(Lattice.cubic(4), [{"Li": 0.3}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    third.to(str(tmp_path / "third.cif"))
    (tmp_path / "broken.cif").write_text("data_nothing\n")
    (tmp_path / "empty.cif").write_text("")
    return tmp_path


def test_good_files_are_read_and_bad_ones_named_with_the_reason(folder):
    found = read_folder(folder, elements=["Li", "Cl"])
    assert set(found.structures) == {"LiCl.cif", "half.cif"}
    assert len(found.structures["LiCl.cif"]) == 2  # the primitive cell
    assert set(found.set_aside) == {"third.cif", "broken.cif", "empty.cif"}
    assert found.of_other_fields == {"NaBr.cif": "it holds Br, which is not among ['Cl', 'Li']"}
    assert "cannot be read as a structure" in found.set_aside["broken.cif"]
    assert found.set_aside["empty.cif"] == "it has no sites"
    assert "partly occupied sites cannot be ordered" in found.set_aside["third.cif"]


def test_half_occupied_sites_are_ordered(folder):
    ordered = read_folder(folder).structures["half.cif"]
    assert ordered.is_ordered
    assert ordered.composition.reduced_formula == "LiCl"


@pytest.mark.parametrize(("name", "text"), [("a.cif", ""), ("b.cif", " \n"), ("POSCAR", ""), ("c.json", "")])
def test_a_file_without_sites_is_told_in_plain_words(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_folder(tmp_path).set_aside == {name: "it has no sites"}


def test_a_cell_without_atoms_is_told_in_plain_words(tmp_path):
    Structure(Lattice.cubic(4), [], []).to(str(tmp_path / "a.cif"))
    assert read_folder(tmp_path).set_aside == {"a.cif": "it has no sites"}


def test_cell_too_large_is_set_aside(folder):
    assert "has 2 atoms, more than 1" in read_folder(folder, max_atoms=1).set_aside["LiCl.cif"]


@pytest.mark.parametrize("name", ["missing", "."])
def test_folder_without_structures_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="is no folder with structures: put files"):
        read_folder(tmp_path / name)


def test_given_structures_are_taken_as_they_are(folder):
    settings = ProbeSettings(generators=("given",), folder=str(folder))
    first = build_probes(Composition("Li2Cl2"), settings, 0)[0]
    assert first.generator == "given: LiCl.cif"
    assert first.structure.get_sites_in_sphere([0, 0, 0], 2.6)[-1].nn_distance == pytest.approx(5.13 / 2, abs=1e-3)


def test_relatives_are_substituted_and_brought_to_a_sensible_volume(folder):
    settings = ProbeSettings(generators=("substitution",), folder=str(folder), rattle=0.0)
    built = build_probes(Composition("NaCl"), settings, 0)
    assert built[0].generator.startswith("substitution: ")
    assert built[0].structure.composition.reduced_formula == "NaCl"
    nearest = min(d for d in built[0].structure.distance_matrix.ravel() if d > 0)
    assert nearest == pytest.approx(5.64 / 2, rel=0.05)  # NaCl, a = 5.64 Å


@pytest.mark.parametrize("name", ["ArF.cif", "HeXe.cif"])
def test_a_relative_without_charges_does_not_keep_the_others_back(folder, name):
    rocksalt(name[:2], name[2:-4], 5.0).to(str(folder / name))
    settings = ProbeSettings(generators=("substitution",), folder=str(folder))
    built = build_probes(Composition("NaCl"), settings, 0)
    assert built
    assert not any(name in probe.generator for probe in built)


def test_folder_is_asked_for_where_a_generator_needs_it():
    with pytest.raises(ValueError, match="need a folder of structures: set folder"):
        build_probes(Composition("LiCl"), ProbeSettings(generators=("given",)), 0)


def test_a_supercell_is_reduced_and_a_distorted_one_is_not():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt.perturb(0.01)  # Å: what a relaxation leaves
    assert len(smallest_cell(salt)) == 2
    salt.translate_sites([0], [0.06, 0, 0])  # one lithium by 0.31 Å
    assert len(smallest_cell(salt)) == 8
