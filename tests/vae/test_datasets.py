import random
import runpy
from pathlib import Path

import pytest

from vae.datasets import (
    KnownFields,
    bundled_formulas,
    field_from_formula,
    known_formulas,
    known_phase_fields,
    read_phase_fields,
)
from vae.phase_fields import ANIONS, PhaseField

SCRIPT = Path(__file__).parents[2] / "scripts" / "derive_known_phase_fields.py"


def test_bundled_fields_are_quaternary_with_two_anions():
    known = known_phase_fields()
    assert len(known) == 1143
    assert all(len(set(field)) == 4 for field in known.fields)
    assert all(len(ANIONS.intersection(field)) >= 2 for field in known.fields)


def test_bundled_list_says_where_it_comes_from():
    known = known_phase_fields()
    assert "10.1038/sdata.2017.85" in known.source
    assert "CC-BY 4.0" in known.licence
    assert known.dropped["1 anions by charge"] > 1000  # phosphates and the like


def test_a_sample_of_the_bundled_list_is_derived_again():
    script = runpy.run_path(str(SCRIPT))
    formulas = sorted(set(script["shipped_formulas"]()["pretty_formula"]))
    sample = [f for f in random.Random(0).sample(formulas, 1500) if len(f) < 16]
    fields, dropped = script["derive_fields"](sample)
    bundled = {str(field) for field in known_phase_fields().fields}
    assert len(fields) > 20
    assert set(fields) <= bundled
    assert dropped["not four elements"] > 500
    for system, formula in script["derive_formulas"](sample):
        assert formula in known_formulas(system.split("-"))


@pytest.mark.parametrize(
    ("formula", "field", "reason"),
    [
        ("AgBiSCl2", "Ag-Bi-S-Cl", ""),  # Ag+ Bi3+ S2- Cl-
        ("LiCoPO4", None, "1 anions by charge"),  # P5+: a phosphate has one anion
        ("LiFeO2", None, "not four elements"),
        ("LiNaKCl3", None, "fewer than two of the eleven anions"),
        ("Ca51W12N56O3", None, "more than 100 atoms in the formula unit"),
    ],
)
def test_field_from_formula(formula, field, reason):
    found, why = field_from_formula(formula)
    assert (str(found) if found else None, why) == (field, reason)


def test_given_oxidation_states_overrule_the_guess():
    states = {"Li": 1, "Co": 7, "P": -3, "O": -2}
    assert str(field_from_formula("LiCoPO4", states)[0]) == "Li-Co-P-O"


def test_a_formula_that_is_none_is_named():
    with pytest.raises(ValueError, match="'Xx2Y' is no chemical formula"):
        field_from_formula("Xx2Y")


def test_known_formulas_of_a_field_are_its_binaries_and_ternaries():
    formulas = known_formulas(["Li", "Sn", "S", "Cl"])
    assert {"LiCl", "Li2S", "SnS2", "SnCl2", "SnCl4"} <= set(formulas)
    assert {"Li2SnS3", "Li4SnS4", "Li2SnCl6"} <= set(formulas)  # which the bundled list lacks, and rankers do not know
    assert "Li2SnS3" not in bundled_formulas()
    assert len(formulas) == len(set(formulas))
    assert known_formulas(["Li"]) == []


def test_nitrogen_and_sodium_are_not_missing_values():
    assert "NaN3" in known_formulas(["Na", "N"])


def test_hash_does_not_depend_on_order():
    a, b = PhaseField.parse("Li-Sn-S-Cl"), PhaseField.parse("Na-Zn-O-F")
    assert KnownFields((a, b), "", "").hash == KnownFields((b, a, a), "", "").hash
    assert KnownFields((a,), "", "").hash != KnownFields((b,), "", "").hash


def test_reading_keeps_repeated_elements_and_counts_duplicates(tmp_path):
    path = tmp_path / "fields.csv"
    path.write_text("phase_field\nCl-S-Sn-Li\nLi-Sn-S-Cl\nAs-As-Cd-Cl\n")
    known = read_phase_fields(path)
    assert [str(field) for field in known.fields] == ["Cd-As-As-Cl", "Li-Sn-S-Cl"]
    assert known.dropped == {"duplicate": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no CSV file with a column 'phase_field'"),
        ("field\nLi-Sn-S-Cl\n", r"has no column 'phase_field', only \['field'\]"),
        ("phase_field\n", "lists no phase field"),
        ("phase_field\nLi-Sn-S-Cl\nLi-Xx-S-Cl\n", "row 3: 'Li-Xx-S-Cl' names no element at 'Xx'"),
        ("phase_field\nLi-Cl\n", "row 2: 'Li-Cl' has 2 elements where 4 are needed"),
    ],
)
def test_bad_lists_are_named(tmp_path, text, message):
    path = tmp_path / "fields.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_phase_fields(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        read_phase_fields(tmp_path / "none.csv")
