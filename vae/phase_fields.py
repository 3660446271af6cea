"""Phase fields: sets of elements before any stoichiometry."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from pymatgen.core import Element

#: The elements that this project counts as anions (Vasylenko et al., Nat. Commun. 12, 5561 (2021)).
ANIONS = frozenset({"N", "P", "As", "O", "S", "Se", "Te", "F", "Cl", "Br", "I"})

#: Elements without a Pauling electronegativity are named last.
_NO_ELECTRONEGATIVITY = 9.9


@cache
def _electronegativity(symbol: str) -> float:
    x = Element(symbol)._data.get("X")  # the public property warns for noble gases
    return float(x) if isinstance(x, int | float) else _NO_ELECTRONEGATIVITY


@dataclass(frozen=True, order=True)
class PhaseField:
    """A set of elements, named in the order of their electronegativity: Li-Sn-S-Cl.

    An element may stand twice (As-As-Cd-Cl): the published lists count one element in two oxidation
    states as two.

    Attributes:
        elements: Symbols, ordered by Pauling electronegativity, then by symbol.

    Raises:
        ValueError: If a symbol names no element or there are fewer than two.
    """

    elements: tuple[str, ...]

    def __post_init__(self) -> None:
        unknown = [symbol for symbol in self.elements if not Element.is_valid_symbol(symbol)]
        if unknown:
            raise ValueError(f"{'-'.join(self.elements)!r} names no element at {unknown[0]!r}")
        if len(self.elements) < 2:
            raise ValueError(f"{'-'.join(self.elements)!r} is no phase field: it needs at least two elements")
        ordered = tuple(sorted(self.elements, key=lambda symbol: (_electronegativity(symbol), symbol)))
        object.__setattr__(self, "elements", ordered)

    @classmethod
    def parse(cls, text: str) -> PhaseField:
        """Read a phase field from element symbols joined by hyphens, in any order.

        Raises:
            ValueError: If a part is no element.
        """
        return cls(tuple(part.strip() for part in str(text).split("-")))

    def __str__(self) -> str:
        return "-".join(self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def __iter__(self) -> Iterator[str]:
        return iter(self.elements)

    @property
    def anions(self) -> tuple[str, ...]:
        """The elements of the field that are in `ANIONS`."""
        return tuple(symbol for symbol in self.elements if symbol in ANIONS)

    @property
    def cations(self) -> tuple[str, ...]:
        """The elements of the field that are not in `ANIONS`."""
        return tuple(symbol for symbol in self.elements if symbol not in ANIONS)

    @property
    def has_repeats(self) -> bool:
        """Whether an element stands more than once."""
        return len(set(self.elements)) < len(self.elements)


def data_hash(fields: Iterable[PhaseField]) -> str:
    """SHA-256 of the sorted names, one a line: it tells lists of fields apart, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(str, fields))).encode()).hexdigest()


def enumerate_candidates(
    required: Collection[str],
    cations: Collection[str],
    anions: Collection[str],
    exclude: Iterable[PhaseField] = (),
) -> list[PhaseField]:
    """All fields M-M'-A-A' with the required cations, one or more of `cations`, and two of `anions`.

    Args:
        required: Cations that every field holds (one, or two to fix both).
        cations: Where the remaining cations are taken from.
        anions: Where the two anions are taken from.
        exclude: Fields to leave out, such as the known and the filtered ones.

    Returns:
        The fields in the order of their names.

    Raises:
        ValueError: If more than two cations are required or the lists name an element twice over.
    """
    required = tuple(dict.fromkeys(required))
    if len(required) > 2:
        raise ValueError(f"candidates: a quaternary field has two cations, but {len(required)} are required")
    free = [symbol for symbol in dict.fromkeys(cations) if symbol not in required]
    excluded = set(exclude)
    fields = {
        PhaseField((*required, *rest, *pair))
        for rest in combinations(free, 2 - len(required))
        for pair in combinations(dict.fromkeys(anions), 2)
    }
    return sorted((field for field in fields if field not in excluded), key=str)
