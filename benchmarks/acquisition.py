"""How long one choice takes: of compositions by the `hull` strategy, of fields by score and verdicts.

    python benchmarks/acquisition.py [--candidates 10000] [--known 1000] [--fields 140000]

Energies are made up, a smooth function of the composition and a scatter of 20 meV/atom; so are the scores of the fields
and 500 verdicts on them. The known fields are those of the bundled list.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import numpy as np
import pandas as pd
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.compositions import neutral_compositions
from loop.acquisition import choose_fields, verdict_log_odds
from loop.field_space import FieldSpace
from loop.strategies import Knowledge, choose
from vae import PhaseField
from vae.datasets import known_phase_fields

FIELD = "Li-Sn-S-Cl"
SALTS = {"Li2S": -1.5, "LiCl": -2.1, "SnS2": -0.5, "SnCl4": -0.9}  # eV/atom, round numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--known", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--fields", type=int, default=140_000)
    arguments = parser.parse_args()
    compositions(arguments.candidates, arguments.known, arguments.batch)
    fields(arguments.fields)


def compositions(n_candidates: int, n_known: int, batch: int) -> None:
    field = PhaseField.parse(FIELD)
    elements = [ComputedEntry(symbol, 0.0) for symbol in field.elements]
    salts = [ComputedEntry(f, e * Composition(f).num_atoms) for f, e in SALTS.items()]
    space = FieldSpace(field, (*elements, *salts))
    wanted = n_candidates + n_known
    size = next(n for n in range(24, 200, 4) if len(neutral_compositions(field.elements, n)) >= wanted)
    neutral = neutral_compositions(field.elements, size)[:wanted]
    rng = np.random.default_rng(0)
    order = rng.permutation(wanted)
    computed = [neutral[i] for i in order[:n_known]]
    fractions = space.fractions(computed)
    above = 0.1 - 0.3 * fractions.min(axis=1) + rng.normal(scale=0.02, size=len(computed))
    known = Knowledge(space, {c.reduced_formula: e for c, e in zip(computed, above, strict=True)})
    candidates = [neutral[i].reduced_formula for i in order[n_known:]]
    with measured(f"{len(candidates)} candidates, {len(computed)} known, batch of {batch}"):
        choose("hull", known, candidates, batch, rng)


def fields(n: int) -> None:
    known = [f for f in known_phase_fields().fields if len(set(f.cations)) == len(set(f.anions)) == 2]
    cations = sorted({symbol for f in known for symbol in f.cations})
    anions = sorted({symbol for f in known for symbol in f.anions})
    pairs = [(*m, *a) for a in combinations(anions, 2) for m in combinations(cations, 2)]
    rng = np.random.default_rng(0)
    candidates = [PhaseField(pairs[i]) for i in rng.permutation(len(pairs))[:n]]
    score = np.sort(rng.normal(size=len(candidates)))
    names = [str(f) for f in candidates]
    ranking = pd.DataFrame({"phase_field": names, "rank": range(1, len(names) + 1), "score": score})
    coordinates = rng.normal(size=(len(candidates) + len(known), 16))  # as many as the ranker's latent space has
    with measured(f"{len(candidates)} fields, {len(known)} known, 500 verdicts, batch of 100"):
        odds = verdict_log_odds(candidates, known, candidates[:100], candidates[100:500], 0, coordinates)
        choose_fields(ranking, names[:500], 100, "balanced", odds)


@contextmanager
def measured(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{what}: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
