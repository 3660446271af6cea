from dataclasses import replace

import pytest
from pymatgen.core import Element, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from dft.competing import build_competing, parse_formula, with_further, without_ternary
from dft.probes import ProbeSettings
from dft.probes.prototypes import prototype

FEW = ProbeSettings(restarts=6, supercells=1)
EXACT = ProbeSettings(restarts=6, supercells=1, rattle=0.0)


@pytest.mark.parametrize(
    ("symbol", "spacegroup"), [("Li", 229), ("Cu", 225), ("Mg", 194), ("Sn", 227), ("Cl", 64), ("S", 70), ("P", 64)]
)
def test_elements_start_in_their_known_structure(symbol, spacegroup):
    first = build_competing(symbol, EXACT, 0)[0]
    assert first.generator.startswith("known structure: AFLOW ")
    assert SpacegroupAnalyzer(first.structure).get_space_group_number() == spacegroup


@pytest.mark.parametrize(("symbol", "starts"), [("P", 3), ("Te", 3), ("F", 6), ("Si", 1)])
def test_what_weak_forces_hold_together_starts_at_several_volumes(symbol, starts):
    volumes = {round(probe.structure.volume, 3) for probe in build_competing(symbol, EXACT, 0)}
    assert len(volumes) == starts


def test_every_element_up_to_plutonium_has_a_structure_of_its_own():
    for z in range(1, 95):
        symbol = Element.from_Z(z).symbol
        if symbol in {"He", "Ne", "Ar", "Kr", "Xe", "At", "Rn", "Fr"}:
            continue
        first = build_competing(symbol, FEW, 0)[0].structure
        assert {site.specie.symbol for site in first} == {symbol}


@pytest.mark.parametrize(("symbol", "bond"), [("N", 1.098), ("Cl", 1.988), ("O", 1.208), ("H", 0.741)])
def test_molecules_have_their_bond_length(symbol, bond):
    structure = build_competing(symbol, FEW, 0)[0].structure
    distances = structure.get_neighbor_list(2.2)[3]
    assert min(distances) == pytest.approx(bond, abs=1e-3)


@pytest.mark.parametrize(
    ("formula", "spacegroup", "names"),
    [("LiCl", 225, "B1"), ("Li2S", 225, "C1"), ("SnO2", 136, "C4")],  # rocksalt, antifluorite, rutile
)
def test_known_structure_types_are_among_the_candidates(formula, spacegroup, names):
    built = build_competing(formula, EXACT, 0)
    assert spacegroup in {SpacegroupAnalyzer(p.structure).get_space_group_number() for p in built}


def test_ternaries_without_a_prototype_get_complexes_and_ordered_lattices():
    built = build_competing("Li4SnS4", FEW, 0)
    assert {p.generator.split(":")[0] for p in built} == {"complexes", "ordered lattice"}
    assert {p.structure.composition.reduced_formula for p in built} == {"Li4SnS4"}


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        *(("SnS2", "C6"), ("SnCl2", "C23"), ("SnS", "B16"), ("SnCl4", "A4B_cI10_217_c_a"), ("MgAl2O4", "H1_1")),
        *(("NaMgF3", "AB3C_oP20_62_c_cd_a"), ("Bi2S3", "D5_8")),  # twenty atoms
    ],
)
def test_common_structure_types_come_first_in_a_short_search(formula, name):
    built = build_competing(formula, replace(EXACT, n_structures=20), 0)
    assert name in {probe.generator.split()[-1] for probe in built[:12]}


@pytest.mark.parametrize("formula", ["SnS2", "Li2SnCl6"])
def test_layers_come_first_among_ordered_lattices(formula):
    ordered = [p for p in build_competing(formula, FEW, 0) if p.generator.startswith("ordered")]
    assert "layered" in ordered[0].generator


def test_competing_phases_are_the_same_every_time():
    assert build_competing("SnS2", FEW, 1) == build_competing("SnS2", FEW, 1)


def test_budget_is_kept():
    assert len(build_competing("SnS2", FEW, 0)) <= FEW.n_structures


@pytest.mark.parametrize(("formula", "match"), [("Xx2", "'Xx2' is no formula"), ("Li0.5S", "of whole atoms")])
def test_what_is_no_formula_is_named(formula, match):
    with pytest.raises(ValueError, match=match):
        parse_formula(formula)


def test_formula_too_large_is_named():
    with pytest.raises(ValueError, match=r"'Li10GeP2S12' has 25 atoms in its formula, more than max_atoms=24"):
        build_competing("Li10GeP2S12", FEW, 0)


def test_unknown_prototype_is_named():
    with pytest.raises(ValueError, match="prototype 'A99' of an element is unknown"):
        prototype("A99")
    assert isinstance(prototype("A1")[1], Structure)


def test_further_formulas_join_the_fields_that_hold_their_elements_once_each():
    further = ("Li2SnS3", "Li4SnS4", "Li2SnCl6", "Li4Sn2S6", "Li6PS5Cl")
    ternaries = ["Li2SnS3", "Li4SnS4", "Li2SnCl6"]
    assert with_further(["LiCl", "SnS2"], further, ["Li", "Sn", "S", "Cl"]) == ["LiCl", "SnS2", *ternaries]
    assert with_further(["SnS2", "Li2SnS3"], further, ["Li", "Sn", "S"]) == ["SnS2", "Li2SnS3", "Li4SnS4"]


def test_subfields_of_which_no_ternary_is_known_are_named():
    formulas = ["Li2S", "SiS2", "Li3PS4", "SiP2", "Si1P2S9", "LiCl"]
    assert without_ternary(("Li", "Si", "P", "S"), formulas) == ["Li-Si-P", "Li-Si-S"]
