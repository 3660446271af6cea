"""Peroxides, polysulfides and the like: how many atoms are bonded, and whether the search finds lithium peroxide."""

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from dft.competing import build_competing
from dft.levels import force_field
from dft.probes import ProbeSettings, build_probes
from dft.probes.polyanions import polyanion
from dft.workflows import ScreeningMaker
from loop.ladder import SEARCHES

SALTS = ProbeSettings(generators=("molecular-ions",), n_structures=6, max_atoms=24)


@pytest.mark.parametrize(
    ("formula", "label", "rest"),
    [
        ("Li2O2", "O2", {"Li": 2}),
        ("KO2", "O2", {"K": 1}),
        ("RbO3", "O3", {"Rb": 1}),
        ("BaO2", "O2", {"Ba": 1}),
        ("Na2S2", "S2", {"Na": 2}),
        ("NaS2", "S4", {"Na": 2}),
        ("K2S5", "S5", {"K": 2}),
        ("BaTe3", "Te3", {"Ba": 1}),
        ("CsI3", "I3", {"Cs": 1}),
        ("BaN6", "N3", None),
        ("NaN3", "N3", {"Na": 1}),
        ("RbAgSe4", "Se4", {"Rb": 1, "Ag": 1}),
    ],
)
def test_the_chain_is_as_long_as_its_charge_says(formula, label, rest):
    found = polyanion(Composition(formula), 24)
    if rest is None:  # two azides for a barium: one chain is half of a formula unit
        assert found is None
    else:
        anion, others = found
        assert (anion.label, others) == (label, rest)
        assert len(anion.bonds) == len(anion.symbols) - 1


@pytest.mark.parametrize("formula", ["LiCl", "Li2S", "Li4SnS4", "LiP", "Li3P7", "La5S8", "LiAl", "P2S5", "Li2SO4"])
def test_there_is_none_where_every_atom_has_its_charge_or_the_mean_is_no_chain(formula):
    assert polyanion(Composition(formula), 24) is None


def test_atoms_are_bonded_in_the_cell_and_the_metals_stand_apart():
    for probe in build_probes(Composition("Li2O2"), SALTS, 0):
        structure = probe.structure
        assert probe.generator.startswith("molecular ions: O2, ")
        assert structure.composition.reduced_composition == Composition("Li2O2").reduced_composition
        distances = np.array(structure.distance_matrix)[np.triu_indices(len(structure), 1)]
        assert distances.min() == pytest.approx(1.49, abs=0.15)  # Å, displaced atoms
        assert np.sort(distances)[1] > 1.6


@pytest.mark.physics
def test_lithium_peroxide_is_found_no_higher_than_it_is_known():
    # Foeppl, Z. anorg. allg. Chem. 291, 12 (1957), doi 10.1002/zaac.19572910502: a = 3.142, c = 7.650 Å; confirmed by
    # Cota & de la Mora, Acta Cryst. B 61, 133 (2005), doi 10.1107/S0108768105003629.
    cell, sites = Lattice.hexagonal(3.142, 7.650), [[0, 0, 0], [1 / 3, 2 / 3, 0.75], [1 / 3, 2 / 3, 0.149]]
    known = Structure.from_spacegroup("P6_3/mmc", cell, ["Li", "Li", "O"], sites)
    result = force_field("chgnet").relax_maker()._run_ase_safe(known)
    energy = float(result.trajectory.frame_properties[-1]["energy"]) / len(known)
    quick = SEARCHES["quick"]
    maker = ScreeningMaker.from_level(force_field("chgnet"), **quick.funnel)
    found = ScreeningMaker.make.original(maker, build_competing("Li2O2", ProbeSettings(n_structures=20), 0))
    assert result.converged
    assert found["generator"].startswith("molecular ions: O2")
    assert found["energy_per_atom"] < energy + 0.005
