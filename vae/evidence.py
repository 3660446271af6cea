"""The decoder of the masked ranker: from latent points of elements to the log-weight of every field.

The larger its weight, the more a field looks like those of the training list. The log-weight adds up

* how often its elements stand in known fields, and learned affinities of its pairs of elements;
* how many binary and ternary compounds of its elements are known (bundled list);
* interactions of its pair of cations with its pair of anions (`vae.interactions`);
* a memory: how many known fields are like it, under kernels on the latent points. Each kernel looks for another kind of
  likeness, such as one cation exchanged and all else the same. A known field never counts as evidence for itself, so
  that the kernels learn to generalize and not to look up.

A kernel is a product over the four elements, so that sums over the known fields are made once per pair of elements:
a field then costs one scalar product per kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

#: Sharpness, to begin with, of the likeness of one cation, the other, one anion, the other. Where two differ, the
#: field is compared both ways.
KERNELS = (
    (1.5, 0.3, 1.5, 1.5),  # one cation may differ
    (1.5, 1.5, 1.5, 0.3),  # one anion
    (1.0, 1.0, 1.0, 1.0),  # every element, a little
    (1.5, 0.3, 1.5, 0.3),  # a cation and an anion
    (0.3, 0.3, 1.5, 1.5),  # both cations
    (1.5, 1.5, 0.3, 0.3),  # both anions
)
CATION, ANION = 0, 1


class Places(NamedTuple):
    """Pairs of elements, one axis of a grid of fields each.

    Attributes:
        cations: Element indices, shape (n_cation_pairs, 2).
        anions: Element indices, shape (n_anion_pairs, 2).
    """

    cations: Tensor
    anions: Tensor


class Tables(NamedTuple):
    """Everything that pairs and triples of elements add, from which fields are looked up.

    Attributes:
        cation_sums: Per kernel, the known fields with each pair of anions around a pair of cations, shape
            (n_elements, n_elements, n_known_anion_pairs).
        anion_weights: Per kernel, the likeness of a pair of anions to the known pairs, same shape.
        own: Per kernel and role, what a field with these elements finds of itself, shape (2, n_elements, n_elements).
        pairs: Affinity of a cation and an anion, of two cations, of two anions, shape (n_elements, n_elements).
        sides: What two cations want of the properties of two anions, and those of two anions, shape (n_elements,
            n_elements, n_properties).
    """

    cation_sums: list[Tensor]
    anion_weights: list[Tensor]
    own: list[Tensor]
    pairs: tuple[Tensor, Tensor, Tensor]
    sides: tuple[Tensor, Tensor]


class Evidence(nn.Module):
    """Log-weights of fields from latent points of elements.

    Args:
        descriptors: Standardised, shape (n_elements, n_descriptors).
        compounds: Whether a binary or ternary of three elements is known, shape (n_elements,) * 3, uint8; the binary
            of a and b stands at (a, b, b) and everywhere that permutes to.
        memory: Known fields, shape (n_known, 4), cations first.
        n_affinity: Rank of the learned affinities.
        properties: Of two elements as cations and as anions, see `vae.interactions.pair_properties`; by default none.
    """

    descriptors: Tensor
    compounds: Tensor
    memory: Tensor
    interactions: Tensor
    count_weights: Tensor
    of_cations: Tensor
    of_anions: Tensor
    known: Tensor
    known_cations: Tensor
    known_anions: Tensor

    def __init__(
        self,
        descriptors: Tensor,
        compounds: Tensor,
        memory: Tensor,
        n_affinity: int = 8,
        properties: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        n, m = descriptors.shape
        self.register_buffer("descriptors", descriptors)
        self.register_buffer("compounds", compounds)
        self.register_buffer("memory", memory)
        self.log_sharpness = nn.Parameter(torch.tensor(KERNELS).log())
        self.log_floor = nn.Parameter(torch.full((len(KERNELS),), -2.0))
        self.memory_weights = nn.Parameter(torch.full((len(KERNELS),), 2.5 / len(KERNELS)))
        counts = torch.stack([_counts(memory[:, :2], n), _counts(memory[:, 2:], n)])
        # Popularity is half explained by the memory already.
        self.popularity = nn.Parameter(0.5 * torch.log(0.5 + counts) - 1.0)
        self.to_affinity = nn.Linear(m, 4 * n_affinity)
        self.affinity = nn.Parameter(0.1 * torch.randn(n, 4 * n_affinity))
        # Fields that hold an element twice in one role stand in few lists.
        repeats = torch.stack([(memory[:, 0] == memory[:, 1]).sum(), (memory[:, 2] == memory[:, 3]).sum()])
        self.twice = nn.Parameter(torch.log((repeats + 0.01) / len(memory)))
        self.compound_weights = nn.Parameter(torch.zeros(4))
        of_cations, of_anions = properties or (torch.zeros(n, n, 1), torch.zeros(n, n, 1))
        self.register_buffer("of_cations", of_cations, persistent=False)
        self.register_buffer("of_anions", of_anions, persistent=False)
        # No parameters: fitted when all else is.
        self.register_buffer("interactions", torch.zeros(of_cations.shape[2], of_anions.shape[2]))
        self.register_buffer("count_weights", torch.zeros(10))
        self._arrange(memory)

    def tables(self, points: Tensor) -> Tables:
        """What every pair of elements adds.

        Args:
            points: Where every element lies as a cation and as an anion, shape (2, n_elements, n_latent).
        """
        squares = points.square().sum(2)
        apart = (squares[:, :, None] + squares[:, None] - 2 * points @ points.transpose(1, 2)).clamp(min=0.0)
        likeness = [self._likeness(apart, kernel) for kernel in range(len(KERNELS))]
        (first, second), seen = self.known_anions.T, self.known_cations
        sums, weights, own = [], [], []
        for (c, d), (a, b) in likeness:
            sums.append(_around(c[:, seen], self.known, d[:, seen]))
            weights.append(a[:, None, first] * b[None, :, second] + a[:, None, second] * b[None, :, first])
            own.append(torch.stack([1 + c * d, 1 + a * b]))
        return Tables(sums, weights, own, self._pairs(), (self.of_cations @ self.interactions, self.of_anions))

    def of(self, tables: Tables, fields: tuple[Tensor, ...], known: tuple[Tensor, ...] | None = None) -> Tensor:
        """Log-weights of fields.

        Args:
            tables: From `tables`.
            fields: Indices of the elements, cations first: four of shape (n,), or of a grid, (p, 1) and (1, q).
            known: Where among these the known fields stand that are no evidence for themselves.

        Returns:
            Shape (n,) or (p, q).
        """
        c, d, a, b = fields
        weight = self._additive(tables, fields)
        for kernel, sharpness in enumerate(KERNELS):
            own = (tables.own[kernel][CATION][c, d] * tables.own[kernel][ANION][a, b])[known] if known else None
            terms = [
                torch.log(self._found(tables, kernel, cations, anions, known, own) + self.log_floor[kernel].exp())
                for cations in ((c, d), (d, c))[: 1 + (sharpness[0] != sharpness[1])]
                for anions in ((a, b), (b, a))[: 1 + (sharpness[2] != sharpness[3])]
            ]
            # Both ways of two roles would count twice as much as both ways of one.
            weight = weight + self.memory_weights[kernel] * sum(terms) * min(2, len(terms)) / len(terms)
        return weight

    def counts(self, fields: tuple[Tensor, ...]) -> Tensor:
        """Known compounds of the elements of fields, in combinations: shape (n, 10) or (p, q, 10).

        Ternaries of both cations, of both anions, both of either kind, one of each kind; binaries of a cation and an
        anion, and whether there are none, one, two or three.
        """
        c, d, a, b = fields
        ternary, binary = self.compounds, torch.diagonal(self.compounds, dim1=1, dim2=2)
        with_a, with_b, of_c, of_d = ternary[c, d, a], ternary[c, d, b], ternary[c, a, b], ternary[d, a, b]
        n_binaries = binary[c, a] + binary[c, b] + binary[d, a] + binary[d, b]
        of_cations, of_anions = with_a + with_b, of_c + of_d
        both = [with_a * with_b, of_c * of_d, of_cations * of_anions]
        exactly = [n_binaries == n for n in range(4)]
        return torch.stack([t.float() for t in (of_cations, of_anions, *both, n_binaries, *exactly)], -1)

    def _found(
        self,
        tables: Tables,
        kernel: int,
        cations: tuple[Tensor, Tensor],
        anions: tuple[Tensor, Tensor],
        known: tuple[Tensor, ...] | None,
        own: Tensor | None,
    ) -> Tensor:
        """The known fields that a kernel finds around fields, in the shape of the fields."""
        around, like = tables.cation_sums[kernel][cations], tables.anion_weights[kernel][anions]
        found = around[:, 0] @ like[0].T if around.dim() > 2 else (around * like).sum(1)
        if known is None or own is None:
            return found
        return found.index_put(known, -own, accumulate=True).clamp(min=0.0)

    def _additive(self, tables: Tables, fields: tuple[Tensor, ...]) -> Tensor:
        c, d, a, b = fields
        mixed, cations, anions = tables.pairs
        of_cations = (self.compounds[c, d, a] + self.compounds[c, d, b]).float()
        of_anions = (self.compounds[c, a, b] + self.compounds[d, a, b]).float()
        pairs = mixed[c, a] + mixed[c, b] + mixed[d, a] + mixed[d, b] + cations[c, d] + anions[a, b]
        wanted, offered = tables.sides[CATION][c, d], tables.sides[ANION][a, b]
        interactions = wanted[:, 0] @ offered[0].T if wanted.dim() > 2 else (wanted * offered).sum(1)
        compounds = self.compound_weights[2] * of_cations + self.compound_weights[3] * of_anions
        return pairs + compounds + interactions + self.counts(fields) @ self.count_weights

    def _arrange(self, memory: Tensor) -> None:
        """Lay the known fields out by cation, cation and pair of anions."""
        cations, rows = memory[:, :2].unique(return_inverse=True)
        anions, columns = memory[:, 2:].sort(1).values.unique(dim=0, return_inverse=True)
        known = torch.zeros(len(cations), len(cations), len(anions), device=memory.device)
        one = known.new_ones(len(memory))
        for c, d in (rows.T, rows.flip(1).T):
            known.index_put_((c, d, columns), one, accumulate=True)
        for name, value in (("known", known), ("known_cations", cations), ("known_anions", anions)):
            self.register_buffer(name, value, persistent=False)

    def _pairs(self) -> tuple[Tensor, Tensor, Tensor]:
        cation, cation_pair, anion, anion_pair = (
            (self.to_affinity(self.descriptors) + self.affinity).unflatten(1, (4, -1)).unbind(1)
        )
        scale = cation.shape[1] ** -0.5
        binary = torch.diagonal(self.compounds, dim1=1, dim2=2).float()
        same = torch.eye(len(binary), device=binary.device)
        # A field has four pairs of a cation and an anion, so that every element's popularity comes in twice by half.
        popularity = 0.5 * (self.popularity[CATION, :, None] + self.popularity[ANION])
        return (
            scale * cation @ anion.T + self.compound_weights[0] * binary + popularity,
            scale * cation_pair @ cation_pair.T + self.compound_weights[1] * binary + self.twice[CATION] * same,
            scale * anion_pair @ anion_pair.T + self.twice[ANION] * same,
        )

    def _likeness(self, apart: Tensor, kernel: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Of all elements as one cation, the other, one anion, the other, shape (n_elements, n_elements) each.

        Args:
            apart: Squared distances of latent points, shape (2, n_elements, n_elements).
            kernel: Which of `KERNELS`.
        """
        sharpness, start = self.log_sharpness[kernel].exp(), KERNELS[kernel]
        roles = []
        for role, distance in enumerate(apart):
            one = torch.exp(-sharpness[2 * role] * distance)
            alike = start[2 * role] == start[2 * role + 1]
            roles.append((one, one if alike else torch.exp(-sharpness[2 * role + 1] * distance)))
        return roles[0], roles[1]


def _around(one: Tensor, known: Tensor, other: Tensor) -> Tensor:
    """Sums over known fields, shape (n, n, n_anion_pairs), under likenesses of both cations, shape (n, n_cations)."""
    n, m = one.shape
    half = (one @ known.reshape(m, -1)).reshape(n, m, -1).transpose(0, 1).reshape(m, -1)
    return (other @ half).reshape(n, n, -1).transpose(0, 1)


def _counts(indices: Tensor, n: int) -> Tensor:
    return torch.bincount(indices.flatten(), minlength=n).float()
