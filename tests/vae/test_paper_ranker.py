import numpy as np
import pytest
import torch

from vae.model import VAE, VAEConfig, kl_divergence
from vae.phase_fields import PhaseField
from vae.ranking import make_ranker, rank
from vae.training import TrainingConfig

FIELDS = [
    PhaseField.parse(name)
    for name in ("Li-Sn-S-Cl", "Na-Zn-O-F", "K-Bi-S-Br", "Cu-Sb-Se-I", "Ba-Ti-O-N", "Ag-P-S-Cl", "Cs-Cd-Te-Br")
]
SHORT = TrainingConfig(epochs=2)


@pytest.fixture(scope="module")
def ranker():
    return make_ranker("paper", seed=1, training=SHORT).fit(FIELDS)


def test_kl_divergence_worked_by_hand():
    # N(1, e) against N(0, 1): (1 + e - 1 - 1) / 2
    kl = kl_divergence(torch.tensor([1.0]), torch.tensor([1.0]))
    assert kl.item() == pytest.approx((np.e - 1) / 2, rel=1e-6)
    assert kl_divergence(torch.zeros(1), torch.zeros(1)).item() == 0


def test_architecture_is_the_published_one():
    model = VAE(VAEConfig())
    widths = [layer.out_features for layer in (model.first, *model.encoder, model.mean)]
    assert widths == [148, 74, 37, 18, 9, 4]
    assert [layer.out_features for layer in (*model.decoder, model.last)] == [4, 9, 18, 37, 74, 148]


def test_order_of_elements_changes_no_score(ranker):
    a = ranker.score([PhaseField(("Li", "Sn", "S", "Cl"))])
    b = ranker.score([PhaseField(("Cl", "S", "Li", "Sn"))])
    assert a.mean == b.mean


def test_same_seed_same_scores_and_the_global_generator_is_untouched():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    scores = [make_ranker("paper", seed=5, training=SHORT).fit(FIELDS).score(FIELDS).mean for _ in range(2)]
    np.testing.assert_array_equal(*scores)
    assert torch.equal(before, torch.get_rng_state())
    other = make_ranker("paper", seed=6, training=SHORT).fit(FIELDS).score(FIELDS).mean
    assert not np.array_equal(scores[0], other)


def test_checkpoint_scores_as_before(ranker, tmp_path):
    ranker.save(tmp_path / "r.pt")
    again = type(ranker).load(tmp_path / "r.pt")
    np.testing.assert_array_equal(again.score(FIELDS).mean, ranker.score(FIELDS).mean)
    assert again.trained_on == ranker.trained_on


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "no readable checkpoint, perhaps truncated"),
        (lambda path: torch.save({"kind": "masked"}, path), "holds a 'masked' checkpoint where a 'paper' one"),
    ],
)
def test_bad_checkpoints_are_named(ranker, tmp_path, damage, message):
    path = tmp_path / "r.pt"
    ranker.save(path)
    damage(path)
    with pytest.raises(ValueError, match=message):
        type(ranker).load(path)


def test_weights_of_another_architecture_are_named(ranker, tmp_path):
    path = tmp_path / "r.pt"
    ranker.save(path)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "config": {**content["config"], "n_latent": 3}}, path)
    with pytest.raises(ValueError, match="weights of another architecture"):
        type(ranker).load(path)


def test_ranking_is_sorted_and_names_the_nearest(ranker):
    candidates = [PhaseField.parse(f) for f in ("Li-Sn-S-Br", "Li-Sn-S-Cl", "Cs-Zn-O-F", "Li-Sn-S-Br")]
    ranking = rank(ranker, candidates, FIELDS)
    table = ranking.table
    assert list(table.columns[:6]) == ["phase_field", "rank", "score", "score_std", "nearest_known", "novelty"]
    assert list(table["rank"]) == [1, 2, 3]
    assert table["score"].is_monotonic_increasing
    by_field = table.set_index("phase_field")
    assert by_field["nearest_known"]["Li-Sn-S-Br"] == "Li-Sn-S-Cl"
    assert "Li-Sn-S-Cl" not in [by_field["nearest_known"]["Li-Sn-S-Cl"], *by_field["also_near"]["Li-Sn-S-Cl"].split()]


def test_diagnostics_say_what_the_scores_hold(ranker):
    diagnostics = rank(ranker, FIELDS, FIELDS).diagnostics
    assert len(diagnostics["kl_per_latent_dimension"]) == 4
    assert -1 <= diagnostics["correlation_with_descriptor_norm"] <= 1
    assert diagnostics["in_words"].endswith(".")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda r: rank(r, [], FIELDS), "no candidates"),
        (lambda r: rank(r, FIELDS, []), "no known phase fields"),
        (lambda r: r.score([PhaseField.parse("Li-Sn-S")]), "Li-Sn-S has 3 elements where 4 are needed"),
        (lambda r: make_ranker("paper").fit(FIELDS[:1]), "needs at least two to learn from"),
        (lambda r: make_ranker("paper").score(FIELDS), "the ranker is not fitted"),
        (lambda r: make_ranker("best"), "ranker 'best' is unknown"),
    ],
)
def test_mistakes_are_named(ranker, act, message):
    with pytest.raises(ValueError, match=message):
        act(ranker)
