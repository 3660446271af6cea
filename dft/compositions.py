"""Charge-neutral compositions of a phase field, and a choice of them that is well spread over the field."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import product
from math import gcd

import numpy as np
from pymatgen.core import Composition, Element, Species

#: Elements that are the anions wherever a less electronegative element is their partner, with the charge they take.
#: pymatgen's common oxidation states name each of these charges.
ANION_CHARGES = {
    **dict.fromkeys(("N", "P", "As"), -3),
    **dict.fromkeys(("O", "S", "Se", "Te"), -2),
    **dict.fromkeys(("F", "Cl", "Br", "I"), -1),
}


#: Of these, the ones that are cations beside two more electronegative anions, as in thiophosphates.
SOMETIMES_CATIONS = frozenset({"P", "As"})


def neutral_compositions(elements: Collection[str], max_atoms: int = 24, min_atoms: int = 1) -> list[Composition]:
    """All charge-neutral compositions that hold every element, each as its smallest integer cell formula.

    An element of the halogen, chalcogen or pnictogen groups (`ANION_CHARGES`) is an anion, every other one a cation
    in one of pymatgen's common oxidation states, and so are phosphorus and arsenic beside two more electronegative
    anions (Li-P-S-Cl); one composition never holds one element in two states.

    Args:
        elements: Symbols of the field, such as Li, Sn, S, Cl.
        max_atoms: Most atoms in the cell formula.
        min_atoms: Fewest.

    Returns:
        Distinct reduced compositions, by number of atoms and then by formula.

    Raises:
        ValueError: If an element has no common oxidation state or nothing is neutral within `max_atoms`.
    """
    symbols = sorted(dict.fromkeys(elements), key=lambda symbol: (Element(symbol).X, symbol))
    name = "-".join(symbols)
    found: set[tuple[int, ...]] = set()
    counts = np.array([c for c in _counts(len(symbols), max_atoms) if gcd(*c) == 1 and sum(c) >= min_atoms], dtype=int)
    for charges in product(*_charge_choices(symbols, name)):
        if len(counts):
            found.update(map(tuple, counts[counts @ np.array(charges) == 0].tolist()))
    if not found:
        raise ValueError(
            f"phase field {name!r} has no charge-neutral composition within {max_atoms} atoms: "
            "allow more atoms or choose other elements"
        )
    ordered = sorted(found, key=lambda c: (sum(c), tuple(-n for n in c)))
    return [Composition(dict(zip(symbols, c, strict=True))) for c in ordered]


def spread_compositions(
    compositions: Sequence[Composition], n: int, known: Sequence[Composition] = ()
) -> list[Composition]:
    """Choose `n` compositions that lie far from each other and from what is known (maximin, greedy).

    The first is the one nearest the centre of the field if nothing is known; every next one has the largest distance
    to its nearest chosen or known composition, in atomic fractions. No chance enters.

    Args:
        compositions: Where to choose from.
        n: How many; all of them if there are no more.
        known: Compositions already explored; those given are not chosen again.
    """
    elements = sorted({element for c in compositions for element in c.elements})
    taken = {c.fractional_composition for c in known}
    pool = [c for c in compositions if c.fractional_composition not in taken]
    if len(pool) <= n:
        return pool
    points = _fractions(pool, elements)
    if known:
        nearest = _distances(points, _fractions(known, elements)).min(axis=1)
        chosen: list[int] = []
    else:
        chosen = [int(np.argmin(np.linalg.norm(points - 1 / len(elements), axis=1).round(9)))]
        nearest = _distances(points, points[chosen]).min(axis=1)
    while len(chosen) < n:
        chosen.append(int(np.argmax(nearest.round(9))))  # rounded, so that ties fall to the first in order everywhere
        nearest = np.minimum(nearest, _distances(points, points[chosen[-1:]])[:, 0])
    return [pool[i] for i in chosen]


def oxidation_states(composition: Composition) -> dict[str, float]:
    """One charge per element that makes the composition neutral; what the Ewald sums are computed with.

    Common oxidation states first; then pymatgen's guess, averaged over mixed valences; and where both have none, as
    for intermetallic phases, every element keeps its lowest common state and the most electronegative one balances.

    Raises:
        ValueError: If an element has no common oxidation state.
    """
    return dict(_oxidation_states(tuple(composition.get_el_amt_dict().items())))


@cache
def _oxidation_states(amount_of: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """Kept, because every generator asks again."""
    composition = Composition(dict(amount_of))
    symbols = sorted(composition.get_el_amt_dict(), key=lambda symbol: (Element(symbol).X, symbol))
    amounts = [composition[symbol] for symbol in symbols]
    if len(symbols) == 1:
        return {symbols[0]: 0.0}
    for charges in product(*_charge_choices(symbols, composition.reduced_formula)):
        if np.dot(charges, amounts) == 0:
            return dict(zip(symbols, map(float, charges), strict=True))
    if guess := _guess(tuple(composition.reduced_composition.get_el_amt_dict().items())):
        return {symbol: float(guess[symbol]) for symbol in symbols}
    choices = dict(zip(symbols, _charge_choices(symbols, composition.reduced_formula), strict=True))
    charge = {symbol: float(min(choices[symbol], key=abs)) for symbol in symbols[:-1]}
    rest = sum(charge[symbol] * composition[symbol] for symbol in symbols[:-1])
    return {**charge, symbols[-1]: -rest / composition[symbols[-1]]}


@cache
def _guess(reduced: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """What pymatgen guesses for a reduced composition; kept, because it takes up to a tenth of a second."""
    composition = Composition(dict(reduced))
    # pymatgen refuses a limit that the formula itself does not keep
    guesses = composition.oxi_state_guesses(max_sites=-max(20, round(composition.num_atoms)))
    return dict(guesses[0]) if guesses else {}


def is_charge_balanced(composition: Composition) -> bool:
    """Whether common oxidation states, averaged over mixed valences, can make a compound neutral.

    Suboxides, intermetallic phases and the like (B6O, Li21Si5) are none: beside the oxidising phases that a mixture
    with them would need they react, so that they hardly ever bound a field of salts.
    """
    amounts = composition.get_el_amt_dict()
    ranges = [[(n * low, n * high) for low, high in _state_ranges(symbol)] for symbol, n in amounts.items()]
    return (
        any(sum(low for low, _ in chosen) <= 0 <= sum(high for _, high in chosen) for chosen in product(*ranges))
        and len(amounts) > 1
    )


def require_neutral(composition: Composition) -> None:
    """Refuse a composition that holds an anion and that no common oxidation states make neutral.

    Raises:
        ValueError: Naming it.
    """
    symbols = sorted(composition.get_el_amt_dict())
    if len(symbols) > 1 and ANION_CHARGES.keys() & set(symbols) and not is_charge_balanced(composition):
        raise ValueError(
            f"{composition.reduced_formula} cannot be charge-neutral in any common oxidation states of {symbols}: "
            "change its amounts"
        )


@cache
def _state_ranges(symbol: str) -> list[tuple[int, int]]:
    """Lowest and highest common oxidation state of either sign."""
    states = Element(symbol).common_oxidation_states
    signs = [[state for state in states if state < 0], [state for state in states if state > 0]]
    return [(min(of_sign), max(of_sign)) for of_sign in signs if of_sign]


def _charge_choices(symbols: Sequence[str], where: str) -> list[tuple[int, ...]]:
    """The charges that each element may take beside the others."""
    stronger = {s: sum(t in ANION_CHARGES and Element(t).X > Element(s).X for t in symbols) for s in symbols}
    return [_charges(s, where, s in SOMETIMES_CATIONS and stronger[s] > 1) for s in symbols]


@cache
def _charges(symbol: str, where: str, cation: bool = False) -> tuple[int, ...]:
    """Charges that an element may take: the anion's, or the common positive ones."""
    if symbol in ANION_CHARGES and not cation:
        return (ANION_CHARGES[symbol],)
    states = tuple(state for state in Element(symbol).common_oxidation_states if state > 0)
    if not states:
        raise ValueError(f"element {symbol!r} of {where!r} has no common oxidation state: choose another element")
    return tuple(int(state) for state in states)


def _counts(n_elements: int, max_atoms: int) -> Iterator[tuple[int, ...]]:
    if n_elements == 1:
        yield from ((n,) for n in range(1, max_atoms + 1))
        return
    for first in range(1, max_atoms - n_elements + 2):
        yield from ((first, *rest) for rest in _counts(n_elements - 1, max_atoms - first))


def _fractions(compositions: Sequence[Composition], elements: Sequence[Element | Species]) -> np.ndarray:
    return np.array([[c.get_atomic_fraction(element) for element in elements] for c in compositions])


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None, :] - b[None, :, :], axis=-1)
