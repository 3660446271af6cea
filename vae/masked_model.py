"""A variational autoencoder over sets of elements, readable top to bottom.

Every element is encoded to a latent distribution, as a cation and as an anion, from its descriptors and a learned
vector; a field is the set of its elements' latent points, so that the order of the elements does not matter. The
decoder (`vae.evidence`) gives every field that can be formed a weight by its likeness, in the latent space, to known
fields. A field with hidden elements is reconstructed as a whole: the probability of a completion is its weight over the
sum of the weights of all completions. With all four elements hidden, these are all fields.

A field is four element indices in a fixed order, cations first (`vae.element_indices.field_indices`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vae.evidence import Evidence, Tables
from vae.model import draw, kl_divergence


@dataclass(frozen=True)
class MaskedConfig:
    """Architecture and loss.

    Attributes:
        n_latent: Dimensions of the latent space.
        affinity: Rank of the learned affinities of pairs of elements.
        profiles: Components of the substitution profiles that the encoder sees beside the descriptors.
        kl_weight: Weight of the Kullback-Leibler term, which is shared by all known fields; 1 is the evidence bound.
        halves_in_loss: Weight, in the loss, of reconstructing two hidden elements from the other two; that of
            reconstructing all four is 1.
    """

    n_latent: int = 8
    affinity: int = 8
    profiles: int = 16
    kl_weight: float = 0.002
    halves_in_loss: float = 0.0


class Norms(NamedTuple):
    """Log of the sum of the weights of all completions.

    Attributes:
        all: Of nothing, shape ().
        cations: Of two cations, shape (n_cation_pairs,).
        mixed: Of a cation and an anion, shape (n_cations, n_anions).
        anions: Of two anions, shape (n_anion_pairs,).
    """

    all: Tensor
    cations: Tensor
    mixed: Tensor
    anions: Tensor


class MaskedVAE(nn.Module):
    """Gaussian VAE from elements to fields.

    Args:
        config: See `MaskedConfig`.
        descriptors: Standardised, shape (n_elements, n_descriptors).
        compounds: Known binaries and ternaries, see `Evidence`.
        memory: Known fields, shape (n_known, 4).
        cations: Elements that can be cations in a reconstruction, sorted.
        anions: Elements that can be anions, sorted.
        properties: Of pairs of elements, see `Evidence`.
    """

    cations: Tensor
    cation_pairs: Tensor
    cation_place: Tensor
    cation_row: Tensor
    anions: Tensor
    anion_pairs: Tensor
    anion_place: Tensor
    anion_row: Tensor

    def __init__(
        self,
        config: MaskedConfig,
        descriptors: Tensor,
        compounds: Tensor,
        memory: Tensor,
        cations: Tensor,
        anions: Tensor,
        properties: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        n, m = descriptors.shape
        self.evidence = Evidence(descriptors, compounds, memory, config.affinity, properties)
        self.encoder = nn.Linear(m, 2 * config.n_latent)
        nn.init.normal_(self.encoder.weight, std=0.6 * m**-0.5)
        self.embedding = nn.Parameter(0.1 * torch.randn(2, n, config.n_latent))
        self.log_variance = nn.Parameter(torch.full((2, n, config.n_latent), -6.0))
        self._arrange(cations, anions, n)

    def encode(self) -> tuple[Tensor, Tensor]:
        """Latent means and log variances of every element as a cation and an anion, shape (2, n_elements, n_latent)."""
        described = self.encoder(self.evidence.descriptors).unflatten(1, (2, -1)).transpose(0, 1)
        return described + self.embedding, self.log_variance.clamp(-8.0, 4.0)

    def decode(self, points: Tensor, own: bool = True) -> tuple[Tables, Tensor]:
        """Log-weights of fields from latent points.

        Args:
            points: Shape (2, n_elements, n_latent).
            own: Whether known fields are evidence for themselves, too.

        Returns:
            Tables to look up any field in, and the grid of all fields of the places, shape (n_cation_pairs,
            n_anion_pairs).
        """
        tables = self.evidence.tables(points)
        (c, d), (a, b) = self.cation_pairs.T.unsqueeze(2), self.anion_pairs.T.unsqueeze(1)
        known = None if own else self.places(self.evidence.memory)
        return tables, self.evidence.of(tables, (c, d, a, b), known)

    def places(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of fields in the grid, -1 where it has none."""
        return self.cation_row[fields[:, 0], fields[:, 1]], self.anion_row[fields[:, 2], fields[:, 3]]

    def norms(self, grid: Tensor) -> Norms:
        """Log of the sums over all completions, from the grid."""
        rows, columns = self.cation_row[self.cations][:, self.cations], self.anion_row[self.anions][:, self.anions]
        # Hidden are the second cation and the second anion.
        by_anion = torch.logsumexp(grid[rows], 1)
        return Norms(
            torch.logsumexp(grid.flatten(), 0),
            torch.logsumexp(grid, 1),
            torch.logsumexp(by_anion[:, columns], 2),
            torch.logsumexp(grid, 0),
        )

    def completed(self, norms: Norms, fields: Tensor, weights: Tensor) -> Tensor:
        """Log probability of the two hidden elements given two visible ones, nats, mean over the contexts of a field.

        Contexts that no field of the places can have are left out.

        Args:
            norms: From `norms`.
            fields: Shape (n, 4).
            weights: Log-weights of the fields, shape (n,).
        """
        cation_pair, anion_pair = self.places(fields)
        found = [(cation_pair >= 0, norms.cations[cation_pair]), (anion_pair >= 0, norms.anions[anion_pair])]
        for i, j in ((0, 2), (0, 3), (1, 2), (1, 3)):
            cation, anion = self.cation_place[fields[:, i]], self.anion_place[fields[:, j]]
            found.append(((cation >= 0) & (anion >= 0), norms.mixed[cation, anion]))
        usable = torch.stack([there for there, _ in found]).to(weights.dtype)
        of_contexts = torch.stack([norm for _, norm in found])
        # A field none of whose contexts can be is compared with all fields.
        alone = (usable.sum(0) == 0).to(weights.dtype)
        mean = ((of_contexts * usable).sum(0) + alone * norms.all) / (usable.sum(0) + alone)
        return weights - mean

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log-likelihood of fields and of their hidden halves, and KL term, nats, mean over the batch.

        Args:
            rows: Known fields, shape (n, 4), each of them in the memory.
            generator: Draws latent points.
        """
        mean, log_variance = self.encode()
        _, grid = self.decode(draw(mean, log_variance, generator), own=False)
        norms, weights = self.norms(grid), grid[self.places(rows)]
        reconstruction = norms.all - weights - self.config.halves_in_loss * self.completed(norms, rows, weights)
        kl = kl_divergence(mean, log_variance).sum() / len(self.evidence.memory)
        return reconstruction.mean() + self.config.kl_weight * kl

    def _arrange(self, cations: Tensor, anions: Tensor, n: int) -> None:
        """Number the places and their pairs."""
        for name, part in (("cation", cations), ("anion", anions)):
            pairs = torch.combinations(part, 2, with_replacement=True)
            place, row = torch.full((n,), -1), torch.full((n, n), -1)
            place[part] = torch.arange(len(part))
            for i, j in (pairs.T, pairs.flip(1).T):
                row[i, j] = torch.arange(len(pairs))
            numbered = {f"{name}s": part, f"{name}_pairs": pairs, f"{name}_place": place, f"{name}_row": row}
            for key, value in numbered.items():
                self.register_buffer(key, value, persistent=False)
