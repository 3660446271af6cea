"""Rank every quaternary field of a table of elements, 1.8 million for 83, streamed to disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vae.element_indices import role_order
from vae.masked import MaskedRanker
from vae.masked_scoring import all_combinations
from vae.phase_fields import ANIONS, PhaseField

#: Pairs of cations scored at once: at most some 100,000 fields.
_PAIRS = 32
#: Rows written at once.
_CHUNK = 200_000


def rank_all(
    ranker: MaskedRanker,
    path: str | Path,
    elements: Sequence[str],
    only_two_anions: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Score all quaternary fields of some elements and write them in order of score.

    Only the scores and four bytes per field are held in memory; names are made while writing.

    Args:
        ranker: Fitted.
        path: CSV file with the columns phase_field, rank, score, score_std.
        elements: With descriptors.
        only_two_anions: Fields M-M'-A-A' only.
        progress: Called with the fields scored and their number.

    Returns:
        The number of fields.

    Raises:
        ValueError: If there are fewer than four elements, or one has no descriptors.
    """
    table = list(ranker.descriptors.index)
    missing = sorted(set(elements) - set(table))
    if missing:
        raise ValueError(f"no descriptors for {missing}: leave these elements out")
    ordered = sorted(dict.fromkeys(elements), key=role_order)
    if len(ordered) < 4:
        raise ValueError(f"{len(ordered)} elements make no quaternary field: at least 4 are needed")
    blocks = _blocks([table.index(symbol) for symbol in ordered], ordered, only_two_anions)
    rows = np.concatenate([all_combinations(*block).numpy().astype(np.uint8) for block in blocks])
    scores = np.empty((len(rows), 2), dtype=np.float32)
    start = 0
    for block in blocks:
        found = ranker.score_block(*block)
        scores[start : start + len(found.mean)] = np.stack([found.mean, found.std], 1)
        start += len(found.mean)
        if progress:
            progress(start, len(rows))
    order = np.argsort(scores[:, 0], kind="stable")
    with Path(path).open("w", newline="") as stream:
        stream.write("phase_field,rank,score,score_std\n")
        for start in range(0, len(rows), _CHUNK):
            chosen = order[start : start + _CHUNK]
            stream.writelines(_lines(rows[chosen], scores[chosen], start + 1, table))
    return len(rows)


def _blocks(indices: list[int], ordered: list[str], only_two_anions: bool) -> list[tuple[Tensor, Tensor]]:
    """Pairs of cations and pairs of anions whose combinations are all fields, each once."""
    elements = torch.tensor(indices)
    if only_two_anions:
        n_cations = sum(symbol not in ANIONS for symbol in ordered)
        pairs = torch.combinations(elements[:n_cations], 2)
        return [(part, torch.combinations(elements[n_cations:], 2)) for part in pairs.split(_PAIRS)]
    # The anions are those that come last: all pairs behind the second cation.
    blocks = []
    for second in range(1, len(elements) - 2):
        cations = torch.stack([elements[:second], elements[second].expand(second)], 1)
        anions = torch.combinations(elements[second + 1 :], 2)
        blocks += [(part, anions) for part in cations.split(_PAIRS)]
    return blocks


def _lines(rows: np.ndarray, scores: np.ndarray, first_rank: int, table: list[str]) -> Iterator[str]:
    # Names follow PhaseField's order of elements; halves of names are made once instead of two million times.
    in_order = sorted(range(len(table)), key=lambda i: _name_order(table[i]))
    standing = np.empty(len(table), dtype=np.int64)
    standing[in_order] = np.arange(len(table))
    halves = [f"{table[i]}-{table[j]}" for i in in_order for j in in_order]
    places = np.sort(standing[rows], axis=1)
    first, last = places[:, 0] * len(table) + places[:, 1], places[:, 2] * len(table) + places[:, 3]
    columns = (first.tolist(), last.tolist(), scores[:, 0].tolist(), scores[:, 1].tolist())
    for rank, (i, j, score, spread) in enumerate(zip(*columns, strict=True), start=first_rank):
        yield f"{halves[i]}-{halves[j]},{rank},{score:.4f},{spread:.4f}\n"


def _name_order(symbol: str) -> tuple[float, str]:
    return role_order(symbol)[1:]


def all_elements(known: Sequence[PhaseField], ranker: MaskedRanker) -> list[str]:
    """The elements of known fields that have descriptors: where a ranking has something to say."""
    return sorted({e for phase_field in known for e in phase_field} & set(ranker.descriptors.index))
