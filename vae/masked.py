"""The default ranker: reconstruction of hidden elements by a variational autoencoder over sets of elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from vae.calibration import N_UNLABELLED, Calibration, calibrate, random_fields
from vae.datasets import known_systems
from vae.descriptors import check_finite, element_descriptors
from vae.masked_model import MaskedConfig, MaskedVAE, element_log_probabilities
from vae.masked_scoring import LEAVE_ONE_OUT, field_scores, hide, leave_one_out, popularity_log_p
from vae.model import kl_divergence
from vae.phase_fields import ANIONS, PhaseField, _electronegativity
from vae.ranking import Scores
from vae.training import (
    TrainingConfig,
    data_hash,
    device,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    seeded,
    split,
    train,
)

TRAINING = TrainingConfig(
    epochs=40, batch_size=128, learning_rate=4e-3, weight_decay=1e-2, held_out=0.05, patience=40, one_cycle=True
)


PROBABILITY_MEANS = (
    "reported rather than random unreported, among all fields M-M'-A-A' of the known elements; "
    "not the chance that a synthesis succeeds"
)
#: Held-out known fields below which no probability is given.
LEAST_TO_CALIBRATE = 10


class MaskedRanker:
    """Scores a field by how well its elements are reconstructed from one another.

    The score is the negative log-likelihood, in nats, of the hidden elements given the visible ones, averaged over
    the contexts of each size and added up over the sizes in `context_weights`; lower is more promising.

    Args:
        seed: Of everything random; member i of the ensemble has its own.
        n_members: Networks trained from different seeds on different parts.
        n_passes: Latent points drawn per context and member.
        context_weights: Weight of the contexts with 0, 1, 2 and 3 visible elements in the score.
        descriptors: One row per element; by default `element_descriptors`.
        training: How to fit.
        **model: Settings of `MaskedConfig`.
    """

    name = "masked"

    def __init__(
        self,
        seed: int = 0,
        n_members: int = 3,
        n_passes: int = 2,
        context_weights: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0),
        descriptors: pd.DataFrame | None = None,
        training: TrainingConfig | None = None,
        **model: Any,
    ) -> None:
        self.seed, self.n_members, self.n_passes = seed, n_members, n_passes
        self.context_weights = tuple(context_weights)
        self.descriptors = element_descriptors() if descriptors is None else descriptors
        check_finite(self.descriptors, "descriptors")
        self.training = training or TRAINING
        self.config = MaskedConfig(**model)
        self.trained_on = ""
        self.calibration: Calibration | None = None
        self._members: list[MaskedVAE] = []

    def fit(self, known: Sequence[PhaseField], progress: Callable[[int, int], None] | None = None) -> Self:
        """Train the ensemble on known fields.

        Raises:
            ValueError: If there are fewer than two known fields, or one has the wrong size or no descriptors.
        """
        known = list(dict.fromkeys(known))
        if len(known) < 2:
            raise ValueError(f"{len(known)} known phase fields: the ranker needs at least two to learn from")
        fields = self._indices(known)
        rows = torch.cat([fields, torch.arange(len(fields)).unsqueeze(1)], 1).to(device())
        members = []
        for i in range(self.n_members):
            with seeded(self.seed + 1000 * i):
                model = self._new_model(fields).to(device())
            train(model, rows, self.training, self.seed + 1000 * i, _part(progress, i, self.n_members))
            members.append(model)
        self._members = members
        self.trained_on = data_hash(known)
        self.calibration = self._calibrate(fields)
        return self

    def score(self, fields: Sequence[PhaseField]) -> Scores:
        """Negative log-likelihood of hidden elements, nats; the spread is over members and latent points.

        Raises:
            ValueError: If the ranker is not fitted, or a field has the wrong size or no descriptors.
        """
        return self.score_indices(self._indices(fields))

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Probability of being reported rather than random unreported, see `vae.calibration`."""
        self._fitted()
        return np.full(len(scores), np.nan) if self.calibration is None else self.calibration.probability(scores)

    def explain(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, list[Any]]:
        """Columns that a ranking shows beside the scores: probability, and how hard each element is to place."""
        hardness = self.contributions(fields)
        return {
            "probability": self.probability(scores.mean).tolist(),
            "hardest_element": [f.elements[i] for f, i in zip(fields, hardness.argmax(1), strict=True)],
            "contributions": [
                " ".join(f"{element}:{value:.2f}" for element, value in zip(f, row, strict=True))
                for f, row in zip(fields, hardness, strict=True)
            ],
        }

    def score_indices(self, fields: Tensor) -> Scores:
        """As `score`, of element indices, shape (n, 4), each row in the order of `field_indices`."""
        noise = self._noise(self.n_passes)
        stacked = np.concatenate(
            [field_scores(member, fields, self.context_weights, noise) for member in self._fitted()]
        )
        return Scores(stacked.mean(0), stacked.std(0))

    def contributions(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """How hard each element is to place beside the other three, nats, shape (n_fields, 4), elements as named."""
        indices = self._indices(fields)
        hardness = -torch.stack([leave_one_out(member, indices) for member in self._fitted()]).mean(0)
        # From the order of the model, cations first, to the order of the name.
        rows = [
            [symbols.index(element) for element in field]
            for symbols, field in zip(_ordered(fields), fields, strict=True)
        ]
        return np.take_along_axis(hardness.numpy(), np.array(rows), 1)

    @torch.no_grad()
    def coordinates(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """Latent means, averaged over the contexts of three elements, of the first member, shape (n, n_latent)."""
        member, indices = self._fitted()[0], self._indices(fields)
        means = [member.encode(hide(indices, visible).to(device()))[0] for visible in LEAVE_ONE_OUT]
        return torch.stack(means).mean(0).cpu().numpy()

    @torch.no_grad()
    def diagnostics(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, Any]:
        """Is there more in the scores than the norm of the descriptors, and is the latent space used?"""
        member, indices = self._fitted()[0], self._indices(fields)
        norm = member.descriptors[indices.to(device())].square().sum((1, 2)).sqrt().cpu().numpy()
        varied = len(fields) > 2 and norm.std() > 0
        correlation = float(np.corrcoef(scores.mean, norm)[0, 1]) if varied else None
        context = hide(indices, (0, 1, 2)).to(device())
        kl = kl_divergence(*member.encode(context)).mean(0)
        placed = leave_one_out(member, indices)
        popularity = element_log_probabilities(popularity_log_p(member).expand(len(indices), -1, -1).cpu(), indices)
        return {
            "ranker": self.name,
            "trained_on": self.trained_on,
            "correlation_with_descriptor_norm": correlation,
            "rank_correlation_with_descriptor_norm": float(spearmanr(scores.mean, norm)[0]) if varied else None,
            "kl_per_latent_dimension": [round(float(v), 6) for v in kl],
            "reconstruction_r2": float(1 - placed.mean() / popularity.mean()),
            "collapsed": bool(kl.sum() < 0.01),
            "probability_prior": self.calibration.prior if self.calibration else None,
            "probability_means": PROBABILITY_MEANS,
            "in_words": _in_words(correlation, float(kl.sum())),
        }

    def save(self, path: str | Path) -> None:
        """Write weights, configuration, descriptors and the hash of the training list."""
        content = {
            "seed": self.seed,
            "n_members": self.n_members,
            "n_passes": self.n_passes,
            "context_weights": self.context_weights,
            "config": asdict(self.config),
            "training": asdict(self.training),
            "elements": list(self.descriptors.index),
            "columns": list(self.descriptors.columns),
            "descriptors": torch.tensor(self.descriptors.to_numpy()),
            "trained_on": self.trained_on,
            "calibration": asdict(self.calibration) if self.calibration else None,
            "states": [member.state_dict() for member in self._fitted()],
        }
        save_checkpoint(path, self.name, content)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or of another architecture.
        """
        content = load_checkpoint(path, cls.name)
        table = pd.DataFrame(content["descriptors"].numpy(), index=content["elements"], columns=content["columns"])
        ranker = cls(
            content["seed"],
            content["n_members"],
            content["n_passes"],
            content["context_weights"],
            table,
            TrainingConfig(**content["training"]),
            **content["config"],
        )
        ranker.trained_on = content["trained_on"]
        ranker.calibration = Calibration(**content["calibration"]) if content["calibration"] else None
        for state in content["states"]:
            model = ranker._new_model(state["memory"]).to(device())
            load_weights(model, state, path)
            ranker._members.append(model)
        return ranker

    def _calibrate(self, fields: Tensor) -> Calibration | None:
        """On the fields that each member held out: neither its weights nor, here, its memory knows them."""
        reported, unlabelled = [], []
        other, noise = random_fields(fields, N_UNLABELLED, self.seed), self._noise(1)
        for i, member in enumerate(self._members):
            _, kept = split(len(fields), self.training.held_out, self.seed + 1000 * i)
            reported.append(field_scores(member, fields[kept], self.context_weights, noise, own=kept)[0])
            unlabelled.append(field_scores(member, other, self.context_weights, noise)[0])
        if sum(map(len, reported)) < LEAST_TO_CALIBRATE or not len(other):
            return None
        return calibrate(np.concatenate(reported), np.concatenate(unlabelled), fields)

    def _noise(self, n_passes: int) -> Tensor:
        return torch.randn(n_passes, self.config.n_latent, generator=torch.Generator().manual_seed(self.seed))

    def _fitted(self) -> list[MaskedVAE]:
        if not self._members:
            raise ValueError("the ranker is not fitted: call fit, or load a checkpoint")
        return self._members

    def _indices(self, fields: Sequence[PhaseField]) -> Tensor:
        return field_indices(fields, list(self.descriptors.index))

    def _new_model(self, memory: Tensor) -> MaskedVAE:
        values = torch.tensor(self.descriptors.to_numpy(dtype=np.float32))
        standardised = (values - values.mean(0)) / values.std(0).clamp(min=1e-6)
        return MaskedVAE(self.config, standardised, known_compounds(tuple(self.descriptors.index)), memory)


def field_indices(fields: Sequence[PhaseField], elements: Sequence[str]) -> Tensor:
    """Element indices of fields, shape (n_fields, 4): two cations, then two anions.

    The anions are the two elements that come last among those of `vae.phase_fields.ANIONS`, and by electronegativity
    within and outside them, so that a field with one or three of the eleven has its place, too.

    Raises:
        ValueError: If a field has not four elements, or one has no descriptors.
    """
    position = {symbol: i for i, symbol in enumerate(elements)}
    for phase_field in fields:
        if len(phase_field) != 4:
            raise ValueError(f"{phase_field} has {len(phase_field)} elements where 4 are needed")
    missing = sorted({symbol for phase_field in fields for symbol in phase_field} - set(position))
    if missing:
        raise ValueError(f"no descriptors for {missing}: leave these elements out")
    rows = [[position[symbol] for symbol in symbols] for symbols in _ordered(fields)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 4)


@cache
def role_order(symbol: str) -> tuple[bool, float, str]:
    """Where an element stands in a field: those that can be anions last, then by electronegativity."""
    return symbol in ANIONS, _electronegativity(symbol), symbol


@cache
def known_compounds(elements: tuple[str, ...]) -> Tensor:
    """Which binaries and ternaries are known, as `MaskedVAE` wants them, shape (n,) * 3, uint8."""
    position = {symbol: i for i, symbol in enumerate(elements)}
    table = torch.zeros((len(elements),) * 3, dtype=torch.uint8)
    for system in known_systems():
        if system <= position.keys():
            a, *rest = sorted(position[symbol] for symbol in system)
            triples = {(a, *rest)} if len(rest) == 2 else {(a, rest[0], rest[0]), (a, a, rest[0])}
            for triple in triples:
                for i, j, k in permutations(triple):
                    table[i, j, k] = 1
    return table


def _ordered(fields: Sequence[PhaseField]) -> list[list[str]]:
    return [sorted(phase_field, key=role_order) for phase_field in fields]


def _part(progress: Callable[[int, int], None] | None, i: int, n: int) -> Callable[[int, int], None] | None:
    """Progress of the i-th of n members as part of the whole."""
    return None if progress is None else lambda done, most: progress(i * most + done, n * most)


def _in_words(correlation: float | None, kl: float) -> str:
    latent = "is used" if kl > 0.01 else "is not used"
    norm = "too few fields to compare" if correlation is None else f"correlation {correlation:.2f}"
    return (
        f"Scores are reconstruction log-likelihoods of elements, not the norm of the descriptors ({norm}); the latent "
        f"space {latent} ({kl:.1f} nats)."
    )
