from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from dft.guards import shortest_contact
from dft.probes import ProbeSettings, build_probes
from dft.probes.frameworks import FRAMEWORKS, framework

FEW = ProbeSettings(generators=("frameworks",), restarts=6, supercells=1, rattle=0.0)


@pytest.mark.parametrize(
    ("name", "anions", "tetrahedral", "octahedral"),
    [
        ("zincblende", 1, 1, 0),
        ("wurtzite", 2, 2, 0),
        ("spinel", 8, 2, 4),
        ("argyrodite", 6, 34, 0),  # 17 tetrahedra per AB2 of a Laves phase
        ("antiperovskite", 2, 0, 3),
    ],
)
def test_frameworks_have_the_sites_of_their_formula(name, anions, tetrahedral, octahedral):
    sites = framework(name)
    assert [len(part) for part in (sites.anions, sites.tetrahedral, sites.octahedral)] == [
        anions,
        tetrahedral,
        octahedral,
    ]


def test_every_hole_of_a_framework_has_its_neighbours():
    neighbours = {"tetrahedral": 4, "octahedral": 6}
    for name in FRAMEWORKS:
        sites = framework(name)
        anions = Structure(Lattice(sites.cell), ["S"] * len(sites.anions), sites.anions)
        for kind, number in neighbours.items():
            for hole in getattr(sites, kind):
                distances = sorted(near.nn_distance for near in anions.get_sites_in_sphere(sites.cell.T @ hole, 1.3))
                assert distances[number - 1] < 1.42 * distances[0], f"{name}, {kind}"  # bcc's octahedra: √2


@pytest.mark.parametrize(
    ("formula", "name", "spacegroup"),
    [
        ("ZnS", "zincblende", 216),
        ("ZnS", "wurtzite", 186),
        ("Li3OCl", "antiperovskite", 221),
    ],
)
def test_textbook_structures_are_built(formula, name, spacegroup):
    built = [p.structure for p in build_probes(Composition(formula), FEW, 0) if p.generator == f"framework: {name}"]
    assert spacegroup in {SpacegroupAnalyzer(structure).get_space_group_number() for structure in built}


def test_sites_of_spinel_filled_by_kind_are_spinel():
    sites = framework("spinel")
    frac = np.concatenate([sites.tetrahedral, sites.octahedral, sites.anions])
    spinel = Structure(Lattice(sites.cell * 8.08), ["Mg"] * 2 + ["Al"] * 4 + ["O"] * 8, frac)
    assert SpacegroupAnalyzer(spinel).get_space_group_number() == 227


def test_argyrodite_is_built_with_exactly_its_composition():
    built = [p for p in build_probes(Composition("Li6PS5Cl"), FEW, 0) if p.generator == "framework: argyrodite"]
    assert built
    for probe in built:
        assert probe.structure.composition.reduced_formula == "Li6PS5Cl"
        assert shortest_contact(probe.structure)[2] > 0.6


@pytest.mark.parametrize(("formula", "number"), [("Li6SnS4Cl2", 2), ("Li7GeS5Br", 2), ("Li3SnS3Cl", 0)])
def test_argyrodites_stand_among_the_lattices_where_their_anions_fill_it(formula, number):
    built = build_probes(Composition(formula), replace(FEW, generators=("ordered",), n_structures=10), 0)
    names = [p.generator.split(",")[0] for p in built]
    assert len(built) == 10
    assert names.count("framework: argyrodite") == number
    assert names[2:4].count("framework: argyrodite") == number


def test_a_search_without_room_for_them_has_none():
    built = build_probes(Composition("Li6SnS4Cl2"), replace(FEW, generators=("ordered",), n_structures=2), 0)
    assert [p.generator.split(":")[0] for p in built] == ["ordered lattice"] * 2


def test_where_no_framework_has_sites_enough_there_are_no_structures():
    assert build_probes(Composition("Li9N3"), FEW, 0) == []  # three cations for each anion


def test_unknown_framework_is_named():
    with pytest.raises(ValueError, match="framework 'olivine' is unknown, choose from"):
        framework("olivine")


def test_frameworks_and_packings_are_mixed_in_turn():
    settings = ProbeSettings(generators=("ordered", "frameworks"), restarts=4, supercells=1, n_structures=10)
    kinds = [p.generator.split(":")[0] for p in build_probes(Composition("Li3SnS3Cl"), settings, 0)]
    assert kinds == ["ordered lattice", "framework"] * 5


def test_frameworks_depend_on_composition_settings_and_seed_alone():
    first = build_probes(Composition("Li3SnS3Cl"), FEW, 1)
    np.random.default_rng(0).random()
    assert build_probes(Composition("Li3SnS3Cl"), FEW, 1) == first
