"""How long one choice of the `hull` strategy takes, and how far it depends on the numbers of candidates and of knowns.

    python benchmarks/acquisition.py [--candidates 10000] [--known 1000]

Energies are made up: a smooth function of the composition and a scatter of 20 meV/atom.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.compositions import neutral_compositions
from loop.field_space import FieldSpace
from loop.strategies import Knowledge, choose
from vae import PhaseField

FIELD = "Li-Sn-S-Cl"
SALTS = {"Li2S": -1.5, "LiCl": -2.1, "SnS2": -0.5, "SnCl4": -0.9}  # eV/atom, round numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--known", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    field = PhaseField.parse(FIELD)
    elements = [ComputedEntry(symbol, 0.0) for symbol in field.elements]
    salts = [ComputedEntry(f, e * Composition(f).num_atoms) for f, e in SALTS.items()]
    space = FieldSpace(field, (*elements, *salts))
    wanted = arguments.candidates + arguments.known
    size = next(n for n in range(24, 200, 4) if len(neutral_compositions(field.elements, n)) >= wanted)
    compositions = neutral_compositions(field.elements, size)[:wanted]
    rng = np.random.default_rng(0)
    order = rng.permutation(wanted)
    computed = [compositions[i] for i in order[: arguments.known]]
    fractions = space.fractions(computed)
    above = 0.1 - 0.3 * fractions.min(axis=1) + rng.normal(scale=0.02, size=len(computed))
    known = Knowledge(space, {c.reduced_formula: e for c, e in zip(computed, above, strict=True)})
    candidates = [compositions[i].reduced_formula for i in order[arguments.known :]]
    wall, cpu = time.perf_counter(), time.process_time()
    chosen = choose("hull", known, candidates, arguments.batch, rng)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{len(candidates)} candidates, {len(computed)} known, batch of {len(chosen)}: {wall:.1f} s, {cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
