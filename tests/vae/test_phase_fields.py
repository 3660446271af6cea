import pytest

from vae import PhaseField, enumerate_candidates


@pytest.mark.parametrize("text", ["Li-Sn-S-Cl", "Cl-S-Sn-Li", " Sn-Li-Cl-S "])
def test_a_field_has_one_name_whatever_the_order(text):
    field = PhaseField.parse(text)
    assert str(field) == "Li-Sn-S-Cl"  # Pauling electronegativities 0.98, 1.96, 2.58, 3.16
    assert field == PhaseField(("Sn", "Cl", "Li", "S"))
    assert (field.cations, field.anions) == (("Li", "Sn"), ("S", "Cl"))


def test_an_element_may_stand_twice():
    field = PhaseField.parse("As-Cl-Cd-As")
    assert str(field) == "Cd-As-As-Cl"
    assert field.has_repeats


@pytest.mark.parametrize("text", ["Li-Xx-S-Cl", "Li-Sn-S-", "", "Li3PS4"])
def test_what_is_no_element_is_named(text):
    with pytest.raises(ValueError, match="names no element at"):
        PhaseField.parse(text)


def test_one_element_is_no_field():
    with pytest.raises(ValueError, match="'Li' is no phase field: it needs at least two elements"):
        PhaseField.parse("Li")


def test_candidates_are_all_pairs_less_the_excluded():
    excluded = PhaseField.parse("Li-Sn-S-Cl")
    fields = enumerate_candidates(["Li"], ["Sn", "Al", "Li"], ["S", "Cl", "O"], exclude=[excluded])
    assert len(fields) == 2 * 3 - 1  # two other cations, three pairs of anions, one left out
    assert excluded not in fields
    assert all("Li" in field.elements and len(field.anions) == 2 for field in fields)


def test_two_required_cations_leave_only_the_anions_to_choose():
    fields = enumerate_candidates(["Li", "Sn"], ["Al"], ["S", "Cl", "O"])
    assert [str(field) for field in fields] == ["Li-Sn-Cl-O", "Li-Sn-S-Cl", "Li-Sn-S-O"]


def test_three_required_cations_make_no_quaternary_field():
    with pytest.raises(ValueError, match="has two cations, but 3 are required"):
        enumerate_candidates(["Li", "Sn", "Al"], [], ["S", "Cl"])
