"""Phase fields and known compounds as indices of elements: where each element of a field stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations

import torch
from torch import Tensor

from vae.datasets import known_systems
from vae.phase_fields import ANIONS, PhaseField, _electronegativity


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
    rows = [[position[symbol] for symbol in symbols] for symbols in in_roles(fields)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 4)


@cache
def role_order(symbol: str) -> tuple[bool, float, str]:
    """Where an element stands in a field: those that can be anions last, then by electronegativity."""
    return symbol in ANIONS, _electronegativity(symbol), symbol


@cache
def known_compounds(elements: tuple[str, ...]) -> Tensor:
    """Which binaries and ternaries are known, as `vae.evidence.Evidence` wants them, shape (n,) * 3, uint8."""
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


def in_roles(fields: Sequence[PhaseField]) -> list[list[str]]:
    """The elements of fields, cations first."""
    return [sorted(phase_field, key=role_order) for phase_field in fields]
