"""How often the offline search of a campaign reaches the structure that a compound is known to have.

    python benchmarks/known_types.py --json out.json

Compounds of two and three elements and the AFLOW type (Mehl et al., Comput. Mater. Sci. 136, S1 (2017), doi
10.1016/j.commatsci.2017.01.017) that each is known to crystallise in (Villars & Calvert, Pearson's Handbook of
Crystallographic Data, 1991), none of them the compound that AFLOW describes the type for. The type, in both assignments
of the elements, is relaxed at the same level; the search does not know which it is. Prints by how much the search ends
above it, meV/atom: a minus sign means that the search found something lower.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Composition, Structure

from dft.candidates import Candidate
from dft.competing import build_competing
from dft.levels import FORCE_FIELDS, force_field
from dft.probes import ProbeSettings
from dft.probes.prototypes import in_known_types
from dft.probes.volumes import volume_of_elements
from dft.workflows import ScreeningMaker
from loop.ladder import SEARCHES

#: By AFLOW's label, the end of it.
TYPES = {
    "B1": "AgCl CaS FeO LaAs MgO MnS RbI ScN TiN VN YP",
    "B2": "CsI TlCl",
    "B3": "AlP CuI InP ZnTe",
    "B4": "AgI AlN CdSe GaN",
    "B8_1": "CoTe CrSe NiSe NiTe VS",
    "B10": "SnO",
    "B17": "PdO",
    "B31": "CoP CrAs FeAs FeP RuP",
    "B33": "InBr TlI",
    '"40"': "NbAs TaAs TaP",
    "C1": "BaF2 K2Te Na2O SrCl2",
    "C2": "CoSe2 NiS2 RuS2",
    "C3": "Ag2O",
    "C4": "MgF2 SnO2",
    "C6": "MgBr2 NiTe2 PtTe2 SnS2 TiTe2",
    "C7": "MoSe2 MoTe2 WS2 WSe2",
    "C18": "CoTe2 FeAs2",
    "C22": "Ni2P",
    "C23": "BaCl2 SnCl2",
    "C37": "Co2P",
    "C43": "HfO2",
    "D0_2": "CoP3 IrAs3 RhAs3",
    "D0_5": "CrI3 VCl3",
    "D0_9": "ScF3",
    "D0_15": "YCl3",
    "D5_1": "Cr2O3 Ti2O3",
    "D5_8": "Bi2S3 Sb2Se3",
    "C33": "Bi2Se3 Sb2Te3",
    "E0_1": "BaFCl BiOCl LaOCl",
    "E1_1": "AgGaS2 CuInSe2",
    "F5_1": "LiCoO2 NaInO2",
    "H1_1": "MgCr2O4 ZnAl2O4",
    "AB3C_hR10_148_c_f_c": "MgTiO3",
    "AB3C_oP20_62_c_cd_a": "CaTiO3 LaFeO3 NaMgF3 YAlO3",
    "G0_1": "MnCO3",
}

#: Known structures begin at this volume, in that of the elements as solids, with single points that mend it.
START = 0.8

#: meV/atom: bounds of the table.
BOUNDS = (5, 10, 20, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", choices=FORCE_FIELDS, default="chgnet")
    parser.add_argument("--search", choices=SEARCHES, default="quick")
    parser.add_argument("--formulas", nargs="+", help="of the table; all without it")
    parser.add_argument("--json", type=Path, help="where the figures go")
    arguments = parser.parse_args()
    maker = _maker(arguments.level, arguments.search)
    rows = []
    for label, formulas in TYPES.items():
        for formula in formulas.split():
            if not arguments.formulas or formula in arguments.formulas:
                rows.append(_row(formula, label, maker, SEARCHES[arguments.search].n_structures))
                print("{formula:10s} {type:22s} {above!s:>8} {found_as}".format(**rows[-1]), flush=True)
    above = np.array([row["above"] for row in rows if row["above"] is not None])
    print(f"{len(rows)} compounds, {len(rows) - len(above)} without an energy; median {np.median(above):.1f} meV/atom")
    print(", ".join(f"{np.sum(above < bound)} below {bound}" for bound in BOUNDS), "meV/atom")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


def _maker(level: str, search: str) -> ScreeningMaker:
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    settings = SEARCHES[search]
    return ScreeningMaker.from_level(force_field(level), **settings.funnel)


def _row(formula: str, label: str, maker: ScreeningMaker, n_structures: int) -> dict[str, Any]:
    """The type's energy, that of the search above it (meV/atom), how this was found, and its force calls."""
    composition = Composition(formula)
    starts = [structure for name, _, structure in in_known_types(composition) if name.split()[-1] == label]
    ends = [_relaxed(structure, maker) for structure in starts]
    found = maker.make.original(maker, build_competing(formula, ProbeSettings(n_structures=n_structures), 0))
    known, energy = min(filter(None, ends), default=None), found["energy_per_atom"]
    above = None if known is None or energy is None else round(1000 * (energy - known), 1)
    row = {"formula": formula, "type": label, "known": known, "above": above, "found_as": found["generator"]}
    return {**row, "reason": found["reason"], "force_calls": found["force_calls"]}


def _relaxed(structure: Structure, maker: ScreeningMaker) -> float | None:
    """Energy of a structure at the force limit, eV/atom; nothing if it does not get there."""
    structure.scale_lattice(START * volume_of_elements(structure.composition))
    candidate = Candidate("prototype: known", structure, structure)  # as a prototype it gets several single points
    maker._single_point(candidate)
    if candidate.state == "running":
        maker._relax(candidate, lowest=np.inf)
    return candidate.energy_per_atom if candidate.state == "done" else None


if __name__ == "__main__":
    main()
