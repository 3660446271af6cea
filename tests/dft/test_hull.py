import csv
from pathlib import Path

import pytest
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.hull import LEVEL_KEY, build_phase_diagram, hull_points, lowest_per_composition

PUBLISHED = Path(__file__).parents[3] / "shared/data/vasylenko2021/li_sn_s_cl_dft.csv"


@pytest.fixture
def competing():
    """Elements at zero, LiCl at -1 eV/atom."""
    return [PDEntry(Composition("Li"), 0.0), PDEntry(Composition("Cl"), 0.0), PDEntry(Composition("LiCl"), -2.0)]


@pytest.mark.parametrize(
    ("formula", "energy", "above_hull", "above_competing"),
    [
        ("Li3Cl", -1.6, 0.1, 0.1),  # the tie line Li-LiCl at x(Cl) = 1/4 is at -0.5 eV/atom
        ("Li3Cl", -2.0, 0.0, 0.0),
        ("Li3Cl", -2.4, 0.0, -0.1),  # -0.6 eV/atom: a new vertex, 0.1 below the competing phases
    ],
    ids=["above", "on-the-line", "new-vertex"],
)
def test_e_above_hull(competing, formula, energy, above_hull, above_competing):
    (point,) = hull_points([PDEntry(Composition(formula), energy)], competing)
    assert point.e_above_hull == pytest.approx(above_hull, abs=1e-9)
    assert point.e_above_competing == pytest.approx(above_competing, abs=1e-9)
    assert point.competing_decomposition == pytest.approx({"Li": 0.5, "LiCl": 0.5})  # fractions of atoms


def test_a_new_vertex_raises_the_others(competing):
    probes = [PDEntry(Composition("Li3Cl"), -2.4), PDEntry(Composition("Li7Cl"), -2.0)]
    _, richer = hull_points(probes, competing)
    # Li7Cl is half Li, half Li3Cl by atoms: -0.3 eV/atom there; its own energy is -0.25
    assert richer.e_above_hull == pytest.approx(0.05)
    assert richer.e_above_competing == pytest.approx(0.0)


def test_the_hull_does_not_depend_on_the_zero_of_energy(competing):
    shift = {"Li": -1.9, "Cl": 3.3}

    def shifted(entry):
        extra = sum(shift[str(element)] * amount for element, amount in entry.composition.items())
        return PDEntry(entry.composition, entry.energy + extra)

    probes = [PDEntry(Composition("Li3Cl"), -1.6), PDEntry(Composition("LiCl3"), -2.2)]
    before = hull_points(probes, competing)
    after = hull_points([shifted(p) for p in probes], [shifted(c) for c in competing])
    assert [p.e_above_hull for p in after] == pytest.approx([p.e_above_hull for p in before])
    assert [p.e_above_competing for p in after] == pytest.approx([p.e_above_competing for p in before])


def test_a_missing_reference_is_named(competing):
    labelled = [ComputedEntry(e.composition, e.energy, data={LEVEL_KEY: "chgnet"}) for e in competing]
    tin = ComputedEntry("SnCl2", -4.0, data={LEVEL_KEY: "chgnet"})
    with pytest.raises(ValueError, match=r"no elemental reference entry for \['Sn'\] at level chgnet"):
        build_phase_diagram([*labelled, tin], level="chgnet")


def test_levels_of_theory_do_not_mix():
    entries = [
        ComputedEntry("Li", 0.0, data={LEVEL_KEY: "chgnet"}),
        ComputedEntry("Cl", 0.0, data={LEVEL_KEY: "vasp-pbe"}),
    ]
    with pytest.raises(ValueError, match=r"one hull, one level of theory: entries at \['chgnet', 'vasp-pbe'\]"):
        build_phase_diagram(entries)


def test_an_entry_without_a_level_does_not_join_those_with_one(competing):
    with pytest.raises(ValueError, match=r"entries at \['chgnet', 'no stated level'\] cannot be mixed"):
        build_phase_diagram([*competing, ComputedEntry("Li", 0.0, data={LEVEL_KEY: "chgnet"})])


def test_entries_of_another_level_than_asked_for_are_refused():
    entries = [ComputedEntry(element, 0.0, data={LEVEL_KEY: "chgnet"}) for element in ("Li", "Cl")]
    with pytest.raises(ValueError, match=r"entries at \['chgnet', 'vasp-pbe'\] cannot be mixed"):
        build_phase_diagram(entries, level="vasp-pbe")


def test_an_energy_that_is_no_number_is_named(competing):
    with pytest.raises(ValueError, match="the energy of Li3Cl is nan"):
        hull_points([PDEntry(Composition("Li3Cl"), float("nan"))], competing)


def test_the_lowest_energy_counts_at_each_composition():
    entries = [
        PDEntry(Composition("Li2Cl2"), -4.0),
        PDEntry(Composition("LiCl"), -2.1),
        PDEntry(Composition("LiCl3"), -2.0),
    ]
    assert [entry.energy for entry in lowest_per_composition(entries)] == [-2.1, -2.0]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published Li-Sn-S-Cl energies are not beside the repository")
def test_published_energies_above_the_hull_are_reproduced():
    with PUBLISHED.open() as handle:
        rows = list(csv.DictReader(handle))
    entries = [PDEntry(Composition(row["composition"]), float(row["total_energy_eV"])) for row in rows]
    diagram = build_phase_diagram(entries)
    for row, entry in zip(rows, entries, strict=True):
        published = float(row["e_above_hull_meV_per_atom"])
        assert 1000 * diagram.get_e_above_hull(entry) == pytest.approx(published, abs=0.3)
