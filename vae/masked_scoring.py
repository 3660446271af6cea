"""Scores from reconstructions: each distinct context goes through the network once, however many fields share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from vae.masked_model import HIDDEN, MaskedVAE

#: The visible positions when position 0, 1, 2 or 3 is hidden.
LEAVE_ONE_OUT = tuple(tuple(i for i in range(4) if i != hidden) for hidden in range(4))
#: Contexts evaluated at once: bounds the memory to some 100 MB.
_CHUNK = 2048


def hide(fields: Tensor, visible: Sequence[int]) -> Tensor:
    """Fields with all but the visible positions hidden; the visible element of a role stands first in it."""
    context = torch.full_like(fields, HIDDEN)
    context[:, list(visible)] = fields[:, list(visible)]
    cations, anions = context[:, :2], context[:, 2:]
    # Indices are larger than HIDDEN, and the order within a role carries no meaning: one context, one row.
    return torch.cat([cations.sort(1, descending=True).values, anions.sort(1, descending=True).values], 1)


@torch.no_grad()
def reconstruct(
    model: MaskedVAE,
    fields: Tensor,
    visible: Sequence[int],
    noise: Tensor,
    own: Tensor | None = None,
) -> Iterator[Tensor]:
    """Log probabilities of all four elements given the visible ones, nats, shape (n_fields, 4), pass by pass.

    Args:
        model: Fitted.
        fields: Shape (n_fields, 4).
        visible: Positions that are visible.
        noise: Of the latent points, in standard deviations, one row per pass, shape (n_passes, n_latent). A pass
            shifts every context alike, so that a score does not depend on what else is scored; zeros decode the mean.
        own: Row of the memory that each field must not see, its own, shape (n_fields,).
    """
    contexts, where = hide(fields, visible), torch.arange(len(fields))
    if own is None:
        contexts, where = _distinct(contexts, len(model.descriptors))
    home = model.descriptors.device
    tables: list[list[Tensor]] = [[] for _ in noise]
    for start in range(0, len(contexts), _CHUNK):
        chunk = contexts[start : start + _CHUNK].to(home)
        mean, log_variance = model.encode(chunk)
        evidence = model.evidence(chunk, None if own is None else own[start : start + _CHUNK].to(home))
        for table, shift in zip(tables, noise.to(home), strict=True):
            z = mean + torch.exp(0.5 * log_variance) * shift
            table.append(model.log_probabilities(chunk, z, evidence).cpu())
    for table in tables:
        yield _gather(torch.cat(table), where, fields)


def field_scores(
    model: MaskedVAE,
    fields: Tensor,
    weights: Sequence[float],
    noise: Tensor,
    own: Tensor | None = None,
) -> np.ndarray:
    """Negative log-likelihoods of hidden elements, nats, shape (n_passes, n_fields).

    Args:
        model: Fitted.
        fields: Shape (n_fields, 4).
        weights: Of the contexts with 0, 1, 2 and 3 visible elements.
        noise: As in `reconstruct`.
        own: Row of the memory that each field must not see, its own, shape (n_fields,).
    """
    total = torch.zeros(len(noise), len(fields))
    for n_visible, weight in enumerate(weights):
        patterns = list(combinations(range(4), n_visible)) if weight else []
        for visible in patterns:
            hidden = [i for i in range(4) if i not in visible]
            for i, log_p in enumerate(reconstruct(model, fields, visible, noise, own)):
                # As if all four were hidden, so that contexts of every size weigh the same.
                total[i] -= weight * 4 * log_p[:, hidden].mean(1) / len(patterns)
    return total.numpy()


def leave_one_out(model: MaskedVAE, fields: Tensor) -> Tensor:
    """Log probability of each element given the other three, nats, shape (n_fields, 4), from the latent mean."""
    mean = torch.zeros(1, model.config.n_latent)
    columns = [next(reconstruct(model, fields, visible, mean))[:, i] for i, visible in enumerate(LEAVE_ONE_OUT)]
    return torch.stack(columns, 1)


@torch.no_grad()
def popularity_log_p(model: MaskedVAE) -> Tensor:
    """What popularity alone says, nats, shape (1, 2, n_elements)."""
    return model.bias.log_softmax(1).unsqueeze(0)


def _distinct(contexts: Tensor, n_elements: int) -> tuple[Tensor, Tensor]:
    """The different rows, and for every row which of them it is."""
    base = n_elements + 1
    keys = torch.zeros(len(contexts), dtype=torch.long)
    for column in contexts.T:
        keys = keys * base + column + 1
    distinct, where = torch.unique(keys, return_inverse=True)
    columns = []
    for _ in range(4):
        columns.append(distinct % base - 1)
        distinct = distinct // base
    return torch.stack(columns[::-1], 1), where


def _gather(table: Tensor, where: Tensor, fields: Tensor) -> Tensor:
    n_elements = table.shape[2]
    flat = table.reshape(-1)
    row = where.unsqueeze(1) * (2 * n_elements)
    role = torch.tensor([0, 0, n_elements, n_elements])
    return flat[row + role + fields]
