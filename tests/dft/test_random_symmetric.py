import sys

import pytest
from pymatgen.core import Composition

from dft.guards import shortest_contact
from dft.probes import ProbeSettings, build_probes

FEW = ProbeSettings(generators=("random",), n_structures=4)


def test_missing_package_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxtal", None)
    with pytest.raises(ValueError, match=r"generator 'random' needs .* pip install 'phaseloop\[random\]'"):
        build_probes(Composition("LiCl"), FEW, 0)


@pytest.mark.extras
def test_random_crystals_hold_exactly_their_composition_and_are_reproducible():
    pytest.importorskip("pyxtal", reason="extra `random` is not installed")
    built = build_probes(Composition("Li3SnS3Cl"), FEW, 0)
    assert len(built) == 4
    for probe in built:
        assert probe.generator.startswith("random symmetric: space group ")
        assert probe.structure.composition.reduced_formula == Composition("Li3SnS3Cl").reduced_formula
        assert shortest_contact(probe.structure)[2] > 0.5
    assert build_probes(Composition("Li3SnS3Cl"), FEW, 0) == built
