"""The structures of one composition on their way to its energy: what became of each, and which ones go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from dft.probes.base import AS_PLACED, COMPLEXES, FRAMEWORK, LAYERED

#: Ways of building, as they are called in `generator`, that take long to relax: soft, and turned at random.
MOLECULAR = ("molecules", "molecular ions", COMPLEXES, "chains")

#: Places of frameworks with names, at most, beside those of all others.
FRAMEWORK_PLACES = 2

#: Structures that pymatgen's tolerances match may still be 20 meV/atom apart, as the same layers further apart are:
#: only within this, eV/atom, are they one.
EQUAL_WITHIN = 0.005

_MATCHER = StructureMatcher()


@dataclass(eq=False)
class Candidate:
    """What became of one structure; made fresh for each, so that nothing of one reaches the next.

    Guards compare with `start`: as it was built, or as several single points left it.
    """

    generator: str
    start: Structure
    structure: Structure
    stage: str = "built"
    energy_per_atom: float | None = None
    max_force: float | None = None
    converged: bool = False
    state: str = "running"
    reason: str = ""

    @property
    def rank(self) -> float:
        """Energy for sorting, eV/atom; last without one."""
        return np.inf if self.energy_per_atom is None else self.energy_per_atom

    def row(self) -> dict[str, Any]:
        """The line of the trail."""
        keys = ("generator", "stage", "energy_per_atom", "state", "reason")
        return {key: getattr(self, key) for key in keys}


def running(candidates: list[Candidate]) -> list[Candidate]:
    """Those still in the running, the lowest energy first."""
    return sorted((c for c in candidates if c.state == "running"), key=lambda c: c.rank)


def largest_built(candidates: Iterable[Candidate]) -> int:
    """Atoms in the largest cell, known types aside: a few large ones are not to cost all others their places."""
    sizes = [(c.generator.startswith("prototype"), len(c.structure)) for c in candidates]
    return max([n for is_type, n in sizes if not is_type] or [n for _, n in sizes])


def is_among(candidate: Candidate, others: Iterable[Candidate]) -> bool:
    """Whether one of the others has come to the same structure at the same energy."""
    near = (other for other in others if abs(candidate.rank - other.rank) < EQUAL_WITHIN)
    return any(_MATCHER.fit(candidate.structure, other.structure) for other in near)


def in_proportion(candidates: list[Candidate]) -> list[Candidate]:
    """The same in another order: ways of building in proportion to their candidates, the lowest of each before all.

    Energies before relaxation do not compare molecules with lattices, or layers with what was relaxed as ions with its
    cell, fairly. The lowest of all comes first, then molecules and chains.
    """
    kinds: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        layers = LAYERED * (LAYERED in candidate.generator)  # a way of their own here
        kinds.setdefault(_kind(candidate.generator) + layers, []).append(candidate)
    shares = {id(c): k / len(alike) for alike in kinds.values() for k, c in enumerate(alike)}
    return sorted(
        candidates, key=lambda c: (shares[id(c)], c is not candidates[0], not c.generator.startswith(MOLECULAR))
    )


def for_their_kinds(candidates: list[Candidate]) -> float:
    """By how much more places there are for several ways of building: none for two, a quarter for each further one.

    Those with places of their own take no part: frameworks with names (`for_frameworks`) and complexes (`is_beside`).
    """
    return for_kinds_of(candidate.generator for candidate in candidates)


def is_beside(candidate: Candidate) -> bool:
    """Whether a candidate, in its turn, takes the place of no other: one with a complex anion."""
    return candidate.generator.startswith(COMPLEXES)


def for_frameworks(candidates: list[Candidate]) -> int:
    """How many more places there are where structures stand on frameworks with names."""
    return min(FRAMEWORK_PLACES, sum(candidate.generator.startswith(FRAMEWORK) for candidate in candidates))


def for_kinds_of(generators: Iterable[str]) -> float:
    """The same, from how the structures were built, `ProbeStructure.generator`."""
    kinds = {_kind(each) for each in generators if not each.startswith((FRAMEWORK, COMPLEXES))}
    return max(1.0, (2 + len(kinds)) / 4)


def _kind(generator: str) -> str:
    name = generator.split("," if generator.startswith(FRAMEWORK) else ":")[0]
    return name + AS_PLACED * generator.endswith(AS_PLACED)


def furthest(candidates: list[Candidate]) -> Candidate:
    """The candidate that speaks for a composition where none was finished: it went furthest, at the lowest energy."""
    stages = ("built", "single point", "relaxation")
    stopped = [c for c in candidates if c.state != "outranked"] or candidates
    return min(stopped, key=lambda c: (-stages.index(c.stage), c.rank))
