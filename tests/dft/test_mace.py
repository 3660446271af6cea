"""The level `mace` with a small checkpoint, trained here on energies of CHGNet: that it runs, not what it is worth."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write

pytest.importorskip("mace", reason="extra `mace` is not installed")

from mace.calculators import MACECalculator
from pymatgen.io.ase import AseAtomsAdaptor

from dft.engines import _mace, chgnet, elements_of_mace, mace
from dft.levels import level
from loop.campaign import Campaign
from tests.explorations import explore

pytestmark = [pytest.mark.extras, pytest.mark.physics]

UNPICKLES = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # set by importing MACE
FIELD = "Na-K-Cl-Br"
SALTS = {"NaCl": 5.6, "NaBr": 6.0, "KCl": 6.3, "KBr": 6.6}  # edge in Å
METALS = {"Na": 4.2, "K": 5.3}
MOLECULES = {"Cl": 2.0, "Br": 2.3}  # bond in Å


def crystals():
    """Rock salts, metals and molecules in boxes."""
    yield from (bulk(f, "rocksalt", a=a, cubic=True) for f, a in SALTS.items())
    yield from (bulk(f, "bcc", a=a, cubic=True) for f, a in METALS.items())
    for symbol, bond in MOLECULES.items():
        yield Atoms([symbol] * 2, [[0, 0, 0], [0, 0, bond]], cell=[4.5, 4.5, 6.0], pbc=True)


def strained(crystal, rng):
    """With CHGNet's energy (eV), forces (eV/Å) and stress (eV/Å³) under the names that MACE's training looks for."""
    atoms = crystal.copy()
    atoms.set_cell(atoms.cell @ (np.eye(3) * rng.uniform(0.93, 1.1) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
    atoms.rattle(0.05, rng=rng)
    atoms.calc = chgnet("0.3.0")
    results = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.calc = None
    atoms.info["REF_energy"], atoms.arrays["REF_forces"], atoms.info["REF_stress"] = results
    return atoms


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """What `mace_run_train` leaves after a few epochs."""
    folder, rng = tmp_path_factory.mktemp("mace"), np.random.default_rng(0)
    frames = [strained(crystal, rng) for crystal in crystals() for _ in range(12)]
    write(folder / "train.xyz", frames[1::6] + frames[2::3], format="extxyz")
    write(folder / "valid.xyz", frames[::6], format="extxyz")
    options = {
        "name": "small", "train_file": "train.xyz", "valid_file": "valid.xyz", "E0s": "average", "model": "MACE",
        "num_channels": 8, "max_L": 0, "num_interactions": 2, "correlation": 2, "r_max": 5.0, "batch_size": 4,
        "max_num_epochs": 15, "lr": 0.02, "loss": "stress", "energy_weight": 10, "forces_weight": 10,
        "stress_weight": 10, "energy_key": "REF_energy", "forces_key": "REF_forces", "stress_key": "REF_stress",
        "default_dtype": "float64", "device": "cpu", "seed": 0,
    }  # fmt: skip
    command = [sys.executable, "-m", "mace.cli.run_train", *(f"--{key}={value}" for key, value in options.items())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "small.model"


@pytest.fixture(autouse=True)
def as_strict_as_before(monkeypatch):
    """Whatever a test loads, `torch.load` unpickles no more afterwards than it did before."""
    _mace.cache_clear()
    monkeypatch.delenv(UNPICKLES, raising=False)
    yield
    assert UNPICKLES not in os.environ


def test_a_relaxation_through_atomate2_has_the_energy_of_the_model_itself(checkpoint):
    found = level("mace", str(checkpoint), fmax=0.1)
    found.require(["Na", "Cl"])
    maker = found.relax_maker()
    result = maker._run_ase_safe(AseAtomsAdaptor.get_structure(bulk("NaCl", "rocksalt", a=5.5)))
    atoms = AseAtomsAdaptor.get_atoms(result.final_mol_or_struct, msonable=False)
    atoms.calc = MACECalculator(models=mace(str(checkpoint)).inner.models, device="cpu", default_dtype="float64")
    energy = result.trajectory.frame_properties[-1]["energy"]
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    assert result.converged
    assert np.abs(atoms.get_forces()).max() < 0.1


def test_several_checkpoints_are_loaded_one_after_another_each_once(checkpoint, tmp_path):
    other = tmp_path / "other.model"
    other.write_bytes(checkpoint.read_bytes())
    first = mace(str(checkpoint))
    assert mace(checkpoint=str(other)) is not first
    assert mace(checkpoint=str(checkpoint)) is first


def test_other_engines_of_the_process_compute_as_before(checkpoint):
    salt = bulk("NaCl", "rocksalt", a=5.6)
    chgnet("0.3.0").calculate(salt, ["energy"])
    alone = chgnet("0.3.0").results["energy"]
    mace(str(checkpoint)).calculate(salt, ["energy"])
    chgnet("0.3.0").calculate(salt, ["energy"])
    assert chgnet("0.3.0").results["energy"] == alone
    assert torch.get_default_dtype() == torch.float32


def test_elements_that_the_checkpoint_has_not_learned_are_refused(checkpoint):
    assert set(elements_of_mace(str(checkpoint))) == {"Na", "K", "Cl", "Br"}
    found = level("mace", str(checkpoint))
    found.require(["Na", "K", "Cl"])
    with pytest.raises(ValueError, match=r"level_of_theory 'mace' \(mace-small-\w{12}\) has not learned Li, Sn: leave"):
        found.require(["Na", "Li", "Sn", "Cl"])


def test_a_torch_file_of_something_else_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.model")
    with pytest.raises(ValueError, match=r"checkpoint '.*other\.model' of level_of_theory 'mace' cannot be used: "):
        level("mace", str(tmp_path / "other.model")).require(["Na"])


def test_a_head_that_is_none_is_refused(checkpoint):
    with pytest.raises(ValueError, match=r"has no head 'omat', but \['Default'\]: choose one with level_settings: "):
        level("mace", str(checkpoint), head="omat").require(["Na"])
    assert level("mace", str(checkpoint), head="Default").identity != level("mace", str(checkpoint)).identity


def test_of_several_heads_one_is_chosen_and_says_what_it_has_learned(checkpoint, tmp_path):
    model = torch.load(checkpoint, weights_only=False)
    energies = model.atomic_energies_fn.atomic_energies
    lacks_potassium = energies * (torch.tensor([11, 17, 19, 35]) != 19)
    model.atomic_energies_fn.atomic_energies = torch.cat([energies, lacks_potassium])
    model.heads = ["mp", "omat"]
    torch.save(model, tmp_path / "two.model")
    with pytest.raises(ValueError, match=r"has the heads \['mp', 'omat'\]: choose one with level_settings: "):
        level("mace", str(tmp_path / "two.model")).require(["Na"])
    level("mace", str(tmp_path / "two.model"), head="mp").require(["Na", "K"])
    with pytest.raises(ValueError, match="has not learned K: leave"):
        level("mace", str(tmp_path / "two.model"), head="omat").require(["Na", "K"])


CONFIGURATION = """
level_of_theory: mace
checkpoint: {checkpoint}
probes: {{max_atoms: 8, compositions_per_field: 2, first_batch: 2}}
competing: {{max_atoms: 8}}
execution: {{workers: 1}}
"""


@pytest.mark.slow
def test_a_field_is_explored_at_the_level(checkpoint, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIGURATION.format(checkpoint=checkpoint))
    assert explore(tmp_path, "explored", FIELD).wait() == 0, (tmp_path / "explored.log").read_text()
    campaign = Campaign.read(tmp_path / "explored")
    (verdict,) = campaign.verdicts()
    assert verdict["verdict"] in {"positive", "undecided", "filtered"}
    (identity,) = campaign.calculations.levels(verdict["phase_field"])
    assert identity == level("mace", str(checkpoint)).identity
    found = [
        r for role in ("probe", "competing") for r in campaign.calculations.of(verdict["phase_field"], role, identity)
    ]
    assert sum(r.energy_per_atom is not None for r in found) >= 8


def test_a_field_beyond_the_checkpoint_ends_before_anything_is_computed(checkpoint, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIGURATION.format(checkpoint=checkpoint))
    assert explore(tmp_path, "refused", "Li-Na-Cl-Br").wait() == 2
    assert "has not learned Li" in (tmp_path / "refused.log").read_text()
    assert not (tmp_path / "refused" / "outputs").exists() or not any((tmp_path / "refused" / "outputs").iterdir())
