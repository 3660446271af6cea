import numpy as np
import pytest
from pymatgen.core import Composition

from dft.competing import build_competing
from dft.guards import shortest_contact
from dft.levels import force_field
from dft.probes import ProbeSettings, build_probes
from dft.probes.molecules import MONOVALENT, drawn, embedded, molecules, usual_first
from dft.workflows import ScreeningMaker

SETTINGS = ProbeSettings(n_structures=20, generators=("molecules",), rattle=0.0)
SALTS = ProbeSettings(n_structures=20, generators=("molecular-ions",), rattle=0.0)


def every(formula, charge=0):
    amounts = {s: round(n) for s, n in Composition(formula).get_el_amt_dict().items()}
    return [molecule for _, molecule in drawn(amounts, 24, charge)]


def best(formula, charge=0):
    return usual_first(every(formula, charge))[0]


@pytest.mark.parametrize(
    ("formula", "label"),
    [
        ("P2O5", "P4, 6 bridges of O"),
        ("P2O3", "P4, 6 bridges of O"),
        ("P4S3", "P4, 3 bridges of S"),
        ("AsS", "As4, 4 bridges of S"),
        ("SO3", "S3, 3 bridges of O"),
        ("Cl2O7", "Cl2, 1 bridges of O"),
        ("PF5", "P1"),
        ("SiCl4", "Si1"),
    ],
)
def test_the_molecule_that_is_known_has_the_usual_bonds(formula, label):
    assert best(formula).label == label
    assert best(formula).unusual_bonds == 0


@pytest.mark.parametrize(
    ("formula", "charge", "label"),
    [
        ("P2O7", 4, "P2, 1 bridges of O"),
        ("PO3", 1, "P3, 3 bridges of O"),
        ("BO2", 1, "B3, 3 bridges of O"),
        ("PF6", 1, "P1"),
    ],
)
def test_the_anion_that_is_known_has_the_usual_bonds(formula, charge, label):
    """Diphosphate, the rings of metaphosphate and metaborate; hexafluorophosphate has one bond more than P has."""
    assert best(formula, charge).label == label
    assert best(formula, charge).unusual_bonds == (2 if formula == "PF6" else 0)


@pytest.mark.parametrize("formula", ["PF4", "P2F5"])
def test_where_none_has_the_usual_bonds_some_are_built_all_the_same(formula):
    assert best(formula).unusual_bonds > 0
    assert build_probes(Composition(formula), SETTINGS, 0)


@pytest.mark.parametrize("formula", ["POF3", "SO2F2", "P4(S2O)3", "P2S2O3"])
def test_halogens_do_not_bridge_where_others_can(formula):
    molecule = best(formula)
    ends = [i for pair in molecule.bonds for i in pair]
    assert all(ends.count(i) == 1 for i, symbol in enumerate(molecule.symbols) if symbol in MONOVALENT)


def test_bonds_of_p4o10_have_their_lengths_and_the_cage_its_symmetry():
    molecule = best("P2O5")
    atoms = embedded(molecule, np.random.default_rng(0))
    distances = np.linalg.norm(atoms[:, None] - atoms[None], axis=-1)
    # Gas-phase electron diffraction: P-O 1.604, P=O 1.429 Å (Beagley et al., Trans. Faraday Soc. 65, 1219 (1969),
    # doi 10.1039/tf9696501219).
    for (i, j), order in molecule.bonds.items():
        assert distances[i, j] == pytest.approx(1.429 if order == 2 else 1.604, abs=0.05)
    between_centres = distances[:4, :4][np.triu_indices(4, 1)]
    assert between_centres.std() < 0.01
    assert distances[distances > 0].min() > 1.3


@pytest.mark.parametrize(("formula", "angle"), [("PF3", 120.0), ("SiCl4", 109.47), ("SO3", 120.0)])
def test_atoms_at_one_centre_keep_apart(formula, angle):
    molecule = next(m for m in every(formula) if m.n_centres == 1)
    atoms = embedded(molecule, np.random.default_rng(0))
    legs = atoms[1:] - atoms[0]
    legs /= np.linalg.norm(legs, axis=1, keepdims=True)
    assert np.degrees(np.arccos(legs[0] @ legs[1])) == pytest.approx(angle, abs=1.0)


def test_every_structure_holds_the_composition_with_its_molecules_apart():
    built = build_probes(Composition("P2S5"), SETTINGS, 0)
    assert {p.structure.composition.reduced_formula for p in built} == {"P2S5"}
    assert {p.generator.split(", ")[-1] for p in built} == {"fcc", "bcc", "sc"}
    cage = next(p.structure for p in built if "6 bridges" in p.generator and p.generator.endswith("bcc"))
    bonds = len(cage.get_neighbor_list(2.3)[0]) / 2
    assert bonds == 16  # twelve of the bridges, four at one centre, and none between molecules


@pytest.mark.parametrize("formula", ["LiCl", "Li3PS4", "SnCl4", "S8O"])
def test_nothing_is_built_with_a_metal_or_without_such_a_molecule(formula):
    assert molecules(Composition(formula), SETTINGS, np.random.default_rng(0)) == []


@pytest.mark.parametrize(("formula", "group"), [("Li4P2O7", {"P": 2, "O": 7}), ("Li5PO4F2", {"P": 1, "O": 4})])
def test_a_salt_holds_its_anion_and_its_other_ions_apart(formula, group):
    built = build_probes(Composition(formula), SALTS, 0)
    assert {p.structure.composition.reduced_composition for p in built} == {Composition(formula).reduced_composition}
    assert max(len(p.structure) for p in built) <= SALTS.max_atoms
    assert min(shortest_contact(p.structure)[2] for p in built) > 0.6
    assert any(bonded_to(p.structure, "P") == group for p in built)


def bonded_to(structure, symbol):
    """Atoms of the group around the first atom of an element: bonds of up to 1.9 Å, those to lithium left out."""
    found = {next(i for i, site in enumerate(structure) if site.specie.symbol == symbol)}
    first, second, *_ = structure.get_neighbor_list(1.9)
    bonds = [
        (i, j) for i, j in zip(first, second, strict=True) if "Li" not in {structure[k].specie.symbol for k in (i, j)}
    ]
    while more := {int(j) for i, j in bonds if i in found} - found:
        found |= more
    symbols = [structure[i].specie.symbol for i in found]
    return {s: symbols.count(s) for s in symbols}


@pytest.mark.parametrize("formula", ["LiCl", "Li3P7", "Li4SnS4", "P2O5", "LiAl"])
def test_no_salt_is_built_without_an_anion_of_two_elements(formula):
    assert build_probes(Composition(formula), SALTS, 0) == []


def test_competing_phases_without_a_metal_are_molecules_chains_and_what_others_are():
    built = build_competing("P2O5", ProbeSettings(n_structures=10, supercells=1, restarts=2), 0)
    kinds = [probe.generator.split(":")[0] for probe in built]
    assert kinds[:7] == ["molecules"] * 4 + ["chains"] * 3
    assert len(kinds) - 7 == 10


@pytest.mark.physics
def test_phosphorus_pentoxide_is_found_as_its_molecules():
    probes = build_competing("P2O5", ProbeSettings(n_structures=10, supercells=1, restarts=2), 0)
    probes = [probe for probe in probes if not probe.generator.startswith("chains")]
    maker = ScreeningMaker.from_level(force_field("chgnet"))
    found = ScreeningMaker.make.original(maker, probes)
    lattices = [probe for probe in probes if not probe.generator.startswith("molecules")]
    without = ScreeningMaker.make.original(maker, lattices)
    assert found["generator"].startswith("molecules: P4, 6 bridges of O")
    assert found["energy_per_atom"] < without["energy_per_atom"] + 0.02  # of networks, as stable as they are
