"""CP2K itself, through atomate2 and custodian: about a minute where Debian's cp2k is installed, skipped elsewhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from dft.first_principles import FirstPrinciplesMaker, first_principles_level
from dft.probes import ProbeStructure

DATA = Path("/usr/share/cp2k")


@pytest.fixture
def basis_sets(tmp_path, monkeypatch):
    if not shutil.which("cp2k.psmp") or not DATA.is_dir():
        pytest.skip("cp2k.psmp and its data folder are not installed (apt-get install cp2k)")
    folder = tmp_path / "data"
    pmg = Path(sys.executable).with_name("pmg")
    subprocess.run([pmg, "config", "--cp2k", DATA, folder], check=True, capture_output=True)
    for key, value in {
        "CP2K_DATA_DIR": str(folder),
        "DEFAULT_CP2K_FUNCTIONAL": "PBE",
        "DEFAULT_CP2K_BASIS_TYPE": "MOLOPT",
        "DEFAULT_CP2K_AUX_BASIS_TYPE": "pFIT",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(key, value)
    return folder


@pytest.mark.physics
@pytest.mark.slow
def test_cp2k_computes_lithium_chloride(basis_sets, tmp_path):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    probe = ProbeStructure(salt.get_primitive_structure(), "prototype: AFLOW B1")
    flow = FirstPrinciplesMaker.from_level(first_principles_level("cp2k-static")).make([probe])
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    found = run_locally(flow, store=store, root_dir=tmp_path, create_folders=True, ensure_success=True, log=False)
    out = found[flow.jobs[-1].uuid][1].output
    assert out["state"] == "done"
    # GTH valence energies: Li 1s2 2s1 and Cl 3s2 3p5, about -204 and -410 eV; CP2K 2023.1 gives -614.297 eV for both
    assert 2 * out["energy_per_atom"] == pytest.approx(-614.297, abs=0.01)
    assert out["max_force"] == pytest.approx(0.0, abs=1e-3)  # by symmetry
