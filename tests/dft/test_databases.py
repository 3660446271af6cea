import json

import pytest
from pymatgen.core import Lattice, Structure

from dft.databases import _subsystems, from_folder, from_materials_project, read_materials_project


def rocksalt(cation, anion, a):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_folder_gives_phases_by_formula_and_names_what_it_sets_aside(tmp_path):
    rocksalt("Li", "Cl", 5.13).to(str(tmp_path / "a.cif"))
    rocksalt("Li", "Cl", 5.20).to(str(tmp_path / "b.cif"))
    rocksalt("Na", "Cl", 5.64).to(str(tmp_path / "c.cif"))
    phases = from_folder(tmp_path, ["Li", "Cl", "S", "Sn"])
    assert [p.generator for p in phases.structures["LiCl"]] == ["given: a.cif", "given: b.cif"]
    assert "holds Na" in phases.set_aside["c.cif"]


def test_every_subsystem_is_asked_for():
    assert _subsystems("Cl-Li-S") == ["Cl", "Li", "Cl-Li", "S", "Cl-S", "Li-S", "Cl-Li-S"]


def test_cached_answer_is_read_and_large_cells_are_set_aside(tmp_path):
    salt, large = rocksalt("Li", "Cl", 5.13), rocksalt("Na", "Cl", 5.64)
    large.translate_sites([0], [0.1, 0.05, 0])  # no smaller cell repeats any more
    entries = [{"material_id": f"mp-{k}", "structure": s.as_dict()} for k, s in enumerate((salt, large))]
    answer = {"database": "2025.9.25", "thermo_type": "GGA_GGA+U", "window": 0.05, "entries": entries}
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(answer))
    phases = read_materials_project(path, max_atoms=4)
    assert {f: [p.generator for p in found] for f, found in phases.structures.items()} == {
        "LiCl": ["Materials Project: mp-0"]
    }
    assert phases.set_aside == {"mp-1": "its primitive cell has 8 atoms, more than 4"}
    assert "database 2025.9.25, GGA_GGA+U, within 0.05 eV/atom" in phases.source


def test_missing_client_is_told_with_the_way_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mp_api.client", None)
    with pytest.raises(ValueError, match=r"needs the package 'mp-api': pip install 'phaseloop\[mp\]'"):
        from_materials_project(["Li", "Cl"], tmp_path)
