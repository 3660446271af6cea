"""Crystals of molecules, for compounds without a metal: P4O10, P4S3, SO3, PF5, As4S4, POF3.

Lattices of ions hardly ever hold a molecule, and AFLOW has few. Here one is drawn as a graph: one to four atoms of the
least electronegative element are its centres; the other atoms are bridges between two centres or sit at one. Centres
without a bridge are bonded. Where the atoms go follows from bond lengths and from atoms keeping apart, as in the
valence-shell rule (Gillespie & Nyholm, Q. Rev. Chem. Soc. 11, 339 (1957), doi 10.1039/qr9571100339). The molecules are
then packed like spheres, each turned to where it touches its neighbours least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Composition, Element, Structure
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.transform import Rotation

from dft.compositions import ANION_CHARGES
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.embedding import Springs
from dft.probes.lattices import FCC_CELL, NEIGHBOURING_CELLS, packing
from dft.probes.volumes import least_volume, rattled

#: Atoms that have one bond, and never bridge.
MONOVALENT = frozenset({"H", "F", "Cl", "Br", "I"})

#: Bond lengths as fractions of the sum of covalent radii, from those of P4O10 (P-O 1.60, P=O 1.43 Å), P4S10 (P-S 2.10,
#: P=S 1.91), PF5 (1.55) and SO3 (1.42): to N, O and F, to others, and what a double bond at one centre takes off.
SHORT, PLAIN, DOUBLE = 0.93, 0.985, 0.91

#: Atoms at one centre at most, by number of centres: octahedra, ethane, two at each of a ring, one at each of a cage.
_MOST_AT_ONE = {1: 6, 2: 3, 3: 2, 4: 1}

#: Bonds between the centres of a cage that are bridged, by their number; the three at one atom as in P4S3, a ring as in
#: As4S4, all as in P4O6.
_ROUND = ((0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (1, 3))
_CAGES = {3: ((0, 1), (0, 2), (0, 3)), 4: _ROUND[:4], 5: _ROUND[:5], 6: _ROUND}

#: Primitive cells of one sphere: the close packing, the body-centred and the simple one.
PACKINGS = {
    "fcc": FCC_CELL,
    "bcc": packing("bcc").cell,
    "sc": np.eye(3),
}

#: How many molecules are packed: those first whose atoms have as many bonds as their groups of the periodic table ask,
#: and of these the ones with more bridges.
_MOLECULES = 4

#: How often a molecule is embedded and turned at random.
_EMBEDDINGS, _TURNS = 2, 12

#: Å: how far atoms are moved at random before an embedding.
_SHAKE = 0.3


@dataclass(frozen=True, eq=False)
class Molecule:
    """Atoms and their bonds.

    Attributes:
        symbols: The centres first.
        n_centres: How many of these.
        n_bridges: How many atoms lie between two of them.
        bonds: Which atoms, by their indices, and the order of the bond.
        label: Such as ``P4, 6 bridges of O``.
        loose_charge: Negative charges that no atom at the end of a single bond carries.
    """

    symbols: tuple[str, ...]
    n_centres: int
    n_bridges: int
    bonds: dict[tuple[int, int], int]
    label: str
    loose_charge: int = 0

    @property
    def unusual_bonds(self) -> int:
        """Bonds that its atoms have too many or too few, and loose charges: none in P4O10, P4S3, SO2 and PO4 (3-)."""
        orders = [0] * len(self.symbols)
        for pair, order in self.bonds.items():
            for i in pair:
                orders[i] += order
        bridges = range(self.n_centres, self.n_centres + self.n_bridges)
        wanted = [_as_centre(self.symbols[i]) for i in range(self.n_centres)]
        wanted += [[as_anion(self.symbols[i])] for i in bridges]
        return self.loose_charge + sum(
            min(abs(order - one) for one in some) for order, some in zip(orders, wanted, strict=False)
        )

    def length(self, first: int, second: int) -> float:
        """Of the bond between two of its atoms, Å."""
        symbols = self.symbols[first], self.symbols[second]
        single = sum(covalent_radii[atomic_numbers[symbol]] for symbol in symbols)
        single *= SHORT if set(symbols) & {"N", "O", "F"} else PLAIN
        return float(single * (DOUBLE if self.bonds[first, second] > 1 else 1.0))


def molecules(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> list[ProbeStructure]:
    """Packings of molecules of a composition; none with a metal in it, or where no such molecule holds its atoms."""
    amounts = {s: round(n) for s, n in composition.reduced_composition.get_el_amt_dict().items()}
    if least_volume(composition) == 0:
        return []
    fitting = usual_first(molecule for _, molecule in drawn(amounts, settings.max_atoms))
    built = [(molecule, embedded(molecule, rng)) for molecule in fitting]
    wanted = islice(product(PACKINGS, built), settings.n_structures)
    return [_packing(molecule, positions, name, settings, rng) for name, (molecule, positions) in wanted]


def usual_first(found: Iterable[Molecule]) -> list[Molecule]:
    """The few that are packed: those with the fewest unusual bonds, and of these the ones with more bridges."""
    return sorted(found, key=lambda molecule: (molecule.unusual_bonds, -molecule.n_bridges))[:_MOLECULES]


def drawn(amounts: Mapping[str, int], most: int, charge: int = 0) -> Iterator[tuple[int, Molecule]]:
    """Every molecule that some formula units make, with their number.

    Args:
        amounts: Atoms of a formula unit; the least electronegative element is the centre.
        most: Atoms in a molecule.
        charge: Negative charge of a formula unit.
    """
    if len(amounts) < 2:
        return
    centre, *others = sorted(amounts, key=lambda symbol: Element(symbol).X)
    for units in range(1, 5):
        n_centres = units * amounts[centre]
        if n_centres in _MOST_AT_ONE and units * sum(amounts.values()) <= most:
            rest = [symbol for symbol in others for _ in range(units * amounts[symbol])]
            for molecule in _with_bridges(centre, n_centres, rest, units * charge):
                yield units, molecule


def _with_bridges(centre: str, n_centres: int, others: list[str], charge: int) -> Iterator[Molecule]:
    """The molecules of some centres and other atoms, by number of bridges and by which elements bridge."""
    most = n_centres * _MOST_AT_ONE[n_centres]
    for bridged in _bridged(n_centres):
        if 0 <= len(others) - len(bridged) <= most:
            yield from (_molecule(centre, n_centres, bridged, order, charge) for order in orders_to_bridge(others))


def orders_to_bridge(others: Sequence[str]) -> list[tuple[str, ...]]:
    """The other atoms with those first that are to bridge: the more electronegative ones or the less, halogens last."""
    return sorted({tuple(sorted(others, key=lambda s: (s in MONOVALENT, k * Element(s).X))) for k in (1, -1)})


def _bridged(n_centres: int) -> Sequence[Sequence[tuple[int, int]]]:
    """The ways to choose which pairs of centres are bridged."""
    if n_centres == 4:
        return list(_CAGES.values())
    if n_centres == 3:
        return [((0, 1), (1, 2), (0, 2))]
    return [((0, 1),) * k for k in range(3)] if n_centres == 2 else [()]


def _molecule(centre: str, n: int, bridged: Sequence[tuple[int, int]], others: Sequence[str], charge: int) -> Molecule:
    """The bridges take the first of the other atoms, the centres in turn the rest."""
    bonds = {pair: 1 for pair in combinations(range(n), 2) if pair not in bridged}
    for k, pair in enumerate(bridged):
        bonds.update({(i, n + k): 1 for i in pair})
    ends, charge = at_the_centres(n, others, len(bridged), charge)
    label = f"{centre}{n}{bridges_in_words(others[: len(bridged)])}"
    return Molecule((centre,) * n + tuple(others), n, len(bridged), bonds | ends, label, charge)


def at_the_centres(
    n: int, others: Sequence[str], n_bridges: int, charge: int
) -> tuple[dict[tuple[int, int], int], int]:
    """Bonds of the atoms that do not bridge, the centres in turn, of which the first are charged; and what is left."""
    bonds = {}
    for k in range(n_bridges, len(others)):
        charged = int(charge > 0 and as_anion(others[k]) > 1)
        bonds[(k - n_bridges) % n, n + k] = as_anion(others[k]) - charged
        charge -= charged
    return bonds, charge


def bridges_in_words(symbols: Sequence[str]) -> str:
    """Such as ``, 6 bridges of O``."""
    return f", {len(symbols)} bridges of {'-'.join(dict.fromkeys(symbols))}" if symbols else ""


def as_anion(symbol: str) -> int:
    """Bonds of an atom that is no centre: as many as its charge."""
    return -ANION_CHARGES.get(symbol, -1)


def _as_centre(symbol: str) -> list[int]:
    """Bonds that a centre may have: all its outer electrons or two, four, six fewer, but enough for an octet."""
    outer = (Element(symbol).group - 1) % 10 + 1
    return [n for n in range(outer, 0, -2) if n >= min(outer, 8 - outer)]


def embedded(molecule: Molecule, rng: np.random.Generator) -> np.ndarray:
    """Positions of the atoms, Å, shape (n_atoms, 3), centred: bonds at their lengths, other atoms apart."""
    n = len(molecule.symbols)
    bond = np.array(list(molecule.bonds), dtype=int).reshape(-1, 2)
    lengths = [molecule.length(*pair) for pair in molecule.bonds]
    apart = [(*pair, 0) for pair in combinations(range(n), 2) if pair not in molecule.bonds]
    drawn_flat = _from_distances(n, bond, np.array(lengths))
    starts = [drawn_flat + rng.normal(scale=_SHAKE, size=(n, 3)) for _ in range(_EMBEDDINGS)]
    return Springs.of([(*pair, 0) for pair in molecule.bonds], lengths, apart).settled(starts)[0]


def _from_distances(n: int, bond: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions, Å, whose distances come near those along the bonds (classical scaling)."""
    along = shortest_path(csr_array((lengths, bond.T), shape=(n, n)), directed=False)
    centred = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centred @ along**2 @ centred)
    positions = vectors[:, -3:] * np.sqrt(np.maximum(values[-3:], 0.0))
    return np.pad(positions, ((0, 0), (0, max(0, 3 - positions.shape[1]))))


def _packing(
    molecule: Molecule, positions: np.ndarray, name: str, settings: ProbeSettings, rng: np.random.Generator
) -> ProbeStructure:
    """One molecule in a primitive cell of the mean volume of its atoms in molecular crystals."""
    cell = packing_cell(name, least_volume(Composition(Counter(molecule.symbols))))
    loosest = turned_to_fit(positions, cell, molecule.symbols, rng)
    structure = Structure(cell, molecule.symbols, loosest, coords_are_cartesian=True)
    return ProbeStructure(rattled(structure, settings.rattle, rng), f"molecules: {molecule.label}, {name}")


def packing_cell(name: str, volume: float) -> np.ndarray:
    """Primitive cell of a packing of one sphere, with that volume, Å³: vectors as rows, Å."""
    cell = PACKINGS[name]
    return np.asarray(cell * (volume / abs(np.linalg.det(cell))) ** (1 / 3))


def turned_to_fit(
    positions: np.ndarray, cell: np.ndarray, symbols: Sequence[str], rng: np.random.Generator
) -> np.ndarray:
    """Positions of a molecule, Å, turned at random to where it touches its images least."""
    turned = [rotation.apply(positions) for rotation in Rotation.random(_TURNS, rng=rng)]
    shifts = NEIGHBOURING_CELLS[NEIGHBOURING_CELLS.any(axis=1)] @ cell
    return max(turned, key=lambda atoms: least_gap(atoms, shifts, symbols))


def least_gap(atoms: np.ndarray, shifts: np.ndarray, symbols: Sequence[str]) -> float:
    """Shortest distance to an atom moved by one of these shifts, Å, as a fraction of the sum of covalent radii."""
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])
    x, y, z = (at[None, :, None] - at[None, None] - by[:, None, None] for at, by in zip(atoms.T, shifts.T, strict=True))
    distances = np.sqrt(x * x + y * y + z * z)
    return float((distances / np.add.outer(radii, radii)).min())
