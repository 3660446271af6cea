"""A screening as a job: its hash, its way to a worker, and what an engine makes of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Composition, Lattice, Structure

from dft.levels import level
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.workflows import ScreeningMaker, _with_bar, structure_hash
from tests.dft.scripted import A, B, salt

FEW = ProbeSettings(n_structures=3, restarts=4, supercells=1, stackings=("AB",))


def test_hash_tells_structures_levels_and_settings_apart():
    assert structure_hash([A], "x") == structure_hash([salt(5.0, "a")], "x")
    hashes = {structure_hash(*key) for key in (([A], "x"), ([B], "x"), ([A], "y"), ([A, B], "x"), ([A], "x", {"n": 1}))}
    assert len(hashes) == 5


def test_hash_is_the_same_on_either_side_of_zero():
    cell = [[4, 0, 1e-9], [0, 4, 0], [0, 0, 4]], [[4, 0, -1e-9], [0, 4, 0], [0, 0, 4]]
    atoms = [[0, 0, 0], [0.5, 0.5, 0.5]], [[-1e-17, 1 - 1e-7, 0], [0.5, 0.5, 0.5]]
    one, other = (ProbeStructure(Structure(c, ["Li", "Cl"], a), "given") for c, a in zip(cell, atoms, strict=True))
    assert structure_hash([one], "x") == structure_hash([other], "x")


def test_hash_is_the_same_in_another_process(tmp_path):
    code = (
        "from pymatgen.core import Composition; from dft.probes import *; from dft.workflows import structure_hash;"
        "few = ProbeSettings(n_structures=3, restarts=4, supercells=1, stackings=('AB',));"
        "print(structure_hash(build_probes(Composition('Li2S'), few, 1), 'x'))"
    )
    here = structure_hash(build_probes(Composition("Li2S"), FEW, 1), "x")
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_structures_packed_as_a_text_are_the_structures():
    from dft.probes.base import packed, unpacked

    structure = Structure(Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    probes = [ProbeStructure(structure, "rock salt"), ProbeStructure(structure * (2, 1, 1), "twice")]
    assert unpacked(packed([probe.as_dict() for probe in probes])) == probes
    assert unpacked(probes) is probes


def test_a_relaxation_is_given_up_through_atomate2():
    model = level("lennard-jones", fmax=1e-6)
    shaken = Structure(Lattice.cubic(9.6), ["Li", "Cl"] * 4, np.random.default_rng(0).random((8, 3)))
    maker = ScreeningMaker.from_level(model).relax_maker
    whole, short = maker._run_ase_safe(shaken), _with_bar(maker, -1e3)._run_ase_safe(shaken)
    assert not short.converged
    ends = [result.trajectory.frame_properties[-1]["energy"] for result in (whole, short)]
    assert ends[0] < ends[1]


def test_a_relaxation_ends_the_same_whether_or_not_all_its_frames_are_kept():
    model = level("lennard-jones", fmax=0.01)
    salt = Structure(Lattice.cubic(4.4), ["Li", "Cl"], [[0.02, 0, 0], [0.5, 0.5, 0.5]])
    every, ends = (
        maker._run_ase_safe(salt) for maker in (model.relax_maker(), ScreeningMaker.from_level(model).relax_maker)
    )
    assert len(every.trajectory) > len(ends.trajectory) == 2
    assert ends.converged
    assert ends.final_mol_or_struct == every.final_mol_or_struct
    for frame in (0, -1):
        one, other = (result.trajectory.frame_properties[frame] for result in (every, ends))
        assert one["energy"] == other["energy"]
        assert one["forces"] == other["forces"]


@pytest.fixture(scope="module")
def lithium_chloride(tmp_path_factory):
    """One real screening through a job that has been written to JSON and read again, as a worker process gets it."""
    maker = ScreeningMaker.from_dict(json.loads(ScreeningMaker.from_level(level("chgnet")).to_json()))
    job = maker.make(build_probes(Composition("LiCl"), FEW, 0))
    root = tmp_path_factory.mktemp("run")
    found = run_locally(
        Flow([job]), store=JobStore(MemoryStore()), ensure_success=True, root_dir=root, create_folders=True, log=False
    )
    return found[job.uuid][1].output


@pytest.mark.physics
def test_chgnet_screening_of_lithium_chloride(lithium_chloride):
    out = lithium_chloride
    assert out["state"] == "done"
    assert out["energy_per_atom"] == pytest.approx(-3.98, abs=0.02)  # CHGNet 0.3.0, rocksalt and wurtzite within 1 meV
    assert out["max_force"] < 0.05
    assert out["force_calls"] > 0
    assert out["force_seconds"] > 0
    assert out["level"] == level("chgnet").identity
    assert json.loads(json.dumps(out)) == out


@pytest.mark.physics
def test_finished_structure_has_the_energy_that_is_told(lithium_chloride):
    again = level("chgnet").static_maker()._run_ase_safe(Structure.from_dict(lithium_chloride["structure"]))
    energy = again.trajectory.frame_properties[-1]["energy"] / lithium_chloride["n_atoms"]
    assert energy == pytest.approx(lithium_chloride["energy_per_atom"], abs=1e-4)
