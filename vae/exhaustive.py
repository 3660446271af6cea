"""Rank every quaternary field of a table of elements, 1.8 million for 83, streamed to disk."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice
from math import comb
from pathlib import Path

import numpy as np
import torch

from vae.masked import MaskedRanker, role_order
from vae.phase_fields import ANIONS, PhaseField

#: Fields scored and rows written at once.
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
    rows = _all_fields(ordered, table, only_two_anions)
    scores = np.empty((len(rows), 2), dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        found = ranker.score_indices(torch.from_numpy(rows[chunk].astype(np.int64)))
        scores[chunk, 0], scores[chunk, 1] = found.mean, found.std
        if progress:
            progress(min(start + _CHUNK, len(rows)), len(rows))
    order = np.argsort(scores[:, 0], kind="stable")
    with Path(path).open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("phase_field", "rank", "score", "score_std"))
        writer.writerows(_lines(rows, scores, order, table))
    return len(rows)


def _all_fields(ordered: list[str], table: list[str], only_two_anions: bool) -> np.ndarray:
    """Element indices of all fields, one byte each, shape (n, 4), cations first."""
    indices = np.array([table.index(symbol) for symbol in ordered], dtype=np.uint8)
    if not only_two_anions:
        flat = np.fromiter(
            (i for row in combinations(range(len(ordered)), 4) for i in row), np.uint8, 4 * comb(len(ordered), 4)
        )
        return indices[flat.reshape(-1, 4)]
    n_cations = sum(symbol not in ANIONS for symbol in ordered)
    cations = np.array(list(combinations(range(n_cations), 2)), dtype=np.uint8).reshape(-1, 2)
    anions = np.array(list(combinations(range(n_cations, len(ordered)), 2)), dtype=np.uint8).reshape(-1, 2)
    pairs = np.hstack([np.repeat(cations, len(anions), 0), np.tile(anions, (len(cations), 1))])
    return indices[pairs]


def _lines(
    rows: np.ndarray, scores: np.ndarray, order: np.ndarray, table: list[str]
) -> Iterator[tuple[str, int, str, str]]:
    # Names follow PhaseField's order of elements, worked out once instead of two million times.
    standing = {i: n for n, i in enumerate(sorted(range(len(table)), key=lambda i: _name_order(table[i])))}
    ranks = iter(enumerate(order.tolist(), start=1))
    while block := list(islice(ranks, _CHUNK)):
        members = rows[[i for _, i in block]].tolist()
        for (rank, i), row in zip(block, members, strict=True):
            name = "-".join(table[e] for e in sorted(row, key=standing.__getitem__))
            yield name, rank, f"{scores[i, 0]:.4f}", f"{scores[i, 1]:.4f}"


def _name_order(symbol: str) -> tuple[float, str]:
    return role_order(symbol)[1:]


def all_elements(known: Sequence[PhaseField], ranker: MaskedRanker) -> list[str]:
    """The elements of known fields that have descriptors: where a ranking has something to say."""
    return sorted({e for phase_field in known for e in phase_field} & set(ranker.descriptors.index))
