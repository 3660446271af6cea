import dataclasses

import pandas as pd
import pytest

from loop.records import FieldRecord
from loop.report.levels import at_level, level_table
from loop.report.page import build_report


def stage(name, energies):
    rows = [{"composition": f, "state": "done", "e_above_competing": e, "e_above_hull": max(e, 0)} for f, e in energies]
    return FieldRecord("Li-Sn-S-Cl", 1, level=f"{name}|test", level_name=name, probes=pd.DataFrame(rows))


LOW = stage("low", [("Li3SnS3Cl", 0.01), ("Li5SnS4Cl", 0.02), ("LiSnS2Cl", 0.2)])
HIGH = dataclasses.replace(stage("high", [("Li5SnS4Cl", 0.015), ("Li3SnS3Cl", 0.035)]), lower=(LOW,))


def test_levels_side_by_side_in_the_order_of_the_highest():
    table = level_table(HIGH)
    assert table.levels == ("low", "high")
    assert table.rows == (("Li5SnS4Cl", (0.02, 0.015)), ("Li3SnS3Cl", (0.01, 0.035)), ("LiSnS2Cl", (0.2, None)))
    assert list(table.frame().columns) == ["composition", "e_above_competing_low", "e_above_competing_high"]


def test_what_the_highest_level_changed_is_said():
    # Li5SnS4Cl 5 meV/atom lower, Li3SnS3Cl 25 higher: on average +10
    told = level_table(HIGH).in_words()
    assert told == (
        "high changes the order of low, Li3SnS3Cl < Li5SnS4Cl, to Li5SnS4Cl < Li3SnS3Cl. "
        "On average high lies +10 meV/atom from low."
    )


def test_an_order_left_as_it_is_is_said():
    same = dataclasses.replace(stage("high", [("Li3SnS3Cl", 0.0), ("Li5SnS4Cl", 0.1)]), lower=(LOW,))
    assert level_table(same).in_words().startswith("high leaves the order of low as it is: Li3SnS3Cl < Li5SnS4Cl")


def test_one_level_needs_no_table():
    assert level_table(LOW) is None


def test_a_level_is_chosen_by_name():
    assert at_level(HIGH, "low") is LOW
    assert at_level(HIGH, "") is HIGH
    with pytest.raises(ValueError, match=r"not computed at level 'dft', choose from \['low', 'high'\]"):
        at_level(HIGH, "dft")


def test_the_page_says_which_level_it_shows_and_keeps_the_lower_ones(record, tmp_path):
    field = record.fields[0]
    lower = dataclasses.replace(field, level="low|test", level_name="low")
    top = dataclasses.replace(field, level="high|test", level_name="high", lower=(lower,))
    page = build_report(dataclasses.replace(record, fields=(top,)), tmp_path)
    html = page.read_text(encoding="utf-8")
    assert "The map and the verdict are those of high." in html
    assert "Map at low, a lower level of theory, and why each composition was chosen there" in html
    assert 'id="probes-Li-Sn-S-Cl"' in html
    assert 'id="probes-Li-Sn-S-Cl-low"' in html
    for name in ("Li-Sn-S-Cl", "Li-Sn-S-Cl-low"):
        assert (tmp_path / "maps" / f"{name}.svg").exists()
    assert "low, test" in (tmp_path / "maps" / "Li-Sn-S-Cl-low.svg").read_text(encoding="utf-8")
    assert (tmp_path / "tables" / "levels_Li-Sn-S-Cl.csv").exists()


def test_a_section_is_said_on_the_figure(record, tmp_path):
    from loop.report.points import note_from_record, points_from_record

    field = dataclasses.replace(record.fields[0], section=("Li2S", "SnS2"))
    assert (
        "Hull over the section Li2S, SnS2 alone, without the elements"
        in note_from_record(field, points_from_record(field)).text()
    )
