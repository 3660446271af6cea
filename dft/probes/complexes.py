"""Salts of complex anions, whose centre is a small metal of high charge: AlCl4, SnS4, Sn2SCl9, NbOCl5.

To a lattice of ions such a metal is a cation like the others. Its bonds are nearly those of a non-metal, though, and
where there are too few anions for a network, as in chlorides, it keeps its own. So the anion is drawn as a molecule and
the other ions go around it (`dft.probes.molecular_ions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from pymatgen.core import Composition, Element

from dft.compositions import oxidation_states
from dft.probes.base import COMPLEXES, ProbeSettings, ProbeStructure
from dft.probes.molecular_ions import around, salts
from dft.probes.molecules import Molecule, drawn, usual_first
from dft.probes.ordered import MODERATE_CELL
from dft.probes.rigid_ions import are_ions
from dft.probes.volumes import ionic_radius

#: Ionic potential, charge over crystal radius, e/Å, that a centre has at least (Cartledge, J. Am. Chem. Soc. 50, 2855
#: (1928)): 3.9 for Ga(3+), 4.4 for Al(3+), 4.8 for Sn(4+), 6.4 for Nb(5+); 3.2 for In(3+).
IONIC_POTENTIAL = 3.5

#: Anions that are packed, those with the fewest unusual bonds.
N_ANIONS = 2


def complexes(composition: Composition, settings: ProbeSettings, rng: np.random.Generator) -> Iterator[ProbeStructure]:
    """Structures of a salt, one complex anion in a cell; none where no metal is small and charged enough.

    Cells are no larger than those of lattices: a larger one would cost all others their places. Where a non-metal is a
    cation that is the centre, and `dft.probes.molecular_ions` has its anions.
    """
    charges = oxidation_states(composition)
    centre = _centre(charges) if are_ions(composition, charges) else ""
    most = max(round(composition.reduced_composition.num_atoms), min(settings.max_atoms, MODERATE_CELL))
    rest_of = dict(salts(composition, most, _drawn, centre)) if centre else {}
    usual = {anion: rest_of[anion] for anion in usual_first(rest_of)[:N_ANIONS]}
    return around(COMPLEXES, usual, charges, settings, rng)


def _drawn(amounts: Mapping[str, int], most: int, charge: int) -> Iterator[tuple[int, Molecule]]:
    """Every anion that some formula units make, with their number: its centres are joined by bridges, never bonded."""
    for units, molecule in drawn(amounts, most, charge):
        if molecule.n_centres == 1 or molecule.n_bridges:
            bonds = {pair: order for pair, order in molecule.bonds.items() if pair[1] >= molecule.n_centres}
            yield units, replace(molecule, bonds=bonds)


def _centre(charges: Mapping[str, float]) -> str:
    """The metal of highest ionic potential beside others; empty if it is no centre, or a non-metal is a cation."""
    cations = [symbol for symbol, charge in charges.items() if charge > 0]
    if len(cations) < 2 or not all(Element(symbol).is_metal for symbol in cations):
        return ""
    highest = max(sorted(cations), key=lambda symbol: _ionic_potential(symbol, charges[symbol]))
    is_drawn = all(Element(highest).X < Element(symbol).X for symbol in charges.keys() - cations)
    return highest if is_drawn and _ionic_potential(highest, charges[highest]) > IONIC_POTENTIAL else ""


def _ionic_potential(symbol: str, charge: float) -> float:
    return charge / ionic_radius(symbol, charge)
