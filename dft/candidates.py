"""The structures of one composition on their way to its energy: what became of each, and which ones go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Structure


@dataclass(eq=False)
class Candidate:
    """What became of one structure; made fresh for each, so that nothing of one reaches the next."""

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


def a_place_for_each_kind(candidates: list[Candidate], n: int) -> list[Candidate]:
    """The same in another order: of the first `n`, the last places go to ways of building that have none, lowest first.

    Energies before relaxation do not compare molecules with lattices fairly.
    """
    kinds: dict[str, Candidate] = {}
    for candidate in candidates:
        kinds.setdefault(candidate.generator.split(":")[0], candidate)
    others = list(kinds.values())[1:n]
    first = [c for c in candidates if c not in others][: max(0, n - len(others))]
    return [*first, *others, *(c for c in candidates if c not in first and c not in others)]


def furthest(candidates: list[Candidate]) -> Candidate:
    """The candidate that speaks for a composition where none was finished: it went furthest, at the lowest energy."""
    stages = ("built", "single point", "coarse", "final")
    stopped = [c for c in candidates if c.state != "outranked"] or candidates
    return min(stopped, key=lambda c: (-stages.index(c.stage), c.rank))
