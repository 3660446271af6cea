import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from loop.report.structures import cif, compact

TRICLINIC = Structure(
    Lattice.from_parameters(4.1, 5.2, 6.3, 80, 95, 110),
    ["Li", "Li", "Sn", "S"],
    [[0.1, 0.2, 0.3], [1.5, -0.25, 0.0], [0.123456789, 0.4, 0.9], [0.6, 0.7, 0.8]],
)


@pytest.mark.parametrize("structure", [TRICLINIC, TRICLINIC.copy().add_oxidation_state_by_guess()])
def test_a_cif_parses_to_the_same_structure(structure):
    read = Structure.from_str(cif(structure.as_dict()), fmt="cif")
    assert read.composition.formula == "Li2 Sn1 S1"
    assert read.lattice.parameters == pytest.approx(structure.lattice.parameters, abs=1e-6)
    assert np.sort(read.distance_matrix, axis=None) == pytest.approx(
        np.sort(structure.distance_matrix, axis=None), abs=1e-6
    )


def test_the_viewer_gets_cell_symbols_and_sites_in_the_cell():
    small = compact(TRICLINIC.as_dict())
    assert small["cell"] == [4.1, 5.2, 6.3, 80.0, 95.0, 110.0]
    assert small["symbols"] == ["Li", "Li", "Sn", "S"]
    assert small["sites"][1] == [0.5, 0.75, 0.0]
    assert small["sites"][2] == [0.12346, 0.4, 0.9]
