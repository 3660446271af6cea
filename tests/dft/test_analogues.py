import math
from itertools import permutations

import pytest
from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
from pymatgen.core.periodic_table import Species

from dft.analogues import LEAST_SUPPORT, analogues, by_analogy
from dft.ion_likeness import likeness

KNOWN = {
    "Na4SiS4": {"Na": 4, "Si": 1, "S": 4},
    "K2SiS3": {"K": 2, "Si": 1, "S": 3},
    "Rb2SiS3": {"Rb": 2, "Si": 1, "S": 3},
    "Tl2SiS3": {"Tl": 2, "Si": 1, "S": 3},
    "Li4GeS4": {"Li": 4, "Ge": 1, "S": 4},
    "CaSiS3": {"Ca": 1, "Si": 1, "S": 3},  # calcium is no Ca+
    "Na4GeSe4": {"Na": 4, "Ge": 1, "Se": 4},  # three other elements
    "Na6Si2S7": {"Na": 6, "Si": 2, "S": 7},
    "Li2SiO3": {"Li": 2, "Si": 1, "O": 3},
    "Na2S": {"Na": 2, "S": 1},
    "LiAlSiS4": {"Li": 1, "Al": 1, "Si": 1, "S": 4},
}
FIELD = ("Li", "Si", "S", "Cl")


def formulas(found):
    return [each.formula for each in found]


def test_one_element_is_exchanged_for_another_of_the_same_charge():
    found = {each.formula: each for each in analogues(("Li", "Si", "S"), KNOWN, 24)}
    assert found.keys() == {"Li4SiS4", "Li2SiS3", "Li6Si2S7"}
    assert found["Li4SiS4"].like in {"Na4SiS4", "Li4GeS4"}


def test_a_formula_that_more_compounds_suggest_has_more_support():
    support = {each.formula: each.support for each in analogues(("Li", "Si", "S"), KNOWN, 24)}
    fewer = {formula: atoms for formula, atoms in KNOWN.items() if formula not in {"Na4SiS4", "Rb2SiS3"}}
    less = {each.formula: each.support for each in analogues(("Li", "Si", "S"), fewer, 24)}
    assert support["Li4SiS4"] > less["Li4SiS4"] > 0
    assert support["Li2SiS3"] > less["Li2SiS3"] > 0
    supports = [each.support for each in analogues(("Li", "Si", "S"), KNOWN, 24)]
    assert supports == sorted(supports, reverse=True)


def test_the_orders_of_elements_and_of_the_list_change_nothing():
    turned = dict(reversed(KNOWN.items()))
    assert formulas(analogues(("S", "Li", "Si"), turned, 24)) == formulas(analogues(("Li", "Si", "S"), KNOWN, 24))


def test_no_formula_is_an_analogue_of_itself():
    known = {"Li4SiS4": {"Li": 4, "Si": 1, "S": 4}}
    assert analogues(("Li", "Si", "S"), known, 24) == []


@pytest.mark.parametrize(
    ("system", "parent", "atoms", "expected"),
    [
        (("Li", "P", "S"), "Na3PS4", {"Na": 3, "P": 1, "S": 4}, ["Li3PS4"]),  # P5+ beside sulfur
        (("Li", "S", "O"), "Na2SO4", {"Na": 2, "S": 1, "O": 4}, ["Li2SO4"]),  # S6+ beside oxygen
        (("Li", "Si", "P"), "LiGe2P3", {"Li": 1, "Ge": 2, "P": 3}, ["LiSi2P3"]),  # P3- beside silicon
        (("Ag", "P", "S"), "Cu3PS4", {"Cu": 3, "P": 1, "S": 4}, ["Ag3PS4"]),  # Cu+, which is not common
        (("Li", "Sn", "Cl"), "K2SnCl6", {"K": 2, "Sn": 1, "Cl": 6}, ["Li2SnCl6"]),
        (("Li", "Mg", "S"), "Na3MgS", {"Na": 3, "Mg": 1, "S": 1}, []),  # not charge-balanced
    ],
)
def test_charges_are_those_of_chemistry(system, parent, atoms, expected):
    assert formulas(analogues(system, {parent: atoms}, 24)) == expected


def test_larger_formulas_are_left_out():
    assert "Li6Si2S7" not in formulas(analogues(("Li", "Si", "S"), KNOWN, 14))


def test_subfields_get_at_most_so_many_and_listed_formulas_keep_their_places():
    assert formulas(by_analogy(FIELD, KNOWN, [], 1, 24)) == ["Li2SiS3"]
    assert formulas(by_analogy(FIELD, KNOWN, [], 2, 24)) == ["Li2SiS3", "Li4SiS4"]
    assert by_analogy(FIELD, KNOWN, ["Li4Si2S6"], 1, 24) == []
    assert formulas(by_analogy(FIELD, KNOWN, ["Li2SiS3"], 2, 24)) == ["Li4SiS4"]
    assert by_analogy(FIELD, KNOWN, [], 0, 24) == []


def test_a_ternary_field_is_not_bounded_by_guesses_about_itself():
    assert by_analogy(("Li", "Si", "S"), KNOWN, [], 3, 24) == []


def test_weak_analogies_are_not_followed():
    far = {"Cs2SiS3": {"Cs": 2, "Si": 1, "S": 3}}
    (found,) = analogues(("Li", "Si", "S"), far, 24)
    assert 0 < found.support < LEAST_SUPPORT
    assert by_analogy(FIELD, far, [], 3, 24) == []


def test_likeness_has_the_weights_that_pymatgen_has():
    table = SubstitutionProbability()
    ions = [Species("Na", 1), Species("K", 1), Species("Tl", 1), Species("Ca", 2), Species("S", -2), Species("Se", -2)]
    for old, new in permutations(ions, 2):
        weight, most = table.get_lambda(old, new), max(table.get_lambda(ion, ion) for ion in (old, new))
        assert likeness(old, new) == (min(1.0, math.exp(weight - most)) if weight > table.alpha else 0.0)
    assert likeness(ions[0], ions[1]) > likeness(ions[0], ions[3])
