"""Formulas by analogy: what similar elements form with the same partners, as a chemist would guess it.

Of Li-Si-S nothing may be on a list, but K2SiS3, Na2Si2S5 and Li4GeS4 are: with lithium for sodium or potassium and
silicon for germanium, each ion in the same oxidation state, Li2SiS3, Li2Si2S5 and Li4SiS4 are what to look for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

from pymatgen.core import Composition, Element
from pymatgen.core.periodic_table import Species

from dft.compositions import ANION_CHARGES
from dft.ion_likeness import likeness

#: Elements in the systems whose formulas are guessed.
TERNARY = 3

#: The least sum of likenesses that a formula is looked for with. Below it the formulas of systems that were hidden or
#: listed later are hardly ever among the guesses (docs/probes.md).
LEAST_SUPPORT = 0.2

#: How a formula came, for tables and reports; the known formula follows.
BY_ANALOGY = "formula by analogy with "


@dataclass(frozen=True)
class Analogue:
    """A formula that nobody may have reported.

    Attributes:
        formula: Reduced.
        like: The known formula that resembles it most.
        support: Sum of the likenesses of all known formulas that suggest it; 1 is one as good as the same ion.
    """

    formula: str
    like: str
    support: float


def by_analogy(
    elements: Collection[str],
    known: Mapping[str, Mapping[str, int]],
    listed: Collection[str],
    n: int,
    max_atoms: int,
) -> list[Analogue]:
    """Formulas for the ternary subfields of a field, at most `n` for each.

    Listed formulas keep their places among the best: a subfield whose `n` best are all listed gets none. A ternary
    field has no such subfield, its own ternaries are what is looked for in it.

    Args:
        elements: Of the field.
        known: Formulas to learn from, each with its numbers of atoms.
        listed: Formulas of the field that are looked for in any case.
        n: At most so many per subfield; 0 for none.
        max_atoms: In a reduced formula.
    """
    if len(elements) <= TERNARY or not n:
        return []
    there = {Composition(formula).reduced_formula for formula in listed}
    best = [analogues(system, known, max_atoms)[:n] for system in combinations(elements, TERNARY)]
    return [a for each in best for a in each if a.support >= LEAST_SUPPORT and a.formula not in there]


def analogues(system: Collection[str], known: Mapping[str, Mapping[str, int]], max_atoms: int) -> list[Analogue]:
    """Charge-balanced formulas of a system, made from known ones by exchange of one element; the likeliest first.

    The likeness of two ions of one charge is how often one takes the other's place, relative to its own.

    Args:
        system: Its elements.
        known: Formulas to learn from, each with its numbers of atoms; those of the system itself are left out.
        max_atoms: In a reduced formula.

    Source:
        Hautier et al., Inorg. Chem. 50, 656 (2011), doi 10.1021/ic102031h: how probably ions replace each other.
    """
    elements = frozenset(system)
    votes: dict[str, list[tuple[float, str]]] = {}
    for parent, atoms in known.items():
        kept = elements & atoms.keys()
        if len(atoms) == len(elements) == len(kept) + 1 and sum(atoms.values()) <= max_atoms:
            (old,), (new,) = atoms.keys() - kept, elements - kept
            child = {**{symbol: atoms[symbol] for symbol in kept}, new: atoms[old]}
            if (vote := max(_likenesses(atoms, child, old, new), default=0.0)) > 0:
                votes.setdefault(Composition(child).reduced_formula, []).append((vote, parent))
    found = [Analogue(f, max(pairs)[1], sum(vote for vote, _ in pairs)) for f, pairs in votes.items()]
    return sorted(found, key=lambda a: (-round(a.support, 9), Composition(a.formula).num_atoms, a.formula))


def _likenesses(atoms: Mapping[str, int], child: Mapping[str, int], old: str, new: str) -> Iterator[float]:
    """Of the two ions, for each choice of charges that both compounds share."""
    before, after = _states(frozenset(atoms)), _states(frozenset(child))
    kept = sorted(child.keys() - {new})
    shared = [after[symbol] & before[symbol] for symbol in kept] + [after[new] & before[old]]
    for charges in product(*shared):
        if sum(q * child[symbol] for q, symbol in zip(charges, (*kept, new), strict=True)) == 0:
            yield likeness(Species(old, charges[-1]), Species(new, charges[-1]))


@cache
def _states(elements: frozenset[str]) -> dict[str, frozenset[int]]:
    """Charges that elements take beside each other: that of an anion, and positive ones if that is no contradiction.

    Beside pymatgen's common oxidation states those of the ICSD count: copper is Cu2+ alone among the common ones.
    """
    return {symbol: _charges(symbol, _is_cation(symbol, elements)) for symbol in elements}


def _is_cation(symbol: str, elements: Collection[str]) -> bool:
    """No anion, or one with a more electronegative one beside it, as sulfur in Li2SO4."""
    stronger = (other in ANION_CHARGES and Element(other).X > Element(symbol).X for other in elements)
    return symbol not in ANION_CHARGES or any(stronger)


@cache
def _charges(symbol: str, cation: bool) -> frozenset[int]:
    element = Element(symbol)
    positive = {int(q) for q in (*element.common_oxidation_states, *element.icsd_oxidation_states) if q > 0}
    anion = {ANION_CHARGES[symbol]} if symbol in ANION_CHARGES else set()
    return frozenset(anion | (positive if cation else set()))
