"""Scores from reconstructions: what pairs of elements share is worked out once, and a field is looked up in it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vae.masked_model import MaskedVAE
from vae.model import kl_divergence

#: Fields looked up at once: what they need stays in the processor's cache.
_CHUNK = 16_384


class Reconstruction:
    """A fitted model at one set of latent points, with everything that fields share.

    Args:
        model: Fitted.
        noise: Of the latent points, in standard deviations, shape (2, n_elements, n_latent); zeros decode the means.
        halves_weight: Weight in the score of reconstructing two elements from two; that of the whole field is 1.
    """

    @torch.no_grad()
    def __init__(self, model: MaskedVAE, noise: Tensor, halves_weight: float) -> None:
        self.model, self.halves_weight = model, halves_weight
        mean, log_variance = model.encode()
        self.tables, self.grid = model.decode(mean + torch.exp(0.5 * log_variance) * noise.to(mean.device))
        self.norms = model.norms(self.grid)

    @torch.no_grad()
    def scores(self, fields: Tensor, own: bool = True) -> np.ndarray:
        """Negative log-likelihoods, nats, shape (n_fields,), of element indices, shape (n_fields, 4).

        Args:
            fields: Cations first.
            own: Whether known fields are evidence for themselves; without, all of the fields have to be known.
        """
        fields = fields.to(self.grid.device)
        weights = self.weights(fields) if own else self._without_own(fields)
        return self._negative_log_likelihood(fields, weights)

    @torch.no_grad()
    def block_scores(self, cation_pairs: Tensor, anion_pairs: Tensor) -> np.ndarray:
        """The same for all pairs of cations, shape (p, 2), with all pairs of anions, shape (q, 2): shape (p * q,)."""
        (c, d), (a, b) = cation_pairs.T.unsqueeze(2), anion_pairs.T.unsqueeze(1)
        weights = self.model.evidence.of(self.tables, (c, d, a, b))
        return self._negative_log_likelihood(all_combinations(cation_pairs, anion_pairs), weights.flatten())

    @torch.no_grad()
    def weights(self, fields: Tensor) -> Tensor:
        """Log-weights of fields, shape (n,), from the grid where they stand in it."""
        row, column = self.model.places(fields)
        weights = self.grid[row, column]
        outside = ((row < 0) | (column < 0)).nonzero().squeeze(1)
        for chunk in outside.split(_CHUNK):
            weights[chunk] = self.model.evidence.of(self.tables, tuple(fields[chunk].T))
        return weights

    @torch.no_grad()
    def leave_one_out(self, fields: Tensor) -> Tensor:
        """Log probability of each element given the other three, nats, shape (n_fields, 4)."""
        fields = fields.to(self.grid.device)
        return torch.stack([self._replaced(fields, position) for position in range(4)], 1).cpu()

    def _without_own(self, fields: Tensor) -> Tensor:
        known = (torch.arange(len(fields), device=fields.device),)
        return self.model.evidence.of(self.tables, tuple(fields.T), known)

    def _negative_log_likelihood(self, fields: Tensor, weights: Tensor) -> np.ndarray:
        halves = self.model.completed(self.norms, fields, weights)
        return (self.norms.all - weights - self.halves_weight * halves).cpu().numpy()

    def _replaced(self, fields: Tensor, position: int) -> Tensor:
        offered = self.model.cations if position < 2 else self.model.anions
        kept = [i for i in range(4) if i != position]
        others, where = fields[:, kept].unique(dim=0, return_inverse=True)
        rows = others.repeat_interleave(len(offered), 0)
        every = torch.empty(len(rows), 4, dtype=torch.long, device=fields.device)
        every[:, kept], every[:, position] = rows, offered.repeat(len(others))
        norms = torch.logsumexp(self.weights(every).reshape(-1, len(offered)), 1)[where]
        true = self.weights(fields)
        # An element that no known field has in this place competes with those that some have.
        foreign = ~torch.isin(fields[:, position], offered)
        return true - torch.where(foreign, torch.logaddexp(norms, true), norms)


def all_combinations(cation_pairs: Tensor, anion_pairs: Tensor) -> Tensor:
    """Every pair of cations with every pair of anions, shape (p * q, 4)."""
    p, q = len(cation_pairs), len(anion_pairs)
    return torch.cat([cation_pairs.repeat_interleave(q, 0), anion_pairs.repeat(p, 1)], 1)


@torch.no_grad()
def latent_coordinates(model: MaskedVAE, fields: Tensor) -> Tensor:
    """Where fields lie, shape (n_fields, 4 * n_latent).

    Mean and half the absolute difference of the latent means of both cations, and of both anions: the same for every
    order, and zero apart only for the same points.
    """
    mean, _ = model.encode()
    parts = []
    for role, pair in enumerate((fields[:, :2], fields[:, 2:])):
        one, other = mean[role][pair[:, 0]], mean[role][pair[:, 1]]
        parts += [(one + other) / 2, (one - other).abs() / 2]
    return torch.cat(parts, 1)


@torch.no_grad()
def latent_divergence(model: MaskedVAE, fields: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the prior, nats per latent dimension, summed over the elements of a field."""
    divergence = kl_divergence(*model.encode())
    return sum(divergence[i // 2][fields[:, i]] for i in range(4)).mean(0)  # type: ignore[union-attr]


def popularity_log_p(model: MaskedVAE) -> Tensor:
    """Log share of every element among the known cations and anions, nats, shape (2, n_elements)."""
    memory, n = model.evidence.memory, len(model.evidence.descriptors)
    counts = torch.stack([torch.bincount(part.flatten(), minlength=n) for part in (memory[:, :2], memory[:, 2:])])
    return torch.log((counts + 0.5) / (counts + 0.5).sum(1, keepdim=True))
