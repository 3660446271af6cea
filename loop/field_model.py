"""The surrogate of one field: fitted to the competing phases, what is computed, and a cheaper level if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from loop.surrogate import ENERGIES, REMAINDERS, Surrogate

if TYPE_CHECKING:
    from loop.hull_strategy import HullSettings
    from loop.strategies import Knowledge


@dataclass(frozen=True)
class FieldModel:
    """Energy relative to the competing phases = slope x energy at the cheaper level + a Gaussian process.

    Attributes:
        surrogate: The Gaussian process, of all energies or of what the cheaper level leaves unexplained.
        slope: How much of a difference at the cheaper level is one at the dearer level; 0 without a cheaper level.
        cheaper: Energies of the cheaper level by reduced formula, eV/atom.
        smooth: The cheaper level as its neighbours foretell it, where it has no energy.
    """

    surrogate: Surrogate
    slope: float
    cheaper: dict[str, float]
    smooth: Surrogate | None

    @classmethod
    def fit(cls, known: Knowledge, settings: HullSettings) -> FieldModel:
        """Learn from everything that is known; the competing compounds are data that cost nothing."""
        cheaper = dict(sorted(known.cheaper.items()))
        data = dict(sorted(known.computed.items()))
        if not cheaper:  # what the cheaper level says of the whole field replaces what the competing compounds foretell
            competing = {f: e for f, e in known.space.competing_energies.items() if f not in data}
            data = {**(_ionic(known, competing) or competing), **data}
        smooth = None
        if cheaper:
            X = known.space.features([Composition(formula) for formula in cheaper])
            smooth = Surrogate().fit(X, np.array(list(cheaper.values())))
        model = cls(known.surrogate, _slope(known, settings) if cheaper else 0.0, cheaper, smooth)
        compositions = [Composition(formula) for formula in data]
        X = known.space.features(compositions)
        remainders = np.minimum(list(data.values()), settings.ceiling) - model.trend(compositions, X)
        known.surrogate.fit(X, remainders, REMAINDERS if cheaper else ENERGIES)
        return model

    def trend(self, compositions: Sequence[Composition], features: np.ndarray) -> np.ndarray:
        """What the cheaper level says of compositions, eV/atom, shape (n,); 0 without one."""
        if self.smooth is None or not compositions:
            return np.zeros(len(compositions))
        foretold, _ = self.smooth.predict(features)
        formulas = [composition.reduced_formula for composition in compositions]
        return self.slope * np.array([self.cheaper.get(f, e) for f, e in zip(formulas, foretold, strict=True)])


def _ionic(known: Knowledge, competing: dict[str, float]) -> dict[str, float]:
    """The competing compounds that hold both cations and anions; alloys and molecules say nothing of the salts."""
    anions = set(known.space.field.anions)
    kinds = {f: {str(element) in anions for element in Composition(f).elements} for f in competing}
    return {f: e for f, e in competing.items() if len(kinds[f]) == 2}


def _slope(known: Knowledge, settings: HullSettings) -> float:
    """Regression of the dearer on the cheaper level, held towards 1 while little is computed."""
    pairs = [(known.cheaper[f], energy) for f, energy in known.computed.items() if f in known.cheaper]
    if len(pairs) < 2:
        return 1.0
    low, high = np.array(pairs).T
    low, high = low - low.mean(), high - high.mean()
    hold = (settings.cheaper_error / 0.3) ** 2  # a slope of 1 ± 0.3 before anything is computed
    return float((low @ high + hold) / (low @ low + hold))
