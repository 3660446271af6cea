"""The surrogate of one field: fitted to the competing phases, what is computed, and a cheaper level if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from loop.field_space import FieldSpace
from loop.surrogate import ENERGIES, WITH_CHEAPER, Surrogate

if TYPE_CHECKING:
    from loop.hull_strategy import HullSettings
    from loop.strategies import Knowledge

#: A competing phase this near to their hull lies on it, eV/atom.
ON_HULL = 1e-6


@dataclass(frozen=True)
class Cheaper:
    """What a cheaper level says of a field.

    Attributes:
        energies: Above the hull of the competing phases at that level by reduced formula, eV/atom.
        surrogate: Fitted to them: what neighbours foretell.
    """

    energies: Mapping[str, float]
    surrogate: Surrogate

    @classmethod
    def of(cls, known: Knowledge, ceiling: float) -> Cheaper | None:
        """Fit to the cheaper level, on whose hull the stable competing phases lie, too; none without such a level."""
        if not known.cheaper:
            return None
        competing = {f: 0.0 for f, e in known.space.competing_energies.items() if e <= ON_HULL}
        energies = {f: min(e, ceiling) for f, e in sorted({**competing, **known.cheaper}.items())}
        X = known.space.features([Composition(formula) for formula in energies])
        return cls(energies, known.cheaper_surrogate.fit(X, np.array(list(energies.values()))))

    def coordinates(self, compositions: Sequence[Composition], features: np.ndarray) -> np.ndarray:
        """What neighbours foretell and what they do not, eV/atom, shape (n, 2); the second is 0 without an energy."""
        foretold, _ = self.surrogate.predict(features)
        formulas = [composition.reduced_formula for composition in compositions]
        there = np.array([self.energies.get(f, e) for f, e in zip(formulas, foretold, strict=True)])
        return np.column_stack([foretold, there - foretold])


@dataclass(frozen=True)
class FieldModel:
    """A Gaussian process of the energy relative to the competing phases; a cheaper level is part of the coordinates.

    Attributes:
        space: The field.
        surrogate: The Gaussian process.
        cheaper: The cheaper level, if there is one.
    """

    space: FieldSpace
    surrogate: Surrogate
    cheaper: Cheaper | None

    @classmethod
    def fit(cls, known: Knowledge, settings: HullSettings) -> FieldModel:
        """Learn from everything that is known; the competing compounds are data that cost nothing.

        With a cheaper level they tell where it needs no correction: those on the hull lie on it at both levels. Their
        zeros are no energies to expect beside them, since they were chosen for being stable.
        """
        model = cls(known.space, known.surrogate, Cheaper.of(known, settings.ceiling))
        competing = {f: e for f, e in known.space.competing_energies.items() if f not in known.computed}
        if model.cheaper:  # of those above the hull the cheaper level may know nothing
            competing = {f: e for f, e in competing.items() if f in model.cheaper.energies}
        data = {**(_ionic(known, competing) or competing), **dict(sorted(known.computed.items()))}
        X = model.features([Composition(formula) for formula in data])
        y = np.minimum(list(data.values()), settings.ceiling)
        if model.cheaper:
            agreed = np.array([competing.get(f, np.inf) <= ON_HULL for f in data], dtype=bool)
            y[agreed] = WITH_CHEAPER.expected(X[agreed])
        known.surrogate.fit(X, y, WITH_CHEAPER if model.cheaper else ENERGIES)
        return model

    def features(self, compositions: Sequence[Composition]) -> np.ndarray:
        """Coordinates of compositions for the surrogate, shape (n, n_coordinates)."""
        features = self.space.features(compositions)
        if self.cheaper is None or not compositions:
            return features
        return np.column_stack([features, self.cheaper.coordinates(compositions, features)])


def _ionic(known: Knowledge, competing: dict[str, float]) -> dict[str, float]:
    """The competing compounds that hold both cations and anions; alloys and molecules say nothing of the salts."""
    anions = set(known.space.field.anions)
    kinds = {f: {str(element) in anions for element in Composition(f).elements} for f in competing}
    return {f: e for f, e in competing.items() if len(kinds[f]) == 2}
