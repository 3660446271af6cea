"""What many compositions decompose into: each facet of a hull is looked at once, for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

#: A composition belongs to a facet that it misses by no more than this fraction of atoms, as in pymatgen.
_OUTSIDE_BY = PhaseDiagram.numerical_tol / 10

Entry = ComputedEntry | PDEntry
#: Phases and their fractions of atoms.
Decomposition = dict[Entry, float]


def decompose(diagram: PhaseDiagram, compositions: Sequence[Composition]) -> tuple[list[Decomposition], np.ndarray]:
    """Decompositions of compositions on a hull, and its energy there.

    As `PhaseDiagram.get_decomp_and_hull_energy_per_atom`, which tries the facets one by one for each composition.

    Args:
        diagram: The hull; that of a section takes compositions in its end members.
        compositions: n of them.

    Returns:
        Phases and their fractions of atoms, n of them, and energies of the hull, eV/atom, shape (n,).

    Raises:
        ValueError: If a composition lies outside the chemical system of the hull.
    """
    fractions = _fractions(diagram, compositions)
    energies, decompositions = np.full(len(fractions), np.nan), [Decomposition() for _ in compositions]
    left = np.arange(len(fractions))
    for facet in diagram.facets:
        corners = [diagram.qhull_entries[i] for i in facet]
        shares = fractions[left] @ np.linalg.inv(_fractions(diagram, [corner.composition for corner in corners]))
        here = (shares >= -_OUTSIDE_BY).all(axis=1)
        shares = np.where(np.abs(shares) > PhaseDiagram.numerical_tol, shares, 0.0)
        energies[left[here]] = shares[here] @ [corner.energy_per_atom for corner in corners]
        for i, row in zip(left[here], shares[here], strict=True):
            decompositions[i] = {corner: float(x) for corner, x in zip(corners, row, strict=True) if x}
        left = left[~here]
    if len(left):
        raise ValueError(f"{compositions[left[0]].reduced_formula} lies on no facet of its hull")
    return decompositions, energies


def _fractions(diagram: PhaseDiagram, compositions: Sequence[Composition]) -> np.ndarray:
    """Atomic fractions of the elements of the hull, shape (n, n_elements)."""
    columns: dict[Any, int] = {element: i for i, element in enumerate(diagram.elements)}
    amounts = np.zeros((len(compositions), len(columns)))
    for row, composition in zip(amounts, compositions, strict=True):
        for element, amount in composition.items():
            if element not in columns:
                raise ValueError(f"{composition.reduced_formula} lies outside the chemical system of its hull")
            row[columns[element]] = amount
    return amounts / np.abs(amounts).sum(axis=1, keepdims=True)
