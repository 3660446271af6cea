"""Which competing phases a campaign looks for, and how it tells of those whose formulas came by analogy."""

import re

import pytest
from pymatgen.core import Lattice, Structure

from dft.databases import KnownPhases
from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.climb import Climb
from loop.competing_phases import CompetingPhases
from loop.config import Settings
from loop.ladder import hull_at
from tests.loop import plain_ladder as plain
from vae import PhaseField

FIELD = ("Li", "Si", "S", "Cl")


@pytest.fixture
def phases(tmp_path):
    def of(elements, **competing):
        with Campaign.drive(tmp_path, Settings.model_validate({"competing": competing})) as campaign:
            return CompetingPhases(campaign, elements)

    return of


def test_formulas_by_analogy_follow_the_listed_ones_and_name_what_they_resemble(phases):
    found = phases(FIELD, by_analogy=2)
    assert found.searched[-2:] == ["Li4SiS4", "Li2SiS3"]
    assert found.origins == {
        "Li4SiS4": "formula by analogy with Li4GeS4",
        "Li2SiS3": "formula by analogy with Tl2SiS3",
    }
    assert "further formulas by analogy for Li-Si-S; no ternary of Li-Si-Cl, Li-S-Cl, Si-S-Cl is known" in found.source
    assert "and none follows by analogy, so that none is on the hull" in found.source


def test_without_them_the_subfields_stay_bare(phases):
    found = phases(FIELD, by_analogy=0)
    assert found.origins == {}
    assert "no ternary of Li-Si-S, Li-Si-Cl, Li-S-Cl, Si-S-Cl is known to the list, so that" in found.source
    assert "analogy" not in found.source


def test_the_best_known_thiophosphate_is_found_although_others_are_listed(phases):
    found = phases(("Li", "P", "S", "Cl"))
    assert {"Li2PS3", "Li7P3S11"} <= set(found.searched)
    assert found.origins["Li3PS4"] == "formula by analogy with Na3PS4"
    assert "Li3PS4" not in phases(("Li", "P", "S", "Cl"), formulas=["Li3PS4"]).origins


def test_larger_formulas_are_not_guessed(phases):
    assert phases(FIELD, max_atoms=8).origins == {"Li2SiS3": "formula by analogy with Tl2SiS3"}


def put(folder, *formulas):
    """Cells of CsCl type, such as LiCl.cif, in a folder."""
    folder.mkdir(exist_ok=True)
    for one, other in formulas:
        salt = Structure(Lattice.cubic(3.5), [one, other], [[0, 0, 0], [0.5, 0.5, 0.5]])
        salt.to(str(folder / f"{one}{other}.cif"))
    return folder


def test_a_folder_is_not_searched_beyond_its_gaps_and_the_formulas_asked_for(phases, tmp_path):
    folder = put(tmp_path / "mine", ("Li", "Cl"), ("Na", "Br"))
    found = phases(FIELD, source=str(folder), formulas=["SiLi4S4", "Li2Cl2", "Na2S"])
    assert found.searched == [*FIELD, "SiLi4S4"]
    assert found.origins == {}
    told = "1 structure from mine; 1 of other fields; no ternary of Li-Si-Cl, Li-S-Cl, Si-S-Cl among them"
    assert found.source == told  # SiLi4S4 is asked for


def test_a_folder_in_which_nothing_fits_the_field_is_no_offline_search(phases, tmp_path):
    folder = put(tmp_path / "mine", ("Na", "Br"), ("K", "I"))
    told = (
        rf"of 2 structures in {folder} none fits Li-Si-S-Cl \(the first is KI\.cif: it holds I, .*: "
        "put structures of the field's phases there, or choose 'offline' or 'materials_project'"
    )
    found = phases(FIELD, source=str(folder))
    assert re.match(told, found.known.nothing)
    assert found.searched == list(FIELD)


def test_an_answer_without_phases_is_no_offline_search(phases, monkeypatch):
    nothing = KnownPhases({}, {}, "Materials Project")
    monkeypatch.setattr("loop.competing_phases.from_materials_project", lambda *a: nothing)
    found = phases(FIELD, source="materials_project")
    assert found.searched == list(FIELD)
    assert found.source == "Materials Project"


def test_a_source_names_three_files_that_cannot_be_used_and_the_lines_all_of_them(phases, tmp_path):
    folder = put(tmp_path / "mine", ("Li", "Cl"), *(("Na", halogen) for halogen in ("F", "Br", "I")))
    for name in "abcde":
        (folder / f"{name}.cif").write_text("data_nothing\n")
    found = phases(FIELD, source=str(folder))
    why = "it cannot be read as a structure (ValueError: Invalid CIF file with no structures!)"
    shown = "it cannot be read as a structure (ValueError: Invalid CIF file with no [...]"
    assert found.source == (
        f"1 structure from mine; 3 of other fields; set aside: a.cif ({shown}), b.cif ({shown}), c.cif ({shown}) "
        "and 2 more; no ternary of Li-Si-S, Li-Si-Cl, Li-S-Cl, Si-S-Cl among them"
    )
    assert found.problems == [f"competing.source: {folder}/{name}.cif is set aside: {why}" for name in "abcde"]


GUESSED = Calculation("guessed", "competing", "Li2Br2Cl2", [{}], origin="formula by analogy with Na2Br2Cl2")
UNBUILT = Calculation("unbuilt", "competing", "Na4Br2Cl2", [], "no structure fits", "formula by analogy with K4Br2Cl2")


@pytest.fixture
def campaign(tmp_path):
    levels = {"levels": ["chgnet", "chgnet-r2scan"], "ladder": {"keep": [2], "window": 0.06}}
    with Campaign.drive(tmp_path / "c", Settings.model_validate(levels)) as campaign:
        plain.compute(campaign, plain.LOW, plain.PROBES, plain.COMPETING)
        campaign.calculations.plan(plain.FIELD, 1, plain.LOW.identity, [GUESSED, UNBUILT], {"LiNaClBr": "asked for"})
        yield campaign


def test_a_formula_by_analogy_without_an_energy_is_not_awaited(campaign):
    plain.finish(campaign, "guessed", "Li2Br2Cl2", -1.5)
    hull = hull_at(campaign, plain.FIELD, plain.LOW)
    assert (hull.missing_competing, hull.missing_by_analogy) == ([], ["Na2BrCl"])


def test_one_with_an_energy_bounds_the_field_like_any_other_phase(campaign):
    before = hull_at(campaign, plain.FIELD, plain.LOW).best["e_above_competing"]
    plain.finish(campaign, "guessed", "Li2Br2Cl2", -3.0)
    after = hull_at(campaign, plain.FIELD, plain.LOW)
    assert after.best["e_above_competing"] > before + 0.1
    assert "LiBrCl" in {phase for parts in after.probes["competing_decomposition"] for phase in parts}


def test_tables_and_further_levels_say_what_a_formula_resembles(campaign):
    plain.finish(campaign, "guessed", "Li2Br2Cl2", -1.9)
    step = Climb(campaign, PhaseField.parse(plain.FIELD), plain.LOW, plain.HIGH).next()
    (handed_on,) = (item for item in step.items if item.composition == "Li2Br2Cl2")
    assert handed_on.origin == GUESSED.origin
    competing = hull_at(campaign, plain.FIELD, plain.LOW).competing
    told = dict(zip(competing["formula"], competing["choice"], strict=True))
    assert told["LiBrCl"] == GUESSED.origin
    assert told["LiCl"] == ""


def test_structures_tried_for_the_competing_phases_are_counted(campaign):
    hull = hull_at(campaign, plain.FIELD, plain.LOW)
    tried = dict(zip(hull.competing["formula"], hull.competing["n_structures"], strict=True))
    assert (tried["LiCl"], tried["LiBrCl"], tried["Na2BrCl"]) == (1, 1, 0)
