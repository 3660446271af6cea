import sys
import types
from typing import ClassVar

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry, ConstantEnergyAdjustment

from dft.corrections import MP2020
from dft.databases import (
    KnownPhases,
    answer_of_materials_project,
    from_folder,
    from_materials_project,
    matching_entries,
)
from dft.first_principles import FirstPrinciplesLevel, engine_settings
from dft.hull import LEVEL_KEY


def rocksalt(cation, anion, a):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_folder_gives_phases_by_formula_and_counts_those_of_other_fields(tmp_path):
    rocksalt("Li", "Cl", 5.13).to(str(tmp_path / "a.cif"))
    rocksalt("Li", "Cl", 5.20).to(str(tmp_path / "b.cif"))
    rocksalt("Na", "Cl", 5.64).to(str(tmp_path / "c.cif"))
    phases = from_folder(tmp_path, ["Li", "Cl", "S", "Sn"])
    assert [p.generator for p in phases.structures["LiCl"]] == ["given: a.cif", "given: b.cif"]
    assert phases.set_aside == {}
    assert phases.source == f"2 structures from {tmp_path.name}; 1 of other fields"


# as the client gives them: entries of pymatgen's own class with the parameters of a GGA run
def answered(structure, name, energy, functional="PBE"):
    symbols = {"Li": "Li_sv", "Na": "Na_pv", "Cl": "Cl"}
    potcars = [f"{functional} {symbols[e.symbol]}" for e in structure.composition.elements]
    parameters = {"run_type": "GGA", "hubbards": {}, "is_hubbard": False, "potcar_symbols": potcars}
    data = {"material_id": name, "oxidation_states": {"Li": 1.0, "Cl": -1.0} if len(potcars) > 1 else {}}
    return ComputedStructureEntry(structure, energy * len(structure), parameters=parameters, data=data, entry_id=name)


def answers():
    lithium = Structure(Lattice.cubic(3.44), ["Li", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    chlorine = Structure(Lattice.cubic(5.0), ["Cl", "Cl"], [[0, 0, 0], [0.4, 0, 0]])
    salt = rocksalt("Li", "Cl", 5.13)
    found = [answered(lithium, "mp-1", -1.9), answered(chlorine, "mp-2", -1.8), answered(salt, "mp-3", -3.9)]
    return [*found, answered(rocksalt("Li", "Cl", 5.6), "mp-4", -3.7)]  # 200 meV/atom above the other


class Client:
    """What of the client is used, with written answers; it keeps what it was asked."""

    asked: ClassVar[list] = []

    def __init__(self, api_key=None):
        self.api_key = api_key

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def get_entries_in_chemsys(self, elements, **criteria):
        self.asked.append((elements, criteria))
        return answers()

    def get_database_version(self):
        return "2025.09.25"


@pytest.fixture
def client(monkeypatch):
    Client.asked.clear()
    module = types.ModuleType("mp_api.client")
    module.MPRester = Client
    monkeypatch.setitem(sys.modules, "mp_api", types.ModuleType("mp_api"))
    monkeypatch.setitem(sys.modules, "mp_api.client", module)
    return Client


def test_one_thermo_type_is_asked_for_by_name_and_the_answer_is_kept(client, tmp_path):
    phases = from_materials_project(["Li", "Cl"], tmp_path, window=0.1)
    assert client.asked == [
        (["Cl", "Li"], {"compatible_only": True, "additional_criteria": {"thermo_types": ["GGA_GGA+U"]}})
    ]
    assert {f: [p.generator for p in found] for f, found in phases.structures.items()} == {
        "Li": ["Materials Project: mp-1"],
        "Cl2": ["Materials Project: mp-2"],
        "LiCl": ["Materials Project: mp-3"],  # mp-4 lies beyond the window
    }
    assert "database 2025.09.25, GGA_GGA+U, within 0.1 eV/atom" in phases.source
    again = from_materials_project(["Cl", "Li"], tmp_path, window=0.1)
    assert len(client.asked) == 1  # the second answer came from the disk
    assert again.source == phases.source
    assert list(tmp_path.iterdir()) == [tmp_path / "materials_project_Cl-Li_100meV.json"]


def test_another_window_is_another_question(client, tmp_path):
    from_materials_project(["Li", "Cl"], tmp_path, window=0.1)
    wide = from_materials_project(["Li", "Cl"], tmp_path, window=0.3)
    assert len(client.asked) == 2
    assert len(wide.structures["LiCl"]) == 2


@pytest.mark.parametrize(
    ("window", "name"),
    [(0.05, "50meV"), (0.0504, "50.4meV"), (0.0501, "50.1meV"), (0.05000001, "50.00001meV"), (1, "1000meV")],
)
def test_every_window_has_a_file_of_its_own(window, name, tmp_path):
    assert answer_of_materials_project(["Li", "Cl"], tmp_path, window).name == f"materials_project_Cl-Li_{name}.json"


@pytest.mark.usefixtures("client")
def test_large_cells_are_set_aside_by_name(tmp_path):
    phases = from_materials_project(["Li", "Cl"], tmp_path, window=0.1, max_atoms=1)
    assert phases.set_aside["mp-3"] == "its primitive cell has 2 atoms, too many to compute (above 1)"
    assert list(phases.structures) == ["Li"]


def test_a_service_that_does_not_answer_is_told_with_the_way_out(client, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(client, "get_entries_in_chemsys", refuse)
    with pytest.raises(ValueError, match=r"did not answer for Cl-Li \(ConnectionError: no route\): set MP_API_KEY"):
        from_materials_project(["Li", "Cl"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def vasp_level(name="vasp", **overrides):
    return FirstPrinciplesLevel(name, f"{name}|test", 0.024, "test", engine_settings(name, overrides))


@pytest.mark.usefixtures("client")
def test_energies_are_taken_for_the_level_that_matches_with_the_corrections_of_2020(tmp_path):
    from_materials_project(["Li", "Cl"], tmp_path, window=0.1)
    found = matching_entries(next(tmp_path.iterdir()), vasp_level(corrections=MP2020))
    by_name = {entry.entry_id: entry for entry in found}
    assert {entry.data[LEVEL_KEY] for entry in found} == {"vasp|test"}
    # the anion correction of chloride is -0.614 eV per Cl (Wang et al., Sci. Rep. 11, 15496 (2021)); 4 Cl in the cell
    assert by_name["mp-3"].correction == pytest.approx(4 * -0.614)
    assert by_name["mp-1"].correction == 0.0


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "level",
    [
        vasp_level(),  # without the corrections
        vasp_level(corrections=MP2020, incar={"ENCUT": 700}),
        vasp_level(corrections=MP2020, kpoints={"reciprocal_density": 200}),
        vasp_level(potcar_functional="PBE_54"),
        vasp_level("vasp-r2scan"),
        vasp_level("cp2k"),
    ],
)
def test_energies_are_refused_at_any_other_level(level, tmp_path):
    from_materials_project(["Li", "Cl"], tmp_path)
    path = next(tmp_path.iterdir())
    told = rf"match the level 'vasp' with its own settings and corrections alone \(MP2020\), not {level.name}\|test"
    with pytest.raises(ValueError, match=told):
        matching_entries(path, level)


def test_an_entry_that_pymatgen_would_not_correct_keeps_the_corrections_it_came_with(client, tmp_path, monkeypatch):
    salt = answers()[2]
    salt.parameters["potcar_symbols"] = ["PBE Li", "PBE Cl"]
    salt.energy_adjustments = [ConstantEnergyAdjustment(-2.4)]
    monkeypatch.setattr(client, "get_entries_in_chemsys", lambda self, *a, **k: [*answers()[:2], salt])
    from_materials_project(["Li", "Cl"], tmp_path, window=0.1)
    found = matching_entries(next(tmp_path.iterdir()), vasp_level(corrections=MP2020))
    energy = next(entry.energy_per_atom for entry in found if entry.entry_id == "mp-3")
    assert energy == pytest.approx(-3.9 - 2.4 / 8)


def test_missing_client_is_told_with_the_way_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mp_api.client", None)
    with pytest.raises(ValueError, match=r"needs the package 'mp-api': pip install 'phaseloop\[mp\]'"):
        from_materials_project(["Li", "Cl"], tmp_path)


def test_chlorine_is_known_by_its_molecule():
    known = KnownPhases({"Cl2": [], "Br": [], "LiCl": []}, {}, "by hand")
    assert known.lacking(["Li", "Cl", "Br"]) == ["Li"]
