import numpy as np
import pytest

from vae.profiles import count_atoms, substitution_profiles

ELEMENTS = ("Li", "Na", "K", "Cl", "Br", "Nd", "Pr", "Zr", "Hf")


@pytest.mark.parametrize(
    ("formula", "atoms"),
    [
        ("Li2SnS3", {"Li": 2, "Sn": 1, "S": 3}),
        ("Al(Ag3S2)3", {"Al": 1, "Ag": 9, "S": 6}),
        ("Ca(CN)2", {"Ca": 1, "C": 2, "N": 2}),
    ],
)
def test_atoms_are_counted(formula, atoms):
    assert count_atoms(formula) == atoms


def test_what_exchanges_lies_near():
    profiles = substitution_profiles(ELEMENTS, 6)
    apart = np.linalg.norm(profiles[:, None] - profiles[None], axis=2) + 9 * np.eye(len(ELEMENTS))
    nearest = dict(zip(ELEMENTS, (ELEMENTS[i] for i in apart.argmin(1)), strict=True))
    assert (nearest["Cl"], nearest["Nd"], nearest["Zr"], nearest["K"]) == ("Br", "Pr", "Hf", "Na")


def test_elements_without_compounds_and_missing_components_are_zero():
    profiles = substitution_profiles(("Li", "Cl", "Rn"), 5)
    assert profiles.shape == (3, 5)
    np.testing.assert_allclose(profiles[2], 0.0, atol=1e-12)
    np.testing.assert_allclose(profiles[:, 3:], 0.0, atol=1e-12)
