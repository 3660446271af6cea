import numpy as np
import pytest
from pymatgen.core import Composition

from dft.compositions import (
    is_charge_balanced,
    neutral_compositions,
    oxidation_states,
    require_neutral,
    spread_compositions,
)


def formulas(compositions):
    return {c.reduced_formula for c in compositions}


def test_neutral_compositions_of_a_binary_field_are_the_known_salts():
    # Na+ and O2-: only 2:1; Sn2+ and Sn4+ with S2-: 1:1 and 1:2
    assert formulas(neutral_compositions(["Na", "O"])) == {"Na2O"}
    assert formulas(neutral_compositions(["Sn", "S"])) == {"SnS", "SnS2"}


def test_every_composition_is_neutral_holds_every_element_and_fits():
    found = neutral_compositions(["Li", "Sn", "S", "Cl"], max_atoms=12)
    for c in found:
        assert len(c.elements) == 4
        assert c.num_atoms <= 12
        assert any(np.isclose(c["Li"] + q * c["Sn"], 2 * c["S"] + c["Cl"]) for q in (2, 4))
    assert len(formulas(found)) == len(found)


def test_published_compositions_are_among_them():
    assert {"Li3SnS3Cl", "LiSn2S4Cl"} <= formulas(neutral_compositions(["Li", "Sn", "S", "Cl"]))


def test_order_of_the_elements_does_not_matter():
    assert neutral_compositions(["Li", "Sn", "S", "Cl"]) == neutral_compositions(["Cl", "S", "Li", "Sn"])


def test_no_neutral_composition_is_named():
    with pytest.raises(ValueError, match=r"'Al-O' has no charge-neutral composition within 4 atoms"):
        neutral_compositions(["Al", "O"], max_atoms=4)


def test_element_without_oxidation_state_is_named():
    with pytest.raises(ValueError, match=r"'Ar' of .* has no common oxidation state"):
        neutral_compositions(["Li", "Ar", "O", "Cl"])


def test_spread_is_deterministic_and_farther_apart_than_the_first_ones():
    pool = neutral_compositions(["Li", "Sn", "S", "Cl"])
    chosen = spread_compositions(pool, 10)
    assert chosen == spread_compositions(pool, 10)

    def nearest(compositions):
        x = np.array([[c.get_atomic_fraction(e) for e in ("Li", "Sn", "S", "Cl")] for c in compositions])
        d = np.linalg.norm(x[:, None] - x[None], axis=-1)
        return d[np.triu_indices(len(x), 1)].min()

    assert len(formulas(chosen)) == 10
    assert nearest(chosen) > 3 * nearest(pool[:10])


def test_spread_on_a_line_takes_the_ends_and_the_middle():
    line = [Composition({"Li": k, "Na": 10 - k}) for k in range(1, 10)]
    assert formulas(spread_compositions(line, 3)) == formulas(map(Composition, ("LiNa", "LiNa9", "Li9Na")))


def test_spread_keeps_away_from_the_known_and_never_repeats_it():
    line = [Composition({"Li": k, "Na": 10 - k}) for k in range(1, 10)]
    assert spread_compositions(line, 1, known=[Composition("LiNa9")]) == [Composition("Li9Na")]
    assert len(spread_compositions(line, 20, known=[Composition("LiNa")])) == 8


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Li2SnS3", {"Li": 1, "Sn": 4, "S": -2}),
        ("SnCl2", {"Sn": 2, "Cl": -1}),
        ("Fe3O4", {"Fe": 8 / 3, "O": -2}),  # two Fe3+ and one Fe2+
        ("Li7Sn2", {"Li": 1, "Sn": -3.5}),  # no common state: tin balances lithium
        ("Li7P3S11", {"Li": 1, "P": 5, "S": -2}),  # more atoms than a guess is limited to
        ("S", {"S": 0}),
    ],
)
def test_oxidation_states(formula, expected):
    assert oxidation_states(Composition(formula)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("formula", "balanced"),
    [
        ("P2O5", True),
        ("P4O9", True),  # phosphorus between +3 and +5
        ("Li3B7O12", True),
        ("NO2", True),
        ("B6O", False),  # boron at +1/3
        ("Li21Si5", False),  # silicon at -4.2
        ("Si3O", False),
        ("Li", False),
    ],
)
def test_charge_balance_by_common_states(formula, balanced):
    assert is_charge_balanced(Composition(formula)) is balanced


@pytest.mark.parametrize("formula", ["Li2Cl3", "LiSnCl9"])
def test_a_composition_that_cannot_be_neutral_is_named(formula):
    with pytest.raises(ValueError, match=rf"{formula} cannot be charge-neutral .*: change its amounts"):
        require_neutral(Composition(formula))


@pytest.mark.parametrize("formula", ["Li3SnS3Cl", "Fe3O4", "Li7Sn2", "S"])
def test_neutral_compositions_mixed_valences_alloys_and_elements_pass(formula):
    require_neutral(Composition(formula))
