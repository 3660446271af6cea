"""Where a composition lies on a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pymatgen.core import Composition

from vae.phase_fields import PhaseField


@dataclass(frozen=True)
class Square:
    """Two cations and two anions: x = M/(M+M'), y = A/(A+A').

    Compositions without a cation or without an anion have no place.

    Attributes:
        cations: M and M'.
        anions: A and A'.
    """

    cations: tuple[str, str]
    anions: tuple[str, str]
    kind: Literal["square"] = "square"

    def place(self, composition: Composition) -> tuple[float, float] | None:
        """Coordinates from 0 to 1, or none where they are undefined."""
        amounts = composition.get_el_amt_dict()
        cations = sum(amounts.get(symbol, 0.0) for symbol in self.cations)
        anions = sum(amounts.get(symbol, 0.0) for symbol in self.anions)
        if cations <= 0 or anions <= 0:
            return None
        return amounts.get(self.cations[0], 0.0) / cations, amounts.get(self.anions[0], 0.0) / anions

    @property
    def axis_labels(self) -> tuple[str, str]:
        """What the two coordinates are."""
        (m, m2), (a, a2) = self.cations, self.anions
        return f"{m} / ({m} + {m2})", f"{a} / ({a} + {a2})"


def geometry_of(field: PhaseField) -> Square:
    """The geometry that suits a field.

    Raises:
        ValueError: If there is none.
    """
    if len(field.cations) == 2 and len(field.anions) == 2 and not field.has_repeats:
        return Square((field.cations[0], field.cations[1]), (field.anions[0], field.anions[1]))
    raise ValueError(
        f"no map for the field {field}: it has {len(field.cations)} cations and {len(field.anions)} anions, "
        "a square needs two different ones of each"
    )
