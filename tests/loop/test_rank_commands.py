import json

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.errors import UserError


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


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
