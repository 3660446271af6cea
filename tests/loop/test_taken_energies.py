"""Competing phases with the Materials Project's own energies, from an answer written down in its client's classes."""

import json

import pytest
from monty.json import MontyEncoder
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedStructureEntry

from dft.corrections import MP2020
from dft.first_principles import FirstPrinciplesLevel, FirstPrinciplesMaker, engine_settings
from loop.campaign import Campaign
from loop.climb import Climb
from loop.competing_phases import CompetingPhases
from loop.config import Settings
from loop.errors import UserError
from loop.field_verdict import FieldVerdict
from loop.ladder import Rung, hull_at
from loop.taken_energies import taken_energies
from tests.loop import plain_ladder as plain
from vae import PhaseField

POTCARS = {"Li": "Li_sv", "Na": "Na_pv", "Br": "Br", "Cl": "Cl"}
#: eV per anion, Wang et al., Sci. Rep. 11, 15496 (2021), doi 10.1038/s41598-021-94550-5
CORRECTIONS = {"Cl": -0.614, "Br": -0.534}
#: eV/atom before corrections; NaCl in two structures
RAW = [("Li", -1.9), ("Na", -1.3), ("Br", -1.6), ("Cl", -1.8), ("LiCl", -3.5), ("NaBr", -3.1), ("LiBr", -3.1)]
RAW += [("NaCl", -3.3), ("NaCl", -3.4)]
SETTINGS = {
    "levels": ["chgnet", "vasp"],
    "level_settings": {"vasp": {"corrections": MP2020}},
    "competing": {"source": "materials_project", "energies": "materials_project"},
    "ladder": {"keep": [2], "window": 0.06, "batch": None},
}


def vasp(number=1, section=(), **overrides):
    settings = engine_settings("vasp", {"corrections": MP2020, **overrides})
    level = FirstPrinciplesLevel("vasp", "vasp|test", 0.024, "the test", settings)
    return Rung(number, level, FirstPrinciplesMaker.from_level(level), section)


def entry(number, formula, energy):
    structure = plain.cell(formula)
    parameters = {
        "run_type": "GGA",
        "hubbards": {},
        "is_hubbard": False,
        "potcar_symbols": [f"PBE {POTCARS[e.symbol]}" for e in structure.composition.elements],
    }
    data = {"material_id": f"mp-{number}"}
    name = f"mp-{number}-GGA"
    return ComputedStructureEntry(structure, energy * len(structure), parameters=parameters, data=data, entry_id=name)


def write_answer(campaign, thermo_type="GGA_GGA+U"):
    entries = [json.loads(json.dumps(entry(n, *each), cls=MontyEncoder)) for n, each in enumerate(RAW)]
    answer = {"database": "2025.09.25", "thermo_type": thermo_type, "window": 0.05, "entries": entries}
    (campaign.folder / "materials_project").mkdir()
    path = campaign.folder / "materials_project" / "materials_project_Br-Cl-Li-Na_50meV.json"
    path.write_text(json.dumps(answer))


@pytest.fixture
def campaign(tmp_path):
    with Campaign.drive(tmp_path / "c", Settings.model_validate(SETTINGS)) as campaign:
        write_answer(campaign)
        plain.compute(campaign, plain.LOW, plain.PROBES, plain.COMPETING)
        yield campaign


def climb(campaign, upper):
    step = Climb(campaign, PhaseField.parse(plain.FIELD), plain.LOW, upper).next()
    campaign.calculations.plan(plain.FIELD, 1, upper.identity, step.items, step.reasons)
    return step


def with_corrections(formula, raw):
    atoms = Composition(formula).get_el_amt_dict()
    return raw + sum(CORRECTIONS.get(e, 0.0) * n for e, n in atoms.items()) / sum(atoms.values())


def test_nothing_that_is_known_is_computed_and_the_probes_are(campaign):
    upper = vasp()
    climb(campaign, upper)
    left = campaign.calculations.unfinished(plain.FIELD, upper.identity)
    assert {item.composition for item in left} == {"Li3NaCl3Br", "LiNaClBr"}
    assert {item.role for item in left} == {"probe"}
    assert campaign.calculations.spent()[0] == len(plain.PROBES) + len(plain.COMPETING)  # those of the level below


def test_the_hull_is_that_of_the_corrected_energies_and_names_where_each_came_from(campaign):
    upper = vasp()
    climb(campaign, upper)
    probe = next(c for c in campaign.calculations.unfinished(plain.FIELD, upper.identity) if len(c.composition) == 8)
    plain.finish(campaign, probe.hash, probe.composition, -3.6)
    hull = hull_at(campaign, plain.FIELD, upper)
    energies = dict(zip(hull.competing["formula"], hull.competing["energy_per_atom"], strict=True))
    assert energies["LiCl"] == pytest.approx(-3.5 - 0.614 / 2)
    assert energies["Cl2"] == pytest.approx(-1.8)  # elements have no correction
    assert energies["NaCl"] == pytest.approx(-3.4 - 0.614 / 2)  # the lower one
    sources = dict(zip(hull.competing["formula"], hull.competing["generator"], strict=True))
    assert sources["NaCl"] == "Materials Project: mp-8, its energy as it is there"
    # LiNaClBr: LiCl + NaBr -3.3 and LiBr + NaCl -3.25 before the corrections, which are the same for both
    lowest = (with_corrections("LiCl", -3.5) + with_corrections("NaBr", -3.1)) / 2
    assert hull.best["e_above_competing"] == pytest.approx(-3.6 - lowest)


def test_a_verdict_says_whose_energies_they_are(campaign):
    upper = vasp()
    climb(campaign, upper)
    for probe in campaign.calculations.unfinished(plain.FIELD, upper.identity):
        plain.finish(campaign, probe.hash, probe.composition, -3.6)
    phases = CompetingPhases(campaign, ("Li", "Na", "Br", "Cl"))
    row = FieldVerdict(campaign, 1, plain.FIELD, [plain.LOW, upper], phases, (), "", {}).row()
    assert row["competing_source"] == (
        "Materials Project, database 2025.09.25, GGA_GGA+U, within 0.05 eV/atom; at vasp the Materials Project's own "
        "energies of all its phases, with the corrections of 2020; 8 of 8 have an energy"
    )


def test_phases_that_the_materials_project_lacks_are_computed(campaign):
    plain.compute(campaign, plain.LOW, {}, {"Li2Br2Cl2": -1.84})
    upper = vasp()
    climb(campaign, upper)
    left = campaign.calculations.unfinished(plain.FIELD, upper.identity)
    assert [item.composition for item in left if item.role == "competing"] == ["Li2Br2Cl2"]


def test_in_a_section_only_what_lies_inside_is_listed(campaign):
    step = climb(campaign, vasp(section=("LiCl", "NaBr")))
    assert {item.composition for item in step.items if item.role == "competing"} == {"LiCl", "NaBr"}


def test_levels_that_do_not_match_compute_everything(campaign):
    phases = CompetingPhases(campaign, ("Li", "Na", "Br", "Cl"))
    assert taken_energies(phases, plain.HIGH) == []


def test_an_answer_of_another_kind_is_told(tmp_path):
    with Campaign.drive(tmp_path / "c", Settings.model_validate(SETTINGS)) as campaign:
        write_answer(campaign, thermo_type="R2SCAN")
        phases = CompetingPhases(campaign, ("Li", "Na", "Br", "Cl"))
        with pytest.raises(UserError, match=r"competing\.energies: .* holds energies of thermo type R2SCAN, not GGA"):
            taken_energies(phases, vasp())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"competing": {"energies": "materials_project"}}, "needs the same for competing.source, which is 'offline'"),
        (
            {"levels": ["chgnet", "cp2k"], "level_settings": {}},
            r"'vasp' alone, which is not among .*\['chgnet', 'cp2k'",
        ),
        ({"level_settings": {}}, r"needs level_settings: \{vasp: \{corrections: MP2020\}\}"),
        (
            {"level_settings": {"vasp": {"corrections": MP2020, "incar": {"ENCUT": 700}}}},
            "none that changes an energy, but they are .*'ENCUT': 700",
        ),
    ],
)
def test_settings_that_contradict_it_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        Settings.model_validate({**SETTINGS, **change})


def test_tags_that_change_no_energy_are_no_contradiction():
    vasp_settings = {"corrections": MP2020, "incar": {"NCORE": 4, "kpar": 2, "LWAVE": False}}
    assert Settings.model_validate({**SETTINGS, "level_settings": {"vasp": vasp_settings}}).level_settings
