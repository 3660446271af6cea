"""Screenings whose every energy is written down, for tests."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from pymatgen.core import Lattice, Structure

from dft.probes import ProbeStructure


def salt(a, name="given"):
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return ProbeStructure(cell.get_primitive_structure(), name)


@dataclass
class Scripted:
    """A maker with results written down: by cell volume an error, or energy in eV/atom, volume factor, convergence."""

    steps: int
    script: dict = field(default_factory=dict)
    relax_kwargs: dict = field(default_factory=dict)
    calculator = None

    def _run_ase_safe(self, structure):
        what = self.script[min(self.script, key=lambda v: abs(v - structure.volume))]
        if isinstance(what, Exception):
            raise what
        energy, factor, converged = what
        after = structure.copy()
        after.scale_lattice(structure.volume * factor)
        frame = {"energy": energy * len(after), "forces": np.full((len(after), 3), 0.01), "stress": np.zeros(6)}
        trajectory = SimpleNamespace(frame_properties=[frame])
        return SimpleNamespace(final_mol_or_struct=after, trajectory=trajectory, converged=converged)


A, B, C = salt(5.0, "a"), salt(5.2, "b"), salt(5.4, "c")
VOLUME = {probe.generator: probe.structure.volume for probe in (A, B, C)}


def by_volume(**results):
    return {VOLUME[name]: result for name, result in results.items()}
