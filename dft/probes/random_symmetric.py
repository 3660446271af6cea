"""Random crystals of random space groups, from pyxtal: no assumption about the structure but its symmetry.

Source:
    Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021), doi 10.1016/j.cpc.2020.107810.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np
from pymatgen.core import Composition, Structure

from dft.compositions import oxidation_states
from dft.guards import shortest_contact
from dft.probes.arrangements import SAME_ENERGY, scaled_to_minimum
from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.ordered import cell_formulas
from dft.probes.prototypes import FITS_FROM
from dft.probes.volumes import rattled

#: Space groups drawn for each structure wanted: many hold no such number of atoms, or only on top of each other.
DRAWS = 6

_N_SPACE_GROUPS = 230

NO_PYXTAL = "generator 'random' needs the package 'pyxtal': pip install 'phaseloop[random]'"


def random_symmetric(
    composition: Composition, settings: ProbeSettings, rng: np.random.Generator
) -> list[ProbeStructure]:
    """Crystals of one random space group each, by electrostatic energy.

    Raises:
        ValueError: If pyxtal is not installed.
    """
    charges = oxidation_states(composition)
    cells = cell_formulas(composition, settings)
    found: dict[tuple[int, int], tuple[float, ProbeStructure]] = {}
    for k in range(DRAWS * settings.n_structures):
        group = int(rng.integers(2, _N_SPACE_GROUPS + 1))
        structure = _draw(group, cells[k % len(cells)], int(rng.integers(2**31)))
        if structure is None:
            continue
        energy, structure = scaled_to_minimum(structure, charges)
        if shortest_contact(structure)[2] < FITS_FROM:
            continue
        probe = ProbeStructure(rattled(structure, settings.rattle, rng), f"random symmetric: space group {group}")
        found.setdefault((len(structure), round(energy / SAME_ENERGY)), (energy, probe))
        if len(found) == settings.n_structures:
            break
    return [probe for _, probe in sorted(found.values(), key=lambda pair: pair[0])]


def _draw(group: int, cell: Composition, seed: int) -> Structure | None:
    """One random crystal with the atoms of `cell` in its primitive cell; nothing where the group cannot hold them."""
    pyxtal = _pyxtal()
    symbols, numbers = zip(*((str(symbol), round(n)) for symbol, n in cell.get_el_amt_dict().items()), strict=True)
    crystal = pyxtal()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            crystal.from_random(3, group, symbols, numbers, conventional=False, max_count=1, random_state=seed)
            structure = crystal.to_pymatgen().get_primitive_structure() if crystal.valid else None
        except Exception:  # it raises several kinds for what it cannot place; another group is drawn instead
            return None
    if structure is None or structure.composition.reduced_composition != cell.reduced_composition:
        return None
    return Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)


def _pyxtal() -> Any:
    try:
        from pyxtal import pyxtal
    except ImportError:
        raise ValueError(NO_PYXTAL) from None
    return pyxtal
