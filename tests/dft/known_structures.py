"""Crystal structures that compounds of Li-Sn-S-Cl, and two of another kind, are known to have, from the literature.

Lattice parameters are the measured ones. Where a refinement's coordinates are not at hand, those of the structure type
are taken: a relaxation that keeps the symmetry does the rest.
"""

from collections.abc import Callable
from functools import partial

from pymatgen.core import Lattice, Structure


def lithium_chloride() -> Structure:
    """Rocksalt, a = 5.13 Å (Wyckoff, Crystal Structures 1, 1963)."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def lithium_sulfide() -> Structure:
    """Antifluorite, a = 5.71 Å (Wyckoff, Crystal Structures 1, 1963)."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.71), ["Li", "S"], [[0.25, 0.25, 0.25], [0, 0, 0]])


def tin_disulfide() -> Structure:
    """CdI2 type (Hazen & Finger, Am. Mineral. 63, 289 (1978))."""
    cell = Lattice.hexagonal(3.648, 5.899)
    return Structure.from_spacegroup("P-3m1", cell, ["Sn", "S"], [[0, 0, 0], [1 / 3, 2 / 3, 0.25]])


def tin_sulfide() -> Structure:
    """GeS type (Wiedemeier & von Schnering, Z. Kristallogr. 148, 295 (1978), doi 10.1524/zkri.1978.148.3-4.295)."""
    cell = Lattice.orthorhombic(11.20, 3.987, 4.334)
    return Structure.from_spacegroup("Pnma", cell, ["Sn", "S"], [[0.12, 0.25, 0.12], [0.85, 0.25, 0.48]])


def tin_dichloride() -> Structure:
    """PbCl2 type (van den Berg, Acta Cryst. 14, 1002 (1961)); coordinates of the type."""
    cell = Lattice.orthorhombic(7.79, 4.43, 9.21)
    sites = [[0.246, 0.25, 0.096], [0.862, 0.25, 0.074], [0.479, 0.25, 0.836]]
    return Structure.from_spacegroup("Pnma", cell, ["Sn", "Cl", "Cl"], sites)


def tin_tetrachloride() -> Structure:
    """Tetrahedral molecules, Sn-Cl 2.28 Å, packed as in SiF4; SnCl4 itself packs them in P2_1/c.

    The volume is that of the crystal (Reuter & Pawlak, Z. Kristallogr. 215, 34 (2000)), 161 Å³ per molecule. How
    molecules are packed changes the energy by less than the force field can tell.
    """
    edge = (2 * 161.0) ** (1 / 3)
    x = 2.28 / 3**0.5 / edge
    return Structure.from_spacegroup("I-43m", Lattice.cubic(edge), ["Sn", "Cl"], [[0, 0, 0], [x, x, x]])


def lithium_orthostannate() -> Structure:
    """Li4SnS4, Li4GeS4 type (Kaib et al., Chem. Mater. 24, 2211 (2012), doi 10.1021/cm3011315).

    The framework of γ-Li3PO4, with the fourth lithium in an octahedron.
    """
    cell = Lattice.orthorhombic(13.812, 7.962, 6.367)
    species = ["Li", "Li", "Li", "Sn", "S", "S", "S"]
    sites = [[0.164, 0.501, 0.301], [0.423, 0.75, 0.206], [0.2, 0.25, 0.0], [0.4115, 0.25, 0.308]]
    sites += [[0.342, 0.024, 0.206], [0.051, 0.25, 0.294], [0.09, 0.75, 0.123]]
    return Structure.from_spacegroup("Pnma", cell, species, sites)


def lithium_metastannate() -> Structure:
    """Li2SnS3, C2/c (Brant et al., Chem. Mater. 27, 189 (2015), doi 10.1021/cm5037524); coordinates of Li2TiO3."""
    cell = Lattice.monoclinic(6.396, 11.086, 12.405, 99.87)
    species = ["Li", "Li", "Li", "Sn", "Sn", "S", "S", "S"]
    sites = [[0.238, 0.077, 0], [0.25, 0.25, 0.5], [0, 0.083, 0.25], [0, 0.415, 0.25], [0, 0.747, 0.25]]
    sites += [[0.141, 0.265, 0.138], [0.102, 0.586, 0.138], [0.138, 0.906, 0.135]]
    return Structure.from_spacegroup("C2/c", cell, species, sites)


def lithium_hexachlorostannate() -> Structure:
    """Li2SnCl6 as slabs of edge-sharing octahedra, C2/m, the tin ordered in a honeycomb of lithium (AlCl3's layers)."""
    cell = Lattice.monoclinic(6.2, 10.74, 6.1, 108.5)
    sites = [[0, 0, 0], [0, 0.333, 0], [0.72, 0, 0.235], [0.75, 0.32, 0.23]]
    return Structure.from_spacegroup("C2/m", cell, ["Sn", "Li", "Cl", "Cl"], sites)


def pyrite(metal: str, edge: float, u: float) -> Structure:
    """Pairs of sulfur atoms between metals (Wyckoff, Crystal Structures 1, 1963)."""
    return Structure.from_spacegroup("Pa-3", Lattice.cubic(edge), [metal, "S"], [[0, 0, 0], [u, u, u]])


#: Formula, structure and space group, none of whose operations a relaxation loses.
KNOWN: dict[str, tuple[Callable[[], Structure], int]] = {
    "LiCl": (lithium_chloride, 225),
    "Li2S": (lithium_sulfide, 225),
    "SnS2": (tin_disulfide, 164),
    "SnS": (tin_sulfide, 62),
    "SnCl2": (tin_dichloride, 62),
    "SnCl4": (tin_tetrachloride, 217),
    "Li4SnS4": (lithium_orthostannate, 62),
    "Li2SnS3": (lithium_metastannate, 15),
    "Li2SnCl6": (lithium_hexachlorostannate, 12),
    "NiS2": (partial(pyrite, "Ni", 5.7, 0.394), 205),
    "RuS2": (partial(pyrite, "Ru", 5.6, 0.39), 205),
}
