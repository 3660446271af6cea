import pytest
from pymatgen.core import Lattice, Structure

from dft.first_principles import (
    NAMES,
    FirstPrinciplesLevel,
    FirstPrinciplesMaker,
    engine_settings,
    first_principles_level,
    missing,
    summarise,
)
from dft.levels import FIRST_PRINCIPLES
from dft.probes import ProbeStructure


def salt(a=5.13):
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return cell.get_primitive_structure()


PROBE = ProbeStructure(salt(), "prototype: AFLOW B1")


def document(structure, energy=-3.7, forces=((0.0, 0.0, 0.01), (0.0, 0.03, 0.04))):
    return {"output": {"structure": structure, "energy_per_atom": energy, "forces": forces}}


def test_task_document_becomes_a_result():
    out = summarise.original([document(salt(5.2))], [PROBE], "cp2k|PBE")
    assert (out["state"], out["energy_per_atom"], out["level"]) == ("done", -3.7, "cp2k|PBE")
    assert out["max_force"] == pytest.approx(0.05)
    assert Structure.from_dict(out["structure"]).volume == pytest.approx(salt(5.2).volume)
    assert out["generator"] == PROBE.generator


@pytest.mark.parametrize(
    ("found", "state", "reason"),
    [
        (document(salt(7.0)), "rejected", "volume changed by a factor of 2.54"),
        (document(salt(), energy=None), "failed", "gave no energy"),
    ],
)
def test_spoilt_task_document_has_no_energy(found, state, reason):
    out = summarise.original([found], [PROBE], "cp2k|PBE")
    assert (out["state"], out["energy_per_atom"]) == (state, None)
    assert reason in out["reason"]


def test_unknown_dft_level_is_named():
    with pytest.raises(ValueError, match=r"level_of_theory 'qe' is no DFT level, choose from \['cp2k'"):
        missing("qe")


@pytest.mark.parametrize(("name", "program"), [("cp2k", "cp2k"), ("vasp", "vasp")])
def test_missing_program_is_told_before_anything_is_submitted(name, program, monkeypatch):
    monkeypatch.setattr(f"dft.{name}.shutil.which", lambda asked: None)
    with pytest.raises(ValueError, match=rf"'{name}' cannot run here: no program '{program}.*' on the path: install"):
        first_principles_level(name)


def test_missing_potcars_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr("dft.vasp.shutil.which", lambda asked: "/bin/true")
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    assert "no POTCAR files: set PMG_VASP_PSP_DIR" in missing("vasp")
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path))
    (tmp_path / "POT_GGA_PAW_PBE").mkdir()
    (tmp_path / "POT_GGA_PAW_PBE" / "POTCAR.Li_sv.gz").write_bytes(b"")
    assert missing("vasp", ["Li"]) == ""
    assert f"no POTCAR Cl, Sn_d of the set PBE in {tmp_path}" in missing("vasp", ["Li", "Sn", "Cl"])
    assert "of the set PBE_54" in missing("vasp", ["Li"], {"potcar_functional": "PBE_54"})
    assert "of the set PBE_54" in missing("vasp-r2scan", ["Li"])


def test_metals_with_a_u_in_oxides_alone_are_refused_on_one_hull(monkeypatch, tmp_path):
    monkeypatch.setattr("dft.vasp.shutil.which", lambda asked: "/bin/true")
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path))
    told = missing("vasp", ["Li", "Fe", "O", "S"])
    assert told.startswith("Fe would have a U beside O and none elsewhere")
    assert "{LDAU: false}" in told
    without_u = missing("vasp", ["Li", "Fe", "O", "S"], {"incar": {"LDAU": False}})
    for other in (without_u, missing("vasp", ["Li", "Fe", "S", "Cl"]), missing("vasp-r2scan", ["Li", "Fe", "O", "S"])):
        assert other.startswith("no POTCAR")


def test_the_lowest_of_several_structures_counts():
    found = [document(salt(), -3.7), document(salt(), -3.9), document(salt(7.0), -4.5)]
    out = summarise.original(found, [PROBE, PROBE, PROBE], "cp2k|PBE")
    assert (out["energy_per_atom"], out["n_structures"]) == (-3.9, 3)  # the third broke a guard
    assert [row["state"] for row in out["trail"]] == ["done", "done", "rejected"]
    assert [row["energy_per_atom"] for row in out["survivors"]] == [-3.9, -3.7]


def test_no_survivor_is_told():
    with pytest.raises(ValueError, match="no structure has survived"):
        FirstPrinciplesMaker().make([])


@pytest.mark.parametrize("name", NAMES)
def test_flow_ends_in_the_summary(name):
    level = FirstPrinciplesLevel(name, f"{name}|test", 0.024, "test", engine_settings(name, {}))
    flow = FirstPrinciplesMaker.from_level(level).make([PROBE, PROBE])
    assert flow.jobs[-1].name == "summarise"
    assert len(flow.jobs) == 3


def test_the_names_are_those_that_levels_offer():
    assert NAMES == FIRST_PRINCIPLES


def test_settings_of_vasp_reach_every_step_and_the_identity(monkeypatch):
    monkeypatch.setattr("dft.first_principles.missing", lambda name, overrides: "")
    default = first_principles_level("vasp")
    changed = first_principles_level("vasp", incar={"ENCUT": 700}, kpoints={"reciprocal_density": 100})
    assert changed.identity != default.identity
    assert 'incar={"ENCUT": 700}' in changed.identity
    flow = FirstPrinciplesMaker.from_level(changed).make([PROBE])
    relaxations, static = flow.jobs[0].jobs
    for job in (*relaxations.jobs, static):
        generator = job.maker.input_set_generator
        assert generator.user_incar_settings["ENCUT"] == 700
        assert generator.user_kpoints_settings["reciprocal_density"] == 100
    inputs = changed.maker().static_maker.input_set_generator.get_input_set(salt(), potcar_spec=True)
    assert inputs.incar["ENCUT"] == 700


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"state": "failed"}, "did not converge within its electronic and ionic steps"),
        ({"state": "failed", "analysis": {"errors": ["Bad structure"]}}, "Bad structure"),
        # CP2K at its wall time: atomate2 calls it successful
        (
            {"state": "successful", "custodian": [{"corrections": [{"errors": ["Walltime error"], "actions": []}]}]},
            "stopped before it had converged: Walltime error",
        ),
    ],
    ids=["steps", "structure", "wall time"],
)
def test_unconverged_calculation_has_no_energy(told, reason):
    out = summarise.original([{**document(salt()), **told}], [PROBE], "cp2k|PBE")
    assert (out["state"], out["energy_per_atom"], out["survivors"]) == ("unconverged", None, [])
    assert reason in out["reason"]


def test_error_that_custodian_mended_is_no_obstacle():
    mended = {"errors": ["brmix"], "actions": [{"dict": "INCAR", "action": {"_set": {"ISYM": 0}}}]}
    told = {"state": "successful", "custodian": [{"corrections": [mended]}]}
    out = summarise.original([{**document(salt()), **told}], [PROBE], "vasp|PBE")
    assert (out["state"], out["energy_per_atom"]) == ("done", -3.7)
