"""VASP's way through atomate2, custodian and emmet, with a stand-in for the program itself: plumbing, no physics.

`vasp_stand_in.py` answers with the energies of a pair potential. What is tested is that inputs are written, that the
program is called, and that its outputs, good and bad, become the results that they should.
"""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from atomate2.vasp.jobs.base import BaseVaspMaker
from custodian.custodian import ValidationError
from custodian.vasp.validators import VasprunXMLValidator
from pymatgen.core import SETTINGS, Lattice, Structure
from scipy.optimize import minimize_scalar

from dft.corrections import MP2020
from dft.custodian_logs import why_given_up
from dft.execute import LocalExecutor, Task
from dft.first_principles import FirstPrinciplesMaker, first_principles_level
from dft.flows import run_flow
from dft.pair_potential import LennardJones
from dft.probes import ProbeStructure
from tests.dft.stand_in_potcars import write_potcars

STAND_IN = Path(__file__).with_name("vasp_stand_in.py")


def salt(a=5.13):
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return cell.get_primitive_structure()


def pair_energy(structure):
    """Of the pair potential, eV/atom."""
    atoms = structure.to_ase_atoms()
    atoms.calc = LennardJones()
    return atoms.get_potential_energy() / len(atoms)


@pytest.fixture
def stand_in(tmp_path, monkeypatch, repository):
    """Make the Maker of a level whose program is the stand-in, with options."""
    potcars = tmp_path / "potcars"
    write_potcars(potcars, "PBE")
    write_potcars(potcars, "PBE_54")
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcars))  # for this project, and for workers
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(potcars))  # pymatgen here has read its settings already
    monkeypatch.setenv("PYTHONPATH", str(repository))

    def make(name, *options, **level_settings):
        command = shlex.join([sys.executable, str(STAND_IN), *options])
        monkeypatch.setenv("ATOMATE2_VASP_CMD", command)  # for workers
        monkeypatch.setattr("atomate2.SETTINGS.VASP_CMD", command)
        monkeypatch.setattr("atomate2.vasp.jobs.base.run_vasp.__defaults__", defaults(command))
        return quick(FirstPrinciplesMaker.from_level(first_principles_level(name, **level_settings)))

    return make


def defaults(command):
    """Of atomate2's `run_vasp`, which took the command from the settings when it was imported."""
    from atomate2.vasp.run import run_vasp

    return (run_vasp.__defaults__[0], command, *run_vasp.__defaults__[2:])


def quick(maker):
    """Custodian looks every 10 s whether VASP has ended, unless told to look more often; one error is enough here."""
    told = {"run_vasp_kwargs": {"custodian_kwargs": {"polling_time_step": 0.05, "max_errors_per_job": 1}}}
    return replace(maker, calculation=maker.calculation.update_kwargs(told, class_filter=BaseVaspMaker))


def run(maker, folder, structure=None):
    return run_flow(maker, ([ProbeStructure(structure or salt(), "by hand")],), folder / "out.json")


def documents(folder):
    """The task documents in the order of the steps; the last output is the summary."""
    return [d["output"] for d in json.loads((folder / "out.json").read_text()) if "entry" in d["output"]]


def check_done(out):
    assert (out["state"], out["reason"]) == ("done", "")
    relaxed = Structure.from_dict(out["structure"])
    assert out["energy_per_atom"] == pytest.approx(pair_energy(relaxed), abs=1e-6)
    # rock salt has one free parameter, so that the lowest energy is that of a search in one dimension
    lowest = minimize_scalar(lambda a: pair_energy(salt(a)), bounds=(4.5, 6.5), method="bounded")
    assert out["energy_per_atom"] == pytest.approx(lowest.fun, abs=1e-4)
    assert relaxed.volume == pytest.approx(salt(lowest.x).volume, rel=0.01)
    assert relaxed.volume != pytest.approx(salt().volume, rel=0.01)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("vasp", ["GGA Structure Optimization", "GGA Structure Optimization", "GGA Static"]),
        ("vasp-r2scan", ["PBEsol Structure Optimization", "r2SCAN Structure Optimization", "r2SCAN Static"]),
    ],
)
def test_three_steps_become_a_result(stand_in, tmp_path, name, steps):
    out = run(stand_in(name), tmp_path)
    check_done(out)
    found = documents(tmp_path)
    assert [d["calc_type"] for d in found] == steps
    assert {d["state"] for d in found} == {"successful"}
    assert found[-1]["output"]["energy"] == pytest.approx(2 * out["energy_per_atom"])
    assert [len(d["calcs_reversed"][0]["output"]["ionic_steps"]) for d in found][1:] == [1, 1]  # relaxed already
    assert found[0]["input"]["potcar_spec"][0]["titel"] == "PAW_PBE Li_sv 10Sep2004"


@pytest.mark.slow
def test_worker_finds_program_and_potcars_by_the_environment(stand_in, tmp_path):
    maker = stand_in("vasp")
    task = Task("LiCl", run_flow, (maker, ([ProbeStructure(salt(), "by hand")],), tmp_path / "out.json"))
    with LocalExecutor(workers=1) as executor:
        (outcome,) = executor.run([task])
    assert outcome.reason == ""
    check_done(outcome.value)


def test_program_that_dies_is_quoted(stand_in, tmp_path):
    with pytest.raises(ValueError, match="ended without usable output, saying 'stand-in for VASP: dies as it"):
        run(stand_in("vasp", "--dies"), tmp_path)
    assert not (tmp_path / "out.json").exists()
    (folder,) = (tmp_path / "out-failed").glob("job_*")
    assert {"INCAR", "KPOINTS", "POSCAR", "POTCAR", "custodian.json"} <= {path.name for path in folder.iterdir()}


def test_a_log_of_custodian_that_was_cut_short_hides_nothing(tmp_path):
    (tmp_path / "custodian.json").write_text('[{"job": {"@mod')
    (tmp_path / "vasp.out").write_text("a line\nEDWAV: internal error\n")
    error = ValidationError("Validation failed: VasprunXMLValidator", False, VasprunXMLValidator())
    told = "the program ended without usable output, saying 'EDWAV: internal error'"
    assert why_given_up(error, tmp_path) == f"{told}; its files are in {tmp_path}"


def test_output_without_an_energy_has_none(stand_in, tmp_path):
    out = run(stand_in("vasp", "--no-energy"), tmp_path)
    assert (out["state"], out["reason"], out["energy_per_atom"]) == ("failed", "the calculation gave no energy", None)
    assert out["survivors"] == []


@pytest.mark.parametrize(
    ("options", "level_settings"),
    [(["--scf-steps", "500"], {}), (["--force-limit", "0"], {"incar": {"NSW": 3}})],
    ids=["electronic", "ionic"],
)
def test_steps_that_run_out_give_no_energy(stand_in, tmp_path, options, level_settings):
    with pytest.raises(ValueError, match="custodian has given the calculation up after these errors: Unconverged; its"):
        run(stand_in("vasp", *options, **level_settings), tmp_path)
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("options", "run_type"), [([], "GGA"), (["--gga", "PE"], "PBE")])
def test_energy_takes_the_corrections_of_the_materials_project(stand_in, tmp_path, options, run_type):
    """Where INCAR names no functional, vasprun.xml of VASP 5 says '--', and that of VASP 6.4.3 'PE'."""
    maker = stand_in("vasp", *options, corrections=MP2020)
    maker.calculation = maker.calculation.static_maker  # the step that the energy is of
    out = run(maker, tmp_path)
    parameters = documents(tmp_path)[-1]["entry"]["parameters"]
    found = {key: parameters[key] for key in ("run_type", "is_hubbard", "hubbards")}
    assert found == {"run_type": run_type, "is_hubbard": False, "hubbards": {}}
    assert [spec["titel"].split()[1] for spec in parameters["potcar_spec"]] == ["Li_sv", "Cl"]
    assert (out["state"], out["reason"]) == ("done", "")
    # eV per Cl: Wang et al., Sci. Rep. 11, 15496 (2021), doi 10.1038/s41598-021-94550-5
    assert out["energy_per_atom"] == pytest.approx(pair_energy(salt()) - 0.614 / 2, abs=1e-6)


def test_stand_in_refuses_potcars_in_another_order(tmp_path, monkeypatch, repository):
    import subprocess

    monkeypatch.setenv("PYTHONPATH", str(repository))
    write_potcars(tmp_path / "potcars")
    salt().get_sorted_structure().to(tmp_path / "POSCAR", fmt="poscar")
    (tmp_path / "INCAR").write_text("NSW = 0\n")
    (tmp_path / "KPOINTS").write_text("mesh\n0\nGamma\n1 1 1\n")
    told = subprocess.run([sys.executable, STAND_IN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (1, "stand-in for VASP: POTCAR is missing\n")
    folder = tmp_path / "potcars" / "POT_GGA_PAW_PBE"
    (tmp_path / "POTCAR").write_text("".join((folder / symbol / "POTCAR").read_text() for symbol in ("Cl", "Li_sv")))
    told = subprocess.run([sys.executable, STAND_IN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (1, "stand-in for VASP: POSCAR has Li Cl, and POTCAR has Cl Li\n")
