import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from loop.report.formulas import field_formula, html, lowered, mathtext
from loop.report.geometry import geometry_of
from loop.report.hull_map import draw_hull_map, places_on_image, save_map
from loop.report.interpolation import lowest_per_place
from loop.report.points import MapNote, note_from_record, points_from_record
from loop.report.styles import STYLES
from tests.loop.report.maps import FIELD, SQUARE, artist, probe
from vae.phase_fields import PhaseField


# x = Li/(Li+Sn), y = S/(S+Cl), by hand
@pytest.mark.parametrize(
    ("formula", "place"),
    [
        ("Li3SnS3Cl", (0.75, 0.75)),
        ("Li3.3SnS3.3Cl0.7", (3.3 / 4.3, 3.3 / 4)),
        ("LiCl", (1, 0)),
        ("SnS2", (0, 1)),
        ("Li2SnCl6", (2 / 3, 0)),
        ("Li2Sn5", None),
        ("S", None),
    ],
)
def test_place_on_the_square(formula, place):
    assert geometry_of(FIELD).place(probe(formula).composition) == (place if place is None else pytest.approx(place))


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("Cl4Sn1S4Li8", "Li8SnS4Cl4"),
        ("Li6Sn2S6Cl2", "Li3SnS3Cl"),
        ("Li3.3SnS3.3Cl0.7", "Li3.3SnS3.3Cl0.7"),
        ("Cl16", "Cl"),
    ],
)
def test_formula_in_the_order_of_the_field(given, written):
    assert field_formula(given, FIELD.elements) == written


def test_numbers_are_lowered_and_the_rest_is_escaped():
    assert mathtext("Li3.3SnS3") == "Li$_{3.3}$SnS$_{3}$"
    assert mathtext("Li10SnS6") == "Li₁₀SnS₆"
    assert html("Li2S<script>") == "Li<sub>2</sub>S&lt;script&gt;"


def test_a_tripod_for_every_place_and_the_lowest_energy_counts():
    points = [
        probe("LiSnSCl", 0.09),
        probe("Li2Sn2S2Cl2", 0.03),
        probe("Li3SnS3Cl"),
        probe("LiSn3SCl3"),
        probe("Li2S", 0),
    ]
    figure = draw_hull_map(points, FIELD)
    (tripods,) = artist(figure, "tripods")
    assert tripods.get_marker() == "1"
    places = sorted(map(tuple, np.round(tripods.get_xydata(), 6)))
    assert places == [(0.25, 0.25), (0.5, 0.5), (0.75, 0.75), (1.0, 1.0)]
    unique, lowest = lowest_per_place(np.array([(0.5, 0.5), (0.5, 0.5), (1, 0)]), np.array([90.0, 30.0, 10.0]))
    assert unique.tolist() == [[0.5, 0.5], [1, 0]]
    assert lowest.tolist() == [30.0, 10.0]


def test_new_phase_is_magenta_with_its_letter_at_its_place():
    figure = draw_hull_map([probe(f, e) for f, e in SQUARE.items()], FIELD, mark=["Li3.3SnS3.3Cl0.7", "LiSnSCl"])
    (tripod,) = artist(figure, "mark-a")
    assert to_rgb(tripod.get_color()) == (1, 0, 1)
    assert tripod.get_xydata()[0] == pytest.approx((3.3 / 4.3, 3.3 / 4))
    assert artist(figure, "mark-b")
    assert "a  Li$_{3.3}$SnS$_{3.3}$Cl$_{0.7}$" in artist(figure, "legend")[0].get_text()


@pytest.mark.parametrize("size", STYLES)
def test_known_compounds_are_named_and_no_label_covers_another(size, make_field):
    points = points_from_record(make_field())
    figure = draw_hull_map(points, FIELD, mark=["Li3SnS3Cl"], size=size)
    figure.draw_without_rendering()
    labels = [text for text in figure.axes[0].texts if text.get_text() and text.get_visible()]
    assert {"Li₂S", "LiCl", "SnS₂", "SnCl₄", "Li₂SnS₃", "a"} == {t.get_text() for t in labels}
    for one, other in itertools.combinations(labels, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (one, other)


def test_everything_lies_on_the_paper(make_field):
    record = make_field()
    points = points_from_record(record)
    figure = draw_hull_map(points, FIELD, note_from_record(record, points), mark=["Li3SnS3Cl"])
    figure.draw_without_rendering()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_a_map_of_two_levels_of_theory_is_refused(make_field):
    record = make_field()
    probes = record.probes.assign(level="chgnet-0.3.0", e_above_competing=-0.01)
    at_two = dataclasses.replace(record, probes=probes, competing=record.competing.assign(level="sevennet"))
    with pytest.raises(ValueError, match=r"one hull, one level of theory: .* at \['chgnet-0.3.0', 'sevennet'\]"):
        points_from_record(at_two)


def test_the_caption_says_what_the_map_rests_on(make_field):
    record = make_field()
    text = note_from_record(record, points_from_record(record)).text()
    # 4 probes and 9 competing phases have an energy; 5 probe calculations of 8 structures each, one of them failed
    assert "chgnet-0.3.0, error of energies above the hull about 20 meV/atom" in text
    assert "13 compositions from 40 structures; 1 calculation without an energy." in text
    assert "Competing phases: prototype search." in text


def test_a_calculation_under_way_is_no_failure(make_field):
    record = make_field()
    states = record.probes["state"].replace("failed", "running")
    running = dataclasses.replace(record, level="", probes=record.probes.assign(state=states, level="chgnet-0.3.0"))
    text = note_from_record(running, points_from_record(running)).text()
    assert text.startswith("Level of theory: chgnet-0.3.0")
    assert "no calculation without an energy." in text
    assert "1 calculation still to end." in text


def test_names_of_levels_are_no_formulas():
    told = "Level of theory: cp2k-static (cp2k); chgnet-r2scan takes LiCl-SnS2"
    assert html(told) == told.replace("SnS2", "SnS<sub>2</sub>")
    assert lowered(told) == told.replace("SnS2", "SnS₂")


def test_five_thousand_points_in_time(tmp_path):
    rng = np.random.default_rng(0)
    amounts = rng.integers(1, 60, (5000, 4))
    points = [
        probe("Li{}Sn{}S{}Cl{}".format(*row), e) for row, e in zip(amounts, rng.uniform(0, 0.2, 5000), strict=True)
    ]
    start = time.process_time()
    save_map(draw_hull_map(points, FIELD, MapNote()), tmp_path / "m.png")
    assert time.process_time() - start < 10  # 5 s on a quiet machine, see benchmarks/report.py


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_text_stays_text(tmp_path, ending, make_field):
    record = make_field()
    points = points_from_record(record)
    figure = draw_hull_map(points, FIELD, note_from_record(record, points))
    data = save_map(figure, tmp_path / f"m.{ending}").read_bytes()
    if ending == "svg":
        assert b"Level of theory: chgnet-0.3.0" in data
        assert b">LiCl<" in data
    else:
        assert b"/FontFile2" in data  # TrueType, embedded
        assert b"/Type3" not in data


def test_the_same_records_give_the_same_file(tmp_path, make_field):
    files = []
    for name in ("a.svg", "b.svg"):
        record = make_field()
        files.append(save_map(draw_hull_map(points_from_record(record), FIELD), tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_places_on_the_image_match_the_tripods(make_field):
    points = points_from_record(make_field())
    figure = draw_hull_map(points, FIELD)
    height = figure.bbox.height
    spots = {point.formula: (x, height - y) for x, y, point in places_on_image(figure, points, FIELD, height)}
    expected = figure.axes[0].transData.transform((0.75, 0.75))
    assert spots["Li3SnS3Cl"] == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mark": ["Li2O"]}, "'Li2O' cannot be marked: O is not in the field"),
        ({"mark": ["LiSn"]}, "'LiSn' cannot be marked: it lacks a cation or an anion"),
        ({"mark": ["what?"]}, r"'what\?' cannot be marked: it is no formula"),
        ({"size": "stamp"}, "style 'stamp' is unknown, choose from paper, slide, poster"),
        ({"colours": "blue"}, "colours 'blue' are unknown, choose from red, colour-blind, grey"),
        ({"points": [probe("Li"), probe("LiSn")]}, "every computed composition lacks a cation or an anion"),
        (
            {"field": PhaseField.parse("Li-Na-Sn-Ge-S")},
            "no map for the field Na-Li-Sn-Ge-S: it has 4 cations and 1 anions",
        ),
        ({"section": ["LiCl"]}, "the section LiCl has 1 end members: give two or three"),
        ({"section": ["LiCl", "Li2O"]}, "the end member 'Li2O' holds O, which the field"),
        ({"section": ["LiCl", "Li2S", "Li3SCl"]}, "span no section"),
    ],
)
def test_mistakes_are_named(change, message):
    options = {"points": [probe("LiSnSCl")], "field": FIELD} | change
    with pytest.raises(ValueError, match=message):
        draw_hull_map(**options)


def test_unknown_ending_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"ends in '.gif': choose .png, .svg, .pdf or .html"):
        save_map(draw_hull_map([probe("LiSnSCl")], FIELD), tmp_path / "m.gif")


def test_the_map_looks_as_it_did(make_field, tmp_path):
    """Against an image kept with the tests; a root mean square of 8 of 255 leaves room for another font rendering."""
    record = make_field()
    points = points_from_record(record)
    figure = draw_hull_map(points, FIELD, note_from_record(record, points), mark=["Li4SnS2Cl4"])
    kept = Path(__file__).with_name("hull_map.png")
    made = np.asarray(Image.open(save_map(figure, tmp_path / "m.png", dpi=80)).convert("RGB"), dtype=float)
    expected = np.asarray(Image.open(kept).convert("RGB"), dtype=float)
    assert made.shape == expected.shape
    assert np.sqrt(((made - expected) ** 2).mean()) < 8
