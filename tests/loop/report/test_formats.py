import dataclasses
import json

import pytest

from loop.records import CampaignRecord
from loop.report.commands import MapOptions, map_campaign
from loop.report.formulas import field_formula
from loop.report.geometry import geometry_of
from loop.report.interactive import write_interactive
from loop.report.markdown import text, write_markdown
from loop.report.plotly_map import hover_text, interactive_figure
from loop.report.points import MapPoint, note_from_record, points_from_record
from loop.report.slides import write_slides
from loop.report.tables import probe_table
from vae.phase_fields import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")
EMPTY = CampaignRecord(name="new", settings={}, settings_hash="0", versions={}, data={})


def test_markdown_names_what_was_found_and_points_at_files_that_exist(record, tmp_path):
    page = write_markdown(record, tmp_path)
    content = page.read_text(encoding="utf-8")
    assert "| Li4SnS2Cl4 | Li-Sn-S-Cl | −1.8 | 0.0 |" in content
    assert "contact below 0.6 of the radii" in content
    for name in ("maps/Li-Sn-S-Cl.png", "tables/probes_Li-Sn-S-Br.csv", "structures/Li-Sn-S-Cl_Li3SnS3Cl.cif"):
        assert name in content
        assert (tmp_path / name).is_file()


def test_markup_in_a_note_is_escaped_in_markdown(record, make_field, tmp_path):
    assert text("<b>|x_y|</b>") == r"\<b\>\|x\_y\|\</b\>"
    fields = (make_field(note="<script>alert(1)</script>"),)
    content = write_markdown(dataclasses.replace(record, fields=fields), tmp_path).read_text(encoding="utf-8")
    assert "<script>" not in content


def test_empty_campaign_in_every_format(tmp_path):
    assert "This campaign is empty" in write_markdown(EMPTY, tmp_path).read_text(encoding="utf-8")
    pptx = pytest.importorskip("pptx", reason="python-pptx is not installed")
    assert len(pptx.Presentation(write_slides(EMPTY, tmp_path / "s.pptx")).slides) == 1


def test_slides_hold_a_summary_and_a_slide_per_field(record, tmp_path):
    pptx = pytest.importorskip("pptx", reason="python-pptx is not installed")
    deck = pptx.Presentation(write_slides(record, tmp_path / "slides.pptx"))
    titles = [slide.shapes.title.text_frame.text for slide in deck.slides]
    assert titles == ["Li electrolytes", "Li-Sn-S-Br: positive", "Li-Sn-S-Cl: positive"]
    last = deck.slides[2]
    (picture,) = [shape for shape in last.shapes if shape.shape_type == pptx.enum.shapes.MSO_SHAPE_TYPE.PICTURE]
    (table,) = [shape.table for shape in last.shapes if shape.has_table]
    assert [table.cell(1, i).text for i in range(3)] == ["Li₄SnS₂Cl₄", "−1.8", "0.73 LiCl + 0.27 SnS₂"]
    # nothing hangs over the edge
    for slide in deck.slides:
        for shape in slide.shapes:
            assert shape.left + shape.width <= deck.slide_width
            assert shape.top + shape.height <= deck.slide_height
    assert picture.image.content_type == "image/png"


def test_a_long_reason_pushes_the_table_down_and_rows_that_do_not_fit_are_left_out(record, make_field, tmp_path):
    pptx = pytest.importorskip("pptx", reason="python-pptx is not installed")
    fields = (make_field(note="a reason of many words " * 40),)
    deck = pptx.Presentation(write_slides(dataclasses.replace(record, fields=fields), tmp_path / "slides.pptx"))
    shapes = {shape.name.split()[0]: shape for shape in deck.slides[1].shapes}
    text, table = shapes["TextBox"], shapes["Table"]
    assert table.top >= text.top + text.height
    assert table.top + sum(row.height for row in table.table.rows) <= deck.slide_height


def test_interactive_map_is_one_file_with_what_a_hover_says(make_field, tmp_path):
    record = make_field()
    points = points_from_record(record)
    note = note_from_record(record, points)
    path = write_interactive(points, FIELD, tmp_path / "m.html", note, ["Li3SnS3Cl"])
    content = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 15e6
    assert "86.4 meV" in content
    assert 'src="http' not in content
    assert '"symbols":["Li"' in content


def test_interactive_map_shows_letters_shared_places_and_sparse_ground():
    geometry = geometry_of(FIELD)
    points = [MapPoint(f, 0.0, 0.0, "competing") for f in ("SnS", "SnS2", "LiCl", "Li2S", "SnCl4")]
    figure, veiled = interactive_figure(points, FIELD, geometry, ["Li3SnS3Cl"], "red")
    traces = {trace.name: trace for trace in figure.data}
    assert "SnS, SnS<sub>2</sub>" in traces["known"].text
    mark = traces["Li<sub>3</sub>SnS<sub>3</sub>Cl"]
    assert (mark.text, mark.x, mark.y) == (("a",), (0.75,), (0.75,))
    assert veiled
    # the middle of the map is 0.7 from every corner
    assert traces["sparse"].z[50, 50] == 1.0


def test_interactive_triangle_has_tie_lines():
    points = [MapPoint(f, 0.0, 0.0, "competing", e) for f, e in {"Li": 0, "Sn": 0, "S": 0, "Li2S": -1.0}.items()]
    field = PhaseField.parse("Li-Sn-S")
    figure, _ = interactive_figure(points, field, geometry_of(field), [], "red")
    assert [trace.name for trace in figure.data].count("tie line") == 5


def test_interactive_map_of_one_place_has_no_ground():
    figure, veiled = interactive_figure([MapPoint("LiSnSCl", 0.05, 0.05)], FIELD, geometry_of(FIELD), [], "grey")
    assert "ground" not in [trace.name for trace in figure.data]
    assert not veiled


def test_hover_says_everything_and_escapes_it():
    parts = {"Li2SnS3": 0.75, "LiCl": 0.25}
    told = hover_text(MapPoint("Li3SnS3Cl", 0.0123, -0.002, "probe", -4.0, parts, "<i>mine</i>", "chgnet-0.3.0"), FIELD)
    assert told.split("<br>") == [
        "<b>Li<sub>3</sub>SnS<sub>3</sub>Cl</b> (probe)",
        "12.3 meV/atom above the hull",
        "-2.0 meV/atom from the competing phases",
        "decomposes into 0.75 Li<sub>2</sub>SnS<sub>3</sub> + 0.25 LiCl",
        "&lt;i&gt;mine&lt;/i&gt;",
        "chgnet-0.3.0",
    ]


def test_interactive_line_shows_formation_energies_and_the_hull(tmp_path):
    energies = {"Li2S": -1.0, "LiCl": -2.0, "Li3SCl": -1.45}
    points = [MapPoint(f, 0.0, 0.0, "probe", e) for f, e in energies.items()]
    field, ends = PhaseField.parse("Li-S-Cl"), ["Li2S", "LiCl"]
    figure, _ = interactive_figure(points, field, geometry_of(field, ends), ["Li3SCl"], "red")
    traces = {trace.name: trace for trace in figure.data}
    # Li3SCl = Li2S + LiCl: (3 x -1.0 + 2 x -2.0) / 5 = -1.4 eV/atom; its own energy lies 50 meV/atom below
    assert traces["calculation"].y == pytest.approx([0, 0, -50])
    assert min(traces["tie line"].y) == pytest.approx(-50)
    assert figure.layout.yaxis.title.text == "Formation energy (meV/atom)"
    assert write_interactive(points, field, tmp_path / "m.html", section=ends).stat().st_size < 15e6


def test_map_of_a_campaigns_field_has_the_energies_of_its_tables(record, tmp_path):
    out, answers = tmp_path / "m.pdf", tmp_path / "m.json"
    line = map_campaign(record, "Cl-S-Sn-Li", out, answers, MapOptions(colours="grey"))
    assert line == f"{out}: Li-Sn-S-Cl, 13 energies at 13 compositions"
    assert out.read_bytes().startswith(b"%PDF")
    told = {row["composition"]: row["e_above_hull"] for row in json.loads(answers.read_text())}
    table = probe_table(record.fields[0]).dropna(subset="e_above_hull")
    for formula, energy in zip(table["formula"], table["e_above_hull"], strict=True):
        assert told[field_formula(formula, FIELD.elements)] == pytest.approx(energy, abs=1e-4)  # 0.1 meV/atom


def test_a_field_that_was_not_explored_is_named(record, tmp_path):
    with pytest.raises(ValueError, match="has not explored Li-Zn-S-Cl; explored: Li-Sn-S-Cl, Li-Sn-S-Br"):
        map_campaign(record, "Li-Zn-S-Cl", tmp_path / "m.png")
