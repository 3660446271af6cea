from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition

from dft.candidates import for_kinds_of
from dft.competing import build_competing
from dft.levels import force_field
from dft.probes import ProbeSettings, build_probes
from dft.workflows import ScreeningMaker

ALONE = ProbeSettings(n_structures=12, generators=("complexes",), rattle=0.0)
LATTICES = ProbeSettings(n_structures=20, generators=("ordered",))
BOTH = ProbeSettings(n_structures=20, generators=("ordered", "complexes"))


def bonds(structure, centre, reach):
    """Which atoms each centre has within reach, Å."""
    first, second, _, _ = structure.get_neighbor_list(reach)
    symbols = [site.specie.symbol for site in structure]
    return {i: [symbols[j] for j in second[first == i]] for i, symbol in enumerate(symbols) if symbol == centre}


@pytest.mark.parametrize(
    ("formula", "centre"),
    [("Li3Sn2SCl9", "Sn"), ("Ba4Ga2Se2S5", "Ga"), ("Na6NbCl3O4", "Nb"), ("LiAlCl4", "Al"), ("LiAlSiO4", "")],
)
def test_the_centre_is_the_small_metal_of_high_charge(formula, centre):
    labels = [probe.generator for probe in build_probes(Composition(formula), ALONE, 0)]
    assert all(label.startswith(f"complexes: {centre}") for label in labels)
    assert bool(labels) == bool(centre)


@pytest.mark.parametrize(
    "formula", ["Li3InCl6", "Li3YCl6", "Li7PSO5", "SnCl4", "LiCl", "LiAl", "LiAlSn", "RbAlO3", "Na3WP2"]
)
def test_large_metals_non_metals_and_what_is_no_salt_of_two_metals_make_none(formula):
    assert build_probes(Composition(formula), ALONE, 0) == []


def test_an_anion_has_its_bonds_and_the_other_ions_stay_outside():
    single = [p.structure for p in build_probes(Composition("LiAlCl4"), ALONE, 0) if "Al1" in p.generator]
    assert len(single) == 3
    for structure in single:
        assert list(bonds(structure, "Al", 2.6).values()) == [["Cl"] * 4]


def test_two_tetrahedra_share_an_edge_and_no_bond():
    """Of the nine chlorines two are ions of their own; each tin has two bridges and three at itself."""
    built = build_probes(Composition("Li3Sn2SCl9"), ALONE, 0)
    edges = [probe.structure for probe in built if "2 bridges of S-Cl" in probe.generator]
    assert len(edges) == 3
    for structure in edges:
        around = bonds(structure, "Sn", 2.45)
        assert all(len(found) >= 5 and set(found) == {"S", "Cl"} for found in around.values())
        assert all(found.count("S") == 1 for found in around.values())


def test_every_structure_is_the_composition_and_a_seed_gives_the_same_ones():
    formula = Composition("Ba3Ga4Se3S6")
    first, again = (build_probes(formula, ALONE, 0) for _ in range(2))
    assert {probe.structure.composition.reduced_composition for probe in first} == {formula.reduced_composition}
    assert [p.generator for p in first] == [p.generator for p in again]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.structure.cart_coords, other.structure.cart_coords)


def test_they_come_beside_the_lattices_and_not_in_their_place():
    lattices, both = (build_probes(Composition("Na6NbCl3O4"), s, 0) for s in (LATTICES, BOTH))
    assert [p.generator for p in both[: len(lattices)]] == [p.generator for p in lattices]
    assert 0 < len(both) - len(lattices) <= 6
    assert all(p.generator.startswith("complexes") for p in both[len(lattices) :])


@pytest.mark.parametrize(("formula", "largest"), [("Li3SnS2Cl3", 18), ("Li4SnS2Cl4", 11), ("Na2Nb3Cl9O4", 18)])
def test_cells_are_no_larger_than_those_of_lattices(formula, largest):
    """Places are fewer where cells are large."""
    built = build_probes(Composition(formula), replace(BOTH, max_atoms=48), 0)
    sizes = {name: [len(p.structure) for p in built if p.generator.startswith(name)] for name in ("compl", "ordered")}
    assert max(sizes["compl"]) == largest <= max(sizes["ordered"])


def test_they_are_no_further_way_of_building_that_gets_more_places():
    lattices, types = "ordered lattice: fcc anions, mixed cations", "prototype: AFLOW C6"
    assert for_kinds_of([lattices, types, "complexes: Sn1, fcc"]) == for_kinds_of([lattices, types])


def test_competing_phases_have_some_too():
    labels = [probe.generator for probe in build_competing("NaAlCl4", ProbeSettings(n_structures=20, max_atoms=24), 0)]
    assert sum(label.startswith("complexes: Al1") for label in labels) >= 3


@pytest.mark.parametrize("formula", ["K2PtCl6", "LiNiO2", "Na2PdS2Cl2", "Cu3VS4", "Li2MnO3", "KOsO4", "Ba2FeO4"])
def test_metals_of_every_group_are_centres_or_left_out(formula):
    built = build_probes(Composition(formula), ALONE, 0)
    assert {p.structure.composition.reduced_formula for p in built} <= {Composition(formula).reduced_formula}
    assert build_competing(formula, replace(ALONE, n_structures=4), 0)


@pytest.mark.physics
def test_selenidogallates_are_lower_with_them_and_lattices_keep_their_places():
    funnel = ScreeningMaker.from_level(force_field("chgnet"))
    lattices, both = (
        ScreeningMaker.make.original(funnel, build_probes(Composition("Ba4Ga2Se2S5"), s, 0)) for s in (LATTICES, BOTH)
    )
    assert both["generator"].startswith("complexes: Ga2")
    assert both["energy_per_atom"] < lattices["energy_per_atom"] - 0.02
    alone, beside = (
        [row["generator"] for row in output["trail"] if row["stage"] == "relaxation"] for output in (lattices, both)
    )
    assert [name for name in beside if not name.startswith("complexes")] == alone
    assert len(beside) > len(alone)
