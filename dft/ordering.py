"""Partly occupied sites put in order, in the smallest cell that holds whole atoms, by electrostatic energy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
from pymatgen.core import Composition, Structure
from pymatgen.core.ewald import EwaldSummation
from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

from dft.compositions import oxidation_states
from dft.probes.lattices import supercell_matrices

#: Sites, vacant ones included, of the largest supercell tried.
MOST_SITES = 64

#: Supercells of one size that are tried, the most compact first.
N_SHAPES = 6

#: How far an occupancy may be off in the cell as it stands: a refinement does not tell 0.69 from 0.6875.
REFINED = 0.01

#: Atoms by which the occupancies of equal sites may be off together; pymatgen refuses more.
MOST_ROUNDED = 0.25

#: Decimals that an occupancy such as 0.33 or 0.3333 for 1/3 is taken to be rounded to.
_DECIMALS = (2, 3, 4)

#: Less is a float's last digits.
_DIGIT = 1e-8

#: Arrangements of a cell up to which the best is looked for by branch and bound; beyond, ions are placed one by one.
MOST_ARRANGEMENTS = 5000

#: What an error says of occupancies, at most.
_N_NAMED = 3


def ordered(structure: Structure) -> Structure:
    """The arrangement of lowest Ewald energy of a partly occupied structure, in the cell as it stands or a supercell.

    Args:
        structure: Without oxidation states.

    Returns:
        Ordered, with oxidation states, in the smallest cell in which all occupancies are whole numbers of atoms.

    Raises:
        ValueError: If no cell of up to `MOST_SITES` sites is one, or an element has no common oxidation state.
    """
    if _is_whole(structure, rounding=REFINED):
        return _arranged(structure)[1]
    primitive = structure.get_primitive_structure()
    largest = max(len(structure), MOST_SITES // len(primitive) * len(primitive))
    for size in range(1, MOST_SITES // len(primitive) + 1):
        if _is_whole(primitive, size):
            return min(map(_arranged, _supercells(primitive, size)), key=lambda found: round(found[0], 6))[1]
    named = list(dict.fromkeys(_occupancies(group[0]) for group in _groups(structure)))
    told = "; ".join(named[:_N_NAMED]) + ("; ..." if len(named) > _N_NAMED else "")
    raise ValueError(f"occupancies of {told} are whole atoms in no cell up to {largest} sites")


def _groups(structure: Structure) -> list[list[Composition]]:
    """What stands on the partly occupied sites, those with equal occupancies together, as pymatgen groups them."""
    groups: list[list[Composition]] = []
    for site in structure:
        if not site.is_ordered:
            group = next((group for group in groups if site.species.almost_equals(group[0])), None)
            if group is None:
                groups.append([site.species])
            else:
                group.append(site.species)
    return groups


def _amounts(group: list[Composition], size: int = 1) -> dict[str, float]:
    total = sum(group, Composition()).get_el_amt_dict()
    return {symbol: size * amount for symbol, amount in total.items()}


def _is_whole(structure: Structure, size: int = 1, rounding: float = 0.0) -> bool:
    """Whether so many cells hold whole atoms of each element on each kind of partly occupied site.

    Args:
        structure: One cell.
        size: Cells.
        rounding: How far each occupancy may be off; by default half of its last decimal.
    """
    for group in _groups(structure):
        one, n_sites = group[0].get_el_amt_dict(), size * len(group)
        for symbol, amount in _amounts(group, size).items():
            off = (rounding or _half_a_digit(one.get(symbol, 0.0))) * n_sites
            if abs(amount - round(amount)) > min(off, MOST_ROUNDED) + _DIGIT:
                return False
    return True


def _half_a_digit(occupancy: float) -> float:
    decimals = next((n for n in _DECIMALS if abs(occupancy - round(occupancy, n)) < 1e-7), _DECIMALS[-1])
    return 0.5 * 10.0**-decimals


def _supercells(primitive: Structure, size: int) -> Iterator[Structure]:
    for matrix in supercell_matrices(primitive.lattice.matrix, size)[:N_SHAPES]:
        yield primitive.make_supercell(matrix, in_place=False)


def _arranged(structure: Structure) -> tuple[float, Structure]:
    """Ewald energy per atom, eV, and structure of the best arrangement in the cell as it stands."""
    structure = _without_traces(structure)
    groups = _groups(structure)
    whole = [{symbol: round(amount) for symbol, amount in _amounts(group).items()} for group in groups]
    fixed = Composition()
    for site in structure:
        if site.is_ordered:
            fixed += site.species
    composition = sum(map(Composition, whole), fixed)
    ways = math.prod(_n_ways(len(group), counts) for group, counts in zip(groups, whole, strict=True))
    charged = structure.copy()
    charged.add_oxidation_state_by_element(oxidation_states(composition))
    if not groups:
        return EwaldSummation(charged).total_energy / composition.num_atoms, charged
    kind = OrderDisorderedStructureTransformation
    transformation = kind(algo=kind.ALGO_FAST if ways <= MOST_ARRANGEMENTS else kind.ALGO_BEST_FIRST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cells that are not neutral have a constant more of energy
        (best,) = transformation.apply_transformation(charged, return_ranked_list=1)
    assert isinstance(best, dict)  # as a ranked list is asked for
    return float(best["energy"]) / composition.num_atoms, best["structure"]


def _without_traces(structure: Structure) -> Structure:
    """With what rounds to nothing on all equal sites left out, and what rounds to all of them in full."""
    cleaned = structure.copy()
    for group in _groups(structure):
        counts = {symbol: round(amount) for symbol, amount in _amounts(group).items()}
        kept = {symbol: n for symbol, n in counts.items() if n}
        full = next(iter(kept)) if list(kept.values()) == [len(group)] else None
        for index, site in enumerate(structure):
            if not site.is_ordered and site.species.almost_equals(group[0]):
                shares = site.species.get_el_amt_dict()
                cleaned[index] = {full: 1.0} if full else {symbol: shares[symbol] for symbol in kept}
    vacant = [index for index, site in enumerate(cleaned) if not site.species]
    cleaned.remove_sites(vacant)
    return cleaned


def _n_ways(n_sites: int, counts: dict[str, int]) -> int:
    """Ways to put so many atoms of each element on equal sites."""
    placed = np.cumsum([0, *counts.values()])
    return math.prod(math.comb(n_sites - int(before), n) for before, n in zip(placed, counts.values(), strict=False))


def _occupancies(species: Composition) -> str:
    return ", ".join(f"{symbol} {amount:.3g}" for symbol, amount in species.get_el_amt_dict().items())
