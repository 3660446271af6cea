"""Structures as the page carries them: small enough to embed hundreds, complete enough for a CIF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter


def compact(structure: Mapping[str, Any]) -> dict[str, Any]:
    """A structure as the viewer reads it.

    Args:
        structure: Pymatgen dictionary.

    Returns:
        ``cell`` (a, b, c in Å, alpha, beta, gamma in degrees), ``symbols`` and ``sites`` (fractional, from 0 to 1).
    """
    atoms = Structure.from_dict(dict(structure))
    return {
        "cell": [round(float(x), 5) for x in atoms.lattice.parameters],
        "symbols": [site.specie.symbol for site in atoms],
        "sites": [[round(float(x) % 1.0, 5) % 1.0 for x in site.frac_coords] for site in atoms],
    }


def element_looks(symbols: set[str]) -> dict[str, dict[str, Any]]:
    """Colour (as Jmol draws it) and covalent radius in Å (Cordero et al., doi 10.1039/b801115j) of each element."""
    looks = {}
    for symbol in sorted(symbols):
        number = atomic_numbers[symbol]
        red, green, blue = (round(255 * float(part)) for part in jmol_colors[number])
        looks[symbol] = {"colour": [red, green, blue], "radius": round(float(covalent_radii[number]), 2)}
    return looks


def write_cif(structure: Mapping[str, Any], path: Path) -> Path:
    """Write a structure as CIF with all its atoms (space group P1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    CifWriter(Structure.from_dict(dict(structure))).write_file(str(path))
    return path
