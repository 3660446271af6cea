"""Is it the level of theory or the structure? PBE of our own structures of Li-Sn-S-Cl, beside the published PBE.

    python benchmarks/li_sn_s_cl.py --data FILE.csv --refine sevennet --known --cache screened.jsonl --json a.json
    python benchmarks/dft_of_ours.py --data FILE.csv --cache screened.jsonl --limit 30 --json b.json

CP2K single points (loop doctor --setup cp2k) of the structures that the first command left lowest at SevenNet, in their
primitive cells: a random subset of the compositions with up to `--max-atoms`, and the competing phases in their known
structures. One calculation after another; those in the folder of `--outputs` are not repeated. The hulls, one per
level, are of the salts with tin(IV) alone, which is what neutral mixtures with no other tin fall apart into.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jobflow import JobStore, run_locally
from li_sn_s_cl import agreement, published_energies, published_references
from maggma.stores import MemoryStore
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition, Structure

from dft.engines import chgnet
from dft.first_principles import FirstPrinciplesMaker, first_principles_level
from dft.hull import hull_points
from dft.probes import ProbeStructure
from dft.structure_files import smallest_cell
from dft.workflows import structure_hash

ELEMENTS = ("Li", "Sn", "S", "Cl")

#: Known phases in which tin, if any, is tin(IV).
SALTS = ("Li2S", "LiCl", "SnS2", "SnCl4", "Li4SnS4", "Li2SnS3", "Li2SnCl6")

SETTINGS = {
    "basis": "DZVP-MOLOPT-SR-GTH",
    "cutoff": 400,
    "kpoint_density": 5,
    "spin_polarized": False,
    "smearing": False,
    "input": {"alpha": 0.4, "eps_scf": 1e-5},
}

#: What is compared with what. The first two share their structures, those of `sevennet`; `chgnet` has its own, and so
#: has what was published.
PAIRS = (
    ("chgnet there", "pbe"),
    ("sevennet", "pbe"),
    ("pbe", "published"),
    ("sevennet", "published"),
    ("chgnet", "published"),
)

#: Of `agreement`, what says something of a pair.
FIGURES = ("spearman", "mae_meV_per_atom", "mean_error_meV_per_atom", "mae_without_mean_error_meV_per_atom")

MEV = 1000.0  # meV per eV


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="li_sn_s_cl_dft.csv")
    parser.add_argument("--cache", type=Path, required=True, help="that of li_sn_s_cl.py --refine sevennet --known")
    parser.add_argument("--limit", type=int, default=30, help="a random subset of so many compositions")
    parser.add_argument("--max-atoms", type=int, default=20, help="of a primitive cell")
    parser.add_argument("--seed", type=int, default=0, help="of the subset")
    parser.add_argument("--outputs", type=Path, default=Path("dft-of-ours"), help="where CP2K's energies are kept")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    table = pd.read_csv(args.data)
    energies = {"published": published_energies(table)}
    screened = [row for row in map(json.loads, args.cache.read_text().splitlines()) if row["state"] == "done"]
    of_level = {name: lowest(screened, name) for name in ("chgnet", "sevennet")}
    energies |= {name: {f: row["energy_per_atom"] for f, row in of_level[name].items()} for name in of_level}
    refined = of_level["sevennet"]
    if missing := [f for f in SALTS if f not in refined]:
        parser.error(f"{args.cache} lacks {', '.join(missing)} in their known structures at SevenNet")
    cells = {f: smallest_cell(Structure.from_dict(row["structure"])) for f, row in refined.items()}
    small = [f for f in energies["published"] if f not in SALTS and f in cells and len(cells[f]) <= args.max_atoms]
    order = np.random.default_rng(args.seed).permutation(len(small))  # a larger subset holds the smaller ones
    chosen = [small[i] for i in order[: args.limit]]
    energies["chgnet there"] = {f: chgnet_energy(cells[f]) for f in [*SALTS, *chosen]}
    energies["pbe"] = {f: pbe(f, cells[f], args.outputs) for f in SALTS}
    for formula in chosen:
        try:
            energies["pbe"][formula] = pbe(formula, cells[formula], args.outputs)
        except NoEnergyError as error:
            print(f"left out: {error}", flush=True)
    asked, chosen = chosen, [f for f in chosen if f in energies["pbe"]]
    _, references = published_references(table)
    energies["published"] |= {e.composition.reduced_formula: float(e.energy_per_atom) for e in references}
    above = {name: above_the_salts(each, chosen) for name, each in energies.items()}
    rows = [{"composition": f, "atoms": len(cells[f]), **{name: above[name][f] for name in above}} for f in chosen]
    result = {
        "n": len(rows),
        "left_out": sorted(set(asked) - set(chosen)),
        "pairs": {f"{a}, {b}": _agreement(rows, a, b) for a, b in PAIRS},
        "pbe_below_published_by_more_than_10": sum(r["published"] - r["pbe"] > 10 for r in rows),
        "pbe_above_published_by_more_than_10": sum(r["pbe"] - r["published"] > 10 for r in rows),
        "rows": rows,
    }
    args.json.write_text(json.dumps(result, indent=1) + "\n")
    print(pd.DataFrame(rows).sort_values("pbe").to_string(index=False))
    print(json.dumps({key: result[key] for key in result if key != "rows"}, indent=1))


def lowest(rows: Iterable[dict[str, Any]], level: str) -> dict[str, dict[str, Any]]:
    """By formula, the row of a level that counts: of a salt that in its known structure, of a probe the latest."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        formula = Composition(row["formula"]).reduced_formula
        is_known = row["generator"].startswith("known structure")
        if row["level"].startswith(level) and is_known == (formula in SALTS):
            found[formula] = row
    return found


class NoEnergyError(Exception):
    """CP2K has ended without an energy."""


def pbe(formula: str, cell: Structure, outputs: Path) -> float:
    """Energy of a single point, eV/atom, computed or read.

    Raises:
        NoEnergyError: If there is none, now or before: to try again, the file that says so has to go.
    """
    level = first_principles_level("cp2k-static", **SETTINGS)
    maker, probe = FirstPrinciplesMaker.from_level(level), ProbeStructure(cell, "ours")
    kept = outputs / f"{structure_hash([probe], maker.level, maker.funnel)}.json"
    if not kept.exists():
        outputs.mkdir(parents=True, exist_ok=True)
        start, flow = time.perf_counter(), maker.make([probe])
        store = JobStore(MemoryStore())
        done = run_locally(flow, store=store, create_folders=True, root_dir=outputs, log=False)
        output = done[flow.output.uuid][1].output if flow.output.uuid in done else {"reason": "CP2K ended in error"}
        row = {"formula": formula, "energy_per_atom": output.get("energy_per_atom"), "reason": output["reason"]}
        kept.write_text(json.dumps(row) + "\n")
        print(f"{formula:16s} {len(cell):3d} atoms {time.perf_counter() - start:6.0f} s", flush=True)
    row = json.loads(kept.read_text())
    if row["energy_per_atom"] is None:
        raise NoEnergyError(f"{formula}, {row['reason']} ({kept})")
    return float(row["energy_per_atom"])


def chgnet_energy(cell: Structure) -> float:
    """CHGNet's energy of a structure as it stands, eV/atom."""
    atoms = cell.to_ase_atoms()
    atoms.calc = chgnet("0.3.0")
    return float(atoms.get_potential_energy()) / len(atoms)


def above_the_salts(energies: dict[str, float], formulas: list[str]) -> dict[str, float]:
    """Signed energies above the hull of the salts, meV/atom."""
    fractions = [[Composition(f).get_atomic_fraction(e) for e in ELEMENTS] for f in SALTS]
    shifts = np.linalg.lstsq(np.array(fractions), np.array([energies[f] for f in SALTS]), rcond=None)[0]
    zeros = dict(zip(ELEMENTS, shifts.tolist(), strict=True))

    def entry(formula: str) -> PDEntry:
        composition = Composition(formula)
        energy = composition.num_atoms * energies[formula] - sum(n * zeros[e.symbol] for e, n in composition.items())
        return PDEntry(composition, energy)

    out_of_the_way = [PDEntry(Composition(e), 1.0) for e in ELEMENTS]  # eV: no salt falls apart into elements
    points = hull_points([entry(f) for f in formulas], [*out_of_the_way, *(entry(f) for f in SALTS)])
    return {f: round(MEV * point.e_above_competing, 1) for f, point in zip(formulas, points, strict=True)}


def _agreement(rows: list[dict[str, Any]], ours: str, theirs: str) -> dict[str, Any]:
    found = agreement([{"published": r[theirs], "ours": r[ours]} for r in rows])
    return {key: found[key] for key in FIGURES}


if __name__ == "__main__":
    main()
