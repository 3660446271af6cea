import pytest

from loop.errors import UserError
from loop.explore import read_compositions, read_field
from vae import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")


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
