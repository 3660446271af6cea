"""How often one ion takes another's place in known compounds."""

from __future__ import annotations

import math
from functools import cache

from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
from pymatgen.core.periodic_table import Species


@cache
def likeness(old: Species, new: Species) -> float:
    """How probably the new ion takes the old one's place, relative to the more probable of both staying.

    Returns:
        1 for one ion, 0 for two that were never seen to replace each other.

    Source:
        Hautier et al., Inorg. Chem. 50, 656 (2011), doi 10.1021/ic102031h.
    """
    if old == new:
        return 1.0
    table = _table()
    weight = table.get_lambda(old, new)
    if weight <= table.alpha:
        return 0.0
    return min(1.0, math.exp(weight - max(table.get_lambda(old, old), table.get_lambda(new, new))))


@cache
def _table() -> SubstitutionProbability:
    return SubstitutionProbability()
