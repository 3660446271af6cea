"""What every way of building probe structures shares: the structure with its origin, and the settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monty.json import MSONable
from pymatgen.core import Structure

#: In the name of ordered lattices whose every second gap is empty, and of every second one where bonds are covalent:
#: relaxed as ions few of these become a network.
LAYERED, AS_PLACED = "layered", "as placed"

#: How the name of a structure on a framework with a name of its own begins.
FRAMEWORK = "framework"

#: How the name of one with a complex anion does.
COMPLEXES = "complexes"


@dataclass(frozen=True)
class ProbeStructure(MSONable):
    """A crystal structure that is to find out how near the hull its composition lies.

    Attributes:
        structure: Ordered, without oxidation states, volumes and positions not yet relaxed.
        generator: How it was built, such as ``ordered lattice: fcc anions, tetrahedral cations``.
    """

    structure: Structure
    generator: str


def packed(probes: Sequence[dict[str, Any]]) -> str:
    """Structures as one text, `ProbeStructure.as_dict` of each.

    jobflow and FireWorks walk through the inputs of a job several times: 80 ms for twenty structures of 16 atoms, and
    next to nothing for a text.
    """
    return json.dumps(probes)


def unpacked(probes: str | list[ProbeStructure]) -> list[ProbeStructure]:
    """The structures of such a text; structures are given back as they are."""
    if not isinstance(probes, str):
        return probes
    return [ProbeStructure(Structure.from_dict(each["structure"]), each["generator"]) for each in json.loads(probes)]


@dataclass(frozen=True)
class ProbeSettings:
    """How probe structures are built.

    Attributes:
        generators: Names from `dft.probes.GENERATORS`, mixed in this order.
        n_structures: Most structures kept per composition, those that come beside the others left out.
        max_atoms: Most atoms in a cell.
        min_atoms: A reduced formula with fewer atoms is multiplied up to a cell of at least this many.
        stackings: Anion packings: ``AB`` is fcc, ``ABA`` hcp, ``ABACA`` double hcp, ``ABAB`` the samarium stacking 9R,
            ``bcc`` body-centred;
            ``ABC`` is fcc again, for slabs with empty gaps between them.
        supercells: Shapes of supercell tried for each packing and number of formula units.
        restarts: Random decorations from which each swap search starts.
        rattle: Standard deviation of the random displacement, Å, that lets a relaxation leave the lattice's symmetry.
        layers_first: Whether layered ordered lattices, one of each family, come before all others.
        folder: The user's structures, for the generators ``given`` and ``substitution``.
    """

    generators: tuple[str, ...] = ("ordered",)
    n_structures: int = 50
    max_atoms: int = 24
    min_atoms: int = 8
    stackings: tuple[str, ...] = ("AB", "ABA", "bcc", "ABACA", "ABAB", "ABC")
    supercells: int = 6
    restarts: int = 8
    rattle: float = 0.03
    layers_first: bool = False
    folder: str = ""
