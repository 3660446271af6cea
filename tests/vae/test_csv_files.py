import pytest

from vae.csv_files import read_text_table
from vae.datasets import read_phase_fields


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "t.csv"
        path.write_text(text)
        return path

    return write


def test_a_row_has_the_number_of_its_line(written):
    table = read_text_table(written("name,n\nNaN,1\n\n\nNA,\n"))
    assert table["name"].to_dict() == {2: "NaN", 5: "NA"}


@pytest.mark.parametrize("above", [1, 2, 3])
def test_blank_lines_above_the_header_are_passed_over_and_counted(written, above):
    assert read_text_table(written("\n" * above + "name\nLi\n"))["name"].to_dict() == {above + 2: "Li"}
    with pytest.raises(ValueError, match=rf"^line {above + 3} has 2 values, the header 1$"):
        read_text_table(written("\n" * above + "name\nLi\nNa,K\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name\nLi\n\nNa,K\n", "^line 4 has 2 values, the header 1$"),
        ("name\nLi,Na\n", "more values than the header, which has 1"),
        ("", "no columns to parse"),
    ],
)
def test_what_is_no_table_is_said_in_a_sentence(written, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_text_table(written(text))


def test_a_wrong_field_after_a_blank_line_is_found_where_it_stands(written):
    with pytest.raises(ValueError, match=r"t\.csv, row 4: 'Li-Sn-S' has 3 elements"):
        read_phase_fields(written("phase_field\nLi-Sn-S-Cl\n\nLi-Sn-S\n"))


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: give a CSV file with a column 'phase_field'"):
        read_phase_fields(tmp_path)
