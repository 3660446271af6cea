"""How many formulas of ternary systems are found by analogy, beside the most common charge-balanced stoichiometries.

    python benchmarks/analogues.py [--later e_above_hull.csv.gz] [--half reported] [--limit 1000] [--json FILE]

Systems M-M'-A and M-A-A' without lanthanides and actinides, whose twins make it too easy. Hold-out: the formulas of a
system of the bundled list are hidden; then those of every system, too, that has another element of the same group of
the periodic table in one place ("no twins": Li-P-S without Na-P-S, Li-As-S and Li-P-Se). Later: systems of which the
list holds nothing and a table with columns `formula` and `e_above_hull_eV_per_atom` holds entries near its hull, such
as that of the Materials Project. In both, a system is one if it has a formula of up to 24 atoms; shares are those of
systems of which some or all such formulas are among the best k. The settings were chosen on the half `tuned`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import random
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from itertools import permutations, product
from pathlib import Path

from pymatgen.core import Composition, Element

from dft.analogues import LEAST_SUPPORT, _states, analogues
from vae.datasets import bundled_formulas
from vae.phase_fields import ANIONS
from vae.profiles import count_atoms

MAX_ATOMS, BEST, CAMPAIGN = 24, (1, 2, 3, 4, 6), 2
KINDS = {1: "M-M'-A", 2: "M-A-A'"}
#: Of the stoichiometries, the most common; the others are never among the best.
COMMON = 300
Known = Mapping[str, Mapping[str, int]]
System = frozenset[str]
Hide = Callable[[System], Collection[System]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--later", type=Path, metavar="FILE", help="energies above the hull, eV/atom, gzipped CSV")
    parser.add_argument("--half", choices=("tuned", "reported"), default="reported")
    parser.add_argument("--limit", type=int, default=1000, help="systems of each kind, at most")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    known = {formula: count_atoms(formula) for formula in bundled_formulas()}
    known = {formula: atoms for formula, atoms in known.items() if len(atoms) == 3}
    rows = []
    print(
        "| test | kind | systems | way | some among the best " + ", ".join(map(str, BEST)) + " | all | as a campaign |"
    )
    for number in KINDS:
        listed = chosen(by_system(known), number, given)
        rows += list(compared("hold-out", number, listed, known, lambda system: {system}))
        rows += list(compared("hold-out, no twins", number, listed, known, lambda system: {system, *twins(system)}))
        for window in (0.0, 0.025) if given.later else ():
            later = {s: formulas - known.keys() for s, formulas in near_hull(given.later, window).items()}
            name = f"later, within {window * 1000:.0f} meV/atom"
            there = {frozenset(atoms) for atoms in known.values()}
            bare = chosen({s: f for s, f in later.items() if s not in there}, number, given)
            rows += list(compared(f"{name}, none listed", number, bare, known, lambda system: set()))
            more = chosen({s: f for s, f in later.items() if s in there}, number, given)
            rows += list(compared(f"{name}, others listed", number, more, known, lambda system: set(), keep=True))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


def compared(name: str, kind: int, systems: Mapping, known: Known, hide: Hide, keep: bool = False) -> Iterator[dict]:
    """One row for the analogues and one for the baseline; `keep`: listed formulas stay among the guesses."""
    guesses: dict[str, dict[System, list[str]]] = {"analogy": {}, "common": {}}
    supported: dict[System, list[str]] = {}
    for system in systems:
        hidden = hide(system)
        rest = {formula: atoms for formula, atoms in known.items() if frozenset(atoms) not in hidden}
        ours = analogues(system, rest, MAX_ATOMS)
        guesses["analogy"][system] = [a.formula for a in ours]
        supported[system] = [a.formula for a in ours[:CAMPAIGN] if a.support >= LEAST_SUPPORT]
        guesses["common"][system] = common_formulas(system, known, {} if keep else systems)
    for way, found in guesses.items():
        some = [share(systems, {s: f[:k] for s, f in found.items()}, some=True) for k in BEST]
        every = [share(systems, {s: f[:k] for s, f in found.items()}, some=False) for k in BEST]
        row = {"test": name, "kind": KINDS[kind], "systems": len(systems), "way": way, "some": some, "all": every}
        if way == "analogy":
            new = [f for s in supported for f in supported[s] if not (keep and f in known)]
            row |= {"campaign": share(systems, supported, some=True), "formulas": len(new)}
        told = f"{row['campaign']:.0f} ({row['formulas']} formulas)" if way == "analogy" else ""
        print(f"| {name} | {KINDS[kind]} | {len(systems)} | {way} | {percent(some)} | {percent(every)} | {told} |")
        yield row


def share(systems: Mapping[System, Collection[str]], guesses: Mapping[System, list[str]], some: bool) -> float:
    """Per cent of systems of which some, or all, formulas are guessed."""
    hits = (bool(set(f) & set(guesses[s])) if some else set(f) <= set(guesses[s]) for s, f in systems.items())
    return 100 * sum(hits) / max(1, len(systems))


def percent(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


def by_system(known: Known) -> dict[System, set[str]]:
    """Formulas of up to `MAX_ATOMS` atoms of each system."""
    found: dict[System, set[str]] = {}
    for formula, atoms in known.items():
        if sum(atoms.values()) <= MAX_ATOMS:
            found.setdefault(frozenset(atoms), set()).add(Composition(formula).reduced_formula)
    return found


def chosen(systems: Mapping[System, set[str]], kind: int, given: argparse.Namespace) -> dict[System, set[str]]:
    """Those of one kind and half, at most `limit`, by a fixed order of chance."""
    names = sorted("-".join(sorted(s)) for s, formulas in systems.items() if formulas and kind_of(s) == kind)
    names = [name for name in names if zlib.crc32(name.encode()) % 2 == (given.half == "reported")]
    random.Random(0).shuffle(names)
    return {s: systems[s] for s in (frozenset(name.split("-")) for name in names[: given.limit])}


def kind_of(system: System) -> int:
    """Anions in a system; 0 for what has an f element or is no part of a field."""
    rare = any(Element(symbol).is_lanthanoid or Element(symbol).is_actinoid for symbol in system)
    return 0 if rare else len(ANIONS & system)


@cache
def twins(system: System) -> frozenset[System]:
    """Systems with another element of the same group in one place."""
    same = {s: [e.symbol for e in Element if e.group == Element(s).group and e.symbol != s] for s in system}
    return frozenset((system - {s}) | {other} for s, others in same.items() for other in others)


@cache
def near_hull(path: Path, window: float) -> dict[System, set[str]]:
    """Ternary formulas within a window of the hull, eV/atom, as `by_system`."""
    known = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            atoms = count_atoms(row["formula"])
            if len(atoms) == 3 and float(row["e_above_hull_eV_per_atom"]) <= window + 1e-9:
                divisor = math.gcd(*atoms.values())
                known[row["formula"]] = {symbol: n // divisor for symbol, n in atoms.items()}
    return by_system(known)


def common_formulas(system: System, known: Known, hidden: Collection[System]) -> list[str]:
    """The most common ternary stoichiometries, each in its charge-balanced assignments to the elements."""
    symbols, states = sorted(system), _states(system)
    found = []
    for counts, _ in stoichiometries(tuple(known), frozenset(hidden)).most_common(COMMON):
        for order in sorted(set(permutations(counts))):
            charges = product(*(states[symbol] for symbol in symbols))
            if any(sum(q * n for q, n in zip(each, order, strict=True)) == 0 for each in charges):
                found.append(Composition(dict(zip(symbols, order, strict=True))).reduced_formula)
        if len(found) >= max(BEST):
            break
    return found


@cache
def stoichiometries(known: tuple[str, ...], hidden: frozenset[System]) -> Counter:
    """How common each is; of hidden systems nothing counts."""
    each = (count_atoms(formula) for formula in known)
    counts = (tuple(sorted(a.values())) for a in each if frozenset(a) not in hidden and kind_of(frozenset(a)))
    return Counter(c for c in counts if sum(c) <= MAX_ATOMS)


if __name__ == "__main__":
    main()
