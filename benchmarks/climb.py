"""What a number of dear calculations finds: the lowest of a cheaper level, or the `hull` strategy with it as a prior.

    python benchmarks/climb.py [--synthetic 24] [--table e_above_hull.csv.gz] [--json out.json]
    python benchmarks/climb.py --synthetic 0 --energies li_sn_s_cl_dft.csv --prior benchmarks/li_sn_s_cl_screening.csv

Each field has 165 compositions or fewer, some of them within 10 meV/atom of the hull at the dear level, all of them
known at the cheaper one. The cheaper level is made up: 0.7 to 1.1 times the dear energies, a shift of -20 ± 30
meV/atom, errors that neighbours share (10 to 30) and errors of single compositions (22 to 40). The dear level is made
up, too (smooth within 25 to 60 and scatter of 15 to 35 meV/atom), or that of quaternary fields of the Materials
Project's table `formula,e_above_hull_eV_per_atom`. Batches are chosen by `loop.simulate.replay`, as a campaign
chooses them.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.spatial.distance import cdist

from dft.compositions import neutral_compositions
from loop.field_space import FieldSpace
from loop.report.energies import read_energies
from loop.simulate import Puzzle, read_cheaper, replay
from vae import ANIONS, PhaseField

#: Fields of the made-up energies, with their salts and the formation energies of these, eV/atom, round numbers.
FIELDS = {
    "Na-Mg-S-Cl": {"Na2S": -1.3, "NaCl": -2.1, "MgS": -1.8, "MgCl2": -2.2},
    "Na-Y-S-Cl": {"Na2S": -1.3, "NaCl": -2.1, "Y2S3": -2.5, "YCl3": -2.6},
    "Na-Zr-S-Cl": {"Na2S": -1.3, "NaCl": -2.1, "ZrS2": -2.0, "ZrCl4": -2.0},
    "K-Zn-O-F": {"K2O": -1.2, "KF": -2.9, "ZnO": -1.8, "ZnF2": -2.6},
}
SPENT = (4, 8, 16, 32)
WAYS = (("lowest", 1), ("hull", 8), ("hull", 4), ("hull", 2), ("hull", 1))
WITHIN = 0.010  # eV/atom
NOT_HERE = frozenset(("Li", "Sn", "S", "Cl"))  # its figures are taken once, with everything fixed elsewhere

Level = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synthetic", type=int, default=24)
    parser.add_argument("--table", type=Path, help="formulas and energies above hull of the Materials Project")
    parser.add_argument("--fields", type=int, default=10, help="of this table, the densest")
    parser.add_argument("--energies", type=Path, help="total energies of a field at the dear level")
    parser.add_argument("--field", default="Li-Sn-S-Cl", help="of --energies")
    parser.add_argument("--prior", type=Path, help="energies above hull of this field at the cheaper level")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    groups = {"synthetic": synthetic(arguments.synthetic)}
    if arguments.table:
        groups["Materials Project"] = published(arguments.table, arguments.fields)
    if arguments.energies:
        groups["real levels"] = real(arguments.energies, PhaseField.parse(arguments.field), arguments.prior)
    rows = [row for group, fields in groups.items() for row in replayed(group, fields)]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(summary(pd.DataFrame(rows)).to_string(float_format="%.2f"))


def replayed(group: str, fields: Iterator[tuple[Puzzle, Level]]) -> Iterator[dict]:
    for number, (puzzle, cheaper) in enumerate(fields):
        for strategy, batch in WAYS:
            run = replay(puzzle, strategy, 0, initial=0, batch=batch, cheaper=cheaper, most=max(SPENT))
            found = {n: run.found[min(n, len(run.found)) - 1] for n in SPENT}
            yield {"group": group, "field": number, "way": f"{strategy} {batch}", "of": len(puzzle.targets), **found}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean found by group and way, and by how much a field differs from `lowest`, with the error of that mean."""
    base = rows[rows.way == "lowest 1"].set_index(["group", "field"])
    parts = []
    for (group, way), mine in rows.groupby(["group", "way"], sort=False):
        gain = mine.set_index(["group", "field"])[list(SPENT)] - base.loc[[group], list(SPENT)]
        means = {"group": group, "way": way, "fields": len(mine), "of": mine["of"].mean(), **mine[list(SPENT)].mean()}
        errors = {f"gain {n}": f"{gain[n].mean():+.2f} ± {gain[n].sem():.2f}" for n in SPENT}
        parts.append({**means, **errors})
    return pd.DataFrame(parts)


def synthetic(n: int) -> Iterator[tuple[Puzzle, Level]]:
    for seed in range(n):
        rng = np.random.default_rng(seed)
        name = list(FIELDS)[seed % len(FIELDS)]
        field = PhaseField.parse(name)
        elements = [ComputedEntry(symbol, 0.0) for symbol in field.elements]
        salts = [ComputedEntry(f, e * Composition(f).num_atoms) for f, e in FIELDS[name].items()]
        space = FieldSpace(field, (*elements, *salts))
        neutral = neutral_compositions(field.elements, 24)
        chosen = [neutral[i] for i in rng.permutation(len(neutral))[:165]]
        above = smooth(space, chosen, rng, rng.uniform(0.025, 0.06)) + rng.normal(
            scale=rng.uniform(0.015, 0.035), size=len(chosen)
        )
        above -= np.sort(above)[rng.integers(3, 10)] - WITHIN  # so many end up near the hull, or a few less
        hull = space.hull_energies(space.fractions(chosen))
        probes = [ComputedEntry(c, (e + h) * c.num_atoms) for c, e, h in zip(chosen, above, hull, strict=True)]
        puzzle = Puzzle.of(probes, space.competing, field, WITHIN)
        yield puzzle, made_up(space, chosen, above, rng)


def published(table: Path, n: int) -> Iterator[tuple[Puzzle, Level]]:
    """The table's densest quaternary fields with two anions; all lower systems in them compete.

    Formation energies are not in it; a strictly convex function of the composition puts those at zero on one hull.
    """
    missing = {"e_above_hull_eV_per_atom": ["", "nan", "NaN"]}  # among formulas NaN is sodium nitride
    rows = pd.read_csv(table, usecols=["formula", *missing], keep_default_na=False, na_values=missing)
    systems: dict[frozenset[str], Level] = defaultdict(dict)
    for formula, energy in rows.itertuples(index=False):
        if energy <= 0.5:
            inside = systems[frozenset(re.findall("[A-Z][a-z]?", formula))]
            inside[formula] = min(energy, inside.get(formula, np.inf))
    fields = (s for s in systems if len(s) == 4 and len(s & set(ANIONS)) == 2 and s != NOT_HERE)
    dense = sorted(fields, key=lambda s: (-len(systems[s]), sorted(s)))
    dense = [s for s in dense if sum(e <= WITHIN for e in systems[s].values()) >= 3]
    for number, system in enumerate(dense[:n]):
        known = {f: e for s, inside in systems.items() if s < system for f, e in inside.items()}
        field = PhaseField.parse("-".join(sorted(system)))
        competing = [entry(Composition(f), e) for f, e in known.items()]
        competing += [ComputedEntry(symbol, 0.0) for symbol in sorted(system)]
        reduced: Level = {}
        for formula, energy in systems[system].items():
            name = Composition(formula).reduced_formula
            reduced[name] = min(energy, reduced.get(name, np.inf))
        chosen, above = [Composition(f) for f in reduced], np.array(list(reduced.values()))
        space = FieldSpace(field, tuple(competing))
        hull = space.hull_energies(space.fractions(chosen))
        probes = [ComputedEntry(c, (e + h) * c.num_atoms) for c, e, h in zip(chosen, above, hull, strict=True)]
        puzzle = Puzzle.of(probes, competing, field, WITHIN)
        yield puzzle, made_up(space, chosen, above, np.random.default_rng(number))


def real(energies: Path, field: PhaseField, prior: Path) -> Iterator[tuple[Puzzle, Level]]:
    """One field, both levels from tables."""
    notes: list[str] = []
    table = read_energies(energies, field, notes)
    probes = [entry for entry, is_probe in zip(table.entries, table.is_probe, strict=True) if is_probe]
    yield Puzzle.of(probes, table.competing, field, WITHIN), read_cheaper(prior, field, notes)


def entry(composition: Composition, above: float) -> ComputedEntry:
    share = np.array([composition.get_atomic_fraction(element) for element in composition.elements])
    return ComputedEntry(composition, composition.num_atoms * (2 * (np.sum(share**2) - 1) + above))


def made_up(space: FieldSpace, chosen: list[Composition], above: np.ndarray, rng: np.random.Generator) -> Level:
    slope, shift = rng.uniform(0.7, 1.1), rng.normal(-0.02, 0.03)
    shared, alone = rng.uniform(0.010, 0.030), rng.uniform(0.022, 0.040)
    errors = smooth(space, chosen, rng, shared) + rng.normal(scale=alone, size=len(chosen))
    return dict(zip((c.reduced_formula for c in chosen), (slope * above + shift + errors).tolist(), strict=True))


def smooth(space: FieldSpace, at: list[Composition], rng: np.random.Generator, size: float) -> np.ndarray:
    """A function of the composition that changes over 0.25 to 0.8 of the field, standard deviation `size`, eV/atom."""
    X = space.coordinates(space.fractions(at))
    covariance = np.exp(-0.5 * (cdist(X, X) / rng.uniform(0.25, 0.8)) ** 2)
    return size * rng.multivariate_normal(np.zeros(len(X)), covariance, method="eigh")


if __name__ == "__main__":
    main()
