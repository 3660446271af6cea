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

from dft.candidates import Candidate
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
    "6x6 4x12, 4 finished": (((6, 6), (4, 12)), 4, 0.0),
    "10x6 5x12, 4 finished": (((10, 6), (5, 12)), 4, 0.0),
    "thorough": (SEARCHES["thorough"].rounds, SEARCHES["thorough"].n_final, 0.0),
    "thorough, gains count": (SEARCHES["thorough"].rounds, SEARCHES["thorough"].n_final, 0.5),
    "all x4, 8x8, 4 finished": (((99, 4), (8, 8)), 4, 0.0),
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
    print(f"{'':26s}{'calls':>7s}{'mean':>7s}{'median':>8s}{'within 5':>10s}{'beyond 20':>11s}")
    for name, funnel in FUNNELS.items():
        print(f"{name:26s}{'{:7.2f}{:7.1f}{:8.1f}{:10.2f}{:11.2f}'.format(*figures(rows, funnel))}", flush=True)


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
        found.append({"single_point": single, "energies": energies, "sound": sound})
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


def replayed(candidates: Sequence[dict[str, Any]], funnel: Funnel) -> tuple[float | None, int]:
    """The energy, eV/atom, that a funnel ends with, and its force calls."""
    rounds, n_final, weight = funnel
    at = [-1] * len(candidates)
    energy = [c["single_point"] for c in candidates]
    score, calls = list(energy), len(candidates)

    def go_on(i: int, steps: int) -> None:
        nonlocal calls
        energies = candidates[i]["energies"]
        after = min(max(at[i], 0) + steps, len(energies) - 1)
        calls += after - max(at[i], 0) + 1
        before, at[i], energy[i] = energy[i], after, energies[after]
        score[i] = energy[i] - weight * (before - energy[i])

    running = sorted(range(len(candidates)), key=score.__getitem__)
    for n, steps in rounds:
        running = running[:n]
        for i in running:
            go_on(i, steps)
        running.sort(key=score.__getitem__)
    for i in running[:n_final]:
        go_on(i, len(candidates[i]["energies"]))
    ended = [energy[i] for i in running[:n_final] if candidates[i]["sound"]]
    return min(ended, default=None), calls


if __name__ == "__main__":
    main()
