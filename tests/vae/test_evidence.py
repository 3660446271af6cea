import pytest
import torch

from vae.evidence import KERNELS, Evidence

ALL_ALIKE = 2  # the kernel that compares every element with the same sharpness


def evidence(memory, kernel=ALL_ALIKE, compounds=()):
    """Evidence from one kernel, nothing else, of four cations (0 to 3) and two anions (4, 5)."""
    known = torch.zeros((6, 6, 6), dtype=torch.uint8)
    for triple in compounds:
        known[triple] = 1
    torch.manual_seed(0)
    made = Evidence(torch.randn(6, 3), known, torch.tensor(memory)).eval()
    with torch.no_grad():
        for parameter in (made.popularity, made.affinity, made.to_affinity.weight, made.to_affinity.bias, made.twice):
            parameter.zero_()
        made.memory_weights.zero_()
        made.memory_weights[kernel] = 1.0
        made.log_floor[kernel] = torch.tensor(0.25).log()
    return made


POINTS = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))


def weights(made, fields, known=None):
    with torch.no_grad():
        return made.of(made.tables(POINTS), tuple(torch.tensor(fields).T), known)


def likeness(sharpness):
    return [torch.exp(-sharpness * (p[:, None] - p[None]).square().sum(2)) for p in POINTS]


def test_memory_worked_by_hand():
    made = evidence([[0, 1, 4, 5]])
    like, among_anions = likeness(KERNELS[ALL_ALIKE][0])
    # 0-2 against 0-1, either way round, and the anions against themselves, either way round.
    cations = like[0, 0] * like[2, 1] + like[0, 1] * like[2, 0]
    anions = 1 + among_anions[4, 5] ** 2
    expected = torch.log(cations * anions + 0.25)
    assert weights(made, [[0, 2, 4, 5]]).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kernel", range(len(KERNELS)))
def test_a_field_is_no_evidence_for_itself(kernel):
    made = evidence([[0, 1, 4, 5]], kernel)
    with_own = weights(made, [[0, 1, 4, 5]])
    without = weights(made, [[0, 1, 4, 5]], (torch.tensor([0]),))
    ways = 1 if len(set(KERNELS[kernel])) == 1 or kernel > 3 else 2
    assert without.item() == pytest.approx(ways * torch.log(torch.tensor(0.25)).item(), abs=1e-4)
    assert with_own.item() > without.item()


@pytest.mark.parametrize("kernel", range(len(KERNELS)))
def test_the_order_of_elements_does_not_matter(kernel):
    made = evidence([[0, 1, 4, 5], [2, 3, 5, 4]], kernel)
    found = weights(made, [[0, 3, 4, 5], [3, 0, 4, 5], [0, 3, 5, 4], [3, 0, 5, 4]])
    torch.testing.assert_close(found, found[:1].expand(4))


def test_a_grid_is_looked_up_as_single_fields_are():
    made = evidence([[0, 1, 4, 5], [0, 2, 4, 5]], kernel=3)
    c, d, a, b = torch.tensor([[0], [1]]), torch.tensor([[3], [2]]), torch.tensor([[4, 4]]), torch.tensor([[5, 4]])
    with torch.no_grad():
        grid = made.of(made.tables(POINTS), (c, d, a, b))
    single = weights(made, [[0, 3, 4, 5], [0, 3, 4, 4], [1, 2, 4, 5], [1, 2, 4, 4]])
    torch.testing.assert_close(grid.flatten(), single)


def test_known_compounds_count():
    made = evidence([[0, 1, 4, 5]], compounds=[(2, 3, 4), (2, 4, 4)])
    with torch.no_grad():
        made.compound_weights.copy_(torch.tensor([0.1, 0.0, 1.0, 10.0]))
        made.memory_weights.zero_()
    # One binary of a cation and an anion, one ternary of two cations and an anion.
    assert weights(made, [[2, 3, 4, 5]]).item() == pytest.approx(1.1, rel=1e-5)
