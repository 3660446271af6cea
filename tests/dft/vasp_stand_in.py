"""A stand-in for the VASP program, to try out the plumbing around it: inputs, custodian, parsers, task documents.

It reads VASP's input files and writes the parts of its output files that pymatgen, custodian and emmet read. Energies
are those of the project's pair potential, which knows neither electrons nor chemistry: they mean nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import BFGS

from dft.pair_potential import LennardJones

#: eV/Å³ in kB, the unit of VASP's stress.
KILOBAR = 1602.1766208

#: What VASP takes where INCAR is silent, of the tags that its readers ask for.
DEFAULTS: dict[str, Any] = {"EDIFFG": 1e-3, "IBRION": -1, "ISIF": 2, "ISPIN": 1, "LASPH": False, "LDAU": False}
DEFAULTS |= {"LORBIT": 0, "NELM": 60, "NSW": 0}


@dataclass
class Step:
    """One ionic step."""

    atoms: Atoms
    energy: float
    forces: np.ndarray
    stress: np.ndarray


def main() -> None:
    options = arguments()
    for name in ("INCAR", "POSCAR", "POTCAR"):
        if not Path(name).is_file():
            sys.exit(f"stand-in for VASP: {name} is missing")
    incar = dict(map(tag, re.findall(r"^\s*(\w+)\s*=\s*(.+?)\s*$", Path("INCAR").read_text(), re.MULTILINE)))
    if not Path("KPOINTS").is_file() and "KSPACING" not in incar:
        sys.exit("stand-in for VASP: KPOINTS is missing, and INCAR has no KSPACING")
    atoms = read("POSCAR", format="vasp")
    potcar = Path("POTCAR").read_text()
    wanted, found = Path("POSCAR").read_text().splitlines()[5].split(), re.findall(r"VRHFIN =\s*(\w+)", potcar)
    if wanted != found:
        sys.exit(f"stand-in for VASP: POSCAR has {' '.join(wanted)}, and POTCAR has {' '.join(found)}")
    if options.dies:
        sys.exit("stand-in for VASP: dies as it was asked to")
    tags = {**DEFAULTS, "GGA": options.gga, **incar}
    electrons = dict(zip(found, map(float, re.findall(r"ZVAL\s*=\s*([\d.]+)", potcar)), strict=True))
    tags["NELECT"] = sum(electrons[symbol] for symbol in atoms.symbols)
    steps = relax(atoms, tags, options.force_limit)
    n_scf = min(options.scf_steps, tags["NELM"])
    titles = re.findall(r"TITEL\s*=\s*(.+?)\s*$", potcar, re.MULTILINE)
    write_vasprun(incar, tags, titles, steps, n_scf, options.no_energy)
    write_outcar(tags, steps)
    write_oszicar(steps, n_scf)
    write("CONTCAR", steps[-1].atoms, format="vasp", direct=True, vasp5=True)
    for name in ("CHGCAR", "WAVECAR"):  # VASP makes these files even where it is to leave them empty
        Path(name).touch()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gga", default="--", help="what vasprun.xml calls the functional that INCAR does not name")
    parser.add_argument("--dies", action="store_true", help="end with an error before anything is written")
    parser.add_argument("--no-energy", action="store_true", help="write a vasprun.xml without energies")
    parser.add_argument("--scf-steps", type=int, default=9, help="electronic steps, NELM of them at most")
    parser.add_argument("--force-limit", type=float, default=1e-3, help="eV/Å; 0 is never reached")
    return parser.parse_args()


def tag(pair: tuple[str, str]) -> tuple[str, Any]:
    """Name and value of a line of INCAR; a list stays text."""
    name, text = pair
    if text.strip(".").upper() in ("TRUE", "FALSE", "T", "F"):
        return name, text.strip(".").upper().startswith("T")
    for kind in (int, float):
        try:
            return name, kind(text)
        except ValueError:
            pass
    return name, text


def relax(atoms: Atoms, tags: dict[str, Any], force_limit: float) -> list[Step]:
    """The ionic steps: one for a static run, NSW at most, with the cell free where ISIF is 3."""
    atoms.calc = LennardJones()
    steps: list[Step] = []

    def keep() -> None:
        stress = -KILOBAR * atoms.get_stress(voigt=False)  # VASP's sign is the other one
        steps.append(Step(atoms.copy(), atoms.get_potential_energy(), atoms.get_forces(), stress))

    if tags["NSW"] < 1:
        keep()
        return steps
    optimiser = BFGS(FrechetCellFilter(atoms) if tags["ISIF"] == 3 else atoms, logfile=None)
    optimiser.attach(keep)
    optimiser.run(fmax=force_limit, steps=tags["NSW"] - 1)  # the first step is where it starts
    return steps


def write_vasprun(
    incar: dict[str, Any], tags: dict[str, Any], titles: list[str], steps: list[Step], n_scf: int, no_energy: bool
) -> None:
    root = ElementTree.Element("modeling")
    generator = add(root, "generator")
    for name, value in (("program", "stand-in"), ("version", "0.0.0"), ("date", "2000 01 01"), ("time", "00:00:00")):
        add(generator, "i", value, name=name, type="string")
    add_tags(add(root, "incar"), incar)
    kpoints = add(root, "kpoints")
    mesh = add(kpoints, "generation", param="Gamma")
    add(mesh, "v", "1 1 1", name="divisions", type="int")
    add(mesh, "v", "0 0 0", name="usershift")
    add_rows(kpoints, "kpointlist", np.zeros((1, 3)))
    add_rows(kpoints, "weights", np.ones((1, 1)))
    add_tags(add(root, "parameters"), tags)
    add_atoms(add(root, "atominfo"), steps[0].atoms, titles)
    add_structure(root, steps[0].atoms, name="initialpos")
    for step in steps:
        calculation = add(root, "calculation")
        if not no_energy:
            for _ in range(n_scf):
                add_energy(add(calculation, "scstep"), step.energy)
            add_energy(calculation, step.energy)
        add_structure(calculation, step.atoms)
        add_rows(calculation, "forces", step.forces)
        add_rows(calculation, "stress", step.stress)
    add_bands(calculation, tags["ISPIN"])
    add_structure(root, steps[-1].atoms, name="finalpos")
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write("vasprun.xml", encoding="ISO-8859-1", xml_declaration=True)


def add(parent: ElementTree.Element, kind: str, text: str = "", **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, kind, attributes)
    element.text = text
    return element


def add_tags(parent: ElementTree.Element, tags: dict[str, Any]) -> None:
    kinds = {bool: "logical", int: "int", float: "float", str: "string"}
    for name, value in tags.items():
        text = ("T" if value else "F") if isinstance(value, bool) else str(value)
        if name == "MAGMOM":  # the only list that the tests meet
            moments = [each.split("*") for each in text.split()]
            add(parent, "v", " ".join(" ".join([m[-1]] * int(m[0] if m[1:] else 1)) for m in moments), name=name)
        else:
            add(parent, "i", text, name=name, type=kinds[type(value)])


def add_rows(parent: ElementTree.Element, name: str, rows: np.ndarray) -> None:
    array = add(parent, "varray", name=name)
    for row in rows:
        add(array, "v", " ".join(f"{x:.10f}" for x in row))


def add_structure(parent: ElementTree.Element, atoms: Atoms, **name: str) -> None:
    structure = add(parent, "structure", **name)
    add_rows(add(structure, "crystal"), "basis", atoms.cell.array)
    add_rows(structure, "positions", atoms.get_scaled_positions())


def add_atoms(parent: ElementTree.Element, atoms: Atoms, titles: list[str]) -> None:
    symbols = add(add(parent, "array", name="atoms"), "set")
    for symbol in atoms.symbols:
        add(add(symbols, "rc"), "c", symbol)
    types = add(add(parent, "array", name="atomtypes"), "set")
    for title in titles:
        row = add(types, "rc")
        for text in ("", "", "", "", title):  # pymatgen reads the fifth column alone
            add(row, "c", text)


def add_energy(parent: ElementTree.Element, energy: float) -> None:
    element = add(parent, "energy")
    for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy"):
        add(element, "i", f"{energy:.8f}", name=name)


def add_bands(parent: ElementTree.Element, n_spins: int) -> None:
    """An insulator's: one band at -1 eV, one at 4 eV, and the Fermi energy between."""
    bands, total = add(add(add(parent, "eigenvalues"), "array"), "set"), add(parent, "dos")
    add(total, "i", "0.0", name="efermi")
    density = add(add(add(total, "total"), "array"), "set")
    for spin in range(1, n_spins + 1):
        kpoint = add(add(bands, "set", comment=f"spin {spin}"), "set", comment="kpoint 1")
        levels = add(density, "set", comment=f"spin {spin}")
        for energy, occupation in ((-1.0, 1.0), (4.0, 0.0)):
            add(kpoint, "r", f"{energy} {occupation}")
            add(levels, "r", f"{energy} 1.0 1.0")


def write_outcar(tags: dict[str, Any], steps: list[Step]) -> None:
    lines = [" running on    1 total cores", f"   ISPIN  = {tags['ISPIN']}", f"   IBRION = {tags['IBRION']}"]
    lines += ["   number of bands    NBANDS=      2", " total plane-waves  NPLWV =    100"]
    for step in steps:
        lines += [" total drift:  0.0  0.0  0.0", f"  free  energy   TOTEN  = {step.energy:.8f} eV"]
        lines += [f"  energy  without entropy= {step.energy:.8f}  energy(sigma->0) = {step.energy:.8f}"]
    lines += [
        " E-fermi :   0.0",
        f" number of electron {tags['NELECT']:.4f} magnetization 0.0",
        " magnetization (x)",
        "",
    ]
    lines += ["# of ion       s       p       d       tot", "-" * 42]
    lines += [f"{i:5d}       0.000   0.000   0.000   0.000" for i in range(1, len(steps[0].atoms) + 1)]
    lines += ["-" * 42, "tot         0.000   0.000   0.000   0.000", "  Total CPU time used (sec):  0.0"]
    Path("OUTCAR").write_text("\n".join(lines) + "\n")


def write_oszicar(steps: list[Step], n_scf: int) -> None:
    lines, before = [], 0.0
    for number, step in enumerate(steps, 1):
        lines.append("       N       E                     dE             d eps       ncg     rms")
        lines += [f"DAV: {i:3d}  {step.energy:.8E}  0.0  0.0  1  0.0" for i in range(1, n_scf + 1)]
        lines.append(f" {number} F= {step.energy:.8E} E0= {step.energy:.8E}  d E ={step.energy - before:.6E}")
        before = step.energy
    Path("OSZICAR").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
