import json
import sys

import pytest
from typer.testing import CliRunner

from loop.cli import _exit, app
from loop.errors import UserError
from loop.tables import print_diagnostics


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture
def table(tmp_path):
    """Writes phase fields to a CSV file."""

    def write(name, *fields):
        path = tmp_path / name
        path.write_text("\n".join(["phase_field", *fields]) + "\n")
        return path

    return write


KNOWN = ("Li-Sn-S-Cl", "Na-Sn-S-Cl", "Li-Sn-S-Br", "Na-Ge-S-Br", "Li-Ge-S-Cl")


def test_fields_without_descriptors_are_set_aside_and_counted_in_both_tables(table, tmp_path):
    known = table("known.csv", *KNOWN, "Fr-Sn-S-Cl", "Fr-Ge-S-Cl", "Fr-Na-S-Cl")
    candidates = table("candidates.csv", "Li-Ge-S-Br", "Fr-Li-S-Cl", "Fr-Sn-S-Br")
    result = invoke(
        "rank", "--train", known, "--candidates", candidates, "--out", tmp_path / "r.csv", "--ranker", "paper"
    )
    assert result.exit_code == 0, result.exception
    assert "set aside without descriptors: Fr (5 fields)" in result.stdout
    assert "training paper, per cent: 10 of 100" in result.stderr


def test_known_fields_are_those_of_an_export_of_formulas_and_what_is_none_is_told(table, tmp_path):
    known = tmp_path / "icsd.csv"
    salts = [f"{a}{m}{x}{y}2" for a in ("Li", "Na", "K") for m in ("Al", "Ga", "Y") for x in "OS" for y in ("F", "Cl")]
    known.write_text("\n".join(["CollectionCode;StructuredFormula", "1;LiCoPO4", *(f"2;{salt}" for salt in salts)]))
    candidates, out = table("candidates.csv", "Rb-Al-S-Cl", "Li-In-S-Br"), tmp_path / "r.csv"
    result = invoke("rank", "--train", known, "--candidates", candidates, "--out", out, "--ranker", "paper")
    assert result.exit_code == 0, result.exception
    assert "left out of the known: 1 anions by charge (1)" in result.stdout
    assert "Rb-Al-S-Cl" in out.read_text()


def test_ranking_every_field_sets_the_same_aside(table, tmp_path):
    known, out = table("known.csv", *KNOWN, "Fr-Sn-S-Cl"), tmp_path / "all.csv"
    result = invoke("rank", "--all", "--train", known, "--out", out)
    assert result.exit_code == 0, result.exception
    assert "set aside without descriptors: Fr (1 fields)" in result.stdout
    assert len(out.read_text().splitlines()) == 1 + 35  # four of Li, Na, Ge, Sn, S, Cl, Br


def test_validate_writes_the_table_as_json(tmp_path):
    result = invoke("validate", "--method", "triples", "--fold", 1, "--json", tmp_path / "v.json")
    assert result.exit_code == 0, result.exception
    written = json.loads((tmp_path / "v.json").read_text())
    auc = {row["against"]: row["auc"] for row in written["table"]}
    assert auc["uniform"] > 0.8
    assert auc["popularity-matched"] < auc["uniform"]
    assert written["folds"] == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rank", "--out", "r.csv"), "give either --candidates CSV or --all"),
        (("rank", "--out", "r.csv", "--all", "--ranker", "paper"), "ranker 'paper' cannot rank all fields"),
        (("validate", "--method", "guess"), "method 'guess' is unknown"),
        (("validate", "--train", "none.csv"), "none.csv does not exist"),
        (("validate", "--test", "t.csv", "--fold", 1), "--fold has no effect with --test"),
        (("rank", "--out", "r.csv", "--all", "--map", "m.png"), "--map has no effect with --all"),
        (("rank", "--out", "/", "--all"), "--out / is a folder: name a file in it"),
        (("rank", "--out", "r.csv", "--candidates", "c.csv", "--map", "x.foo"), "--map x.foo ends in '.foo': choose"),
        (("simulate", "e.csv", "--field", "F", "--plot", "s.foo"), "--plot s.foo ends in '.foo': choose .png"),
        (("simulate", "e.csv", "--field", "F", "--json", "/"), "--json / is a folder"),
        (("simulate", "e.csv", "--field", "F", "--no-feedback"), "--feedback has no effect with --field"),
        (("simulate", "e.csv", "--field", "F", "--cycles", 5), "--cycles has no effect with --field"),
        (("simulate", "--fields", "t.csv", "--within", 10), "--within has no effect with --fields"),
        (("simulate", "e.csv", "--field", "F", "--prior", "p.csv", "--strategy", "grid"), "--prior has no effect with"),
    ],
)
def test_mistakes_are_the_users(arguments, message):
    result = invoke(*arguments)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_the_folder_of_a_result_is_made(table, tmp_path):
    known, candidates, out = table("k.csv", *KNOWN), table("c.csv", "Li-Ge-S-Br"), tmp_path / "new" / "one" / "r.csv"
    result = invoke("rank", "--train", known, "--candidates", candidates, "--out", out, "--ranker", "paper")
    assert result.exit_code == 0, result.exception
    assert out.exists()


def test_a_file_in_the_place_of_a_folder_is_found_before_the_work(table, tmp_path):
    result = invoke("rank", "--all", "--out", table("k.csv", *KNOWN) / "r.csv")
    assert isinstance(result.exception, UserError)
    assert "k.csv is no folder" in str(result.exception)


def test_a_table_of_fields_in_another_unit_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("formula,e_above_hull\nLiNaSO,2.0\n")
    result = invoke("simulate", "--fields", tmp_path / "t.csv")
    assert isinstance(result.exception, UserError)
    assert "no candidate is positive; e_above_hull must be in eV/atom" in str(result.exception)


@pytest.mark.parametrize(("command", "sentence"), [("run", "run the same command again"), ("rank", "stopped")])
def test_only_what_goes_on_says_so_when_it_is_stopped(monkeypatch, command, sentence):
    monkeypatch.setattr(sys, "argv", ["loop", command])
    code, told = _exit(KeyboardInterrupt())
    assert code == 130
    assert told.endswith(sentence + (" to go on" if command == "run" else ""))


def test_what_the_ranker_cannot_say_has_a_reason(capsys):
    print_diagnostics({"probability_prior": None, "collapsed": False})
    assert "probability prior: none, too few known fields" in capsys.readouterr().out
