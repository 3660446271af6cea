import json

import pytest
from pymatgen.core import Lattice, Structure

from vae.sources import (
    CACHE,
    dropped_in_words,
    from_cifs,
    from_formulas,
    from_materials_project,
    known_fields_from,
)


def test_formulas_become_fields_and_the_rest_is_counted(tmp_path):
    path = tmp_path / "icsd.csv"
    path.write_text("CollectionCode;StructuredFormula\n1;AgBiSCl2\n2;LiCoPO4\n3;Ag Bi S Cl2\n4;???\n")
    known = from_formulas(path)
    assert [str(field) for field in known.fields] == ["Ag-Bi-S-Cl"]
    assert known.dropped == {"1 anions by charge": 1, "no readable formula": 1, "duplicate": 1}


def test_oxidation_states_of_a_cif_are_believed(tmp_path):
    # P3- would never be guessed beside O2-; the file says so.
    species = ["Li+", "V5+", "P3-", "O2-"]
    positions = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0]]
    Structure(Lattice.cubic(5), species, positions).to(str(tmp_path / "a.cif"))
    (tmp_path / "b.cif").write_text("no crystal\n")
    known = from_cifs(tmp_path)
    assert [str(field) for field in known.fields] == ["Li-V-P-O"]
    assert known.dropped == {"no readable formula": 1}


def test_a_cache_answers_instead_of_the_materials_project(tmp_path):
    cache = tmp_path / "mp.json"
    cache.write_text(json.dumps({"database_version": "2025.9.25", "formulas": ["AgBiSCl2"]}))
    known = from_materials_project(cache)
    assert "2025.9.25" in known.source
    assert known.licence == "CC-BY 4.0"


@pytest.mark.parametrize(
    "text",
    [
        "formula\nAgBiSCl2\n",
        "composition\nAgBiSCl2\n",
        "\ufeffformula,x\nAgBiSCl2,1\n",
        "n\tSumFormula\n1\tAg Bi S Cl2\n",
    ],
    ids=["one-column", "another", "byte-order-mark", "tabs"],
)
def test_formulas_are_found_in_tables_of_any_make(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert [str(field) for field in known_fields_from(tmp_path / "t.csv").fields] == ["Ag-Bi-S-Cl"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mineral,year\nx,1\n", r"has no column of formulas .* only \['mineral', 'year'\]"),
        ("formula,year\nLiCoPO4,1\n", "yields no quaternary field with two anions: 1 1 anions by charge"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        from_formulas(path)


def test_missing_things_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(ValueError, match="no Materials Project key: set MP_API_KEY"):
        from_materials_project(tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"holds no file that ends in \.cif"):
        from_cifs(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        from_formulas(tmp_path / "none.csv")


def test_a_source_is_told_by_what_it_is(tmp_path):
    (tmp_path / "fields.csv").write_text("phase_field,formula\nLi-Sn-S-Cl,Li4SnS4\n")
    (tmp_path / "icsd.csv").write_text("CollectionCode;StructuredFormula\n1;AgBiSCl2\n2;LiCoPO4\n")
    (tmp_path / "cifs").mkdir()
    Structure(Lattice.cubic(5), ["Li+", "V5+", "P3-", "O2-"], [[0, 0, 0], [0.5] * 3, [0.5, 0, 0], [0, 0.5, 0]]).to(
        str(tmp_path / "cifs" / "a.cif")
    )
    (tmp_path / CACHE).write_text(json.dumps({"database_version": "2025.9.25", "formulas": ["LiAlSCl2"]}))
    found = {
        name: [str(field) for field in known_fields_from(source, tmp_path).fields]
        for name, source in [
            ("fields", tmp_path / "fields.csv"),
            ("formulas", tmp_path / "icsd.csv"),
            ("cifs", tmp_path / "cifs"),
            ("Materials Project", "materials_project"),
        ]
    }
    assert found == {
        "fields": ["Li-Sn-S-Cl"],
        "formulas": ["Ag-Bi-S-Cl"],
        "cifs": ["Li-V-P-O"],
        "Materials Project": ["Li-Al-S-Cl"],
    }
    assert len(known_fields_from("bundled")) > 1000
    assert dropped_in_words(known_fields_from(tmp_path / "icsd.csv")) == "1 anions by charge (1)"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        known_fields_from(tmp_path / "none.csv")
