"""One CP2K calculation as a job of the queue, with the lines that docs/cluster.md tells a user to fill in."""

import shutil
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from tests.cluster.mongo import MongoServer
from tests.cluster.processes import wait_until
from tests.cluster.slurm import Slurm
from tests.cluster.test_qlaunch import qlaunch

pytestmark = [pytest.mark.cluster, pytest.mark.physics, pytest.mark.slow]


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from dft.cp2k import prepare_basis_sets

    if not shutil.which("cp2k.psmp") or not Path("/usr/share/cp2k").is_dir():
        pytest.skip("cp2k.psmp and its data folder are not installed (apt-get install cp2k)")
    folder = prepare_basis_sets(tmp_path / "cp2k")
    monkeypatch.setenv("CP2K_DATA_DIR", str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.long
def test_lithium_chloride(
    mongo: MongoServer, slurm: Slurm, cluster_files: Path, repository: Path, data_folder: Path, monkeypatch
):
    from jobflow.managers.fireworks import flow_to_workflow

    from dft.first_principles import FirstPrinciplesMaker, first_principles_level
    from dft.probes import ProbeStructure

    cheap = {"cutoff": 400, "kpoint_density": 2.5, "smearing": False, "input": {"alpha": 0.4}}
    level = first_principles_level("cp2k-static", basis="DZVP-MOLOPT-SR-GTH", **cheap)
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    flow = FirstPrinciplesMaker.from_level(level).make([ProbeStructure(cell.get_primitive_structure(), "by hand")])

    adapter = cluster_files / "my_qadapter.yaml"
    told, filled_in = (
        "# export ATOMATE2_CP2K_CMD=",
        f"export ATOMATE2_CP2K_CMD=cp2k.psmp PMG_CP2K_DATA_DIR={data_folder} #",
    )
    text = adapter.read_text().replace("rlaunch rapidfire --timeout 72000", "rlaunch singleshot")
    assert told in text
    adapter.write_text(text.replace(told, filled_in))

    launchpad, workflow = mongo.launchpad(), flow_to_workflow(flow)
    for firework in workflow.fws:
        firework.spec["_category"] = "dft"
    launchpad.add_wf(workflow)
    monkeypatch.delenv("CP2K_DATA_DIR")  # sbatch hands the environment on; the job is to find it by its own
    qlaunch(cluster_files, "-r", "singleshot", repository=repository)
    wait_until(lambda: not slurm.jobs(), "CP2K has ended", 900)
    qlaunch(cluster_files, "-r", "singleshot", repository=repository)
    wait_until(lambda: not slurm.jobs(), "the summary is made", 120)
    assert [launchpad.get_fw_by_id(number).state for number in launchpad.get_fw_ids()] == ["COMPLETED", "COMPLETED"]
    store = mongo.job_store()
    store.connect()
    output = store.get_output(flow.job_uuids[-1], load=True)
    assert (output["state"], output["reason"]) == ("done", "")
    # CP2K 2023.1 gives -614.210 eV for a formula unit of closed shells, and the spins are free, but pair
    assert 2 * output["energy_per_atom"] == pytest.approx(-614.210, abs=0.01)
