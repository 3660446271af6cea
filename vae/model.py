"""The variational autoencoder of the published ranking, readable top to bottom.

A field's 4 x 37 standardised descriptors go through 148-148-74-37-18-9 to a 4-dimensional latent distribution, and
back. Sources: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi 10.1038/s41467-021-25343-7; PyOD's VAE, whose
activation penalty and sigmoid output the published scores were computed with.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class VAEConfig:
    """Architecture and loss.

    Attributes:
        n_inputs: Length of a field's descriptor vector.
        hidden: Widths of the hidden layers on the way in; the way out mirrors them.
        n_latent: Dimensions of the latent space.
        dropout: Fraction of activations dropped while training.
        activity_penalty: Weight of the squared hidden activations in the loss.
        kl_weight: Weight of the Kullback-Leibler term.
        output: ``sigmoid``, as published: it cannot go below zero, while standardised descriptors do; or ``linear``.
    """

    n_inputs: int = 148
    hidden: tuple[int, ...] = (74, 37, 18, 9)
    n_latent: int = 4
    dropout: float = 0.2
    activity_penalty: float = 0.1
    kl_weight: float = 1.0
    output: str = "sigmoid"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if self.output not in ("sigmoid", "linear"):
            raise ValueError(f"output {self.output!r} is unknown, choose from ['sigmoid', 'linear']")


class VAE(nn.Module):
    """Gaussian VAE on descriptor vectors."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Linear(config.n_inputs, config.n_inputs)
        self.encoder = _layers((config.n_inputs, *config.hidden))
        self.mean = nn.Linear(config.hidden[-1], config.n_latent)
        self.log_variance = nn.Linear(config.hidden[-1], config.n_latent)
        self.decoder = _layers((config.n_latent, config.n_latent, *reversed(config.hidden)))
        self.last = nn.Linear(config.hidden[0], config.n_inputs)
        self.dropout = nn.Dropout(config.dropout)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latent mean and log variance, shape (n, n_latent), and the penalty on the activations, shape (n,)."""
        x = torch.relu(self.first(x))
        penalty = x.new_zeros(len(x))
        for layer in self.encoder:
            x = torch.relu(layer(x))
            penalty = penalty + x.square().sum(1)
            x = self.dropout(x)
        return self.mean(x), self.log_variance(x), penalty

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction, shape (n, n_inputs), of latent points, shape (n, n_latent)."""
        for i, layer in enumerate(self.decoder):
            z = torch.relu(layer(z))
            if i:  # the latent input layer has no dropout
                z = self.dropout(z)
        output = self.last(z)
        return torch.sigmoid(output) if self.config.output == "sigmoid" else output

    def reconstruct(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """One noisy pass: encode, draw a latent point, decode. Shapes (n, n_inputs)."""
        mean, log_variance, _ = self.encode(x)
        return self.decode(draw(mean, log_variance, generator))

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Squared reconstruction error + KL term + activation penalty, mean over the batch; dimensionless."""
        mean, log_variance, penalty = self.encode(x)
        error = (x - self.decode(draw(mean, log_variance, generator))).square().sum(1)
        kl = kl_divergence(mean, log_variance).sum(1)
        return (error + self.config.kl_weight * kl + self.config.activity_penalty * penalty).mean()


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """A latent point from each distribution, differentiable in its parameters."""
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    return mean + torch.exp(0.5 * log_variance) * noise


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the standard normal distribution, nats, per latent dimension."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def _layers(widths: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths)])
