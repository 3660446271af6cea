"""VASP's inputs, step by step, beside the Materials Project's own sets; the program is not needed."""

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.sets import MPRelaxSet, MPScanRelaxSet, MPScanStaticSet, MPStaticSet

from dft.first_principles import engine_settings


def rocksalt(cation, anion, a):
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return cell.get_primitive_structure()


STRUCTURES = {"LiCl": rocksalt("Li", "Cl", 5.13), "FeO": rocksalt("Fe", "O", 4.33), "SnS": rocksalt("Sn", "S", 5.8)}
POTCARS = {"LiCl": ["Li_sv", "Cl"], "FeO": ["Fe_pv", "O"], "SnS": ["Sn_d", "S"]}


def steps(flow):
    return [step for job in flow.jobs for step in (steps(job) if hasattr(job, "jobs") else [job])]


def inputs(level, structure):
    jobs = steps(engine_settings(level, {}).maker().make(structure))
    return [job.maker.input_set_generator.get_input_set(structure, potcar_spec=True) for job in jobs]


@pytest.mark.parametrize("formula", STRUCTURES)
def test_every_step_of_vasp_has_the_inputs_of_the_materials_project(formula):
    structure = STRUCTURES[formula]
    for ours, theirs in zip(inputs("vasp", structure), (MPRelaxSet, MPRelaxSet, MPStaticSet), strict=True):
        wanted = theirs(structure)
        assert dict(ours.incar) == dict(wanted.incar)
        assert ours.kpoints.kpts == wanted.kpoints.kpts
        assert ours.potcar.split() == wanted.potcar_symbols == POTCARS[formula]


def test_the_values_of_a_salt_and_the_u_of_an_oxide():
    # Materials Project documentation, calculation parameters: 520 eV, spin-polarised, tetrahedron method, U(Fe) 5.3 eV
    static = inputs("vasp", STRUCTURES["LiCl"])[-1].incar
    assert (static["ENCUT"], static["ISPIN"], static["ISMEAR"], static["NSW"]) == (520, 2, -5, 0)
    for step in inputs("vasp", STRUCTURES["FeO"]):
        assert step.incar["LDAU"] is True
        assert dict(zip(["Fe", "O"], step.incar["LDAUU"], strict=True)) == {"Fe": 5.3, "O": 0}


#: What atomate2 changes of pymatgen's sets for r2SCAN: a first relaxation with PBEsol, less smearing, what is written.
R2SCAN_CHANGES = {"SIGMA", "LWAVE", "LVHAR"}
PRE_RELAXATION = {"GGA", "METAGGA", "EDIFFG"}


@pytest.mark.parametrize("formula", STRUCTURES)
def test_r2scan_differs_from_the_materials_project_by_what_atomate2_changes_alone(formula):
    structure = STRUCTURES[formula]
    sets = (MPScanRelaxSet, MPScanRelaxSet, MPScanStaticSet)
    for number, (ours, theirs) in enumerate(zip(inputs("vasp-r2scan", structure), sets, strict=True)):
        wanted = theirs(structure)
        tags = {tag for tag in {*ours.incar, *wanted.incar} if ours.incar.get(tag) != wanted.incar.get(tag)}
        assert tags <= R2SCAN_CHANGES | (PRE_RELAXATION if number == 0 else set())
        assert ours.kpoints is None  # KSPACING in the INCAR, the same as theirs
        assert ours.potcar.split() == wanted.potcar_symbols
    pre_relaxation, relaxation, _ = (step.incar for step in inputs("vasp-r2scan", structure))
    assert (pre_relaxation["GGA"].upper(), relaxation["METAGGA"].upper()) == ("PS", "R2SCAN")
    assert relaxation["ENCUT"] == 680
