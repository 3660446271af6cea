"""What a probe composition costs: our funnel, and every candidate relaxed fully in a job of its own, side by side.

    python benchmarks/probe_cost.py [--compositions Li3SnS3Cl Li3SnSCl5] [--search quick] [--json FILE]

Both start from the same structures, of 10 to 16 atoms unless others are named, and run through jobflow in this process;
the two take turns, composition by composition. Prints CPU seconds per composition, full relaxations per CPU minute, the
ratio of the two costs, and how much higher (meV/atom) the funnel ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Composition

from dft.levels import FORCE_FIELDS, LevelOfTheory, force_field
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.workflows import ScreeningMaker
from loop.config import DEFAULT_GENERATORS
from loop.ladder import SEARCHES

#: Of Li-Sn-S-Cl, 10 to 16 atoms in the formula or its multiple.
COMPOSITIONS = ("Li3SnS3Cl", "Li2SnS2Cl2", "Li5SnS4Cl", "Li4SnS2Cl4", "LiSn2S4Cl", "Li3Sn2S5Cl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compositions", nargs="+", default=list(COMPOSITIONS))
    parser.add_argument("--level", choices=FORCE_FIELDS, default="chgnet")
    parser.add_argument("--search", default="quick", choices=sorted(SEARCHES), help="as in a campaign")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    chosen = force_field(arguments.level)
    search = SEARCHES[arguments.search]
    settings = ProbeSettings(DEFAULT_GENERATORS, n_structures=search.n_structures, max_atoms=16)
    funnel = ScreeningMaker.from_level(chosen, **search.funnel)
    funnel.load_engine()
    rows = [compare(formula, settings, funnel, chosen, arguments.seed) for formula in arguments.compositions]
    figures = {"rows": rows, **summary(rows)}
    print(json.dumps(figures["summary"], indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def compare(
    formula: str, settings: ProbeSettings, funnel: ScreeningMaker, chosen: LevelOfTheory, seed: int
) -> dict[str, Any]:
    """Both ways at one composition."""
    building, probes = timed(lambda: build_probes(Composition(formula), settings, seed))
    screening, output = timed(lambda: _run(funnel.make(probes)))
    relaxing, energies = timed(lambda: every_candidate(probes, chosen))
    row = {
        "composition": formula,
        "structures": len(probes),
        "atoms": sum(len(probe.structure) for probe in probes) / len(probes),
        "relaxed": len(energies),
        "building_cpu_s": building,
        "funnel_cpu_s": screening,
        "every_candidate_cpu_s": relaxing,
        "funnel_higher_by_meV_per_atom": 1000 * (output["energy_per_atom"] - min(energies)),
    }
    print({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
    return row


def every_candidate(probes: list[ProbeStructure], chosen: LevelOfTheory) -> list[float]:
    """Energies (eV/atom) of the candidates, each relaxed to the force limit by an atomate2 job of its own, in turn."""
    energies = []
    for probe in probes:
        try:
            document = _run(chosen.relax_maker().make(probe.structure))
        except RuntimeError:  # a candidate that the engine cannot relax costs its time and gives no energy
            continue
        if document.is_force_converged:
            energies.append(document.output.energy_per_atom)
    return energies


def _run(job: Any) -> Any:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    done = run_locally(Flow([job]), store=store, ensure_success=True, log=False)
    return done[job.uuid][1].output


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds that a call takes, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The figures, over all compositions."""
    total = {key: sum(row[key] for row in rows) for key in rows[0] if key.endswith("_cpu_s")}
    funnel = total["building_cpu_s"] + total["funnel_cpu_s"]
    everything = total["building_cpu_s"] + total["every_candidate_cpu_s"]
    return {
        "summary": {
            "compositions": len(rows),
            "CPU-s per composition": round(funnel / len(rows), 1),
            "CPU-s per composition, every candidate": round(everything / len(rows), 1),
            "ratio": round(everything / funnel, 2),
            "full relaxations per CPU minute": round(
                60 * sum(row["structures"] for row in rows) / total["every_candidate_cpu_s"], 1
            ),
            "funnel higher by at most, meV/atom": round(max(row["funnel_higher_by_meV_per_atom"] for row in rows), 1),
        }
    }


if __name__ == "__main__":
    main()
