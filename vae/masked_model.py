"""A variational autoencoder over sets of elements, readable top to bottom.

Some elements of a field are hidden; the others, its context, go through a permutation-invariant encoder to a latent
distribution; the decoder gives every element of the table a probability of being a hidden cation or a hidden anion.
Beside the latent point the decoder sees two kinds of evidence:

* which binary and ternary compounds of the element with the context are known;
* a memory of the known fields: how many hold the element in a context like this one, the likeness being a kernel that
  is learned along. A field never sees itself there, so that the kernel learns to generalize and not to look up.

A field is four element indices in a fixed order, cations first (`vae.masked.field_indices`), -1 where hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from vae.model import draw, kl_divergence

HIDDEN = -1
#: Pairs of positions in a field, and the kind of pair: two cations, a cation and an anion, two anions.
_PAIRS = ((0, 1, 0), (0, 2, 1), (0, 3, 1), (1, 2, 1), (1, 3, 1), (2, 3, 2))


@dataclass(frozen=True)
class MaskedConfig:
    """Architecture and loss.

    Attributes:
        width: Of an element's embedding.
        hidden: Width of the hidden layers.
        n_latent: Dimensions of the latent space.
        kernel: Dimensions of the space in which the memory judges likeness; 0 leaves the memory out.
        subfields: Whether known binary and ternary compounds are seen.
        dropout: Fraction of hidden activations dropped while training.
        kl_weight: Weight of the Kullback-Leibler term.
        contexts: Share of training contexts with 0, 1, 2 and 3 visible elements.
    """

    width: int = 64
    hidden: int = 192
    n_latent: int = 32
    kernel: int = 8
    subfields: bool = True
    dropout: float = 0.1
    kl_weight: float = 1e-3
    contexts: tuple[float, ...] = (0.05, 0.1, 0.25, 0.6)


class MaskedVAE(nn.Module):
    """Gaussian VAE from a context of elements to the elements that complete it.

    Args:
        config: See `MaskedConfig`.
        descriptors: Standardised, shape (n_elements, n_descriptors).
        compounds: Whether a binary or ternary of three elements is known, shape (n_elements,) * 3, uint8; the binary
            of a and b stands at (a, b, b) and everywhere that permutes to.
        memory: Known fields, shape (n_known, 4).
    """

    descriptors: Tensor
    compounds: Tensor
    memory: Tensor

    def __init__(self, config: MaskedConfig, descriptors: Tensor, compounds: Tensor, memory: Tensor) -> None:
        super().__init__()
        self.config = config
        n, m = descriptors.shape
        d, h, k = config.width, config.hidden, config.n_latent
        self.register_buffer("descriptors", descriptors)
        self.register_buffer("compounds", compounds)
        self.register_buffer("memory", memory)
        self.from_descriptors = nn.Linear(m, d)
        self.embedding = nn.Parameter(0.1 * torch.randn(n, d))
        self.encoder = nn.Sequential(
            nn.Linear(2 * d, h), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2 * k)
        )
        self.decoder = nn.Sequential(nn.Linear(k, h), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(h, 2 * d))
        self.target = nn.Linear(m, 2 * d)
        self.target_embedding = nn.Parameter(torch.zeros(n, 2 * d))
        # How often an element is a cation or an anion at all.
        self.bias = nn.Parameter(torch.log(0.1 + torch.stack([_counts(memory[:, :2], n), _counts(memory[:, 2:], n)])))
        self.subfield_weights = nn.Parameter(torch.zeros(2, 5))
        self.kernel = nn.Linear(m, config.kernel) if config.kernel else None
        self.kernel_embedding = nn.Parameter(0.3 * torch.randn(2, n, config.kernel))
        self.memory_floor = nn.Parameter(torch.full((2, 1), -3.0))
        self.memory_weight = nn.Parameter(torch.ones(2, 1))

    def encode(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Latent mean and log variance, shape (n, n_latent), of contexts, shape (n, 4)."""
        elements = torch.relu(self.from_descriptors(self.descriptors)) + self.embedding
        visible = (context != HIDDEN).unsqueeze(2)
        seen = elements[context.clamp(min=0)] * visible
        mean, log_variance = self.encoder(torch.cat([seen[:, :2].sum(1), seen[:, 2:].sum(1)], 1)).chunk(2, 1)
        return mean, log_variance.clamp(-8.0, 4.0)

    def decode(self, z: Tensor) -> Tensor:
        """Scores of every element as a hidden cation or anion, shape (n, 2, n_elements), of latent points."""
        wanted = self.decoder(z).unflatten(1, (2, -1))
        offered = (self.target(self.descriptors) + self.target_embedding).unflatten(1, (2, -1))
        return torch.einsum("nrd,erd->nre", wanted, offered) / self.config.width**0.5

    def evidence(self, context: Tensor, own: Tensor | None = None) -> Tensor:
        """What popularity, known compounds and the memory add to the scores, shape (n, 2, n_elements).

        Args:
            context: Shape (n, 4).
            own: Row of the memory that each context was made from and must not see, shape (n,).
        """
        scores = self.bias.expand(len(context), -1, -1)
        if self.config.subfields:
            scores = scores + torch.einsum("nek,rk->nre", self.known_subfields(context), self.subfield_weights)
        if self.kernel is not None:
            remembered = self.remember(context, own) + self.memory_floor.exp()
            scores = scores + self.memory_weight * remembered.log()
        return scores

    def known_subfields(self, context: Tensor) -> Tensor:
        """Number of known compounds of each element with the context, shape (n, n_elements, 5).

        Binaries with visible cations, with visible anions; ternaries with two cations, a cation and an anion, two
        anions.
        """
        visible = (context != HIDDEN).float()
        x = context.clamp(min=0)
        counts = torch.zeros(len(x), len(self.descriptors), 5, device=x.device)
        for i in range(4):
            counts[:, :, i // 2] += self.compounds[x[:, i], x[:, i]] * visible[:, i, None]
        for i, j, kind in _PAIRS:
            counts[:, :, 2 + kind] += self.compounds[x[:, i], x[:, j]] * (visible[:, i] * visible[:, j])[:, None]
        return counts

    def remember(self, context: Tensor, own: Tensor | None = None) -> Tensor:
        """Known fields around each element whose other elements are like the context, shape (n, 2, n_elements)."""
        points = self.kernel(self.descriptors) + self.kernel_embedding  # type: ignore[misc]
        (c0, c1), (a0, a1) = self.memory[:, :2].T, self.memory[:, 2:].T
        weights = points.new_ones(len(self.memory), len(context))
        if own is not None:
            weights[own, torch.arange(len(own))] = 0.0
        taken_out = {
            True: ((c0, (c1, a0, a1)), (c1, (c0, a0, a1))),
            False: ((a0, (c0, c1, a1)), (a1, (c0, c1, a0))),
        }
        roles = []
        for cation, targets in taken_out.items():
            sums = points.new_zeros(len(self.descriptors), len(context))
            for target, others in targets:
                sums = sums.index_add(0, target, weights * self._likeness(points, context, others, cation))
            roles.append(sums.T)
        return torch.stack(roles, 1)

    def _likeness(self, points: Tensor, context: Tensor, others: tuple[Tensor, ...], cation: bool) -> Tensor:
        """Kernel between what remains of the known fields without one element, and contexts, shape (n_known, n).

        Elements of one role have no order, so that both orders of the complete role are averaged. A hidden element
        is like any other.
        """
        roles = (0, 1, 1) if cation else (0, 0, 1)
        known = torch.cat([points[role, x] for role, x in zip(roles, others, strict=True)], 1)
        squares = torch.stack([points[role, x].square().sum(1) for role, x in zip(roles, others, strict=True)], 1)
        # The single element of the incomplete role is the one that is visible, if any.
        single = (context[:, :2] if cation else context[:, 2:]).amax(1)
        first, second = (context[:, 2:] if cation else context[:, :2]).T
        likeness = points.new_zeros(())
        for a, b in ((first, second), (second, first)):
            query = (single, a, b) if cation else (a, b, single)
            visible = torch.stack([x != HIDDEN for x in query]).to(points.dtype)
            asked = torch.cat(
                [points[role, x.clamp(min=0)] * v[:, None] for role, x, v in zip(roles, query, visible, strict=True)], 1
            )
            distance = asked.square().sum(1) + squares @ visible - 2 * known @ asked.T
            likeness = likeness + 0.5 * torch.exp(-distance)
        return likeness

    def log_probabilities(self, context: Tensor, z: Tensor, evidence: Tensor) -> Tensor:
        """Of every element as a hidden cation and a hidden anion, nats, shape (n, 2, n_elements)."""
        return log_softmax(self.decode(z) + evidence, dim=2)

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log-likelihood of the hidden elements + KL term, nats, mean over the batch.

        Args:
            rows: Shape (n, 5): four elements and the row of the memory that holds the field.
            generator: Draws contexts and latent points.
        """
        fields, own = rows[:, :4], rows[:, 4]
        context = random_contexts(fields, self.config.contexts, generator)
        mean, log_variance = self.encode(context)
        z = draw(mean, log_variance, generator)
        log_p = self.log_probabilities(context, z, self.evidence(context, own))
        truth = element_log_probabilities(log_p, fields)
        reconstruction = -(truth * (context == HIDDEN)).sum(1)
        return (reconstruction + self.config.kl_weight * kl_divergence(mean, log_variance).sum(1)).mean()


def element_log_probabilities(log_p: Tensor, fields: Tensor) -> Tensor:
    """The log probabilities of the elements of fields in their roles, shape (n, 4)."""
    cations = log_p[:, 0].gather(1, fields[:, :2])
    anions = log_p[:, 1].gather(1, fields[:, 2:])
    return torch.cat([cations, anions], 1)


def random_contexts(fields: Tensor, shares: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """Fields with random elements hidden, at least one; the numbers of visible ones follow `shares`."""
    n_visible = torch.multinomial(torch.tensor(shares), len(fields), replacement=True, generator=generator)
    order = torch.rand(fields.shape, generator=generator).argsort(1)
    hidden = order >= n_visible.unsqueeze(1)
    return fields.masked_fill(hidden.to(fields.device), HIDDEN)


def _counts(indices: Tensor, n: int) -> Tensor:
    return torch.bincount(indices.flatten(), minlength=n).float()
