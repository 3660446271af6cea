import pandas as pd
import pytest
from typer.testing import CliRunner

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.cli import app
from loop.config import Settings
from loop.errors import UserError
from loop.explore import explore_field, read_compositions, read_field
from loop.feedback import about_those_beside
from loop.field_hull import FieldHull
from vae import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def explored(tmp_path):
    """The folder of an exploration that has ended."""
    with Campaign.drive(tmp_path / "c", Settings()) as campaign:
        campaign.begin_cycle(1)
        campaign.record_proposals(1, {str(FIELD): "asked for by name"})
        campaign.database.set_meta(compositions='["Li3SnS3Cl"]')
        campaign.calculations.plan(str(FIELD), 1, "chgnet", [Calculation("a", "probe", "Li3SnS3Cl", [], "no")], {})
        campaign.complete_cycle(1)
    return tmp_path / "c"


def test_sodium_nitride_is_a_composition(tmp_path):
    path = tmp_path / "compositions.csv"
    path.write_text("composition,note\nNaN,1\n,2\nNa3N,3\n")
    assert read_compositions(path, PhaseField.parse("Na-Li-N-Cl")) == ["NaN", "Na3N"]


def test_compositions_are_read_once_each(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("composition,note\nLi3SnS3Cl,a\nLi5SnS4Cl,b\nLi3SnS3Cl,c\n")
    assert read_compositions(path, FIELD) == ["Li3SnS3Cl", "Li5SnS4Cl"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("formula\nLi3SnS3Cl\n", r"has no column `composition`, only \['formula'\]"),
        ("composition\nLi3AlS3Cl\n", r"row 2: Li3AlS3Cl holds \['Al'\], which Li-Sn-S-Cl does not"),
        ("composition\nLi3SnS3Cl\nLi3.3SnS3.3Cl0.7\n", r"row 3: 'Li3.3SnS3.3Cl0.7' is no formula of whole atoms"),
        ("composition\nLi3SnS3Cl\n\nwater\n", "row 4: 'water' is no formula"),
        ("composition\nwater\n", "row 2: 'water' is no formula"),
        ("composition\n", "holds no compositions"),
        ("composition\nLi2SnS9\nLi9SnSCl\n", "nothing to probe: Li2SnS9 cannot be charge-neutral"),
    ],
)
def test_a_mistake_is_named_with_its_row(tmp_path, text, sentence):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_compositions(path, FIELD)


def test_one_that_cannot_be_neutral_does_not_keep_the_others_back(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("composition\nLi2SnS9\nLi3SnS3Cl\n")
    assert read_compositions(path, FIELD) == ["Li2SnS9", "Li3SnS3Cl"]


@pytest.mark.parametrize("text", ["Li-Sn", "S-Cl", "As-As-Cd-Cl"])
def test_what_is_no_field_to_explore_is_refused(text):
    with pytest.raises(UserError, match="cannot be explored"):
        read_field(text)


@pytest.mark.parametrize(
    ("field", "settings", "sentence"),
    [
        ("Li-Na-Cl-At", "", "has not learned At"),
        ("Li-Na-Cl-Br", "level_of_theory: PBEsol\n", "'PBEsol' is unknown"),
        ("Li-Na-Cl-Br", "competing: {source: none}\n", "none' is no folder with structures"),
    ],
)
def test_what_cannot_be_computed_leaves_no_folder(tmp_path, field, settings, sentence):
    (tmp_path / "c.yaml").write_text(settings)
    result = invoke("explore", field, "--config", tmp_path / "c.yaml", "--dir", tmp_path / "c")
    assert isinstance(result.exception, UserError)
    assert sentence in str(result.exception)
    assert not (tmp_path / "c").exists()


def test_other_compositions_are_refused_after_the_end_too(explored):
    with Campaign.drive(explored, None) as campaign:
        with pytest.raises(UserError, match="was begun with other compositions"):
            explore_field(campaign, FIELD, ["Li5SnS4Cl"], lambda event: None)
        explore_field(campaign, FIELD, ["Li3SnS3Cl"], lambda event: None)


def test_changed_settings_are_refused_after_the_end_too_until_accepted(explored):
    (explored / "campaign.yaml").write_text("seed: 5\n")
    refused = invoke("explore", FIELD, "--dir", explored)
    assert "seed was 0 when" in str(refused.exception)
    accepted = invoke("explore", FIELD, "--dir", explored, "--accept-changes")
    assert "has been explored" in accepted.stdout
    assert Campaign.read(explored).settings.seed == 5


def test_a_probe_that_lacks_an_element_is_no_evidence_for_the_field():
    probes = pd.DataFrame({"formula": ["LiCl", "Li3SnS3Cl"], "e_above_competing": [-0.1, 0.02]})
    whole = FieldHull(probes, pd.DataFrame()).of_whole_field(FIELD.elements)
    assert whole.best["formula"] == "Li3SnS3Cl"
    assert whole.n_probes == 1
    told = about_those_beside(probes["formula"], FIELD.elements)
    assert told == "LiCl lacks S, Sn: computed, but no part of the verdict on Li-Sn-S-Cl"
    assert about_those_beside(["Li3SnS3Cl"], FIELD.elements) == ""
