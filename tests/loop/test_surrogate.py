import numpy as np
import pytest

from loop.surrogate import ENERGIES, WITH_CHEAPER, Surrogate

GRID = np.linspace(0, 1, 21)[:, None]


def test_without_data_it_says_what_fields_are_like():
    mean, deviation = Surrogate().fit(np.zeros((0, 3)), np.zeros(0)).predict(np.zeros((2, 3)))
    assert mean == pytest.approx([ENERGIES.mean] * 2)
    # the mean of the field, its neighbourhoods and the scatter, each in doubt
    expected = np.sqrt(ENERGIES.mean_spread**2 + ENERGIES.amplitude[0] ** 2 + ENERGIES.scatter[0] ** 2)
    assert deviation == pytest.approx([expected] * 2)


def test_far_from_the_data_it_returns_to_their_mean_and_its_doubt():
    surrogate = Surrogate().fit(GRID, np.full(21, 0.09))
    near, far = surrogate.predict(np.array([[0.5], [50.0]]))[0]
    assert near == pytest.approx(0.09, abs=0.005)
    assert ENERGIES.mean < far <= near
    deviations = surrogate.predict(np.array([[0.5], [50.0]]))[1]
    assert deviations[1] > deviations[0]


def test_five_points_do_not_make_it_sure():
    # whatever five numbers say, the scatter of another calculation stays within a factor of two of the usual one
    surrogate = Surrogate().fit(GRID[::5], np.array([0.08, 0.081, 0.079, 0.08, 0.0805]))
    deviation = surrogate.predict(GRID[::5])[1]
    assert (deviation > ENERGIES.scatter[0] / 2).all()


def test_many_points_overrule_the_prior():
    X = np.linspace(0, 1, 201)[:, None]
    y = 0.05 + 0.05 * np.sin(8 * X[:, 0])
    surrogate = Surrogate().fit(X[::2], y[::2])
    mean, deviation = surrogate.predict(X[1::2])
    assert mean == pytest.approx(y[1::2], abs=0.004)
    assert deviation.max() < 0.012


def test_shifting_the_order_of_data_changes_nothing():
    y = 0.05 + 0.05 * np.sin(8 * GRID[:, 0])
    turned = Surrogate().fit(GRID[::-1], y[::-1]).predict(GRID)
    assert turned[0] == pytest.approx(Surrogate().fit(GRID, y).predict(GRID)[0], abs=1e-6)


def test_of_a_cheaper_level_neighbourhoods_count_for_more_than_single_compositions():
    # without data: mean + 0.8 x what neighbours foretell + 0.5 x what they do not
    X = np.array([[0.5, 0.1, 0.0], [0.5, 0.0, 0.1], [0.5, 0.1, -0.1]])
    mean, deviation = Surrogate().fit(np.zeros((0, 3)), np.zeros(0), WITH_CHEAPER).predict(X)
    assert mean == pytest.approx(WITH_CHEAPER.mean + np.array([0.08, 0.05, 0.03]))
    doubts = (WITH_CHEAPER.mean_spread, WITH_CHEAPER.amplitude[0], WITH_CHEAPER.scatter[0])
    slopes = WITH_CHEAPER.slope_spread * np.array([0.1, 0.1, np.sqrt(0.02)])
    assert deviation == pytest.approx(np.sqrt(np.sum(np.square(doubts)) + slopes**2))


def test_slopes_are_learned():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random(200), rng.normal(scale=0.05, size=(200, 2))])
    y = 0.02 + 0.2 * X[:, 1] + 1.1 * X[:, 2] + rng.normal(scale=0.01, size=200)
    ends = np.array([[0.5, 0.0, 0.0], [0.5, 0.1, 0.0], [0.5, 0.0, 0.1]])
    mean, _ = Surrogate().fit(X, y, WITH_CHEAPER).predict(ends)
    assert mean - mean[0] == pytest.approx([0.0, 0.02, 0.11], abs=0.005)
