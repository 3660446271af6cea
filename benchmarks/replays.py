"""How deep a search must go: every candidate relaxed to the end once, then searches replayed on that.

    python benchmarks/replays.py --fields Li-Sn-S-Cl Na-Zr-S-Cl --compositions 4 --json a.json
    python benchmarks/replays.py --formulas P2O5 B2O3 --json b.json
    python benchmarks/replays.py --replay a.json b.json

The first relaxes every candidate of random charge-neutral compositions of 10 to 16 atoms, the second those of competing
phases, and keeps energy and expectation of each step. All print, for several searches, their force calls as a share of
those that relax everything, how far they end above the lowest of all candidates (meV/atom: mean and median), and the
shares within 5 and beyond 20 meV/atom. `rounds` are what there was before relaxations were given up: so many structures
for so many steps each, then the best of them to the end.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Composition
from searches import compositions

from dft.candidates import Candidate, for_frameworks, for_their_kinds, in_proportion, largest_built
from dft.competing import build_competing
from dft.guards import why_rejected
from dft.levels import FORCE_FIELDS, force_field
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.relaxation import CellBFGS, is_hopeless
from dft.workflows import ScreeningMaker
from loop.ladder import SEARCHES

FIELDS = ("Li-Sn-S-Cl", "Na-Ge-Se-Br", "Li-Y-O-Cl", "Na-Zr-S-Cl", "Mg-Al-O-F", "Ca-Ti-O-F", "Rb-Sb-S-I", "Li-P-S-Cl")
ATOMS = (10, 16)

#: Most atoms in a cell of a competing phase, as in a campaign.
COMPETING_ATOMS = 24

Relaxations = Sequence[dict[str, Any]]


class Recording(CellBFGS):
    """Ours, and what each step was expected to gain, eV."""

    expected: list[float]

    def determine_step(self, dpos: np.ndarray, steplengths: np.ndarray) -> np.ndarray:
        """See `CellBFGS`."""
        Recording.expected.append(self.expected_gain(dpos))
        return super().determine_step(dpos, steplengths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", nargs="+", default=list(FIELDS))
    parser.add_argument("--formulas", nargs="+", help="of competing phases, in the place of fields")
    parser.add_argument("--compositions", type=int, default=4, help="of each field")
    parser.add_argument("--seed", type=int, default=0, help="of the compositions; structures always have seed 0")
    parser.add_argument("--structures", type=int, default=SEARCHES["quick"].n_structures, help="of each composition")
    parser.add_argument("--level", choices=FORCE_FIELDS, default="chgnet")
    parser.add_argument("--json", type=Path, help="where the relaxations go")
    parser.add_argument("--replay", type=Path, nargs="+", help="files of relaxations, in the place of new ones")
    arguments = parser.parse_args()
    if arguments.replay:
        rows = [row for path in arguments.replay for row in json.loads(path.read_text())]
    else:
        rows = relaxed(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows) + "\n")
    print(f"{len(rows)} compositions, {sum(len(row['candidates']) for row in rows)} candidates")
    print(f"{'':34s}{'calls':>7s}{'mean':>7s}{'median':>8s}{'within 5':>10s}{'beyond 20':>11s}")
    for name, search in SEARCHED.items():
        print(f"{name:34s}{'{:7.2f}{:7.1f}{:8.1f}{:10.2f}{:11.2f}'.format(*figures(rows, search))}", flush=True)


def relaxed(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """So many candidates of each composition, every one relaxed to the end."""
    import torch

    torch.set_num_threads(1)
    maker = ScreeningMaker.from_level(force_field(arguments.level))
    maker.relax_maker.relax_kwargs["interval"] = 1  # a frame of each force call
    maker.relax_maker.optimizer_kwargs = {"optimizer": Recording}
    maker.load_engine()
    rows = []
    for formula in arguments.formulas or compositions(arguments.fields, arguments.compositions, arguments.seed, ATOMS):
        start = time.process_time()
        if arguments.formulas:
            settings = ProbeSettings(n_structures=arguments.structures, max_atoms=COMPETING_ATOMS)
            probes = build_competing(formula, settings, 0)
        else:
            settings = ProbeSettings(n_structures=arguments.structures, max_atoms=ATOMS[1])
            probes = build_probes(Composition(formula), settings, 0)
        rows.append({"composition": formula, "candidates": _candidates(probes, maker)})
        print(formula, len(rows[-1]["candidates"]), f"{time.process_time() - start:.1f} CPU-s", flush=True)
    return rows


def _candidates(probes: Sequence[ProbeStructure], maker: Any) -> list[dict[str, Any]]:
    """Per candidate its energies, eV/atom: of the single point, then after each force call of one relaxation."""
    found = []
    for probe in probes:
        candidate = Candidate(probe.generator, probe.structure, probe.structure)
        maker._single_point(candidate)
        single, n = candidate.energy_per_atom, len(probe.structure)
        if candidate.state != "running" or single is None:
            continue
        Recording.expected = []
        try:
            result = maker.relax_maker._run_ase_safe(candidate.structure)
        except Exception as error:  # a candidate that the engine cannot relax is left out, and named
            print(probe.generator, error, flush=True)
            continue
        frames = result.trajectory.frame_properties[:-1]  # the last is there twice
        found.append(
            {
                "generator": probe.generator,
                "atoms": n,
                "single_point": single,
                "energies": [float(frame["energy"]) / n for frame in frames],
                "expected": [gain / n for gain in Recording.expected],
                "sound": bool(result.converged) and not why_rejected(candidate.start, result.final_mol_or_struct),
            }
        )
    return found


Search = Callable[[Relaxations], tuple[float | None, int]]


def figures(rows: Sequence[dict[str, Any]], search: Search) -> tuple[float, ...]:
    """Share of the force calls; meV/atom above the lowest, mean and median; shares within 5 and beyond 20."""
    above, calls, whole = [], 0, 0
    for row in rows:
        lowest = min((c["energies"][-1] for c in row["candidates"] if c["sound"]), default=None)
        found, spent = search(row["candidates"])
        if lowest is not None and found is not None:
            above.append(1000 * (found - lowest))
            calls, whole = calls + spent, whole + sum(len(c["energies"]) + 1 for c in row["candidates"])
    far = np.array(above)
    within, beyond = float(np.mean(far < 5)), float(np.mean(far > 20))
    if len(above) < len(rows):
        print(f"  {len(rows) - len(above)} compositions without an energy are left out of the next line")
    return calls / whole, float(far.mean()), float(np.median(far)), within, beyond


def in_turn(relaxations: Relaxations, n_relaxed: int, margin: float) -> tuple[float | None, int]:
    """One after another, hopeless ones given up: the energy, eV/atom, that this ends with, and its force calls."""
    ordered, share, further = _ordered(relaxations)
    lowest, calls, counted = np.inf, len(relaxations), 0
    for each in ordered:
        if counted == max(1, round(n_relaxed * share)) + further:
            break
        energies = each["energies"]
        counted += each["sound"]
        for k, expected in enumerate(each["expected"]):
            if is_hopeless(energies[: k + 1], expected, lowest + margin):
                calls += k + 1
                counted += not each["sound"]
                break
        else:
            calls += len(energies)
            lowest = min(lowest, energies[-1]) if each["sound"] else lowest
    return (float(lowest) if lowest < np.inf else None), calls


def rounds(relaxations: Relaxations, n: int, steps: int, n_finished: int) -> tuple[float | None, int]:
    """So many for so many steps, and the best of them to the end; the same."""
    ordered, share, _ = _ordered(relaxations)
    advanced = ordered[: max(1, round(n * share))]
    calls = len(relaxations) + sum(min(steps + 1, len(each["energies"])) for each in advanced)
    advanced.sort(key=lambda each: each["energies"][min(steps, len(each["energies"]) - 1)])
    finished = advanced[: max(1, round(n_finished * share))]
    calls += sum(max(1, len(each["energies"]) - steps) for each in finished)
    return min((each["energies"][-1] for each in finished if each["sound"]), default=None), calls


def _ordered(relaxations: Relaxations) -> tuple[list[dict[str, Any]], float, int]:
    """In the order in which a search takes them, and its places: as a share of those for a small salt, and further."""
    candidates = [
        Candidate(r["generator"], None, [0] * r["atoms"], energy_per_atom=r["single_point"]) for r in relaxations
    ]
    of = {id(c): r for c, r in zip(candidates, relaxations, strict=True)}
    share = for_their_kinds(candidates) * min(1.0, ScreeningMaker.full_cell / largest_built(candidates))
    ordered = [of[id(c)] for c in in_proportion(sorted(candidates, key=lambda c: c.rank))]
    return ordered, share, for_frameworks(candidates)


SEARCHED: dict[str, Search] = {
    "rounds 6 x 6, 3 finished": partial(rounds, n=6, steps=6, n_finished=3),
    "rounds 6 x 6, 4 finished": partial(rounds, n=6, steps=6, n_finished=4),
    "rounds 8 x 6, 4 finished": partial(rounds, n=8, steps=6, n_finished=4),
    "rounds 12 x 8, 6 finished": partial(rounds, n=12, steps=8, n_finished=6),
    "6 relaxed, margin 0.03": partial(in_turn, n_relaxed=6, margin=0.03),
    "8 relaxed, margin 0.01": partial(in_turn, n_relaxed=8, margin=0.01),
    "8 relaxed, margin 0.03": partial(in_turn, n_relaxed=8, margin=0.03),
    "10 relaxed, margin 0.01": partial(in_turn, n_relaxed=10, margin=0.01),
    "10 relaxed, margin 0.02": partial(in_turn, n_relaxed=10, margin=0.02),
    "10 relaxed, margin 0.03 (quick)": partial(in_turn, n_relaxed=10, margin=0.03),
    "10 relaxed, margin 0.05": partial(in_turn, n_relaxed=10, margin=0.05),
    "10 relaxed, none given up": partial(in_turn, n_relaxed=10, margin=np.inf),
    "16 relaxed, margin 0.03": partial(in_turn, n_relaxed=16, margin=0.03),
    "all relaxed, margin 0.03": partial(in_turn, n_relaxed=99, margin=0.03),
    "all relaxed, margin 0.05": partial(in_turn, n_relaxed=99, margin=0.05),
    "all relaxed, margin 0.10": partial(in_turn, n_relaxed=99, margin=0.10),
}


if __name__ == "__main__":
    main()
