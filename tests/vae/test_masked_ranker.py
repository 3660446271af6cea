import numpy as np
import pytest
import torch

from vae.datasets import known_phase_fields
from vae.descriptors import element_descriptors
from vae.element_indices import field_indices, known_compounds
from vae.masked import held_out
from vae.masked_model import MaskedConfig, MaskedVAE
from vae.masked_scoring import Reconstruction, latent_coordinates
from vae.phase_fields import PhaseField
from vae.ranking import make_ranker, rank
from vae.training import TrainingConfig

FIELDS = list(known_phase_fields().fields[::4])
SETTINGS = {"n_members": 2, "training": TrainingConfig(epochs=12, batch_size=1000, learning_rate=2e-2)}
LI_SN_S_CL = PhaseField.parse("Li-Sn-S-Cl")


@pytest.fixture(scope="module")
def ranker():
    return make_ranker("masked", seed=1, **SETTINGS).fit(FIELDS)


def small_model(memory, **settings):
    config = MaskedConfig(n_latent=2, **settings)
    compounds = torch.zeros((6, 6, 6), dtype=torch.uint8)
    torch.manual_seed(0)
    places = torch.tensor([0, 1, 2, 3]), torch.tensor([4, 5])
    return MaskedVAE(config, torch.randn(6, 3), compounds, torch.tensor(memory), *places).eval()


def test_masked_is_the_default():
    assert make_ranker().name == "masked"


def test_roles_put_the_anions_last():
    elements = ["Au", "Cl", "Li", "O", "P", "S", "Sn", "Te"]
    fields = [PhaseField.parse(f) for f in ("Cl-S-Sn-Li", "Au-Li-Te-Cl", "Li-O-P-S", "Li-Sn-Au-O")]
    roles = [[elements[i] for i in row] for row in field_indices(fields, elements).tolist()]
    assert roles == [
        ["Li", "Sn", "S", "Cl"],
        ["Li", "Au", "Te", "Cl"],  # gold is more electronegative than tellurium, and no anion
        ["Li", "P", "S", "O"],  # of three possible anions the last two
        ["Li", "Sn", "Au", "O"],  # with one, the next by electronegativity stands in
    ]


def test_bundled_compounds_are_found_in_any_order():
    table = known_compounds(("Cl", "Li", "Sn", "Sc"))
    assert table[0, 1, 1] == table[1, 1, 0] == table[1, 0, 0] == 1  # LiCl
    assert table[0, 1, 3] == table[3, 1, 0] == 1  # Li3ScCl6
    assert table[0, 1, 2] == 0


@torch.no_grad()
def test_all_completions_of_a_context_make_one():
    model = small_model([[0, 1, 4, 5], [0, 2, 4, 5]])
    tables, grid = model.decode(model.encode()[0])
    norms = model.norms(grid)
    # The context of cation 1 and anion 5: any cation, any anion can complete it.
    fields = torch.tensor([[1, hidden, 5, other] for hidden in range(4) for other in (4, 5)])
    weights = model.evidence.of(tables, tuple(fields.T))
    assert torch.logsumexp(weights, 0).item() == pytest.approx(norms.mixed[1, 1].item(), rel=1e-5)
    assert norms.all.item() == pytest.approx(torch.logsumexp(norms.cations, 0).item(), rel=1e-5)


@torch.no_grad()
def test_contexts_that_cannot_be_are_left_out():
    model = small_model([[0, 1, 4, 5], [0, 2, 4, 5]])
    tables, grid = model.decode(model.encode()[0])
    norms = model.norms(grid)
    fields = torch.tensor([[0, 1, 3, 5], [4, 5, 2, 3]])  # 3 is no anion: contexts 0-1, 0-5 and 1-5 remain, or none
    weights = model.evidence.of(tables, tuple(fields.T))
    remaining = [norms.cations[model.cation_row[0, 1]], norms.mixed[0, 1], norms.mixed[1, 1]]
    found = model.completed(norms, fields, weights)
    assert found[0].item() == pytest.approx((weights[0] - sum(remaining) / 3).item(), rel=1e-5)
    assert found[1].item() == pytest.approx((weights[1] - norms.all).item(), rel=1e-5)


@torch.no_grad()
def test_blocks_score_as_single_fields_do(ranker):
    member = ranker._reconstructions()[1]
    pairs = torch.combinations(member.model.cations[:4], 2), torch.tensor([[7, 15], [2, 15], [2, 3]])
    fields = torch.cat([pairs[0].repeat_interleave(3, 0), pairs[1].repeat(6, 1)], 1)
    np.testing.assert_allclose(member.block_scores(*pairs), member.scores(fields), rtol=1e-4)


def test_leave_one_out_is_normalized_and_alone_as_together(ranker):
    member = Reconstruction(ranker._members[0], torch.zeros(()), 1.0)
    fields = field_indices(FIELDS[:20], list(ranker.descriptors.index))
    together = member.leave_one_out(fields)
    alone = torch.cat([member.leave_one_out(row.unsqueeze(0)) for row in fields])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    every = fields[:1].repeat(len(member.model.cations), 1)
    every[:, 0] = member.model.cations
    assert member.leave_one_out(every)[:, 0].exp().sum().item() == pytest.approx(1.0, rel=1e-4)


def test_coordinates_do_not_depend_on_the_order():
    model = small_model([[0, 1, 4, 5]])
    rows = torch.tensor([[0, 1, 4, 5], [1, 0, 5, 4], [0, 2, 4, 5]])
    one, same, other = latent_coordinates(model, rows)
    torch.testing.assert_close(one, same)
    assert (one - other).norm() > 0.1


def test_what_a_member_holds_out_does_not_depend_on_the_list():
    fields = field_indices(FIELDS, list(element_descriptors().index))
    few, many = held_out(fields[:100], 0.2, seed=3), held_out(fields, 0.2, seed=3)
    assert torch.equal(few, many[:100])
    assert 0.1 < many.double().mean().item() < 0.3
    assert not torch.equal(many, held_out(fields, 0.2, seed=4))
    assert held_out(fields[:2], 0.0, seed=0).sum() == 1  # never none


def test_order_of_elements_and_company_change_no_ranking(ranker):
    shuffled = PhaseField(("Cl", "S", "Sn", "Li"))
    alone = ranker.score([LI_SN_S_CL])
    assert ranker.score([shuffled]).mean == pytest.approx(alone.mean)
    assert ranker.score([*FIELDS[:5], LI_SN_S_CL]).mean[5] == pytest.approx(alone.mean[0], rel=1e-4)


def test_same_seed_same_scores():
    scores = [make_ranker("masked", seed=5, **SETTINGS).fit(FIELDS).score(FIELDS).mean for _ in range(2)]
    np.testing.assert_array_equal(*scores)


def test_known_fields_score_below_random_ones(ranker):
    rng = np.random.default_rng(0)
    elements = sorted({e for field in FIELDS for e in field.cations})
    random = [PhaseField((*rng.choice(elements, 2, replace=False), "S", "Cl")) for _ in range(100)]
    unseen = [f for f in known_phase_fields().fields if f not in set(FIELDS)][:200]
    known, unknown = ranker.score(unseen).mean, ranker.score(random).mean
    assert (known[:, None] < unknown[None, :]).mean() > 0.75  # AUC


def test_a_warm_start_begins_with_what_was_learned(ranker):
    epochs = []
    training = TrainingConfig(epochs=6, batch_size=1000, learning_rate=1e-9)
    again = make_ranker("masked", seed=1, n_members=2, training=training)
    again.fit([*FIELDS, LI_SN_S_CL], progress=lambda done, most: epochs.append(most), start=ranker)
    assert max(epochs) == 2 * 2  # two members, a third of the epochs
    # The kernels are the old ones, the memory is the new one.
    assert np.corrcoef(again.score(FIELDS).mean, ranker.score(FIELDS).mean)[0, 1] > 0.99
    assert again.score([LI_SN_S_CL]).mean < ranker.score([LI_SN_S_CL]).mean


def test_weights_of_another_size_are_no_start(ranker):
    other = make_ranker("masked", n_members=1, n_latent=3, training=SETTINGS["training"])
    with pytest.raises(ValueError, match="no warm start: the earlier ranker's embedding does not fit"):
        other.fit(FIELDS[:50], start=ranker)


def test_checkpoint_scores_as_before(ranker, tmp_path):
    ranker.save(tmp_path / "r.pt")
    again = type(ranker).load(tmp_path / "r.pt")
    np.testing.assert_allclose(again.score(FIELDS).mean, ranker.score(FIELDS).mean, rtol=1e-5)
    assert again.trained_on == ranker.trained_on


def test_a_checkpoint_from_before_interactions_is_refused(ranker, tmp_path):
    ranker.save(tmp_path / "old.pt")
    content = torch.load(tmp_path / "old.pt", weights_only=True)
    for state in content["states"]:
        del state["evidence.interactions"]
    torch.save(content, tmp_path / "old.pt")
    with pytest.raises(ValueError, match="weights of another architecture; train again"):
        type(ranker).load(tmp_path / "old.pt")


def test_a_paper_checkpoint_is_refused(ranker, tmp_path):
    torch.save({"kind": "paper"}, tmp_path / "r.pt")
    with pytest.raises(ValueError, match="holds a 'paper' checkpoint where a 'masked' one is needed"):
        type(ranker).load(tmp_path / "r.pt")


def test_contributions_stand_in_the_order_of_the_name(ranker):
    field = PhaseField(("As", "As", "Cd", "Cl"))  # repeats an element: handled
    table = ranker.contributions([field, LI_SN_S_CL])
    assert table.shape == (2, 4)
    assert table[0, 1] == table[0, 2]
    assert (table > 0).all()


def test_diagnostics_say_that_it_has_not_collapsed(ranker):
    diagnostics = rank(ranker, FIELDS[:50], FIELDS).diagnostics
    assert diagnostics["reconstruction_r2"] > 0.05
    assert abs(diagnostics["correlation_with_descriptor_norm"]) < 0.9


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda r: r.score([PhaseField.parse("Li-Cl")]), "Li-Cl has 2 elements where 4 are needed"),
        (lambda r: r.score([PhaseField.parse("Fr-Li-S-Cl")]), r"no descriptors for \['Fr'\]"),
        (lambda r: make_ranker().fit(FIELDS[:1]), "needs at least two to learn from"),
        (lambda r: make_ranker().score(FIELDS), "the ranker is not fitted"),
    ],
)
def test_mistakes_are_named(ranker, act, message):
    with pytest.raises(ValueError, match=message):
        act(ranker)
