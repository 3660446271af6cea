import json

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.errors import UserError


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
    ],
)
def test_mistakes_are_the_users(arguments, message):
    result = invoke(*arguments)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
