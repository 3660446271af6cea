"""How often one ion takes another's place in known compounds."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files

from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
from pymatgen.core.periodic_table import Species

#: Weight of two ions that were never seen to replace each other, as pymatgen has it.
UNSEEN = -5.0


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
    weight = _weight(old, new)
    if weight <= UNSEEN:
        return 0.0
    return min(1.0, math.exp(weight - max(_weight(old, old), _weight(new, new))))


def _weight(one: Species, other: Species) -> float:
    return _weights().get(frozenset((one, other)), UNSEEN)


@cache
def _weights() -> dict[frozenset[Species], float]:
    """The table that comes with pymatgen, whose own class takes a second for sums that nobody asks for here."""
    package = SubstitutionProbability.__module__.rpartition(".")[0]
    rows = json.loads((files(package) / "data" / "lambda.json").read_text(encoding="utf-8"))
    ion = cache(Species.from_str)
    return {frozenset(map(ion, pair)): float(weight) for *pair, weight in rows if "D1+" not in pair}
