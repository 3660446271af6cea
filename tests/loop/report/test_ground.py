import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv

from loop.report.geometry import geometry_of
from loop.report.hull_map import draw_hull_map, save_map
from loop.report.interpolation import interpolate
from loop.report.points import MapNote
from loop.report.styles import ground
from tests.loop.report.maps import FIELD, SQUARE, artist, probe


def test_ground_passes_through_the_values_and_stays_between_them():
    places = np.array([geometry_of(FIELD).place(probe(f).composition) for f in SQUARE])
    surface = interpolate(places, np.array(list(SQUARE.values())), resolution=101)
    assert surface.inside.all()
    assert [surface.energy[round(100 * y), round(100 * x)] for x, y in places] == pytest.approx(
        [0, 0.02, 0.06, 0.08], abs=5e-4
    )
    assert surface.energy.min() >= -1e-12
    assert surface.energy.max() <= 0.08 + 1e-12
    # the middle lies equally far from the four corners
    assert surface.energy[50, 50] == pytest.approx(0.04, abs=1e-3)
    # on an edge the ground goes from one value to the other
    assert surface.energy[0, 50] == pytest.approx(0.04, abs=0.006)


def test_ground_ends_with_the_computed_compositions():
    places = np.array([(0.2, 0.2), (0.8, 0.2), (0.2, 0.8)])
    surface = interpolate(places, np.array([1.0, 2.0, 3.0]), resolution=101)
    assert surface.inside[30, 30]
    assert surface.inside[20, 50]  # on the edge
    assert not surface.inside[60, 60]
    assert not surface.inside[5, 5]
    figure = draw_hull_map([probe("LiSn4SCl4"), probe("Li4SnSCl4"), probe("LiSn4S4Cl")], FIELD)
    (image,) = artist(figure, "ground")
    corners = {tuple(corner) for corner in np.round(image.get_clip_path()._path.vertices, 6)}
    assert corners == {(0.2, 0.2), (0.8, 0.2), (0.2, 0.8)}


def test_sparse_ground_is_hatched_and_said_so():
    sparse = draw_hull_map([probe(f, e) for f, e in SQUARE.items()], FIELD, MapNote("chgnet"))
    assert artist(sparse, "sparse")
    assert "Hatched" in artist(sparse, "caption")[0].get_text()
    dense = [probe(f"Li{i}Sn{12 - i}S{j}Cl{12 - j}") for i in range(13) for j in range(13)]
    figure = draw_hull_map(dense, FIELD, MapNote("chgnet"))
    assert not artist(figure, "sparse")
    assert "Hatched" not in artist(figure, "caption")[0].get_text()


@pytest.mark.parametrize("colours", ["red", "colour-blind", "grey"])
def test_ground_darkens_steadily_towards_the_hull(colours):
    shades = ground(colours)(np.linspace(0, 1, 64))[:, :3]
    luminance = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]
    assert (np.diff(luminance) > 0).all()
    assert luminance[0] < 0.03
    assert luminance[-1] > 0.7


def test_the_default_ground_is_red():
    hue, saturation, _ = rgb_to_hsv(ground("red")(0.4)[:3])
    assert min(hue, 1 - hue) < 0.05
    assert saturation > 0.6


@pytest.mark.parametrize(
    "formulas",
    [["LiSnSCl"], ["LiSnSCl", "LiCl"], ["LiCl", "Li2S", "SnS2"], ["LiSn3SCl3", "LiSnSCl", "Li3SnS3Cl"]],
    ids=["one", "two", "three", "collinear"],
)
def test_few_points(tmp_path, formulas):
    figure = draw_hull_map([probe(f, 0.01 * i) for i, f in enumerate(formulas)], FIELD, MapNote())
    assert bool(artist(figure, "ground")) == (formulas == ["LiCl", "Li2S", "SnS2"])
    assert bool(artist(figure, "places")) != bool(artist(figure, "ground"))
    assert save_map(figure, tmp_path / "m.png").stat().st_size > 10_000


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float)


@pytest.mark.parametrize("colours", ["red", "colour-blind", "grey"])
def test_the_colour_beside_a_calculation_is_that_of_its_energy(colours):
    # the scale runs from 0 to 100 meV/atom; four corners at 0, 20, 60 and 80, their mean 40 in the middle
    figure = draw_hull_map([probe(f, e) for f, e in SQUARE.items()], FIELD, colours=colours)
    figure.set_dpi(150)
    image = pixels(figure)
    for place, energy in {
        (0.97, 0.03): 0,
        (0.97, 0.97): 20,
        (0.03, 0.97): 60,
        (0.03, 0.03): 80,
        (0.5, 0.5): 40,
    }.items():
        x, y = figure.axes[0].transData.transform(place).astype(int)
        patch = image[image.shape[0] - y - 9 : image.shape[0] - y + 9, x - 9 : x + 9].reshape(-1, 3)
        expected = 255 * np.array(ground(colours)(energy / 100)[:3])
        # the ground there is within 3 meV/atom of the calculation's; tripods, circles and hatching cover a part
        assert np.abs(patch - expected).max(axis=1).min() < 14, (place, energy)
