import numpy as np
import pytest
from pymatgen.core import Composition

from dft.competing import build_competing
from dft.guards import VOLUME_FACTOR
from dft.probes import ProbeSettings
from dft.probes.volumes import ionic_radius, least_volume, most_volume

FEW = ProbeSettings(restarts=4, supercells=1, n_structures=10)


@pytest.mark.parametrize(
    ("formula", "volume"),
    [("N2O5", 2 * 11.8 + 5 * 11.39), ("CO2", 13.87 + 2 * 11.39), ("LiCl", 0.0), ("P2S5", 2 * 29.5 + 5 * 25.2)],
)
def test_compounds_without_a_metal_have_a_least_volume(formula, volume):
    assert least_volume(Composition(formula)) == pytest.approx(volume)


@pytest.mark.parametrize(
    ("formula", "measured"),
    [("N2O5", 11.6), ("B6O", 7.4), ("SiO2", 12.6)],  # Å³ per atom of the crystals
)
def test_molecular_and_covalent_phases_start_within_the_guard_of_their_volume(formula, measured):
    for probe in build_competing(formula, FEW, 0):
        ratio = probe.structure.volume / len(probe.structure) / measured
        assert 1 / VOLUME_FACTOR < ratio < VOLUME_FACTOR


def test_an_ion_without_a_radius_is_named():
    with pytest.raises(ValueError, match="element 'Og' has neither an ionic nor an atomic radius"):
        ionic_radius("Og", 2.0)


@pytest.mark.parametrize(("formula", "measured"), [("CoAs3", 17.2), ("CoP3", 14.3), ("RuTe2", 24.8), ("LiCl", 16.9)])
def test_charges_that_are_not_real_do_not_make_a_compound_larger_than_its_elements(formula, measured):
    volumes = [probe.structure.volume / len(probe.structure) for probe in build_competing(formula, FEW, 0)]
    assert max(volumes) < 2.2 * measured  # Å³ per atom of the crystal


def test_the_largest_volume_to_start_from_is_that_of_the_elements_and_a_third():
    assert most_volume(Composition("CoAs3")) == pytest.approx(1.3 * (6.67 + 3 * 12.95) / 0.602214)
    assert most_volume(Composition("N2O5")) == np.inf
