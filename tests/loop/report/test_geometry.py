import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_hex
from pymatgen.core import Composition

from loop.report.geometry import CORNERS, geometry_of
from loop.report.hull_map import draw_hull_map, save_map
from loop.report.line_map import atoms_per_mole, formation_energies, lower_hull, tie_line
from loop.report.points import MapNote, MapPoint
from loop.report.tie_lines import tie_lines
from vae.phase_fields import PhaseField


def artists(figure, gid):
    return figure.findobj(lambda each: each.get_gid() == gid)


@pytest.mark.parametrize(
    ("field", "section", "kind", "formula", "fractions"),
    [
        ("Li-Sn-S-Cl", (), "square", "Li3SnS3Cl", [0.75, 0.75]),
        ("Li-Na-K-Cl", (), "triangle", "Li2NaKCl4", [0.25, 0.25, 0.5]),  # K, Na, Li by electronegativity
        ("Li-S-Cl-Br", (), "triangle", "Li5SClBr2", [0.25, 0.5, 0.25]),  # S, Br, Cl
        ("Li-P-S-Cl", (), "square", "Li6PS5Cl", [6 / 7, 5 / 6]),  # thiophosphates: P is a cation
        ("Li-Sn-S", (), "triangle", "Li2SnS3", [2 / 6, 1 / 6, 3 / 6]),
        ("Li-Cl", (), "line", "LiCl", [0.5, 0.5]),
        # Li3SnS3Cl = Li2S + SnS2 + LiCl
        ("Li-Sn-S-Cl", ("Li2S", "SnS2", "LiCl"), "triangle", "Li3SnS3Cl", [1 / 3, 1 / 3, 1 / 3]),
        ("Li-Sn-S-Cl", ("Li2S", "LiCl"), "line", "Li3SCl", [0.5, 0.5]),
        ("Li-Sn-S-Cl", ("Li2S", "LiCl"), "line", "Li3SnS3Cl", None),
        ("Li-Sn-S-Cl", ("Li2S", "SnS2", "LiCl"), "triangle", "Sn", None),
        ("Li-Na-K-Cl", (), "triangle", "LiNaK", None),
    ],
)
def test_coordinates_by_hand(field, section, kind, formula, fractions):
    geometry = geometry_of(PhaseField.parse(field), section)
    assert geometry.kind == kind
    found = geometry.fractions(Composition(formula))
    assert found is None if fractions is None else found == pytest.approx(fractions)


def test_corners_of_the_triangle_are_where_mpltern_has_them():
    field = PhaseField.parse("Li-Sn-S")
    points = [MapPoint(formula, 0.0, 0.0, "competing", 0.0) for formula in ("Li", "Sn", "S")]
    figure = draw_hull_map(points, field)
    axes = figure.axes[0]
    assert axes.transProjection.transform(np.eye(3)) == pytest.approx(CORNERS)
    (tripods,) = artists(figure, "tripods")
    assert sorted(map(tuple, tripods.get_xydata().round(6))) == sorted(map(tuple, CORNERS.round(6)))


SECTION = {"Li": 0, "Cl": 0, "S": 0, "Li2S": -1.0, "LiCl": -2.0, "Li3SCl": -1.45, "Li4SCl2": -1.62}


def section_points():
    return [MapPoint(formula, 0.0, 0.0, "probe", e) for formula, e in SECTION.items()]


def test_line_by_hand():
    geometry = geometry_of(PhaseField.parse("Li-S-Cl"), ["Li2S", "LiCl"])
    points = [point for point in section_points() if geometry.place(point.composition)]
    energies = dict(zip([point.formula for point in points], formation_energies(points, geometry), strict=True))
    # Li3SCl = Li2S + LiCl: (3 x -1.0 + 2 x -2.0) / 5 = -1.4; Li4SCl2 = Li2S + 2 LiCl: (3 x -1.0 + 4 x -2.0) / 7
    assert energies == pytest.approx({"Li2S": 0, "LiCl": 0, "Li3SCl": -0.05, "Li4SCl2": -1.62 + 11 / 7})


def test_lower_hull_is_taken_per_mole():
    x = np.array([0, 0.5, 2 / 3, 1])
    per_atom = np.array([0, -0.05, -0.0486, 0])
    per_mole = per_atom * atoms_per_mole(x, [3, 2])
    assert lower_hull(x, per_mole) == [0, 1, 2, 3]
    # between Li2S and Li4SCl2 the line at x = 1/2 is 3/4 of -0.0486 x 7/3: -0.08505; -0.034 x 5/2 is -0.085, above it
    assert lower_hull(x, np.array([0, -0.034, -0.0486, 0]) * atoms_per_mole(x, [3, 2])) == [0, 2, 3]
    fine, energies = tie_line(x, per_atom, [3, 2])
    assert energies[np.isin(fine, x)] == pytest.approx(per_atom)


def test_tie_lines_of_a_section_join_neighbours_only():
    geometry = geometry_of(PhaseField.parse("Li-S-Cl"), ["Li2S", "LiCl"])
    assert tie_lines(section_points(), geometry) == [("Li2S", "Li3SCl"), ("Li3SCl", "Li4SCl2"), ("Li4SCl2", "LiCl")]


def test_tie_lines_of_a_ternary_field():
    points = [MapPoint(f, 0.0, 0.0, "competing", e) for f, e in {"Li": 0, "Sn": 0, "S": 0, "Li2S": -1.0}.items()]
    # Li2S splits the triangle in two
    expected = {("Li", "Li2S"), ("Li", "Sn"), ("Li2S", "S"), ("Li2S", "Sn"), ("S", "Sn")}
    assert set(tie_lines(points, geometry_of(PhaseField.parse("Li-Sn-S")))) == expected


@pytest.mark.parametrize(("field", "section"), [("Li-Sn-S", ()), ("Li-S-Cl", ("Li2S", "LiCl"))])
def test_tie_lines_join_one_level_of_theory_only(field, section):
    formulas = section or ("Li", "Sn", "S")
    points = [MapPoint(f, 0.0, 0.0, "competing", 0.0, level="chgnet") for f in formulas]
    points[0] = dataclasses.replace(points[0], level="sevennet")
    with pytest.raises(ValueError, match=r"one hull, one level of theory: .* at \['chgnet', 'sevennet'\]"):
        tie_lines(points, geometry_of(PhaseField.parse(field), section))


def test_line_map_shows_every_energy_and_the_hull(tmp_path):
    figure = draw_hull_map(
        section_points(), PhaseField.parse("Li-S-Cl"), MapNote(), ["Li3SCl"], section=["Li2S", "LiCl"]
    )
    (tripods,) = artists(figure, "tripods")
    assert tripods.get_xydata()[:, 1] == pytest.approx([0, 0, -50, 1000 * (-1.62 + 11 / 7)], abs=1e-6)
    (mark,) = artists(figure, "mark-a")
    assert mark.get_xdata()[0] == pytest.approx(0.5)
    assert to_hex(mark.get_color()) == "#ff00ff"
    assert artists(figure, "tie-line")
    assert save_map(figure, tmp_path / "line.pdf").stat().st_size > 5000


def test_competing_phases_of_a_line_are_white_circles():
    points = [
        dataclasses.replace(point, role="competing") if point.formula in ("Li2S", "LiCl") else point
        for point in section_points()
    ]
    figure = draw_hull_map(points, PhaseField.parse("Li-S-Cl"), section=["Li2S", "LiCl"])
    (circles,) = artists(figure, "known")
    assert sorted(x for x, _ in circles.get_offsets()) == pytest.approx([0, 1])
    assert to_hex(circles.get_facecolor()[0]) == "#ffffff"
    (tripods,) = artists(figure, "tripods")
    assert len(tripods.get_xydata()) == 2


def test_missing_end_of_a_line_is_named():
    points = [point for point in section_points() if point.formula != "LiCl"]
    with pytest.raises(ValueError, match="no line between Li2S and LiCl: LiCl was not computed"):
        draw_hull_map(points, PhaseField.parse("Li-S-Cl"), section=["Li2S", "LiCl"])


def test_every_energy_of_a_line_is_on_its_colour_bar():
    # the second Li2S lies 175 meV/atom above the first; the bar goes on in steps of 25
    points = [*section_points(), MapPoint("Li2S", 0.175, 0.175, "probe", -0.825)]
    figure = draw_hull_map(points, PhaseField.parse("Li-S-Cl"), section=["Li2S", "LiCl"])
    (places,) = artists(figure, "places")
    assert places.norm.vmax == 175
    assert max(places.get_array()) == pytest.approx(175)


def test_no_label_of_a_line_covers_a_calculation():
    figure = draw_hull_map(section_points(), PhaseField.parse("Li-S-Cl"), section=["Li2S", "LiCl"])
    figure.draw_without_rendering()
    (places,) = artists(figure, "places")
    centres = figure.axes[0].transData.transform(places.get_offsets())
    labels = [text for text in figure.axes[0].texts if text.get_text() and text.get_visible()]
    assert {text.get_text() for text in labels} == {"Li₂S", "LiCl", "Li₃SCl", "Li₄SCl₂"}
    for label in labels:
        assert not any(label.get_window_extent().contains(*centre) for centre in centres)


def test_a_triangle_names_its_corners_and_what_its_tie_lines_join():
    end_members = {"Li2S": -1.0, "SnS2": -0.5, "LiCl": -2.0}
    points = [MapPoint(f, 0.0, 0.0, "competing", e) for f, e in end_members.items()]
    # 0.3 eV/atom below the mixture, so that three tie lines meet there
    points.append(MapPoint("Li3SnS3Cl", 0.0, -0.3, "probe", (3 * -1.0 + 3 * -0.5 + 2 * -2.0) / 8 - 0.3))
    figure = draw_hull_map(points, PhaseField.parse("Li-Sn-S-Cl"), MapNote(), section=list(end_members))
    assert [text.get_text() for text in artists(figure, "corner")] == ["Li₂S", "SnS₂", "LiCl"]
    assert [text.get_rotation() for text in artists(figure, "corner")] == [0, 0, 0]
    assert "Li₃SnS₃Cl" in {text.get_text() for text in figure.axes[0].texts if text.get_visible()}
    assert len(artists(figure, "tie-line")) == 6
    told = "Sides: mole fractions of Li₂S (right), SnS₂ (left) and LiCl (below)."
    assert told in artists(figure, "caption")[0].get_text().replace("\n", " ")
