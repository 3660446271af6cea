"""The published ranker: a VAE on all 24 orders of a field's descriptors, ranked by reconstruction error.

It is here for comparison. Trained as published its decoder collapses: the score becomes the distance of a field's
descriptors from the mean field, and what is ranked first is what is most average. Every output says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from vae.checkpoints import load_ranker, load_weights, save_ranker, warm_start
from vae.descriptors import check_finite, element_descriptors, field_descriptors, permuted
from vae.model import VAE, VAEConfig, kl_divergence
from vae.phase_fields import PhaseField, data_hash
from vae.ranking import Scores
from vae.training import TrainingConfig, device, seeded, train

#: Fields whose 24 orders are scored at once.
_CHUNK = 4096
#: Above this correlation of scores and descriptor norms the ranking holds next to nothing else.
COLLAPSED = 0.95


class PaperRanker:
    """The architecture and inference of Vasylenko et al., Nat. Commun. 12, 5561 (2021).

    Args:
        seed: Of weights, batches, dropout and noise.
        n_passes: Noisy passes per score.
        descriptors: One row per element; by default `element_descriptors`.
        training: How to fit.
        **model: Settings of `VAEConfig`.
    """

    name = "paper"
    arguments: tuple[str, ...] = ("seed", "n_passes")

    def __init__(
        self,
        seed: int = 0,
        n_passes: int = 4,
        descriptors: pd.DataFrame | None = None,
        training: TrainingConfig | None = None,
        **model: Any,
    ) -> None:
        self.seed = seed
        self.n_passes = n_passes
        self.descriptors = element_descriptors() if descriptors is None else descriptors
        check_finite(self.descriptors, "descriptors")
        self.training = training or TrainingConfig()
        self.config = VAEConfig(**{"n_inputs": 4 * self.descriptors.shape[1], **model})
        self.trained_on = ""
        self.warm_starts = 0
        self._model: VAE | None = None
        self._mean = self._scale = np.zeros(0, dtype=np.float32)

    def fit(
        self,
        known: Sequence[PhaseField],
        progress: Callable[[int, int], None] | None = None,
        start: Self | None = None,
    ) -> Self:
        """Train on every order of every known field, from the weights of an earlier ranker if there is one.

        Raises:
            ValueError: If there are fewer than two known fields, or one has the wrong size or no descriptors.
        """
        known = list(dict.fromkeys(known))
        if len(known) < 2:
            raise ValueError(f"{len(known)} known phase fields: the ranker needs at least two to learn from")
        values = self._describe(known)
        # Over all orders each element position sees every element: one mean and scale per descriptor serves all four.
        pooled = values.reshape(-1, values.shape[2])
        self._mean, self._scale = pooled.mean(0), pooled.std(0)
        self._scale[self._scale < 1e-6] = 1.0
        rows = self._standardised_orders(values).reshape(-1, self.config.n_inputs)
        with seeded(self.seed):
            self._model = VAE(self.config).to(device())
        if start is not None:
            warm_start(self._model, start._fitted().state_dict())
        train(self._model, rows, self.training, self.seed, progress)
        self.trained_on = data_hash(known)
        self.warm_starts = 0 if start is None else start.warm_starts + 1
        return self

    @torch.no_grad()
    def score(self, fields: Sequence[PhaseField]) -> Scores:
        """Distance of the standardised descriptors from their reconstruction, averaged over orders and passes.

        Raises:
            ValueError: If the ranker is not fitted, or a field has the wrong size or no descriptors.
        """
        model = self._fitted()
        passes = []
        for i in range(self.n_passes):
            generator = torch.Generator().manual_seed(self.seed + i)
            chunks = [_errors(model, x, generator) for x in self._chunks(fields)]
            passes.append(np.concatenate(chunks) if chunks else np.zeros(0))
        stacked = np.stack(passes)
        return Scores(stacked.mean(0), stacked.std(0))

    @torch.no_grad()
    def coordinates(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """Standardised descriptors, elements by electronegativity: a collapsed latent space has no distances."""
        self._fitted()
        values = (self._describe(fields) - self._mean) / self._scale
        return values.reshape(len(fields), -1)

    @torch.no_grad()
    def diagnostics(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, Any]:
        """The collapse diagnostics: do the scores hold more than the norm of the standardised descriptors?"""
        model = self._fitted()
        x = torch.cat(list(self._chunks(fields))).reshape(-1, self.config.n_inputs)
        mean, log_variance, _ = model.encode(x)
        residual = (x - model.reconstruct(x, torch.Generator().manual_seed(self.seed))).square().sum()
        norm = np.linalg.norm(self.coordinates(fields), axis=1)
        correlation = float(np.corrcoef(scores.mean, norm)[0, 1]) if len(fields) > 2 and norm.std() > 0 else None
        rank_correlation = float(spearmanr(scores.mean, norm)[0]) if correlation is not None else None
        collapsed = correlation is not None and correlation > COLLAPSED
        return {
            "ranker": self.name,
            "trained_on": self.trained_on,
            "correlation_with_descriptor_norm": correlation,
            "rank_correlation_with_descriptor_norm": rank_correlation,
            "kl_per_latent_dimension": [round(float(v), 6) for v in kl_divergence(mean, log_variance).mean(0)],
            "reconstruction_r2": float(1 - residual / x.square().sum()),
            "collapsed": collapsed,
            "in_words": _in_words(collapsed, correlation),
        }

    def explain(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, list[Any]]:
        """Nothing: a norm of descriptors has no reasons."""
        return {}

    def save(self, path: str | Path) -> None:
        """Write weights, configuration, descriptors and the hash of the training list."""
        learned = {"mean": torch.tensor(self._mean), "scale": torch.tensor(self._scale)}
        save_ranker(path, self, {**learned, "state": self._fitted().state_dict()})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or of another architecture.
        """
        ranker, content = load_ranker(path, cls)
        ranker._mean, ranker._scale = content["mean"].numpy(), content["scale"].numpy()
        model = VAE(ranker.config).to(device())
        load_weights(model, content["state"], path)
        ranker._model = model
        return ranker

    def _fitted(self) -> VAE:
        if self._model is None:
            raise ValueError("the ranker is not fitted: call fit, or load a checkpoint")
        return self._model

    def _describe(self, fields: Sequence[PhaseField]) -> np.ndarray:
        n_elements = self.config.n_inputs // self.descriptors.shape[1]
        for phase_field in fields:
            if len(phase_field) != n_elements:
                raise ValueError(f"{phase_field} has {len(phase_field)} elements where {n_elements} are needed")
        return field_descriptors(fields, self.descriptors)

    def _standardised_orders(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(permuted((values - self._mean) / self._scale)).to(device())

    def _chunks(self, fields: Sequence[PhaseField]):
        for start in range(0, len(fields), _CHUNK):
            yield self._standardised_orders(self._describe(fields[start : start + _CHUNK]))


def _errors(model: VAE, orders: Tensor, generator: torch.Generator) -> np.ndarray:
    """Mean reconstruction distance over the orders, shape (n_fields,), of shape (n_fields, 24, n_inputs)."""
    rows = orders.reshape(-1, orders.shape[2])
    distances = (rows - model.reconstruct(rows, generator)).norm(dim=1)
    return distances.reshape(orders.shape[:2]).mean(1).cpu().numpy()


def _in_words(collapsed: bool, correlation: float | None) -> str:
    if correlation is None:
        return "Too few different fields to tell whether the ranker has collapsed."
    if collapsed:
        return (
            f"The decoder has collapsed to the mean: scores follow the norm of the standardised descriptors "
            f"(correlation {correlation:.3f}), so that the ranking prefers average elements and holds no learned "
            "chemistry."
        )
    return f"Scores are not just the norm of the standardised descriptors (correlation {correlation:.3f})."
