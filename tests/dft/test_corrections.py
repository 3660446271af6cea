"""The Materials Project's corrections of 2020, on task documents of VASP written down by hand."""

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry

from dft.corrections import MP2020, corrected, entry_of_task
from dft.first_principles import engine_settings, summarise
from dft.probes import ProbeStructure

POTCARS = {"Li": "Li_sv", "Cl": "Cl", "S": "S", "Fe": "Fe_pv", "O": "O"}


def salt(cation="Li", anion="Cl", a=5.13):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def document(structure, energy, u=None, potcars=POTCARS):
    """What of emmet's task document is read; the parameters are those that its `TaskDoc.get_entry` writes."""
    parameters = {
        "potcar_spec": [{"titel": f"PAW_PBE {potcars[e.symbol]} 01Jan2000"} for e in structure.composition.elements],
        "run_type": "GGA+U" if u else "GGA",
        "is_hubbard": bool(u),
        "hubbards": u or {},
    }
    entry = ComputedEntry(structure.composition, energy * len(structure), parameters=parameters)
    forces = [[0.0, 0.0, 0.0]] * len(structure)
    return {"output": {"structure": structure, "energy_per_atom": energy, "forces": forces}, "entry": entry}


def energy_of(structure, energy, corrections=MP2020, **choices):
    probe = ProbeStructure(structure, "by hand")
    return summarise.original([document(structure, energy, **choices)], [probe], "vasp|test", corrections)


# eV per atom of the element: Wang et al., Sci. Rep. 11, 15496 (2021), doi 10.1038/s41598-021-94550-5
def test_anions_and_metals_with_a_u_are_corrected():
    assert energy_of(salt(), -3.7)["energy_per_atom"] == pytest.approx(-3.7 - 0.614 / 2)
    sulfide = salt("Fe", "S", 5.4)
    assert energy_of(sulfide, -6.0)["energy_per_atom"] == pytest.approx(-6.0 - 0.503 / 2)
    oxide = energy_of(salt("Fe", "O", 4.3), -6.0, u={"Fe": 5.3, "O": 0.0})
    assert oxide["energy_per_atom"] == pytest.approx(-6.0 - (0.687 + 2.256) / 2)


@pytest.mark.parametrize(
    ("told", "u", "meant"),
    [("PBE", None, "GGA"), ("PBE+U", {"Fe": 5.3}, "GGA+U"), ("PBE", {"Fe": 5.3}, "GGA+U"), ("PBEsol", None, "PBEsol")],
)
def test_functionals_are_called_as_the_corrections_call_them(told, u, meant):
    found = document(salt("Fe", "O", 4.3), -6.0, u=u)
    found["entry"].parameters["run_type"] = told
    assert entry_of_task(found, salt("Fe", "O", 4.3)).parameters["run_type"] == meant


def test_without_them_the_energy_is_the_one_computed():
    assert energy_of(salt(), -3.7, corrections="")["energy_per_atom"] == -3.7


def test_the_survivors_carry_corrected_energies_too():
    out = energy_of(salt(), -3.7)
    assert out["survivors"][0]["energy_per_atom"] == pytest.approx(out["energy_per_atom"])


@pytest.mark.parametrize("choices", [{"potcars": {"Li": "Li", "Cl": "Cl"}}, {"u": {"Li": 4.0, "Cl": 0.0}}])
def test_a_calculation_of_other_settings_fails_with_the_reason_and_has_no_energy(choices):
    out = energy_of(salt(), -3.7, **choices)
    assert (out["state"], out["energy_per_atom"]) == ("failed", None)
    assert "LiCl was not computed with the Materials Project's settings" in out["reason"]


def test_a_document_without_an_entry_is_told():
    with pytest.raises(ValueError, match="gave no entry"):
        entry_of_task({"entry": None}, salt())


def test_corrections_take_the_place_of_those_before():
    entry = entry_of_task(document(salt(), -3.7), salt())
    once = corrected(entry)
    twice = corrected(once)
    assert twice.energy == pytest.approx(once.energy)
    assert entry.correction == 0.0


@pytest.mark.parametrize(
    ("name", "overrides", "told"),
    [
        ("vasp", {"corrections": "2020"}, "'corrections' of level_of_theory 'vasp' is '2020', and must be MP2020"),
        ("vasp-r2scan", {"corrections": MP2020}, "'vasp-r2scan' takes no corrections: MP2020 was fitted to GGA"),
        ("vasp", {"corrections": MP2020, "incar": {"LDAU": False}}, "leave LDAU out of its incar"),
        ("vasp", {"corrections": MP2020, "incar": {"ldauu": [4]}}, "leave LDAUU out of its incar"),
        ("vasp", {"corrections": MP2020, "potcar_functional": "PBE_54"}, "leave potcar_functional out"),
    ],
)
def test_corrections_beside_settings_that_they_do_not_fit_are_refused(name, overrides, told):
    with pytest.raises(ValueError, match=told):
        engine_settings(name, overrides)
