"""How deep a search must go: every candidate relaxed to the end once, then the rounds of any funnel replayed on that.

    python benchmarks/rounds.py --fields Li-Sn-S-Cl Na-Zr-S-Cl --compositions 4 --json a.json
    python benchmarks/rounds.py --replay a.json b.json

The first relaxes every candidate of random charge-neutral compositions of 10 to 16 atoms and keeps its energy after
each force call. Both print, for several funnels, force calls as a fraction of those that relax everything, how far they
end above the lowest of all candidates (meV/atom: mean and median), and the shares within 5 and beyond 20 meV/atom. A
replayed relaxation goes on where it stopped, while a real round begins with a new guess of stiffness.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Composition
from searches import compositions

from dft.candidates import Candidate, a_place_for_each_kind, for_their_kinds, in_proportion
from dft.guards import why_rejected
from dft.levels import FORCE_FIELDS, force_field
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.workflows import ScreeningMaker
from loop.ladder import SEARCHES

FIELDS = ("Li-Sn-S-Cl", "Na-Ge-Se-Br", "Li-Y-O-Cl", "Na-Zr-S-Cl", "Mg-Al-O-F", "Ca-Ti-O-F", "Rb-Sb-S-I", "Li-P-S-Cl")
ATOMS = (10, 16)

#: By name: rounds, structures finished, and the weight of what a relaxation has just gained: an energy counts less that
#: weight times the gain of its last round, for a relaxation that falls fast has further to go.
Funnel = tuple[Sequence[tuple[int, int]], int, float]
FUNNELS: dict[str, Funnel] = {
    "quick": (SEARCHES["quick"].rounds, SEARCHES["quick"].n_final, 0.0),
    "quick, gains count": (SEARCHES["quick"].rounds, SEARCHES["quick"].n_final, 0.5),
    "4x6 2x12, 2 finished": (((4, 6), (2, 12)), 2, 0.0),
    "6x6, 4 finished": (((6, 6),), 4, 0.0),
    "8x4, 3 finished": (((8, 4),), 3, 0.0),
    "8x4, 4 finished": (((8, 4),), 4, 0.0),
    "8x6, 3 finished": (((8, 6),), 3, 0.0),
    "8x6, 4 finished": (((8, 6),), 4, 0.0),
    "8x8, 4 finished": (((8, 8),), 4, 0.0),
    "12x8 6x12 3x20, 3 finished": (((12, 8), (6, 12), (3, 20)), 3, 0.0),
    "thorough": (SEARCHES["thorough"].rounds, SEARCHES["thorough"].n_final, 0.0),
    "16x8 8x12, 6 finished": (((16, 8), (8, 12)), 6, 0.0),
    "all x6, 8x8, 4 finished": (((99, 6), (8, 8)), 4, 0.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", nargs="+", default=list(FIELDS))
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
        formulas = compositions(arguments.fields, arguments.compositions, arguments.seed, ATOMS)
        rows = relaxed(formulas, arguments.structures, arguments.level)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows) + "\n")
    print(f"{len(rows)} compositions, {sum(len(row['candidates']) for row in rows)} candidates")
    print(f"{'':28s}{'calls':>7s}{'mean':>7s}{'median':>8s}{'within 5':>10s}{'beyond 20':>11s}")
    for name, funnel in FUNNELS.items():
        print(f"{name:28s}{'{:7.2f}{:7.1f}{:8.1f}{:10.2f}{:11.2f}'.format(*figures(rows, funnel))}", flush=True)


def relaxed(formulas: Sequence[str], n_structures: int, level: str) -> list[dict[str, Any]]:
    """So many candidates of each composition, every one relaxed to the end."""
    import torch

    torch.set_num_threads(1)
    maker = ScreeningMaker.from_level(force_field(level))
    maker.final_maker.relax_kwargs["interval"] = 1  # a frame of each force call
    maker.load_engine()
    settings = ProbeSettings(n_structures=n_structures, max_atoms=ATOMS[1])
    rows = []
    for formula in formulas:
        start = time.process_time()
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
        single = candidate.energy_per_atom
        if candidate.state != "running" or single is None:
            continue
        try:
            result = maker.final_maker._run_ase_safe(candidate.structure)
        except Exception as error:  # a candidate that the engine cannot relax is left out, and named
            print(probe.generator, error, flush=True)
            continue
        energies = [float(frame["energy"]) / len(probe.structure) for frame in result.trajectory.frame_properties]
        sound = bool(result.converged) and not why_rejected(candidate.start, result.final_mol_or_struct)
        found.append({"generator": probe.generator, "single_point": single, "energies": energies, "sound": sound})
    return found


def figures(rows: Sequence[dict[str, Any]], funnel: Funnel) -> tuple[float, ...]:
    """Share of the force calls; meV/atom above the lowest, mean and median; shares within 5 and beyond 20."""
    above, calls, whole = [], 0, 0
    for row in rows:
        candidates = row["candidates"]
        lowest = min((c["energies"][-1] for c in candidates if c["sound"]), default=None)
        found, spent = replayed(candidates, funnel)
        if lowest is not None and found is not None:
            above.append(1000 * (found - lowest))
            calls, whole = calls + spent, whole + sum(len(c["energies"]) + 1 for c in candidates)
    far = np.array(above)
    within, beyond = float(np.mean(far < 5)), float(np.mean(far > 20))
    return calls / whole, float(far.mean()), float(np.median(far)), within, beyond


def replayed(relaxations: Sequence[dict[str, Any]], funnel: Funnel) -> tuple[float | None, int]:
    """The energy, eV/atom, that a funnel ends with, and its force calls."""
    rounds, n_final, weight = funnel
    candidates = [Candidate(r["generator"], None, None, energy_per_atom=r["single_point"]) for r in relaxations]
    energies_of = {id(c): r["energies"] for c, r in zip(candidates, relaxations, strict=True)}
    is_sound = {id(c): r["sound"] for c, r in zip(candidates, relaxations, strict=True)}
    at = dict.fromkeys(energies_of, 0)
    gained = dict.fromkeys(energies_of, 0.0)
    calls = len(candidates)

    def go_on(candidate: Candidate, steps: int) -> None:
        nonlocal calls
        key, before = id(candidate), candidate.rank
        after = min(at[key] + steps, len(energies_of[key]) - 1)
        calls += after - at[key] + 1
        at[key], candidate.energy_per_atom = after, energies_of[key][after]
        gained[key] = before - candidate.rank

    def in_order(some: Sequence[Candidate]) -> list[Candidate]:
        return sorted(some, key=lambda c: c.rank - weight * gained[id(c)])

    remaining, wider = in_order(candidates), for_their_kinds(candidates)
    for n, steps in rounds:
        remaining = in_proportion(remaining)[: round(n * wider)]
        for candidate in remaining:
            go_on(candidate, steps)
        remaining = in_order(remaining)
    n_final = round(n_final * wider)
    finished = a_place_for_each_kind(remaining, n_final)[:n_final]
    for candidate in finished:
        go_on(candidate, len(energies_of[id(candidate)]))
    return min((c.rank for c in finished if is_sound[id(c)]), default=None), calls


if __name__ == "__main__":
    main()
