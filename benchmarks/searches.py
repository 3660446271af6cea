"""Ways of looking for the lowest structure of a composition, side by side: how low they get and what they cost.

    python benchmarks/searches.py --searches quick five-relaxed swaps --json FILE [--fields Na-Zr-S-Cl] [--seed 0]

Each search starts from structures of the same seed, on random charge-neutral compositions of 10 to 24 atoms in each
field. None of the fields is one that published energies are compared with. Prints by how much each ends below the
first one named (meV/atom: mean, standard error, median; compositions more than 5 lower and more than 5 higher), its
CPU seconds as a multiple, and the volume that the lowest structure started from as a fraction of its relaxed one.

`swaps` goes on from the finished structure of `quick`: cations change places, anions change places, a cation moves
into an empty hole; single points choose which of these are relaxed.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from li_sn_s_cl import volume_ratio
from pymatgen.core import Composition, Structure
from scipy.spatial import Delaunay

from dft.candidates import Candidate
from dft.compositions import neutral_compositions, oxidation_states
from dft.guards import bad_contact
from dft.levels import FORCE_FIELDS, LevelOfTheory, force_field
from dft.probes import ProbeSettings, build_probes
from dft.workflows import ScreeningMaker
from loop.ladder import SEARCHES

#: Fields to choose among searches with, and the sizes of formulas taken from them.
FIELDS = ("Na-Zr-S-Cl", "Li-P-S-Cl", "Mg-Al-O-F", "K-Bi-Se-I")
ATOMS = (10, 24)

#: Difference that counts, meV/atom.
MATTERS = 5.0

#: Arrangements that get a single point, and how many of these are relaxed.
SINGLE_POINTS, RELAXED = 16, 4

#: Å: least distance of a hole from the cations that stay, and between two holes.
CATION_APART, HOLES_APART = 1.8, 0.8

#: Least distance of a hole from the anions, as a fraction of the shortest from cation to anion.
HOLE_SIZE = 0.8


@dataclass
class Swapping(ScreeningMaker):
    """The funnel, and then ions that change places in what it finished."""

    def _funnel(self, candidates: list[Candidate]) -> list[Candidate]:
        finished = super()._funnel(candidates)
        return finished + self._swapped(min(finished, key=lambda c: c.rank)) if finished else finished

    def _swapped(self, parent: Candidate) -> list[Candidate]:
        rng = np.random.default_rng(0)
        tried = [Candidate("swapped", s, s) for s in rearranged(parent.structure, rng, SINGLE_POINTS)]
        for candidate in tried:
            self._single_point(candidate)
        for candidate in _lowest(tried)[:RELAXED]:
            self._relax(candidate, parent.rank)
        return [c for c in tried if c.state == "done"]


QUICK, THOROUGH = SEARCHES["quick"], SEARCHES["thorough"]

#: By name: the maker, its settings, and what differs from the `quick` search in how the structures are built.
WAYS: dict[str, tuple[type[ScreeningMaker], dict[str, Any], dict[str, Any]]] = {
    "quick": (ScreeningMaker, {}, {}),
    "thorough": (ScreeningMaker, THOROUGH.funnel, {"n_structures": THOROUGH.n_structures}),
    "five-relaxed": (ScreeningMaker, {"n_relaxed": 5}, {}),
    "all-relaxed": (ScreeningMaker, {"n_relaxed": QUICK.n_structures, "full_cell": ATOMS[1]}, {}),
    "none-given-up": (ScreeningMaker, {"margin": 10.0}, {}),
    "more-structures": (ScreeningMaker, {}, {"n_structures": 40}),
    "displaced": (ScreeningMaker, {}, {"rattle": 0.2}),
    "swaps": (Swapping, {}, {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", nargs="+", default=["quick", "five-relaxed"], choices=sorted(WAYS))
    parser.add_argument("--fields", nargs="+", default=list(FIELDS))
    parser.add_argument("--compositions", type=int, default=4, help="of each field")
    parser.add_argument("--seed", type=int, default=0, help="of the compositions; structures always have seed 0")
    parser.add_argument("--level", choices=FORCE_FIELDS, default="chgnet")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    chosen = force_field(arguments.level)
    ScreeningMaker.from_level(chosen).load_engine()
    formulas = compositions(arguments.fields, arguments.compositions, arguments.seed, ATOMS)
    rows = [look(name, formula, chosen) for formula in formulas for name in arguments.searches]
    table = [against(rows, arguments.searches[0], name) for name in arguments.searches]
    print(json.dumps(table, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps({"table": table, "rows": rows}, indent=1) + "\n")


def compositions(fields: list[str], n: int, seed: int, atoms: tuple[int, int]) -> list[str]:
    """So many random formulas of each field, with at least and at most so many atoms."""
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    for name in fields:
        every = [c for c in neutral_compositions(name.split("-"), max_atoms=atoms[1]) if c.num_atoms >= atoms[0]]
        chosen += [every[i].reduced_formula for i in rng.choice(len(every), n, replace=False)]
    return chosen


def look(name: str, formula: str, chosen: LevelOfTheory) -> dict[str, Any]:
    """One search at one composition: its energy, eV/atom, its CPU seconds, and how large it started."""
    maker_class, settings, building = WAYS[name]
    maker = maker_class.from_level(chosen, **{**QUICK.funnel, **settings})
    start = time.process_time()
    probes = build_probes(Composition(formula), ProbeSettings(**{"n_structures": QUICK.n_structures, **building}), 0)
    output = maker_class.make.original(maker, probes)
    row = {
        "search": name,
        "composition": formula,
        "energy_per_atom": output["energy_per_atom"],
        "generator": output["generator"],
        "force_calls": output["force_calls"],
        "volume_ratio": volume_ratio(probes, output),
        "cpu_s": time.process_time() - start,
    }
    print(row, flush=True)
    return row


def against(rows: list[dict[str, Any]], first: str, name: str) -> dict[str, Any]:
    """How far one search ends below another, and at how many times its cost, where both gave an energy."""
    by_search = {s: {r["composition"]: r for r in rows if r["search"] == s} for s in (first, name)}
    pairs = [(by_search[first][f], row) for f, row in by_search[name].items()]
    pairs = [pair for pair in pairs if None not in (pair[0]["energy_per_atom"], pair[1]["energy_per_atom"])]
    volumes = np.array([b["volume_ratio"] for _, b in pairs])
    lower = np.array([1000 * (a["energy_per_atom"] - b["energy_per_atom"]) for a, b in pairs])
    return {
        "search": name,
        "n": len(pairs),
        "lower by, meV/atom": round(float(lower.mean()), 1),
        "standard error": round(float(lower.std() / len(lower) ** 0.5), 1),
        "median": round(float(np.median(lower)), 1),
        "more than 5 lower": int((lower > MATTERS).sum()),
        "more than 5 higher": int((lower < -MATTERS).sum()),
        "started at volume": round(float(volumes.mean()), 3),
        "standard error of volume": round(float(volumes.std() / len(volumes) ** 0.5), 3),
        "CPU-s": round(float(np.mean([b["cpu_s"] for _, b in pairs])), 1),
        "times the cost": round(sum(b["cpu_s"] for _, b in pairs) / sum(a["cpu_s"] for a, _ in pairs), 2),
    }


def rearranged(structure: Structure, rng: np.random.Generator, n: int) -> list[Structure]:
    """Up to `n` structures in which two unlike ions of one sign, or a cation and a hole, have changed places.

    The kinds of change take turns; arrangements with a contact that no relaxation should start from are left out.
    """
    changes = {kind: [found[i] for i in rng.permutation(len(found))] for kind, found in _changes(structure).items()}
    built: list[np.ndarray] = []
    while len(built) < n and any(changes.values()):
        for kind in rng.permutation([kind for kind in sorted(changes) if changes[kind]]):
            if len(built) < n:
                built.append(changes[str(kind)].pop())
    cells = [Structure(structure.lattice, [s.specie.symbol for s in structure], frac) for frac in built]
    return [cell for cell in cells if not bad_contact(cell)]


def _changes(structure: Structure) -> dict[str, list[np.ndarray]]:
    """Fractional coordinates after each possible change, by its kind; kinds without any are left out."""
    charges = oxidation_states(structure.composition.reduced_composition)
    symbols, frac = [site.specie.symbol for site in structure], structure.frac_coords
    is_cation = np.array([charges[symbol] > 0 for symbol in symbols])
    found: dict[str, list[np.ndarray]] = {"cation swap": [], "anion swap": [], "hole": []}
    for i, j in zip(*np.triu_indices(len(symbols), 1), strict=True):
        if symbols[i] != symbols[j] and is_cation[i] == is_cation[j]:
            swapped = frac.copy()
            swapped[[i, j]] = frac[[j, i]]
            found["cation swap" if is_cation[i] else "anion swap"].append(swapped)
    for cation, hole in _vacancies(structure, is_cation):
        moved = frac.copy()
        moved[cation] = hole
        found["hole"].append(moved)
    return {kind: changed for kind, changed in found.items() if changed}


def _vacancies(structure: Structure, is_cation: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Cations with the holes that each could move to, the most spacious holes first."""
    lattice, frac = structure.lattice, structure.frac_coords % 1
    holes = _holes(lattice.matrix, frac[~is_cation])
    if not len(holes):
        return []
    from_anions = lattice.get_all_distances(holes, frac[~is_cation]).min(axis=1)
    bond = lattice.get_all_distances(frac[is_cation], frac[~is_cation]).min()
    kept: list[np.ndarray] = []
    for k in np.argsort(-from_anions, kind="stable"):
        apart = not kept or lattice.get_all_distances([holes[k]], kept).min() >= HOLES_APART
        if apart and from_anions[k] >= HOLE_SIZE * bond:
            kept.append(holes[k])
    pairs = []
    for hole in kept:
        distances = lattice.get_all_distances([hole], frac)[0]
        for cation in np.flatnonzero(is_cation):
            staying = is_cation & (np.arange(len(frac)) != cation)
            if distances[cation] > 1.0 and distances[staying].min(initial=np.inf) > CATION_APART:
                pairs.append((int(cation), hole))
    return pairs


def _holes(cell: np.ndarray, anions: np.ndarray) -> np.ndarray:
    """Centres of the spheres through four anions that hold no other, fractional, within one cell."""
    shifts = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T
    points = (anions[None] + shifts[:, None]).reshape(-1, 3) @ cell
    corners = points[Delaunay(points, qhull_options="QJ Pp").simplices]
    edges = 2 * (corners[:, 1:] - corners[:, :1])
    squares = (corners[:, 1:] ** 2).sum(axis=-1) - (corners[:, :1] ** 2).sum(axis=-1)
    solid = np.abs(np.linalg.det(edges)) > 0.5  # flat tetrahedra have their centre anywhere
    centres = np.linalg.solve(edges[solid], squares[solid][..., None])[..., 0] @ np.linalg.inv(cell)
    return centres[((centres >= 0) & (centres < 1)).all(axis=1)]


def _lowest(candidates: list[Candidate]) -> list[Candidate]:
    return sorted((c for c in candidates if c.state == "running"), key=lambda c: c.rank)


if __name__ == "__main__":
    main()
