import json

import numpy as np
import pandas as pd
import pytest

from loop.report.commands import MapOptions, map_command
from loop.report.energies import read_energies
from loop.report.points import points_from_table
from vae.phase_fields import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")
ROWS = {
    "Li": -1.9,
    "Sn": -3.8,
    "S8": -33.0,
    "Cl2": -3.6,
    "Li2S": -12.0,
    "LiCl": -7.4,
    "SnS2": -13.2,
    "Li3SnS3Cl": -32.9,
}


def written(tmp_path, rows=ROWS, header="composition,total_energy_eV"):
    path = tmp_path / "energies.csv"
    path.write_text(header + "\n" + "".join(f"{formula},{energy}\n" for formula, energy in rows.items()))
    return path


def test_energy_above_hull_by_hand(tmp_path):
    # -3.7 eV/atom against Li2S + LiCl + SnS2 (-12.0 - 7.4 - 13.2) / 8 = -4.075: 0.375 eV/atom above
    path = written(tmp_path, ROWS | {"Li3SnS3Cl": -29.6})
    points = points_from_table(read_energies(path, FIELD), FIELD)
    assert points[-1].formula == "Li3SnS3Cl"
    assert points[-1].role == "probe"
    assert points[-1].e_above_hull == pytest.approx(0.375, abs=1e-9)
    assert [point.e_above_hull for point in points[:-1]] == pytest.approx([0.0] * 7)


def test_new_phase_lies_below_the_competing_phases_and_on_the_hull(tmp_path):
    path = written(tmp_path, ROWS | {"Li3SnS3Cl": -33.4})
    point = points_from_table(read_energies(path, FIELD), FIELD)[-1]
    assert point.e_above_competing == pytest.approx(-0.1, abs=1e-9)
    assert point.e_above_hull == 0.0


def test_role_column_decides_what_is_a_probe(tmp_path):
    path = tmp_path / "e.csv"
    rows = "".join(f"{f},{e},{'probe' if f == 'Li2S' else 'reference'}\n" for f, e in ROWS.items())
    path.write_text("composition,total_energy_eV,role\n" + rows)
    roles = {p.formula: p.role for p in points_from_table(read_energies(path, FIELD), FIELD)}
    assert roles["Li2S"] == "probe"
    assert roles["Li3SnS3Cl"] == "competing"


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS, "formula,total_energy_eV", r"no column 'composition', only 'formula', 'total_energy_eV'"),
        (ROWS | {"Qq3": -1}, "composition,total_energy_eV", r"row 10: 'Qq3' is no formula"),
        (
            ROWS | {"Li2O": -14},
            "composition,total_energy_eV",
            r"row 10: Li2O holds O, which the field Li-Sn-S-Cl has not",
        ),
        (ROWS | {"LiCl": "nan"}, "composition,total_energy_eV", r"row 7: the energy 'nan' is no finite number"),
        (ROWS | {"LiCl": ""}, "composition,total_energy_eV", r"row 7: the energy '' is no finite number"),
        ({f: e for f, e in ROWS.items() if f != "Sn"}, "composition,total_energy_eV", r"no elemental reference for Sn"),
        ({f: 1000 * e for f, e in ROWS.items()}, "composition,total_energy_eV", r"looks like meV"),
        ({f: 96.485 * e for f, e in ROWS.items()}, "composition,total_energy_eV", r"looks like kJ/mol"),
        ({f: e / 27.2114 for f, e in ROWS.items()}, "composition,total_energy_eV", r"looks like hartree or rydberg"),
        ({}, "composition,total_energy_eV", r"has no rows"),
    ],
    ids=["column", "formula", "outside", "nan", "empty", "reference", "meV", "kJ/mol", "hartree", "no-rows"],
)
def test_mistakes_are_named_in_one_sentence(tmp_path, rows, header, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_energies(written(tmp_path, rows, header), FIELD)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.csv is no file"):
        read_energies(tmp_path / "absent.csv", FIELD)


def test_published_energies_above_hull(published, tmp_path):
    out, answers = tmp_path / "m.png", tmp_path / "m.json"
    map_command(published, "Li-Sn-S-Cl", out, answers, MapOptions(mark=["Li3.3SnS3.3Cl0.7"]))
    table = pd.read_csv(published)
    rows = json.loads(answers.read_text())
    assert [row["composition"] for row in rows] == list(table["composition"])
    difference = np.array([row["e_above_hull"] for row in rows]) * 1000 - table["e_above_hull_meV_per_atom"]
    assert abs(difference).max() < 0.3
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("scale", "unit"), [(1000, "meV"), (96.485, "kJ/mol"), (1 / 13.6057, "rydberg"), ("atoms", "eV per atom")]
)
def test_published_energies_in_another_unit_are_caught(published, tmp_path, scale, unit):
    table = pd.read_csv(published)
    from pymatgen.core import Composition

    factor = 1 / table["composition"].map(lambda text: Composition(text).num_atoms) if scale == "atoms" else scale
    table["total_energy_eV"] *= factor
    table.to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=rf"looks like .*{unit}"):
        read_energies(tmp_path / "e.csv", FIELD)
