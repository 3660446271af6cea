import numpy as np
import pytest

from vae import baselines
from vae.calibration import calibrate, random_fields
from vae.datasets import KnownFields, known_phase_fields
from vae.element_indices import field_indices
from vae.figures import calibration, recall_curve, reliability
from vae.phase_fields import PhaseField
from vae.training import TrainingConfig
from vae.validation import KINDS, METHODS, _Task, metrics, prospective, usable, validate

SETTINGS = {
    "masked": {"n_members": 1, "training": TrainingConfig(epochs=3, batch_size=64, learning_rate=4e-3)},
    "paper": {"n_passes": 1, "training": TrainingConfig(epochs=1, batch_size=512)},
}


@pytest.fixture(scope="module")
def known():
    bundled = known_phase_fields()
    return KnownFields(bundled.fields[::4], bundled.source, bundled.licence)


@pytest.fixture(scope="module")
def result(known):
    return validate(known, METHODS, folds=(0,), n_unlabelled=500, settings=SETTINGS)


def test_metrics_worked_by_hand():
    # Positives at 0 and 2 among unlabelled 1, 3, 4: five of six pairs are in order.
    measured = metrics(np.array([0.0, 2.0]), np.array([1.0, 3.0, 4.0]))
    assert measured["auc"] == pytest.approx(5 / 6)
    assert measured["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert measured["recall_at_1_percent"] == 0.5  # the 1 % quantile of the unlabelled lies at 1.04
    assert measured["enrichment_at_1_percent"] == pytest.approx(1 / 0.4)


def test_only_fields_of_four_elements_with_two_anions_are_used():
    names = ("Li-Sn-S-Cl", "As-As-Cd-Cl", "Li-P-S-O", "Fr-Sn-S-Cl")
    assert [str(f) for f in usable([PhaseField.parse(n) for n in names])] == ["Li-Sn-S-Cl"]


def test_popularity_and_counts_worked_by_hand():
    known = np.array([[0, 1, 4, 5], [0, 2, 4, 5]])
    fields = np.array([[0, 1, 4, 5], [3, 1, 4, 5]])
    assert baselines.popularity(known, 6)(fields) == pytest.approx(
        -np.array([3 * np.log(3) + np.log(2), 2 * np.log(3) + np.log(2)])
    )
    # Triples of the second field: only (1, 4, 5) is known, once.
    assert baselines.subset_counts(known, 6, 3)(fields)[1] == pytest.approx(-np.log(2))


def test_every_method_is_measured_against_every_kind(result):
    found = {(row["method"], row["against"]) for row in result["table"]}
    assert found == {(method, kind) for method in METHODS for kind in KINDS}
    assert all(0 <= row["auc"] <= 1 for row in result["table"])


def test_counts_of_triples_find_held_out_fields_and_the_collapsed_vae_does_not(result):
    auc = {row["method"]: row["auc"] for row in result["table"] if row["against"] == "uniform"}
    assert auc["triples"] > 0.75
    assert auc["paper"] < 0.7
    assert auc["masked"] > auc["paper"]


def test_boosted_trees_do_not_know_the_known_fields_by_their_counts():
    # Counts that left out the field itself for the known ones alone gave them away.
    table = validate(known_phase_fields(), ("boosted trees",), folds=(1,), n_unlabelled=2000)["table"]
    (fold,) = (row for row in table if row["against"] == "uniform")
    assert fold["auc"] > 0.95


@pytest.mark.parametrize("kind", KINDS[:3])
def test_the_order_of_elements_tells_no_known_field_from_an_unlabelled_one(known, kind):
    task = _Task(usable(known.fields), 300, seed=0)
    drawn = task.unlabelled[kind]
    in_order = field_indices(task._fields(drawn), task.elements).numpy()
    np.testing.assert_array_equal(drawn, in_order)


def test_counts_and_neighbours_do_not_see_the_order_of_elements():
    rng = np.random.default_rng(0)
    rows = np.hstack([rng.permuted(np.tile(np.arange(9), (40, 1)), axis=1)[:, :2], np.tile([9, 10], (40, 1))])
    known, fields, descriptors = rows[:20], rows[20:], rng.normal(size=(11, 3))
    for scorer in (
        baselines.popularity(known, 11),
        baselines.subset_counts(known, 11, 2),
        baselines.subset_counts(known, 11, 3),
        baselines.nearest_neighbours(known, descriptors),
    ):
        np.testing.assert_allclose(scorer(fields[:, [1, 0, 3, 2]]), scorer(fields))


def test_trees_learn_from_fields_drawn_without_regard_to_the_held_out_ones(known):
    task = _Task(usable(known.fields), 8000, seed=0)
    training, held_out = (_names(rows) for rows in (task.known[:20], task.known[20:]))
    drawn = _names(task.for_trees(task.known[:20], seed=0))
    assert drawn & held_out
    assert drawn.isdisjoint(training)


def test_no_unlabelled_field_is_known(known):
    fields = random_fields(__import__("torch").tensor([[0, 1, 4, 5], [2, 3, 4, 5]]), 200, 0)
    assert {tuple(sorted(row)) for row in fields.tolist()}.isdisjoint({(0, 1, 4, 5), (2, 3, 4, 5)})
    assert (fields[:, 0] != fields[:, 1]).all()


def test_prospective_tests_on_what_only_the_other_list_has(known):
    bundled = known_phase_fields()
    result = prospective(known, bundled, ["triples"], n_unlabelled=300)
    assert result["test"]["fields_only_there"] == len(usable(bundled.fields)) - len(usable(known.fields))
    with pytest.raises(ValueError, match="has no usable phase field that"):
        prospective(bundled, known, ["triples"])


def test_calibrated_probability_falls_with_the_score_and_averages_to_the_prior():
    import torch

    rng = np.random.default_rng(0)
    known = torch.tensor([[i, i + 1, 90, 91] for i in range(40)])
    fitted = calibrate(rng.normal(0, 1, 400), rng.normal(3, 1, 4000), known)
    p = fitted.probability(np.array([0.0, 1.5, 3.0]))
    assert p[0] > p[1] > p[2]
    # Two equal normal distributions three apart: log-odds 0 half way, slope 3, for equal numbers of both.
    assert fitted.slope == pytest.approx(-3, rel=0.15)
    assert p[1] == pytest.approx(fitted.prior, rel=0.5)


def test_scores_that_tell_nothing_leave_the_prior():
    import torch

    rng = np.random.default_rng(0)
    known = torch.tensor([[i, i + 1, 90, 91] for i in range(40)])
    fitted = calibrate(rng.normal(9, 1, 40), rng.normal(8, 1, 400), known)  # the wrong way round
    np.testing.assert_allclose(fitted.probability(np.array([0.0, 8.0, 20.0])), fitted.prior)


def test_reliability_of_a_perfect_probability():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, 40_000)
    reported = rng.random(40_000) < p
    prior = reported.mean()
    curve = {"probability_held_out": p[reported], "probability_uniform": p[~reported], "prior": prior}
    given, found = reliability([curve])
    np.testing.assert_allclose(given, found, atol=0.05)


def test_figures_are_drawn(result, tmp_path):
    recall_curve(result, tmp_path / "recall.png")
    calibration(result, tmp_path / "calibration.png")
    assert (tmp_path / "recall.png").stat().st_size > 10_000


def test_mistakes_are_named(known):
    with pytest.raises(ValueError, match="method 'guess' is unknown"):
        validate(known, ["guess"])
    few = KnownFields(known.fields[:20], "", "")
    with pytest.raises(ValueError, match="usable known fields are too few for 5 folds"):
        validate(few, ["triples"])


def _names(rows):
    return {tuple(sorted(row)) for row in rows.tolist()}
