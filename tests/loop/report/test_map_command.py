"""`loop map` and `loop report` as a user calls them: mistakes end with one sentence and exit 2."""

import dataclasses
import json
import sys

import pandas as pd
import pytest
from monty.serialization import loadfn
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure

from loop.cli import main
from loop.export import export
from loop.report.commands import MapOptions, map_campaign
from loop.report.formulas import field_formula
from loop.report.hull_map import draw_hull_map, places_on_image
from loop.report.points import points_from_record
from vae.phase_fields import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")
ROWS = {"Li": -1.9, "Sn": -3.8, "S8": -33.0, "Cl2": -3.6, "Li2S": -12.0, "LiCl": -7.4, "SnS2": -13.2, "SnCl4": -15.9}


@pytest.fixture
def loop(monkeypatch, capsys, tmp_path):
    """Run the command line in `tmp_path`; its exit code and what it printed."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["loop", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr()

    return call


def table(folder, rows=ROWS, header="composition,total_energy_eV"):
    path = folder / "energies.csv"
    path.write_text(header + "\n" + "".join(f"{formula},{energy}\n" for formula, energy in rows.items()))
    return path


def test_a_map_is_made(loop, tmp_path):
    code, told = loop("map", table(tmp_path), "--field", "Li-Sn-S-Cl", "--out", "m.png", "--json", "m.json")
    assert code == 0, told.err
    assert told.out == "wrote m.png: Li-Sn-S-Cl, 8 energies at 8 compositions\n"
    assert [row["e_above_hull"] for row in json.loads((tmp_path / "m.json").read_text())] == pytest.approx([0] * 8)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (ROWS | {"Li2O": -14}, [], "row 10: Li2O holds O, which the field Li-Sn-S-Cl has not"),
        ({f: 1000 * e for f, e in ROWS.items()}, [], "looks like meV"),
        ({f: 96.485 * e for f, e in ROWS.items()}, [], "looks like kJ/mol"),
        ({f: e for f, e in ROWS.items() if f != "Sn"}, [], "no elemental reference for Sn"),
        ({}, [], "has no rows"),
        (ROWS | {"LiCl": "low"}, [], "row 7: the energy 'low' is no finite number"),
        (ROWS, ["--mark", "Li2O"], "'Li2O' cannot be marked: O is not in the field"),
        (ROWS, ["--mark", "x"], "'x' cannot be marked: it is no formula"),
        (ROWS, ["--style", "stamp"], "style 'stamp' is unknown, choose from paper, slide, poster"),
        (ROWS, ["--colours", "blue"], "colours 'blue' are unknown, choose from red, colour-blind, grey"),
        (ROWS, ["--section", "Li2S,SnO2"], "the end member 'SnO2' holds O"),
        (ROWS, ["--out", "m.gif"], "ends in '.gif': choose .png, .svg, .pdf or .html"),
        (ROWS, ["--field", "Li-Qq-S-Cl"], "names no element at 'Qq'"),
    ],
)
def test_a_mistake_ends_with_one_sentence_and_exit_2(loop, tmp_path, rows, options, words):
    arguments = ["--field", "Li-Sn-S-Cl", "--out", "m.png", *options]  # the last one given counts
    code, told = loop("map", table(tmp_path, rows), *arguments)
    assert code == 2
    assert told.out == ""
    assert words in told.err
    assert told.err.startswith("loop: ")
    assert len(told.err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("m.*"))


@pytest.mark.parametrize("command", [["map", ".", "--field", "Li-Sn-S-Cl", "--out", "m.png"], ["report", "."]])
def test_a_folder_without_a_campaign_is_named(loop, command):
    code, told = loop(*command)
    assert code == 2
    assert "holds no campaign" in told.err


def with_structures(field):
    """The fixture's field as a campaign stores it: every calculation with a structure and its level."""

    def cell(formula):
        atoms = [str(element) for element, n in Composition(formula).items() for _ in range(int(n))]
        places = [[i / len(atoms), 0, 0] for i in range(len(atoms))]
        return Structure(Lattice.cubic(5.0 * len(atoms)), atoms, places).as_dict()

    competing = field.competing.assign(structure=[cell(formula) for formula in field.competing["formula"]])
    return dataclasses.replace(
        field, probes=field.probes.assign(level=field.level), competing=competing.assign(level=field.level)
    )


def test_energies_on_the_map_are_those_of_the_export(record, tmp_path):
    campaign = dataclasses.replace(record, fields=tuple(map(with_structures, record.fields)))
    export(campaign, tmp_path)
    entries = [e for e in loadfn(tmp_path / "entries.json") if e.data["phase_field"] == "Li-Sn-S-Cl"]
    diagram = PhaseDiagram(entries)
    exported = {
        field_formula(e.composition.formula.replace(" ", ""), FIELD.elements): diagram.get_e_above_hull(e)
        for e in entries
    }
    map_campaign(campaign, "Li-Sn-S-Cl", tmp_path / "m.svg", tmp_path / "m.json", MapOptions())
    on_map = {row["composition"]: row["e_above_hull"] for row in json.loads((tmp_path / "m.json").read_text())}
    assert on_map == pytest.approx(exported, abs=1e-4)  # 0.1 meV/atom
    assert len(on_map) == 13
    assert "LiCl" in json.loads(pd.read_csv(tmp_path / "probes.csv")["decomposition"][0])
    in_table = pd.read_csv(tmp_path / "probes.csv").query("phase_field == 'Li-Sn-S-Cl'").dropna(subset="e_above_hull")
    for formula, energy in zip(in_table["formula"], in_table["e_above_hull"], strict=True):
        assert on_map[field_formula(formula, FIELD.elements)] == pytest.approx(energy, abs=1e-4)
    points = points_from_record(campaign.fields[0])
    for _, _, point in places_on_image(draw_hull_map(points, FIELD), points, FIELD, 100.0):
        assert point.e_above_hull == pytest.approx(exported[point.formula], abs=1e-4)


def test_what_did_not_rank_exports_no_ranking(record, tmp_path):
    fields = tuple(map(with_structures, record.fields))
    first, second = record.cycles
    second = dataclasses.replace(second, ranking=pd.DataFrame())
    export(dataclasses.replace(record, fields=fields, cycles=(first, second)), tmp_path)
    assert [path.name for path in tmp_path.glob("ranking_*.csv")] == ["ranking_1.csv"]
