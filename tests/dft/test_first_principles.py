import pytest
from pymatgen.core import Lattice, Structure

from dft.first_principles import (
    NAMES,
    FirstPrinciplesLevel,
    FirstPrinciplesMaker,
    first_principles_level,
    missing,
    summarise,
)
from dft.probes import ProbeStructure


def salt(a=5.13):
    cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return cell.get_primitive_structure()


PROBE = ProbeStructure(salt(), "prototype: AFLOW B1")


def document(structure, energy=-3.7, forces=((0.0, 0.0, 0.01), (0.0, 0.03, 0.04))):
    return {"output": {"structure": structure, "energy_per_atom": energy, "forces": forces}}


def test_task_document_becomes_a_result():
    out = summarise.original(document(salt(5.2)), PROBE, "cp2k|PBE")
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
    out = summarise.original(found, PROBE, "cp2k|PBE")
    assert (out["state"], out["energy_per_atom"]) == (state, None)
    assert reason in out["reason"]


def test_unknown_dft_level_is_named():
    with pytest.raises(ValueError, match=r"level_of_theory 'qe' is no DFT level, choose from \['cp2k'"):
        missing("qe")


@pytest.mark.parametrize(("name", "program"), [("cp2k", "cp2k"), ("vasp", "vasp")])
def test_missing_program_is_told_before_anything_is_submitted(name, program, monkeypatch):
    monkeypatch.setattr("dft.first_principles.shutil.which", lambda asked: None)
    with pytest.raises(ValueError, match=rf"'{name}' cannot run here: no program '{program}.*' on the path: install"):
        first_principles_level(name)


@pytest.mark.parametrize(("name", "reason"), [("cp2k", "no basis sets for CP2K: run"), ("vasp", "no POTCAR files")])
def test_missing_data_is_told(name, reason, monkeypatch):
    monkeypatch.setattr("dft.first_principles.shutil.which", lambda asked: "/bin/true")
    monkeypatch.setattr("dft.first_principles._pymatgen_setting", lambda key, variable: "")
    assert reason in missing(name)


def test_no_survivor_is_told():
    with pytest.raises(ValueError, match="no structure has survived"):
        FirstPrinciplesMaker().make([])


@pytest.mark.parametrize("name", NAMES)
def test_flow_ends_in_the_summary(name):
    level = FirstPrinciplesLevel(name, f"{name}|test", 0.024, "test", relax=name != "cp2k-static")
    flow = FirstPrinciplesMaker.from_level(level).make([PROBE])
    assert flow.jobs[-1].name == "summarise"
    assert len(flow.jobs) == 2


def test_vasp_inputs_are_those_of_the_materials_project():
    level = FirstPrinciplesLevel("vasp", "vasp|test", 0.024, "test", relax=True)
    inputs = level.maker().static_maker.input_set_generator.get_input_set(salt(), potcar_spec=True)
    incar, kpoints = inputs.incar, inputs.kpoints
    # MPStaticSet: 520 eV, spin-polarised, tetrahedron method (Materials Project documentation, calculation parameters)
    assert (incar["ENCUT"], incar["ISPIN"], incar["ISMEAR"], incar["NSW"]) == (520, 2, -5, 0)
    assert inputs.potcar.split() == ["Li_sv", "Cl"]
    assert min(kpoints.kpts[0]) >= 4
