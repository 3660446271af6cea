import pytest
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.core.ewald import EwaldSummation
from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

from dft import ordering
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
    odd = Structure(Lattice.cubic(4), [{"Li": 0.137}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    odd.to(str(tmp_path / "odd.cif"))
    (tmp_path / "broken.cif").write_text("data_nothing\n")
    (tmp_path / "empty.cif").write_text("")
    return tmp_path


def test_good_files_are_read_and_bad_ones_named_with_the_reason(folder):
    found = read_folder(folder, elements=["Li", "Cl"])
    assert set(found.structures) == {"LiCl.cif", "half.cif"}
    assert len(found.structures["LiCl.cif"]) == 2  # the primitive cell
    assert set(found.set_aside) == {"odd.cif", "broken.cif", "empty.cif"}
    assert found.of_other_fields == {"NaBr.cif": "it holds Br, which is not among ['Cl', 'Li']"}
    assert "cannot be read as a structure" in found.set_aside["broken.cif"]
    assert found.set_aside["empty.cif"] == "it has no sites"
    assert found.set_aside["odd.cif"] == (
        "its partly occupied sites cannot be ordered: occupancies of Li 0.137 are whole atoms in no cell up to 64 sites"
    )


def test_half_occupied_sites_are_ordered(folder):
    ordered = read_folder(folder).structures["half.cif"]
    assert ordered.is_ordered
    assert ordered.composition.reduced_formula == "LiCl"


def write_partly(path, cations, a=5.6):
    """Rocksalt with one mixed cation site, in its primitive cell of two sites."""
    cell = Lattice.from_parameters(a / 2**0.5, a / 2**0.5, a / 2**0.5, 60, 60, 60)
    Structure(cell, [cations, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(str(path))


@pytest.mark.parametrize(
    ("cations", "formula", "n_atoms"),
    [
        ({"Na": 0.5, "K": 0.5}, "KNaCl2", 4),
        ({"K": 1 / 3, "Na": 2 / 3}, "KNa2Cl3", 6),
        ({"K": 0.33, "Na": 0.67}, "KNa2Cl3", 6),
        ({"Mg": 0.5}, "MgCl2", 3),
        ({"Na": 0.8, "Mg": 0.1}, "Na8MgCl10", 19),
    ],
)
def test_partly_occupied_sites_are_ordered_in_the_smallest_cell_with_whole_atoms(tmp_path, cations, formula, n_atoms):
    write_partly(tmp_path / "salt.cif", cations)
    found = read_folder(tmp_path)
    assert found.set_aside == {}
    assert found.structures["salt.cif"].composition.reduced_formula == formula
    assert len(found.structures["salt.cif"]) == n_atoms


def test_vacancies_lie_where_the_ions_repel_least(tmp_path):
    write_partly(tmp_path / "MgCl2.cif", {"Mg": 0.5})
    ordered = read_folder(tmp_path).structures["MgCl2.cif"]
    # of the two ways to take out every other cation, the layers of CdCl2 and those of the tetragonal cell
    layered = Structure(
        Lattice.rhombohedral(5.6 * 1.5**0.5, 33.557), ["Mg", "Cl", "Cl"], [[0] * 3, [0.25] * 3, [0.75] * 3]
    )
    energies = []
    for each in (ordered, layered):
        each.add_oxidation_state_by_element({"Mg": 2, "Cl": -1})
        energies.append(EwaldSummation(each).total_energy)
    assert ordered.volume == pytest.approx(layered.volume, rel=1e-3)
    assert energies[0] <= energies[1] + 1e-3


def test_what_a_refinement_leaves_uncertain_is_rounded_in_the_cell_as_it_stands(tmp_path):
    sites = [[x / 4, y / 4, 0.1 * (x % 2)] for x in range(4) for y in range(4)]
    anions = [[x / 4, y / 4, 0.5] for x in range(4) for y in range(3)][:11]
    Structure(Lattice.cubic(8), [{"Li": 0.691}] * 16 + ["Cl"] * 11, [*sites, *anions]).to(str(tmp_path / "x.cif"))
    assert read_folder(tmp_path).structures["x.cif"].composition.reduced_formula == "LiCl"


@pytest.mark.parametrize(
    ("occupancies", "formula"),
    [
        ({"Li": 0.995}, "LiCl"),
        ({"Li": 0.99}, "LiCl"),
        ({"Li": 0.995, "Na": 0.005}, "LiCl"),
        ({"Li": 0.003, "Na": 0.99}, "NaCl"),
    ],
)
def test_sites_that_are_all_but_full_are_full(tmp_path, occupancies, formula):
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), [occupancies, "Cl"], sites)
    salt.to(str(tmp_path / "x.cif"))
    found = read_folder(tmp_path).structures["x.cif"]
    assert (found.composition.reduced_formula, len(found)) == (formula, 2)


def test_the_best_of_few_arrangements_is_looked_for_and_many_are_not_all_tried(tmp_path, monkeypatch):
    asked = []

    class Told(OrderDisorderedStructureTransformation):
        def __init__(self, algo):
            asked.append(algo)
            super().__init__(algo=algo)

    monkeypatch.setattr(ordering, "OrderDisorderedStructureTransformation", Told)
    few = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}] * 2 + ["Cl"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]])
    assert ordering.ordered(few).composition.reduced_formula == "KNaCl"
    assert asked == [Told.ALGO_FAST]
    cell = Lattice.cubic(12)
    points = [[x / 4, y / 4, z / 4] for x in range(4) for y in range(4) for z in range(2)]
    sites = [{"Na": 0.5, "K": 0.5}] * 32 + ["Cl"]
    Structure(cell, sites, [*points, [0.1, 0.1, 0.8]]).to(str(tmp_path / "x.cif"))  # 601080390 of them
    assert read_folder(tmp_path).structures["x.cif"].composition.reduced_formula == "K16Na16Cl"
    assert asked[1:] == [Told.ALGO_BEST_FIRST]


@pytest.mark.parametrize(("name", "text"), [("a.cif", ""), ("b.cif", " \n"), ("POSCAR", ""), ("c.json", "")])
def test_a_file_without_sites_is_told_in_plain_words(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_folder(tmp_path).set_aside == {name: "it has no sites"}


def test_a_cell_without_atoms_is_told_in_plain_words(tmp_path):
    Structure(Lattice.cubic(4), [], []).to(str(tmp_path / "a.cif"))
    assert read_folder(tmp_path).set_aside == {"a.cif": "it has no sites"}


def test_cell_too_large_is_set_aside(folder):
    assert "has 2 atoms, more than 1" in read_folder(folder, max_atoms=1).set_aside["LiCl.cif"]


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    read = []
    parse = Structure.from_file
    monkeypatch.setattr(Structure, "from_file", lambda name: read.append(name) or parse(name))
    rocksalt("Na", "Cl", 5.64).to(str(tmp_path / "a.cif"))
    read_folder(tmp_path).structures["a.cif"].perturb(0.1)
    assert read_folder(tmp_path).structures["a.cif"].volume == pytest.approx(5.64**3 / 4)
    assert read_folder(tmp_path).structures["a.cif"].get_distance(0, 1) == pytest.approx(5.64 / 2)
    assert len(read) == 1
    rocksalt("Li", "Cl", 5.13).to(str(tmp_path / "a.cif"))
    assert read_folder(tmp_path).structures["a.cif"].composition.reduced_formula == "LiCl"
    assert len(read) == 2


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
