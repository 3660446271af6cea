"""Crystals of chains: LiPO3, LiBS2, Li2SiO3, and without a metal SO3, SiS2.

A chain is a molecule of which the last centre is bridged to the first one of the next cell (`dft.probes.molecules`):
two to four centres a period, neighbours joined by one bridge (corners) or by two (edges). There is one chain in a
cell, packed like a rod; the other ions of a salt go around it (`dft.probes.molecular_ions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement, product, zip_longest

import numpy as np
from pymatgen.core import Composition, Element
from scipy.spatial.transform import Rotation

from dft.compositions import oxidation_states
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.embedding import Springs
from dft.probes.lattices import NEIGHBOURING_CELLS
from dft.probes.molecular_ions import first_placed, salts, with_ions
from dft.probes.molecules import Molecule, at_the_centres, bridges_in_words, least_gap, orders_to_bridge

#: Cells of one rod that stands on the plane.
RODS = {"hexagonal": np.array([[1.0, 0.0], [-0.5, np.sqrt(0.75)]]), "square": np.eye(2)}

#: Centres in a period: chains of tetrahedra mostly repeat after two (Liebau, Structural Chemistry of Silicates, 1985).
PERIODS = (2, 3, 4)

#: How many chains of either kind, with one bridge and with two, are packed.
_CHAINS = 2

#: By how many bridges join neighbours: terminal atoms at a centre, at most: it has four neighbours, or five.
_MOST_AT_ONE = {1: 2, 2: 1}

#: How often a chain is turned at random, and steps of an embedding: after so many bonds have their lengths, and where
#: it bends is left to chance.
_TURNS, _STEPS = 12, 100

#: Å: along the chain from centre to centre, out of its middle, and the scatter of the other atoms, to begin with.
_STEP, _ZIGZAG, _SCATTER = 2.6, 0.4, 0.8


@dataclass(frozen=True, eq=False)
class Chain(Molecule):
    """One period of a chain.

    Attributes:
        across: Which of its bonds lead from the first atom, in the next period, to the second.
    """

    across: frozenset[tuple[int, int]] = frozenset()


def chains(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> Iterator[ProbeStructure]:
    """Structures of chains; none where no chain holds a compound's non-metals."""
    most = settings.max_atoms
    if any(element.is_metal for element in composition.elements):
        charges, drawn = oxidation_states(composition), salts(composition, most, _drawn)
    else:
        charges, drawn = {}, _alone(composition, most)
    rest_of = dict(drawn)
    structures = (
        (with_ions(c, rest_of[c], partial(_rod, c, *embedded_chain(c, rng), name, rng), charges), f"{c.label}, {name}")
        for c, name in product(_usual_first(rest_of), RODS)
    )
    return first_placed("chains", structures, settings, rng)


def _alone(composition: Composition, most: int) -> Iterator[tuple[Chain, dict[str, int]]]:
    """Chains that are the whole compound."""
    amounts = {s: round(n) for s, n in composition.reduced_composition.get_el_amt_dict().items()}
    return ((chain, {}) for _, chain in _drawn(amounts, most, 0))


def _drawn(amounts: Mapping[str, int], most: int, charge: int) -> Iterator[tuple[int, Chain]]:
    """Every chain that some formula units make, with their number; arguments as of `dft.probes.molecules.drawn`."""
    if len(amounts) < 2:
        return
    centre, *others = sorted(amounts, key=lambda symbol: Element(symbol).X)
    for n in PERIODS:
        units, left = divmod(n, amounts[centre])
        if left or units * sum(amounts.values()) > most:
            continue
        rest = [symbol for symbol in others for _ in range(units * amounts[symbol])]
        for joined, at_one in _MOST_AT_ONE.items():
            if 0 <= len(rest) - joined * n <= at_one * n:
                for order in orders_to_bridge(rest):
                    yield units, _chain(centre, n, joined * n, order, units * charge)


def _chain(centre: str, n: int, n_bridges: int, others: Sequence[str], charge: int) -> Chain:
    """The bridges take the first of the other atoms, the centres in turn the rest."""
    bonds, across = {}, []
    for k in range(n_bridges):
        before, after = k % n, (k + 1) % n
        bonds[before, n + k] = bonds[after, n + k] = 1
        if after == 0:
            across.append((after, n + k))
    ends, charge = at_the_centres(n, others, n_bridges, charge)
    label = f"{centre}{n}{bridges_in_words(others[:n_bridges])}"
    return Chain((centre,) * n + tuple(others), n, n_bridges, bonds | ends, label, charge, frozenset(across))


def _usual_first(found: Iterable[Chain]) -> list[Chain]:
    """The few that are packed, those with one bridge and with two in turn: the fewest unusual bonds first."""
    every = sorted(found, key=lambda chain: chain.unusual_bonds)
    kinds = [[c for c in every if (c.n_bridges > c.n_centres) == double][:_CHAINS] for double in (False, True)]
    return [chain for pair in zip_longest(*kinds) for chain in pair if chain is not None]


def embedded_chain(chain: Chain, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Positions of the atoms of one period along z, Å, shape (n_atoms, 3), centred, and the period, Å."""
    n, centres = len(chain.symbols), chain.n_centres
    bonds = [(*pair, int(pair in chain.across)) for pair in chain.bonds]
    near = {*bonds, *((j, i, -shift) for i, j, shift in bonds)}
    pairs = ((*pair, shift) for pair in combinations_with_replacement(range(n), 2) for shift in (-1, 0, 1))
    apart = [(i, j, shift) for i, j, shift in pairs if (i, j, shift) not in near and (i != j or shift > 0)]
    springs = Springs.of(bonds, [chain.length(*pair) for pair in chain.bonds], apart)
    return springs.settled([_start(chain, rng)], _STEP * centres, _STEPS)


def _start(chain: Chain, rng: np.random.Generator) -> np.ndarray:
    """The centres in a zigzag, the bridges halfway to the next one, the other atoms around theirs."""
    n = chain.n_centres
    bonded = {atom: centre for centre, atom in reversed(chain.bonds)}
    positions = rng.normal(scale=_SCATTER, size=(len(chain.symbols), 3))
    middle = np.array([[_ZIGZAG * (-1) ** k, 0.0, _STEP * k] for k in range(n)])
    positions[:n] = middle
    for atom in range(n, len(positions)):
        positions[atom] += middle[(atom - n) % n if atom < n + chain.n_bridges else bonded[atom]]
    positions[n : n + chain.n_bridges, 2] = _STEP * (np.arange(chain.n_bridges) % n + 0.5)
    return positions


def _rod(
    chain: Chain, positions: np.ndarray, period: float, name: str, rng: np.random.Generator, volume: float
) -> tuple[np.ndarray, np.ndarray]:
    """A cell of that volume, Å³, and in it the chain, turned around its axis to where it touches others least."""
    area = RODS[name] * np.sqrt(volume / period / np.linalg.det(RODS[name]))
    cell = np.block([[area, np.zeros((2, 1))], [np.zeros((1, 2)), np.array([[period]])]])
    angles = rng.uniform(0.0, 2 * np.pi, size=_TURNS)
    turned = [Rotation.from_euler("z", angle).apply(positions) for angle in angles]
    shifts = NEIGHBOURING_CELLS[NEIGHBOURING_CELLS[:, :2].any(axis=1)] @ cell
    return cell, max(turned, key=lambda atoms: least_gap(atoms, shifts, chain.symbols))
