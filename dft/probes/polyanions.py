"""Anions of one element whose atoms are bonded to each other: peroxides, polysulfides, azides, triiodides.

In Li2O2 or K2S3 the metals cannot charge every non-metal in full, and these share what there is. How many are bonded
follows from it: two sulfurs have a charge of -2 together in Na2S2 and five in K2S5, three nitrogens or iodines one of
-1. Oxygen's are peroxide and superoxide, O2 with two charges or one, and ozonide, O3 with one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Composition, Element

from dft.compositions import oxidation_states
from dft.probes.molecules import Molecule

#: Most atoms in a chain.
_LONGEST = 6

#: Charge of a whole chain.
_CHARGES = {"N": -1, "S": -2, "Se": -2, "Te": -2, "F": -1, "Cl": -1, "Br": -1, "I": -1}

#: Atoms of oxygen's, by the negative charge of each.
_OXYGENS = {1.0: 2, 0.5: 2, 1 / 3: 3}

#: Bond lengths as multiples of twice the covalent radius: 1.49 Å in peroxides, 1.18 in azides, plain in others.
_LENGTHS = {"O": 1.13, "N": 0.83}

#: Charges per atom that differ by less are the same.
_SAME = 1e-3


@dataclass(frozen=True, eq=False)
class Polyanion(Molecule):
    """A chain of equal atoms, each bonded to the next."""

    def length(self, first: int, second: int) -> float:
        """Of the bond between two of its atoms, Å."""
        symbol = self.symbols[first]
        return float(2 * covalent_radii[atomic_numbers[symbol]] * _LENGTHS.get(symbol, 1.0))


def polyanion(composition: Composition, most: int) -> tuple[Polyanion, dict[str, int]] | None:
    """The chain that the only non-metal of a salt makes, and the metals beside it; nothing if it makes none.

    Args:
        composition: Of the salt.
        most: Atoms in a cell.
    """
    amounts = {s: round(n) for s, n in composition.reduced_composition.get_el_amt_dict().items()}
    metals = {symbol: n for symbol, n in amounts.items() if Element(symbol).is_metal}
    if len(amounts) != len(metals) + 1 or not metals:
        return None
    (symbol,) = amounts.keys() - metals.keys()
    n = _atoms(symbol, oxidation_states(composition)[symbol])
    units, left = divmod(n, amounts[symbol])
    rest = {metal: units * amount for metal, amount in metals.items()}
    if not units or left or n + sum(rest.values()) > most:
        return None
    bonds = {(k, k + 1): 1 for k in range(n - 1)}
    return Polyanion((symbol,) * n, n, 0, bonds, f"{symbol}{n}"), rest


def _atoms(symbol: str, charge: float) -> int:
    """Of the chain, by the mean charge of its atoms; zero where that is no chain."""
    if symbol == "O":
        return next((n for each, n in _OXYGENS.items() if abs(each + charge) < _SAME), 0)
    n = _CHARGES.get(symbol, 0) / charge
    return round(n) if abs(n - round(n)) < _SAME and 2 <= round(n) <= _LONGEST else 0
