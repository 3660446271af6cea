"""Ways of building probe structures, behind one interface."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from itertools import islice, zip_longest

import numpy as np
from pymatgen.core import Composition

from dft.probes.base import ProbeSettings, ProbeStructure
from dft.probes.chains import chains
from dft.probes.complexes import complexes
from dft.probes.known import given, substituted
from dft.probes.molecular_ions import molecular_ions
from dft.probes.molecules import molecules
from dft.probes.ordered import frameworks, ordered_lattices
from dft.probes.prototypes import prototypes
from dft.probes.random_symmetric import NO_PYXTAL, random_symmetric

Generator = Callable[[Composition, ProbeSettings, np.random.Generator], Iterable[ProbeStructure]]

#: Each way of building structures by the name that `ProbeSettings.generators` calls it by; best candidates first, and
#: where that saves time each only when it is asked for.
GENERATORS: dict[str, Generator] = {
    "ordered": ordered_lattices,
    "frameworks": frameworks,
    "prototypes": prototypes,
    "molecules": molecules,
    "molecular-ions": molecular_ions,
    "complexes": complexes,
    "chains": chains,
    "random": random_symmetric,
    "substitution": substituted,
    "given": given,
}

#: Generators whose structures come beside those of the others, as a share of their number: in the place of lattices
#: they would cost more compositions their lowest structure than they gain.
BESIDE = {"complexes": 0.3}

__all__ = ["GENERATORS", "ProbeSettings", "ProbeStructure", "build_probes", "missing"]


def missing(generator: str, folder: str = "") -> str:
    """What a generator lacks on this machine, as a sentence with the way out; empty if nothing.

    Args:
        generator: One of `GENERATORS`.
        folder: As of `ProbeSettings`.
    """
    if generator in ("given", "substitution") and not folder:
        return f"generator {generator!r} needs a folder of structures: set probes.folder, or leave it out"
    if generator == "random" and not find_spec("pyxtal"):
        return NO_PYXTAL
    return ""


def build_probes(composition: Composition, settings: ProbeSettings, seed: int) -> list[ProbeStructure]:
    """Probe structures of a composition: the same for the same composition, settings and seed, whatever else is built.

    Args:
        composition: Charge-neutral, ordered; multiplied up to a cell as the settings say.
        settings: Which generators, how many structures.
        seed: Of the campaign.

    Returns:
        At most `settings.n_structures`, the generators in turn, and then those of `BESIDE`; each structure holds
        exactly the composition; none where no known structure type fits.

    Raises:
        ValueError: If a generator is unknown or builds another composition, or no packing has a site for every ion.
    """
    unknown = [name for name in settings.generators if name not in GENERATORS]
    if unknown:
        raise ValueError(f"generator {unknown[0]!r} is unknown, choose from {sorted(GENERATORS)}")
    found = {n: iter(GENERATORS[n](composition, settings, _rng(composition, n, seed))) for n in settings.generators}
    beside = {n: found.pop(n) for n in BESIDE if n in found and len(found) > 1}
    in_turn = (probe for each in zip_longest(*found.values()) for probe in each if probe is not None)
    built = list(islice(in_turn, settings.n_structures))
    for name, further in beside.items():
        built += islice(further, round(BESIDE[name] * settings.n_structures))
    for probe in built:
        if probe.structure.composition.reduced_composition != composition.reduced_composition:
            raise ValueError(f"{probe.generator} built {probe.structure.formula} instead of {composition.formula}")
    return built


def _rng(composition: Composition, generator: str, seed: int) -> np.random.Generator:
    """A random generator of its own for each composition, so that no order of calls changes a structure."""
    text = f"{composition.reduced_composition.alphabetical_formula}|{generator}|{seed}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
