import numpy as np
import pytest
import torch

from vae.datasets import known_phase_fields
from vae.masked import field_indices, known_compounds
from vae.masked_model import HIDDEN, MaskedConfig, MaskedVAE
from vae.masked_scoring import LEAVE_ONE_OUT, hide, leave_one_out, reconstruct
from vae.phase_fields import PhaseField
from vae.ranking import make_ranker, rank
from vae.training import TrainingConfig

FIELDS = list(known_phase_fields().fields[::4])
SETTINGS = {"n_members": 2, "training": TrainingConfig(epochs=4, batch_size=64, learning_rate=4e-3)}
LI_SN_S_CL = PhaseField.parse("Li-Sn-S-Cl")


@pytest.fixture(scope="module")
def ranker():
    return make_ranker("masked", seed=1, **SETTINGS).fit(FIELDS)


def small_model(memory, **settings):
    config = MaskedConfig(width=4, hidden=8, n_latent=2, dropout=0.0, **settings)
    compounds = torch.zeros((6, 6, 6), dtype=torch.uint8)
    torch.manual_seed(0)
    return MaskedVAE(config, torch.randn(6, 3), compounds, torch.tensor(memory)).eval()


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


def test_a_field_does_not_see_itself_in_the_memory():
    model = small_model([[0, 1, 4, 5], [0, 2, 4, 5]])
    context = torch.tensor([[0, HIDDEN, 4, 5]])
    with_own = model.remember(context)[0, 0].detach()
    without = model.remember(context, torch.tensor([0]))[0, 0].detach()
    # All three visible elements are the same, in one of two orders of the anions: 1/2 and the cross term.
    assert with_own[1] > 0.5
    assert without[1] == 0
    assert without[2] == pytest.approx(with_own[2].item())


def test_memory_kernel_worked_by_hand():
    model = small_model([[0, 1, 4, 5]])
    points = (model.kernel(model.descriptors) + model.kernel_embedding).detach()
    context = torch.tensor([[2, HIDDEN, 4, HIDDEN]])
    # Hidden anion like any: both orders of the anions count half, the visible one against either.
    to_cation = torch.exp(-(points[0, 2] - points[0, 0]).square().sum())
    to_anions = [torch.exp(-(points[1, 4] - points[1, i]).square().sum()) for i in (4, 5)]
    expected = to_cation * 0.5 * (to_anions[0] + to_anions[1])
    assert model.remember(context)[0, 0, 1].item() == pytest.approx(expected.item(), rel=1e-4)


def test_probabilities_are_normalized_and_shared_contexts_agree(ranker):
    model = ranker._members[0]
    fields = field_indices(FIELDS[:20], list(ranker.descriptors.index))
    together = leave_one_out(model, fields)
    alone = torch.cat([leave_one_out(model, row.unsqueeze(0)) for row in fields])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        context = hide(fields, LEAVE_ONE_OUT[1])
        log_p = model.log_probabilities(context, model.encode(context)[0], model.evidence(context))
    torch.testing.assert_close(log_p.exp().sum(2), torch.ones(20, 2))


def test_hidden_elements_change_nothing(ranker):
    model, elements = ranker._members[0], list(ranker.descriptors.index)
    a, b = (field_indices([PhaseField.parse(f)], elements) for f in ("Li-Sn-S-Cl", "Li-Bi-S-Cl"))
    mean = torch.zeros(1, model.config.n_latent)
    tables = [next(reconstruct(model, x, (0, 2, 3), mean)) for x in (a, b)]
    torch.testing.assert_close(tables[0][0, [0, 2, 3]], tables[1][0, [0, 2, 3]])


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


def test_checkpoint_scores_as_before(ranker, tmp_path):
    ranker.save(tmp_path / "r.pt")
    again = type(ranker).load(tmp_path / "r.pt")
    np.testing.assert_allclose(again.score(FIELDS).mean, ranker.score(FIELDS).mean, rtol=1e-5)
    assert again.trained_on == ranker.trained_on


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
