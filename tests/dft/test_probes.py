from itertools import permutations

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from dft.guards import shortest_contact
from dft.probes import ProbeSettings, build_probes
from dft.probes.electrostatics import _matrix_of_shape, born_minimum, swap_descents, unit_charge_matrix
from dft.probes.lattices import _hermite_normal_forms, packing, supercells

FEW = ProbeSettings(restarts=6, supercells=1)


@pytest.mark.parametrize("formula", ["Li3SnS3Cl", "LiSn2S4Cl", "Li10SnSCl12", "KSnSCl", "Li7Sn2"])
def test_probes_hold_exactly_their_composition(formula):
    for probe in build_probes(Composition(formula), FEW, seed=0):
        assert probe.structure.composition.reduced_formula == Composition(formula).reduced_formula
        assert probe.structure.is_ordered
        assert len(probe.structure) <= FEW.max_atoms
        assert probe.generator.startswith(("ordered lattice: ", "framework: argyrodite"))


def test_probes_depend_on_composition_settings_and_seed_alone():
    alone = build_probes(Composition("Li3SnS3Cl"), FEW, seed=3)
    build_probes(Composition("LiSn2S4Cl"), FEW, seed=3)
    np.random.default_rng(0).random()
    assert build_probes(Composition("Li6Sn2S6Cl2"), FEW, seed=3) == alone
    assert build_probes(Composition("Li3SnS3Cl"), FEW, seed=4) != alone


def test_no_two_ions_start_on_top_of_each_other():
    for probe in build_probes(Composition("Li3SnS3Cl"), FEW, seed=0):
        assert shortest_contact(probe.structure)[2] > 0.6


def test_unknown_generator_and_packing_are_named():
    with pytest.raises(ValueError, match=r"generator 'magic' is unknown, choose from \['chains', 'complexes'"):
        build_probes(Composition("LiCl"), ProbeSettings(generators=("magic",)), 0)
    with pytest.raises(ValueError, match=r"packing 'AAB' is unknown"):
        packing("AAB")


def test_no_packing_with_sites_enough_is_told():
    with pytest.raises(ValueError, match=r"Li3N: no packing has a site for every ion, in cells of up to 24 atoms"):
        build_probes(Composition("Li3N"), ProbeSettings(stackings=()), 0)


@pytest.mark.parametrize(("formula", "atoms"), [("NaCl", 4), ("KNa2", 3), ("Li2YSI3", 7)])
def test_small_cells_are_built_where_larger_ones_are_not_allowed(formula, atoms):
    few = ProbeSettings(max_atoms=4, n_structures=3, restarts=2, supercells=1)
    assert {len(probe.structure) for probe in build_probes(Composition(formula), few, 0)} == {atoms}


@pytest.mark.parametrize(("name", "density", "neighbours"), [("AB", np.sqrt(2), 12), ("ABA", np.sqrt(2), 12)])
def test_close_packings_have_density_and_neighbours_of_touching_spheres(name, density, neighbours):
    lattice = packing(name)
    spheres = Structure(Lattice(lattice.cell), ["Cl"] * len(lattice.anions), lattice.anions)
    assert len(spheres) / spheres.volume == pytest.approx(density)
    assert {len(found) for found in spheres.get_all_neighbors(1.001)} == {neighbours}


@pytest.mark.parametrize(("size", "number"), [(1, 1), (2, 7), (3, 13), (4, 35), (5, 31), (6, 91)])
def test_every_superlattice_is_tried_once(size, number):
    """Numbers of all sublattices of an index, Hart & Forcade, Phys. Rev. B 77, 224115 (2008), table I."""
    forms = list(_hermite_normal_forms(size))
    points = [np.linalg.inv(form) for form in forms]
    same = [[np.allclose(form @ inverse, np.rint(form @ inverse)) for inverse in points] for form in forms]
    assert len(forms) == number
    assert np.array_equal(same, np.eye(number))


@pytest.mark.parametrize(("name", "size", "edge"), [("AB", 4, np.sqrt(2)), ("bcc", 2, 1.0)])
def test_most_compact_supercell_of_a_cubic_packing_is_the_cube(name, size, edge):
    cube = Lattice(supercells(packing(name), size, 1, np.random.default_rng(0))[0].cell)
    assert cube.abc == pytest.approx([edge] * 3)
    assert cube.angles == pytest.approx([90.0] * 3)


def test_no_lattice_vector_of_a_supercell_can_be_made_shorter():
    for name, size in (("AB", 8), ("ABAB", 6), ("bcc", 6)):
        for lattice in supercells(packing(name), size, 20, np.random.default_rng(0)):
            sums = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) @ lattice.cell
            assert min(np.linalg.norm(sums, axis=1)) >= max(np.linalg.norm(lattice.cell, axis=1)) - 1e-6


@pytest.mark.parametrize(
    ("name", "tetrahedral", "octahedral"),
    [
        ("AB", (4, np.sqrt(3 / 8)), (6, np.sqrt(1 / 2))),
        ("ABACA", (4, np.sqrt(3 / 8)), (6, np.sqrt(1 / 2))),
        ("bcc", (4, np.sqrt(5) / 4), (6, np.sqrt(1 / 2))),
    ],
)
def test_holes_are_coordinated_as_their_names_say(name, tetrahedral, octahedral):
    lattice = packing(name)
    for holes, (number, distance) in (
        (lattice.tetrahedral, tetrahedral),
        (lattice.octahedral, octahedral),
        (lattice.layered, octahedral),
    ):
        for hole in holes:
            sites = Structure(Lattice(lattice.cell), ["Cl"] * len(lattice.anions), lattice.anions)
            around = sites.get_sites_in_sphere(lattice.cell.T @ hole, distance * 1.001)
            assert len(around) == number


def test_supercells_repeat_every_site():
    lattice = packing("AB")
    for cell in supercells(lattice, 6, 3, np.random.default_rng(0)):
        assert abs(np.linalg.det(cell.cell)) == pytest.approx(6 * abs(np.linalg.det(lattice.cell)))
        assert [len(x) for x in (cell.anions, cell.tetrahedral, cell.octahedral)] == [6, 12, 6]
        sites = Structure(Lattice(cell.cell), ["Cl"] * 6, cell.anions)
        assert {len(found) for found in sites.get_all_neighbors(1 / np.sqrt(1) * 1.001)} == {12}


def test_unit_charge_matrix_gives_the_madelung_energy_of_rocksalt():
    # 1.74756 x 14.3996 eV Å / r per pair of ions at r = 2.5 Å
    cell = Lattice.cubic(5.0)
    salt = Structure.from_spacegroup("Fm-3m", cell, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    q = np.array([1.0 if site.specie.symbol == "Na" else -1.0 for site in salt])
    energy = q @ unit_charge_matrix(salt.lattice.matrix, salt.frac_coords) @ q
    assert energy / 4 == pytest.approx(-1.74756 * 14.3996 / 2.5, rel=1e-4)


def test_a_matrix_is_made_once_for_all_sizes_of_a_cell():
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]])
    cell = np.array([[0, 3.0, 3.0], [3.0, 0, 3.0], [3.0, 3.0, 0]])
    _matrix_of_shape.cache_clear()
    small, large = unit_charge_matrix(cell, frac), unit_charge_matrix(2 * cell, frac)
    assert _matrix_of_shape.cache_info().misses == 1
    np.testing.assert_allclose(large, small / 2, rtol=1e-12)  # Coulomb's law is of the first degree in 1/r
    assert unit_charge_matrix(cell, frac[:2]).shape == (2, 2)


def test_swap_descent_finds_the_lowest_of_all_arrangements():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 6))
    matrix = matrix + matrix.T
    charges, sublattice = np.array([1.0, 2.0, 0.0, -1.0, -1.0, -2.0]), np.array([0, 0, 0, 1, 1, 1])
    everything = [(*first, *second) for first in permutations(range(3)) for second in permutations(range(3, 6))]
    lowest = min(float(charges[list(p)] @ matrix @ charges[list(p)]) for p in everything)
    starts = np.array(everything)
    orders, energies = swap_descents(matrix, charges[starts], sublattice)
    for start, order, energy in zip(starts, orders, energies, strict=True):
        arranged = charges[start][order]
        assert energy == pytest.approx(arranged @ matrix @ arranged)
        assert sorted(arranged[:3]) == [0.0, 1.0, 2.0]
    assert min(energies) == pytest.approx(lowest)


def test_ions_too_small_to_meet_leave_the_scale():
    acid = Structure(Lattice.cubic(4.0), ["C", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert born_minimum(acid, {"C": -1.0, "H": 1.0})[1] == pytest.approx(1.0)


def test_born_minimum_is_a_minimum_and_does_not_depend_on_the_scale_it_starts_from():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    charges = {"Na": 1.0, "Cl": -1.0}
    energy, scale = born_minimum(salt, charges)
    larger = salt.copy()
    larger.scale_lattice(salt.volume * 1.1)
    energy_again, scale_again = born_minimum(larger, charges)
    assert energy_again == pytest.approx(energy, rel=1e-3)
    assert scale_again * 1.1 ** (1 / 3) == pytest.approx(scale, rel=1e-3)
    assert 5.6 * scale == pytest.approx(5.64, rel=0.04)  # NaCl, a = 5.64 Å


def test_born_energy_prefers_rocksalt_to_zincblende_where_the_radii_say_so():
    def energy(motif):
        crystal = Structure.from_spacegroup("F-43m", Lattice.cubic(6), ["Na", "Cl"], [[0, 0, 0], motif])
        return born_minimum(crystal, {"Na": 1.0, "Cl": -1.0})[0]

    assert energy([0.5, 0.5, 0.5]) < energy([0.25, 0.25, 0.25])


def test_cadmium_iodide_type_is_among_the_structures_of_tin_disulfide():
    built = build_probes(Composition("SnS2"), ProbeSettings(restarts=4, supercells=2, rattle=0.0), 0)
    layered = [p.structure for p in built if "layered octahedral" in p.generator]
    assert 164 in {SpacegroupAnalyzer(structure).get_space_group_number() for structure in layered}
