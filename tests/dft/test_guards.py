import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from dft.guards import bad_contact, bad_volume, changed_composition, not_finite, shortest_contact, why_rejected


def rocksalt(a=5.1):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_a_sound_structure_is_kept():
    assert why_rejected(rocksalt(), rocksalt(5.3)) == ""


def test_lost_atom_is_told():
    fewer = rocksalt()
    fewer.remove_sites([0])
    assert changed_composition(rocksalt(), fewer) == "composition changed from Li4 Cl4 to Li3 Cl4"


def test_contact_is_measured_in_sums_of_covalent_radii():
    # Li-Cl at a/2 = 2.55 Å; covalent radii 1.28 + 1.02 Å (Cordero et al. 2008)
    _, _, fraction = shortest_contact(rocksalt())
    assert fraction == pytest.approx(2.55 / 2.30)


@pytest.mark.parametrize(("distance", "rejected"), [(1.39, False), (1.37, True)])  # 0.6 x 2.30 = 1.38 Å
def test_contact_limit(distance, rejected):
    pair = Structure(Lattice.cubic(10), ["Li", "Cl"], [[0, 0, 0], [distance / 10, 0, 0]])
    assert bool(bad_contact(pair)) is rejected


def test_image_of_an_atom_counts_as_a_contact():
    assert "Cl-Cl" in bad_contact(Structure(Lattice.cubic(1.2), ["Cl"], [[0, 0, 0]]))  # 0.6 x 2.04 = 1.22 Å


@pytest.mark.parametrize(("factor", "rejected"), [(1.99, False), (2.01, True), (0.51, False), (0.49, True)])
def test_volume_limit(factor, rejected):
    after = rocksalt()
    after.scale_lattice(after.volume * factor)
    assert bool(bad_volume(rocksalt(), after)) is rejected


def test_coordinates_that_are_not_numbers_are_told():
    broken = rocksalt()
    broken.translate_sites([0], [np.nan, 0, 0])
    assert not_finite(broken) == "a coordinate or lattice vector is not a number"
