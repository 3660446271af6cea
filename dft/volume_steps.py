"""Steps of a cell towards zero pressure, from single points: before a relaxation, and far cheaper than its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.core import Structure

from dft.candidates import Candidate
from dft.compositions import oxidation_states
from dft.probes.base import LAYERED
from dft.probes.rigid_ions import are_covalent, are_ions
from dft.probes.volumes import least_volume

#: Å³/eV: compressibility that turns a pressure into a first step in volume (about 35 GPa).
SOFTNESS = 4.5

#: Largest step, as a factor of the volume.
VOLUME_STEP = 1.3

#: After a larger one, in the logarithm, the energy says little of the structure.
LARGE_STEP = 0.15

#: Single points of a structure whose cell may be far from rest.
TRIES = 3


class VolumeSteps:
    """The steps of one structure; from the second on as soft as the last one has shown it to be."""

    def __init__(self) -> None:
        self._softness = SOFTNESS
        self._last = (0.0, 0.0)

    def next(self, structure: Structure, stress: Any) -> tuple[Structure, float]:
        """The structure scaled towards zero pressure, and the logarithm of the volume's factor.

        Args:
            structure: That of the single point.
            stress: Of the single point, eV/Å³, Voigt's six values or a tensor.
        """
        tensor = np.reshape(stress, (3, 3)) if np.size(stress) == 9 else np.diag(np.asarray(stress)[:3])
        pressure = -float(np.trace(tensor)) / 3
        stretch, before = self._last
        if stretch * (before - pressure) > 0:
            self._softness = stretch / (before - pressure)
        factor = float(np.clip(1 + self._softness * pressure, 1 / VOLUME_STEP, VOLUME_STEP))
        self._last = float(np.log(factor)), pressure
        scaled = structure.copy()
        scaled.scale_lattice(structure.volume * factor)
        return scaled, self._last[0]


def single_points_of(candidate: Candidate) -> int:
    """How many are taken at most: several where the atoms have not shaped the cell, of types, layers and non-ions.

    Where cations are covalent, and without a metal, there is one: the pressure is that of bonds, which a change of
    volume does not mend.
    """
    composition = candidate.start.composition
    try:
        charges = oxidation_states(composition)
    except ValueError:  # an element without common oxidation states
        return 1
    has_cell_of_ions = are_ions(composition, charges) and LAYERED not in candidate.generator
    is_far = candidate.generator.startswith("prototype") or not has_cell_of_ions
    return 1 if are_covalent(composition) or least_volume(composition) or not is_far else TRIES
