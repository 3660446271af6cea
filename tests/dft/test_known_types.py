"""The offline search against the structure that a compound is known to have, at one level of theory."""

from functools import cache

import pytest
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from dft.competing import build_competing
from dft.hull import hull_points
from dft.levels import level
from dft.probes import ProbeSettings
from dft.workflows import ScreeningMaker
from loop.ladder import SEARCHES
from tests.dft.known_structures import KNOWN

#: The search need not find the type itself, but nothing that lies higher by more than this, eV/atom.
WITHIN = 0.010

#: The default search of a campaign.
QUICK = SEARCHES["quick"]


@cache
def found(formula: str) -> float:
    """Lowest energy of the search, eV/atom."""
    maker = ScreeningMaker.from_level(level("chgnet"), **QUICK.funnel)
    candidates = build_competing(formula, ProbeSettings(n_structures=QUICK.n_structures), 0)
    return float(ScreeningMaker.make.original(maker, candidates)["energy_per_atom"])


@cache
def known(formula: str) -> tuple[float, Structure]:
    """Energy of the known structure, eV/atom, and what a relaxation made of it."""
    structure = KNOWN[formula][0]().get_primitive_structure()
    result = level("chgnet").relax_maker()._run_ase_safe(structure)
    assert result.converged
    relaxed = result.final_mol_or_struct
    bare = Structure(relaxed.lattice, [site.specie.symbol for site in relaxed], relaxed.frac_coords)
    return float(result.trajectory.frame_properties[-1]["energy"]) / len(bare), bare


def operations(structure: Structure) -> int:
    """How many symmetry operations a structure has: none may be lost."""
    return len(SpacegroupAnalyzer(structure, symprec=0.1).get_symmetry_operations())


@pytest.mark.parametrize("formula", KNOWN)
def test_structures_written_down_have_their_composition_and_space_group(formula):
    build, spacegroup = KNOWN[formula]
    assert build().composition.reduced_formula == formula
    assert SpacegroupAnalyzer(build()).get_space_group_number() == spacegroup


@pytest.mark.physics
@pytest.mark.slow
@pytest.mark.parametrize("formula", KNOWN)
def test_search_finds_nothing_higher_than_the_known_structure(formula):
    energy, relaxed = known(formula)
    assert operations(relaxed) >= operations(KNOWN[formula][0]().get_primitive_structure())
    assert found(formula) <= energy + WITHIN


@pytest.mark.physics
@pytest.mark.slow
def test_lithium_hexachlorostannate_is_more_stable_than_its_chlorides():
    formulas = ("LiCl", "SnCl4", "Li2SnCl6")
    amounts = {"Li": -1.9, "Sn": -4.0, "Cl": -1.9}  # eV/atom; cancels, since all three lie on one line
    elements = [PDEntry(Composition(symbol), energy) for symbol, energy in amounts.items()]
    chlorides = [PDEntry(Composition(f), found(f) * Composition(f).num_atoms) for f in formulas]
    point = hull_points(chlorides[2:], [*elements, *chlorides[:2]])[0]
    assert point.e_above_competing < 0
