"""Compute volume and energy of the elements as bcc crystals with CHGNet, for eight Magpie descriptors.

The published descriptor table has eight columns for hypothetical bcc elements (OQMD) that matminer's Magpie data
leaves out. Takes about a minute on one core:

    python scripts/derive_bcc_elements.py [--out vae/data/bcc_elements.csv]

Volumes are scaled by the ratio of Magpie's ground-state volume to CHGNet's for the close-packed and diamond elements,
whose ground state is easily built, so that the two density functionals' settings cancel; the others are taken as they
are. Energies are taken relative to Magpie's ground state where the two agree on the valence, otherwise relative to
CHGNet's own (Ce, Eu, Gd: Magpie's energies are for 4f electrons in the core).
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, reference_states
from chgnet.model import CHGNet
from matminer.utils.data import MagpieData
from pymatgen.core import Lattice, Structure

#: Volumes tried, in multiples of Magpie's ground-state volume.
SCALES = np.linspace(0.6, 1.3, 25)
FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
#: Conventional cells: atoms and their fractional coordinates.
CUBIC: dict[str, tuple[int, list[list[float]]]] = {
    "bcc": (2, [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "fcc": (4, FCC),
    "diamond": (8, FCC + [[x + 0.25 for x in site] for site in FCC]),
}
#: ASE calls trigonal Se and Te hcp; noble gases and carbon have no meaningful CHGNet reference.
NOT_SIMPLE = {"Se", "Te", "Ne", "Ar", "Kr", "Xe", "Rn", "C", "He"}
#: eV/atom: a larger disagreement on the energy means different valences, not different physics.
VALENCE_MISMATCH = 0.6


def crystal(kind: str, symbol: str, volume: float) -> Structure:
    """One element as bcc, fcc, ideal hcp or diamond, at a volume per atom in Å^3."""
    if kind == "hcp":
        c_over_a = math.sqrt(8 / 3)
        a = (4 * volume / (c_over_a * math.sqrt(3))) ** (1 / 3)
        sites = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
        return Structure(Lattice.hexagonal(a, c_over_a * a), [symbol] * 2, sites)
    n_atoms, sites = CUBIC[kind]
    return Structure(Lattice.cubic((n_atoms * volume) ** (1 / 3)), [symbol] * n_atoms, sites)


def minimum(model: CHGNet, kind: str, symbol: str, volume: float) -> tuple[float, float]:
    """Volume (Å^3/atom) and energy (eV/atom) at the minimum of a parabola through the lowest three points."""
    volumes = SCALES * volume
    structures = [crystal(kind, symbol, float(v)) for v in volumes]
    energies = np.array([float(p["e"]) for p in model.predict_structure(structures, task="e", batch_size=25)])
    i = int(np.clip(energies.argmin(), 1, len(volumes) - 2))
    a, b, c = np.polyfit(volumes[i - 1 : i + 2], energies[i - 1 : i + 2], 2)
    if a <= 0 or energies.argmin() in (0, len(volumes) - 1):
        i = int(energies.argmin())
        return float(volumes[i]), float(energies[i])
    return float(-b / (2 * a)), float(c - b * b / (4 * a))


def bcc_row(model: CHGNet, symbol: str, volume: float, energy: float) -> tuple[float, float]:
    """Volume (Å^3/atom) of the bcc element and its energy above the ground state (eV/atom), on Magpie's scale."""
    v_bcc, e_bcc = minimum(model, "bcc", symbol, volume)
    above = e_bcc - energy
    kind = "diamond" if symbol == "Sn" else (reference_states[atomic_numbers[symbol]] or {}).get("symmetry")
    if kind in ("bcc", "fcc", "hcp", "diamond") and symbol not in NOT_SIMPLE:
        v_ground, e_ground = minimum(model, kind, symbol, volume)
        v_bcc *= volume / v_ground
        if above < -VALENCE_MISMATCH:
            above = e_bcc - e_ground
    return v_bcc, max(0.0, above)


def main() -> None:
    """Write one row per element that has Magpie ground-state data and that CHGNet knows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("vae/data/bcc_elements.csv"))
    magpie = MagpieData(impute_nan=False).all_elemental_props
    model = CHGNet.load(use_device="cpu", verbose=False)
    rows = []
    for symbol in chemical_symbols[1:95]:
        volume, energy = magpie["GSvolume_pa"][symbol], magpie["GSenergy_pa"][symbol]
        if math.isfinite(volume) and math.isfinite(energy):
            v_bcc, above = bcc_row(model, symbol, volume, energy)
            rows.append((symbol, f"{v_bcc:.2f}", f"{above:.3f}"))
    with parser.parse_args().out.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("element", "bcc_volume", "bcc_energy_above"), *rows])
    print(f"{len(rows)} elements")


if __name__ == "__main__":
    main()
