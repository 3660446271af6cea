import pytest
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.hull import LEVEL_KEY, hull_points
from dft.section import above_section, build_section, check_end_members, in_section, section_points

# eV/atom; the elements are the zero of energy
SALTS = {"LiCl": -2.0, "NaBr": -1.9, "LiBr": -1.7, "NaCl": -2.1}
ENDS = ["LiCl", "NaBr"]


def entry(formula, energy_per_atom, level="one"):
    composition = Composition(formula)
    return ComputedEntry(composition, energy_per_atom * composition.num_atoms, data={LEVEL_KEY: level})


def salts():
    return [entry(formula, energy) for formula, energy in SALTS.items()]


@pytest.mark.parametrize(
    ("formula", "inside"),
    [
        ("LiCl", True),
        ("LiNaClBr", True),
        ("Li3NaCl3Br", True),
        ("LiBr", False),  # LiCl + NaBr - NaCl
        ("Li2NaCl3", False),
        ("Li", False),
    ],
)
def test_what_lies_between_the_end_members(formula, inside):
    assert in_section(formula, ENDS) is inside


def test_energies_on_a_section_by_hand():
    # LiNaClBr = LiCl + NaBr: (-2.0 - 1.9) / 2 = -1.95 eV/atom; Li3NaCl3Br: (3 x -2.0 - 1.9) / 4 = -1.975
    points = section_points([entry("LiNaClBr", -1.93), entry("Li3NaCl3Br", -1.985)], salts(), ENDS, "one")
    assert [p.e_above_competing for p in points] == pytest.approx([0.02, -0.01])
    assert points[1].e_above_hull == 0.0
    # with Li3NaCl3Br on the hull: LiNaClBr = 2/3 of it and 1/3 NaBr: (2 x -1.985 - 1.9) / 3
    assert points[0].e_above_hull == pytest.approx(-1.93 + (2 * 1.985 + 1.9) / 3)
    assert points[0].competing_decomposition == {"LiCl": 0.5, "NaBr": 0.5}


def test_a_section_agrees_with_the_whole_hull_where_nothing_outside_takes_part():
    elements = [entry(symbol, 0.0) for symbol in ("Li", "Na", "Cl", "Br")]
    stable = [*salts()[:2], entry("LiBr", -1.7), entry("NaCl", -1.8)]  # LiCl + NaBr is the stable pair
    probes = [entry("LiNaClBr", -1.94), entry("LiNa3ClBr3", -1.90)]
    whole = hull_points(probes, [*elements, *stable], "one")
    section = section_points(probes, [*elements, *stable], ENDS, "one")
    for a, b in zip(whole, section, strict=True):
        assert a.e_above_competing == pytest.approx(b.e_above_competing)
        assert a.e_above_hull == pytest.approx(b.e_above_hull)


def test_a_section_does_not_depend_on_the_energies_of_the_elements():
    def shifted(e):
        references = {"Li": 0.3, "Na": -0.7, "Cl": 1.1, "Br": 0.2}
        shift = sum(references[str(symbol)] * n for symbol, n in e.composition.items())
        return ComputedEntry(e.composition, e.energy + shift, data=e.data)

    probes = [entry("LiNaClBr", -1.93)]
    before = section_points(probes, salts(), ENDS)
    after = section_points([shifted(e) for e in probes], [shifted(e) for e in salts()], ENDS)
    assert after[0].e_above_competing == pytest.approx(before[0].e_above_competing)


def test_distances_of_competing_phases():
    above = above_section([*salts(), entry("LiNaClBr", -1.90)], ENDS)
    assert above == [0.0, 0.0, None, None, pytest.approx(0.05)]


def test_two_levels_on_one_section_are_refused():
    with pytest.raises(ValueError, match=r"one hull, one level of theory: entries at \['one', 'two'\] cannot be mixed"):
        build_section([*salts(), entry("LiNaClBr", -1.9, "two")], ENDS)


def test_a_missing_end_member_is_named_with_the_level():
    with pytest.raises(ValueError, match=r"no entry for the end members \['NaBr'\] of the section at level one"):
        build_section(salts()[:1], ENDS, "one")


def test_a_probe_outside_is_named():
    with pytest.raises(ValueError, match="LiBr lies outside the section"):
        section_points([entry("LiBr", -1.0)], salts(), ENDS)


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        (["LiCl"], "two end members or more"),
        (["LiCl", "Li2Cl2"], "not independent"),
        (["LiCl", "NaBr", "LiNaClBr"], "not independent"),
        (["LiCl", "salt"], "are no end members"),
    ],
)
def test_end_members_that_span_nothing_are_refused(ends, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_end_members(ends)
