"""A whole exploration from a folder of one's own structures: what each becomes, and what is said of the bad one."""

import json

import pytest
from pymatgen.core import Lattice, Structure

from loop.campaign import Campaign
from loop.config import Settings
from loop.explore import explore_field
from vae import PhaseField

FIELD = PhaseField.parse("Na-K-Cl")
#: NaKCl2 as given, LiRbBr2 and CsRbI2 as relatives whose ions are replaced.
MIXED = [("Na", "K", "Cl", 6.0), ("Li", "Rb", "Br", 6.1), ("Rb", "Cs", "I", 7.5)]


def rocksalt(cation, anion, a):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def in_layers(one, other, anion, a):
    """Rocksalt with two cations in alternating layers along an edge."""
    structure = rocksalt(one, anion, a)
    for i, site in enumerate(structure):
        if site.specie.symbol == one and abs(site.frac_coords[2] - 0.5) < 0.1:
            structure.replace(i, other)
    return structure


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """The campaign and what was told."""
    root = tmp_path_factory.mktemp("folder")
    folder = root / "mine"
    folder.mkdir()
    files = {
        "Na.cif": Structure(Lattice.cubic(4.2), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "K.cif": Structure(Lattice.cubic(5.3), ["K", "K"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "NaCl.cif": rocksalt("Na", "Cl", 5.64),
        "KCl.cif": rocksalt("K", "Cl", 6.29),
        **{f"{one}{other}{anion}2.cif": in_layers(one, other, anion, a) for one, other, anion, a in MIXED},
    }
    for name, structure in files.items():
        structure.to(str(folder / name))
    (folder / "torn.cif").write_text("data_torn\n_cell_length_a 5\n")
    settings = {
        "level_of_theory": "lennard-jones",
        "level_settings": {"lennard-jones": {"fmax": 0.5, "max_steps": 60}},
        "probes": {"generators": ["given", "substitution", "frameworks"], "folder": str(folder), "max_atoms": 8},
        "competing": {"source": str(folder)},
        "execution": {"workers": 1},
    }
    told = []
    with Campaign.drive(root / "c", Settings.model_validate(settings)) as campaign:
        explore_field(campaign, FIELD, ["NaKCl2"], told.append)
        yield campaign, folder, [event.text for event in told if event.kind == "message"]


@pytest.mark.physics
def test_each_generator_builds_structures_of_the_probe(explored):
    campaign = explored[0]
    (row,) = campaign.database.query("SELECT input, state FROM calculations WHERE role = 'probe'")
    generators = [probe["generator"] for probe in json.loads(row["input"])]
    assert row["state"] == "done"
    assert generators[0] == "given: NaKCl2.cif"
    assert any(name.startswith("substitution: LiRbBr2.cif, probability ") for name in generators)
    assert any(name.startswith("framework") for name in generators)


@pytest.mark.physics
def test_each_competing_phase_names_its_file(explored):
    campaign = explored[0]
    (level,) = campaign.calculations.levels(str(FIELD))
    found = {r.composition: r.generator for r in campaign.calculations.of(str(FIELD), "competing", level)}
    assert "given: " not in found.pop("Cl")  # the folder lacks it
    # NaKCl2 is a phase of the folder, too, and bounds its own field
    assert found == {
        "Na": "given: Na.cif",
        "K": "given: K.cif",
        "NaCl": "given: NaCl.cif",
        "KCl": "given: KCl.cif",
        "KNaCl2": "given: NaKCl2.cif",
    }


@pytest.mark.physics
def test_the_file_that_cannot_be_read_is_told_once_with_its_reason(explored):
    campaign, folder, told = explored
    why = "it cannot be read as a structure (ValueError: Invalid CIF file with no structures!)"
    assert [text for text in told if "torn.cif" in text] == [f"probes.folder: {folder}/torn.cif is set aside: {why}"]
    (verdict,) = campaign.verdicts()
    assert verdict["competing_source"].startswith(
        "5 structures from mine; 2 of other fields; set aside: torn.cif (it cannot be read as a structure"
    )
