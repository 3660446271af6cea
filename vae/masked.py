"""The default ranker: reconstruction of hidden elements by a variational autoencoder over sets of elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from vae.calibration import N_UNLABELLED, Calibration, calibrate, random_fields
from vae.checkpoints import load_ranker, load_weights, save_ranker, warm_start
from vae.descriptors import check_finite, element_descriptors
from vae.element_indices import field_indices, in_roles, known_compounds
from vae.interactions import fit_interactions, pair_properties
from vae.masked_model import MaskedConfig, MaskedVAE
from vae.masked_scoring import Reconstruction, latent_coordinates, latent_divergence, popularity_log_p
from vae.phase_fields import ANIONS, PhaseField, data_hash
from vae.profiles import substitution_profiles
from vae.ranking import Scores
from vae.training import TrainingConfig, device, seeded, train, warm

#: Every epoch sees all fields at once: the sum over all fields that could be costs the same for one as for all.
TRAINING = TrainingConfig(
    epochs=45,
    batch_size=1_000_000,
    learning_rate=2e-2,
    weight_decay=1e-2,
    held_out=0.05,
    patience=45,
    check_every=45,
    one_cycle=True,
)

PROBABILITY_MEANS = (
    "reported rather than random unreported, among all fields M-M'-A-A' of the known elements; "
    "not the chance that a synthesis succeeds"
)
#: More elements than there are: marks do not depend on which of them are in use.
_MORE_THAN_ALL = 128
#: Held-out known fields below which no probability is given.
LEAST_TO_CALIBRATE = 10


class MaskedRanker:
    """Scores a field by how well its elements are reconstructed from one another.

    The score is the negative log-likelihood, in nats, of the whole field, all its elements hidden, plus
    `halves_weight` times that of two hidden elements given the other two, averaged over the six ways to hide two;
    lower is more promising.

    Args:
        seed: Of everything random; member i of the ensemble has its own.
        n_members: Networks trained from different seeds on different parts.
        n_passes: Latent points drawn per context and member.
        halves_weight: Weight of the hidden halves in the score; that of the whole field is 1.
        descriptors: One row per element; by default `element_descriptors`.
        training: How to fit.
        **model: Settings of `MaskedConfig`.
    """

    name = "masked"
    arguments: tuple[str, ...] = ("seed", "n_members", "n_passes", "halves_weight")

    def __init__(
        self,
        seed: int = 0,
        n_members: int = 3,
        n_passes: int = 2,
        halves_weight: float = 0.25,
        descriptors: pd.DataFrame | None = None,
        training: TrainingConfig | None = None,
        **model: Any,
    ) -> None:
        self.seed, self.n_members, self.n_passes = seed, n_members, n_passes
        self.halves_weight = halves_weight
        self.descriptors = element_descriptors() if descriptors is None else descriptors
        check_finite(self.descriptors, "descriptors")
        self.training = training or TRAINING
        self.config = MaskedConfig(**model)
        self.trained_on = ""
        self.warm_starts = 0
        self.calibration: Calibration | None = None
        self._members: list[MaskedVAE] = []
        self._prepared: list[Reconstruction] = []

    def fit(
        self,
        known: Sequence[PhaseField],
        progress: Callable[[int, int], None] | None = None,
        start: Self | None = None,
    ) -> Self:
        """Train the ensemble on known fields.

        Args:
            known: Known fields.
            progress: Called with the epochs done and the most there can be.
            start: A fitted ranker of the same settings, such as the last cycle's, whose weights are the beginning; a
                third of the epochs then suffices.

        Raises:
            ValueError: If there are fewer than two known fields, one has the wrong size or no descriptors, or the
                weights to start from do not fit.
        """
        known = list(dict.fromkeys(known))
        if len(known) < 2:
            raise ValueError(f"{len(known)} known phase fields: the ranker needs at least two to learn from")
        fields = self._indices(known)
        rows = fields.to(device())
        training = self.training if start is None else warm(self.training)
        members = []
        for i in range(self.n_members):
            with seeded(self.seed + 1000 * i):
                model = self._new_model(fields).to(device())
            if start is not None:
                warm_start(model, start._fitted()[i % start.n_members].state_dict())
            kept = held_out(fields, self.training.held_out, self.seed + 1000 * i)
            train(model, rows, training, self.seed + 1000 * i, _part(progress, i, self.n_members), kept)
            fit_interactions(model, rows[~kept])
            members.append(model)
        self._members, self._prepared = members, []
        self.trained_on = data_hash(known)
        self.warm_starts = 0 if start is None else start.warm_starts + 1
        self.calibration = self._calibrate(fields)
        for model in members:  # what was held out has served
            fit_interactions(model, rows)
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
        return _over_passes([one.scores(fields) for one in self._reconstructions()])

    def score_block(self, cation_pairs: Tensor, anion_pairs: Tensor) -> Scores:
        """As `score`, of every pair of cations, shape (p, 2), with every pair of anions, shape (q, 2)."""
        return _over_passes([one.block_scores(cation_pairs, anion_pairs) for one in self._reconstructions()])

    def contributions(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """How hard each element is to place beside the other three, nats, shape (n_fields, 4), elements as named."""
        indices = self._indices(fields)
        hardness = -torch.stack([member.leave_one_out(indices) for member in self._reconstructions()]).mean(0)
        # From the order of the model, cations first, to the order of the name.
        rows = [
            [symbols.index(element) for element in field]
            for symbols, field in zip(in_roles(fields), fields, strict=True)
        ]
        return np.take_along_axis(hardness.numpy(), np.array(rows), 1)

    @torch.no_grad()
    def coordinates(self, fields: Sequence[PhaseField]) -> np.ndarray:
        """Latent means of the elements, whatever their order, by the first member, shape (n, 4 * n_latent)."""
        return latent_coordinates(self._fitted()[0], self._indices(fields).to(device())).cpu().numpy()

    @torch.no_grad()
    def diagnostics(self, fields: Sequence[PhaseField], scores: Scores) -> dict[str, Any]:
        """Is there more in the scores than the norm of the descriptors, and is the latent space used?"""
        member, indices = self._reconstructions()[0], self._indices(fields)
        described = member.model.evidence.descriptors.cpu()[indices][:, :, : self.descriptors.shape[1]]
        norm = described.square().sum((1, 2)).sqrt().numpy()
        varied = len(fields) > 2 and norm.std() > 0
        correlation = float(np.corrcoef(scores.mean, norm)[0, 1]) if varied else None
        kl = latent_divergence(member.model, indices.to(device())).cpu()
        placed = member.leave_one_out(indices)
        popularity = popularity_log_p(member.model).cpu()[torch.tensor([0, 0, 1, 1]), indices]
        r2 = float(1 - placed.mean() / popularity.mean())
        return {
            "ranker": self.name,
            "trained_on": self.trained_on,
            "correlation_with_descriptor_norm": correlation,
            "rank_correlation_with_descriptor_norm": float(spearmanr(scores.mean, norm)[0]) if varied else None,
            "kl_per_latent_dimension": [round(float(v), 6) for v in kl],
            "reconstruction_r2": r2,
            "collapsed": bool(kl.sum() < 0.01),
            "probability_prior": self.calibration.prior if self.calibration else None,
            "probability_means": PROBABILITY_MEANS,
            "in_words": _in_words(correlation, float(kl.sum()), r2),
        }

    def save(self, path: str | Path) -> None:
        """Write weights, configuration, descriptors and the hash of the training list."""
        calibration = asdict(self.calibration) if self.calibration else None
        states = [member.state_dict() for member in self._fitted()]
        save_ranker(path, self, {"calibration": calibration, "states": states})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or of another architecture.
        """
        ranker, content = load_ranker(path, cls)
        ranker.calibration = Calibration(**content["calibration"]) if content["calibration"] else None
        for state in content["states"]:
            model = ranker._new_model(state["evidence.memory"]).to(device())
            load_weights(model, state, path)
            ranker._members.append(model)
        return ranker

    def _calibrate(self, fields: Tensor) -> Calibration | None:
        """On the fields that each member held out: of these it knows only how often each element stands where."""
        reported, unlabelled = [], []
        other = random_fields(fields, N_UNLABELLED, self.seed)
        for i, member in enumerate(self._fitted()):
            kept = held_out(fields, self.training.held_out, self.seed + 1000 * i)
            decoded = Reconstruction(member, torch.zeros(()), self.halves_weight)
            reported.append(decoded.scores(fields[kept], own=False))
            unlabelled.append(decoded.scores(other))
        if sum(map(len, reported)) < LEAST_TO_CALIBRATE or not len(other):
            return None
        return calibrate(np.concatenate(reported), np.concatenate(unlabelled), fields)

    def _reconstructions(self) -> list[Reconstruction]:
        """Every member at every set of latent points, ready to score."""
        if not self._prepared:
            shape = (self.n_passes, 2, len(self.descriptors), self.config.n_latent)
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(self.seed))
            self._prepared = [Reconstruction(m, one, self.halves_weight) for m in self._fitted() for one in noise]
        return self._prepared

    def _fitted(self) -> list[MaskedVAE]:
        if not self._members:
            raise ValueError("the ranker is not fitted: call fit, or load a checkpoint")
        return self._members

    def _indices(self, fields: Sequence[PhaseField]) -> Tensor:
        return field_indices(fields, list(self.descriptors.index))

    def _new_model(self, memory: Tensor) -> MaskedVAE:
        elements = tuple(self.descriptors.index)
        profiles = substitution_profiles(elements, self.config.profiles)
        values = torch.tensor(np.hstack([self.descriptors.to_numpy(), profiles]), dtype=torch.float32)
        standardised = (values - values.mean(0)) / values.std(0).clamp(min=1e-6)
        # What can stand where: as in the known fields, and every element that is no anion as a cation.
        metals = torch.tensor([i for i, symbol in enumerate(elements) if symbol not in ANIONS], dtype=torch.long)
        cations, anions = torch.cat([memory[:, :2].flatten(), metals]).unique(), memory[:, 2:].unique()
        compounds, properties = known_compounds(elements), pair_properties(elements)
        return MaskedVAE(self.config, standardised, compounds, memory, cations, anions, properties)


def _over_passes(scores: list[np.ndarray]) -> Scores:
    stacked = np.stack(scores)
    return Scores(stacked.mean(0), stacked.std(0))


def held_out(fields: Tensor, share: float, seed: int) -> Tensor:
    """Which fields a member does not learn from, a mask; at least one.

    A field's own elements decide, so that a ranker started from an earlier one does not learn what that one held out,
    nor the other way round.
    """
    marks = torch.rand(_MORE_THAN_ALL, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = marks[fields].sum(1) % 1.0
    return drawn <= max(share, float(drawn.min()))


def _part(progress: Callable[[int, int], None] | None, i: int, n: int) -> Callable[[int, int], None] | None:
    """Progress of the i-th of n members as part of the whole."""
    return None if progress is None else lambda done, most: progress(i * most + done, n * most)


def _in_words(correlation: float | None, kl: float, r2: float) -> str:
    latent = "is used" if kl > 0.01 else "is not used"
    norm = "too few fields to compare" if correlation is None else f"correlation {correlation:.2f}"
    return (
        f"Scores are reconstruction log-likelihoods of elements, not the norm of the descriptors ({norm}); the latent "
        f"space {latent} ({kl:.1f} nats). Placing each element beside the other three is {abs(r2):.0%} "
        f"{'harder' if r2 < 0 else 'easier'} in these fields than by its popularity alone"
        f"{', as can be where nobody has reported a compound' if r2 < 0 else ''} (reconstruction R² {r2:.2f})."
    )
