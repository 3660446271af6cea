"""Inputs of CP2K through atomate2, with basis sets by name and whole meshes of k-points."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from atomate2.cp2k.sets.base import _BASE_CP2K_SET
from atomate2.cp2k.sets.core import CellOptSetGenerator, RelaxSetGenerator, StaticSetGenerator
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

from dft.cp2k import Cp2kSettings, basis_and_potential


def _base_inputs() -> dict[str, Any]:
    """atomate2's settings without its table of basis sets; a copy, because atomate2 writes into what it is given."""
    base = deepcopy(_BASE_CP2K_SET)
    base["cp2k_input"]["basis_and_potential"] = {}
    return base


class _OwnInputs:
    """Basis sets by family and name, and k-points that CP2K sums as it should.

    atomate2 takes each element's basis set from a list of hashes, and reduces the k-points by the crystal's symmetry,
    while CP2K 2023 does not give the density that symmetry back. Here the mesh is left whole but for time reversal.
    """

    basis: str
    kpoint_density: float

    def get_input_updates(self, structure: Structure, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What the run needs, and the basis set and pseudopotential of each element."""
        updates = super().get_input_updates(structure, *args, **kwargs)  # type: ignore[misc]
        elements = [element.symbol for element in structure.composition.elements]
        return {**updates, "basis_and_potential": {e: basis_and_potential(e, self.basis) for e in elements}}

    def _get_kpoints(self, structure: Structure, updates: dict[str, Any] | None) -> Kpoints:
        return Kpoints.monkhorst_automatic(odd_mesh(structure, self.kpoint_density))


@dataclass
class StaticInputs(_OwnInputs, StaticSetGenerator):
    """Inputs of a single point."""

    config_dict: dict[str, Any] = field(default_factory=_base_inputs)
    basis: str = Cp2kSettings.basis
    kpoint_density: float = Cp2kSettings.kpoint_density


@dataclass
class RelaxInputs(_OwnInputs, RelaxSetGenerator):
    """Inputs of a relaxation of the positions."""

    config_dict: dict[str, Any] = field(default_factory=_base_inputs)
    basis: str = Cp2kSettings.basis
    kpoint_density: float = Cp2kSettings.kpoint_density


@dataclass
class CellOptInputs(_OwnInputs, CellOptSetGenerator):
    """Inputs of a relaxation of cell and positions."""

    config_dict: dict[str, Any] = field(default_factory=_base_inputs)
    basis: str = Cp2kSettings.basis
    kpoint_density: float = Cp2kSettings.kpoint_density


def odd_mesh(structure: Structure, density: float) -> tuple[int, int, int]:
    """Numbers of k-points along the reciprocal vectors: odd, so that Γ is one of them, and at least as dense as asked.

    Args:
        structure: The crystal.
        density: k-points per Å⁻³ of reciprocal space, 2π included.
    """
    lengths = np.array(structure.lattice.reciprocal_lattice.abc)
    a, b, c = (2 * ceil((n - 1) / 2) + 1 for n in np.maximum(1.0, lengths * density ** (1 / 3)).round(6))
    return a, b, c
