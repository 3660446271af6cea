"""Structures as the page carries them: small enough to embed hundreds, complete enough for a CIF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors
from pymatgen.core import Lattice

_P1 = (
    "_symmetry_space_group_name_H-M 'P 1'",
    "_symmetry_Int_Tables_number 1",
    "loop_",
    "_symmetry_equiv_pos_site_id",
    "_symmetry_equiv_pos_as_xyz",
    "1 'x, y, z'",
)
_CELL = tuple(
    f"_cell_{name}" for name in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
_SITES = (
    "loop_",
    "_atom_site_type_symbol",
    "_atom_site_label",
    "_atom_site_symmetry_multiplicity",
    "_atom_site_fract_x",
    "_atom_site_fract_y",
    "_atom_site_fract_z",
    "_atom_site_occupancy",
)


def compact(structure: Mapping[str, Any]) -> dict[str, Any]:
    """A structure as the viewer reads it.

    Args:
        structure: Pymatgen dictionary.

    Returns:
        ``cell`` (a, b, c in Å, alpha, beta, gamma in degrees), ``symbols`` and ``sites`` (fractional, from 0 to 1).
    """
    cell, symbols, sites = _parts(structure)
    return {
        "cell": [round(x, 5) for x in cell],
        "symbols": symbols,
        "sites": [[round(x, 5) % 1.0 for x in site] for site in sites],
    }


def _parts(structure: Mapping[str, Any]) -> tuple[list[float], list[str], list[list[float]]]:
    """Cell, symbols and sites of an ordered structure, read without building it: a page holds hundreds."""
    cell = [float(x) for x in Lattice(structure["lattice"]["matrix"]).parameters]
    symbols = [str(site["species"][0]["element"]) for site in structure["sites"]]
    return cell, symbols, [[float(x) % 1.0 for x in site["abc"]] for site in structure["sites"]]


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
    path.write_text(cif(structure), encoding="utf-8")
    return path


def cif(structure: Mapping[str, Any]) -> str:
    """A structure as the text of a CIF; lengths in Å, angles in degrees, coordinates to 1e-8."""
    cell, symbols, sites = _parts(structure)
    counts: Counter[str] = Counter()
    rows = []
    for symbol, site in zip(symbols, sites, strict=True):
        counts[symbol] += 1
        place = " ".join(f"{x:.8f}" for x in site)
        rows.append(f"{symbol} {symbol}{counts[symbol]} 1 {place} 1")
    name = "".join(f"{symbol}{n}" for symbol, n in counts.items())
    lengths = [f"{key} {x:.8f}" for key, x in zip(_CELL, cell, strict=True)]
    return "\n".join([f"data_{name}", *_P1, *lengths, *_SITES, *rows, ""])
