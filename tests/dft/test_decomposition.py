import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from dft.decomposition import decompose
from dft.section import build_section

ELEMENTS = ("Li", "Sn", "S", "Cl")


def names(decomposition):
    return {entry.composition.reduced_formula: fraction for entry, fraction in decomposition.items()}


def test_shares_and_energy_by_hand():
    entries = [PDEntry(Composition("Li"), 0.0), PDEntry(Composition("Cl"), 0.0), PDEntry(Composition("LiCl"), -2.0)]
    shares, energies = decompose(PhaseDiagram(entries), [Composition("Li3Cl"), Composition("Cl2"), Composition("LiCl")])
    assert [names(each) for each in shares] == [
        pytest.approx({"Li": 0.5, "LiCl": 0.5}),  # fractions of atoms
        pytest.approx({"Cl2": 1.0}),
        pytest.approx({"LiCl": 1.0}),
    ]
    assert energies == pytest.approx([-0.5, 0.0, -1.0])


def a_hull(rng, n=40):
    compounds = [dict(zip(ELEMENTS, rng.integers(0, 5, 4), strict=True)) for _ in range(n)]
    entries = [PDEntry(Composition(c), -float(rng.random()) * sum(c.values())) for c in compounds if sum(c.values())]
    return PhaseDiagram([*(PDEntry(Composition(symbol), 0.0) for symbol in ELEMENTS), *entries])


@pytest.mark.parametrize("seed", range(5))
def test_as_pymatgen_finds_them_one_by_one(seed):
    rng = np.random.default_rng(seed)
    diagram = a_hull(rng)
    inner = [Composition(dict(zip(ELEMENTS, rng.integers(1, 40, 4), strict=True))) for _ in range(100)]
    corners = [entry.composition for entry in diagram.stable_entries]
    edges = [corners[i] + corners[j] for i, j in rng.integers(0, len(corners), (50, 2))]
    wanted = [diagram.get_decomp_and_hull_energy_per_atom(each) for each in [*inner, *corners, *edges]]
    shares, energies = decompose(diagram, [*inner, *corners, *edges])
    assert energies == pytest.approx([energy for _, energy in wanted], abs=1e-12)
    for mine, (theirs, _) in zip(shares, wanted, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)


def test_on_a_section_shares_are_of_its_end_members():
    salts = [PDEntry(Composition(f), e) for f, e in (("LiCl", -4.0), ("NaBr", -3.6), ("LiNaClBr", -7.9))]
    diagram = build_section(salts, ["LiCl", "NaBr"])
    between = [entry.composition for entry in diagram.all_entries]
    shares, energies = decompose(diagram, between)
    for composition, mine, energy in zip(between, shares, energies, strict=True):
        theirs, expected = diagram.get_decomp_and_hull_energy_per_atom(composition)
        assert mine == pytest.approx(theirs)
        assert energy == pytest.approx(expected)


def test_a_composition_outside_the_hull_is_named():
    diagram = PhaseDiagram([PDEntry(Composition("Li"), 0.0), PDEntry(Composition("Cl"), 0.0)])
    with pytest.raises(ValueError, match="NaCl lies outside the chemical system of its hull"):
        decompose(diagram, [Composition("LiCl"), Composition("NaCl")])


def test_nothing_asked_nothing_told():
    diagram = PhaseDiagram([PDEntry(Composition("Li"), 0.0)])
    assert decompose(diagram, [])[0] == []
    assert decompose(diagram, [Composition("Li2")])[1] == pytest.approx([0.0])
