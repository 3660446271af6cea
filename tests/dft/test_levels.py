import json

import pytest
import torch

from dft.levels import check_overrides, level
from dft.workflows import ScreeningMaker


def test_unknown_level_is_named():
    with pytest.raises(ValueError, match=r"level_of_theory 'PBEsol' is unknown, choose from \['chgnet'"):
        level("PBEsol")


def test_unknown_setting_is_named():
    with pytest.raises(
        ValueError, match=r"setting 'encut' of level_of_theory 'chgnet' is unknown, choose from \['fmax'"
    ):
        level("chgnet", encut=520)


def test_identity_tells_models_and_settings_apart():
    assert level("chgnet").identity.startswith("chgnet-0.3.0|chgnet==")
    others = level("chgnet", fmax=0.1), level("chgnet", max_steps=5), level("chgnet-r2scan")
    assert len({level("chgnet").identity, *(other.identity for other in others)}) == 4
    assert level("chgnet", max_steps=300).identity == level("chgnet").identity


def test_checkpoint_where_none_is_taken_is_refused():
    with pytest.raises(ValueError, match="level_of_theory 'chgnet' takes no checkpoint"):
        level("chgnet", checkpoint="model.pt")


@pytest.mark.parametrize(("name", "package"), [("sevennet", "sevenn"), ("mace", "mace-torch")])
def test_missing_engine_is_told_with_the_way_to_install_it(name, package, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def missing(asked):
        raise PackageNotFoundError(asked)

    monkeypatch.setattr("dft.levels.version", missing)
    with pytest.raises(ValueError, match=rf"'{name}' needs the package '{package}': pip install 'phaseloop\[{name}\]'"):
        level(name)


def test_checkpoint_of_mace_must_be_named_and_be_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr("dft.levels.version", lambda package: "1")
    with pytest.raises(ValueError, match="'mace' needs a checkpoint"):
        level("mace")
    with pytest.raises(FileNotFoundError, match=r"checkpoint '.*no\.model' of level_of_theory 'mace' is no file"):
        level("mace", checkpoint=str(tmp_path / "no.model"))


def test_identity_of_mace_follows_the_content_of_the_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr("dft.levels.version", lambda package: "1")
    file = tmp_path / "small.model"
    torch.save({"weights": torch.zeros(1)}, file)
    first = level("mace", checkpoint=str(file)).identity
    torch.save({"weights": torch.ones(1)}, file)
    assert level("mace", checkpoint=str(file)).identity != first


def test_a_checkpoint_that_is_none_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("dft.levels.version", lambda package: "1")
    file = tmp_path / "notes.txt"
    file.write_text("not a model")
    with pytest.raises(ValueError, match=r"checkpoint '.*notes\.txt' of level_of_theory 'mace' is no PyTorch model"):
        level("mace", checkpoint=str(file))


def test_settings_of_force_fields_are_checked_without_their_engine():
    check_overrides("sevennet", {"fmax": 0.03, "max_steps": 200})
    with pytest.raises(
        ValueError, match="setting 'fmax' of level_of_theory 'sevennet' is True, and must be a positive"
    ):
        check_overrides("sevennet", {"fmax": True})


def test_makers_survive_being_written_to_json():
    maker = ScreeningMaker.from_level(level("chgnet", fmax=0.03))
    again = ScreeningMaker.from_dict(json.loads(maker.to_json()))
    assert again.level == maker.level
    assert again.relax_maker.relax_kwargs == maker.relax_maker.relax_kwargs
    assert again.relax_maker.optimizer_kwargs == maker.relax_maker.optimizer_kwargs
    assert again.funnel == maker.funnel


@pytest.mark.parametrize(("name", "elements"), [("chgnet", "Ra, Po"), ("chgnet-r2scan", "Yb, Ra, Po")])
def test_elements_that_a_force_field_has_not_learned_are_refused(name, elements):
    with pytest.raises(ValueError, match=rf"level_of_theory '{name}' \(chgnet-.*\) has not learned {elements}: leave"):
        level(name).require(["Li", "Yb", "Ra", "Sn", "Po", "S"])
    level(name).require(["Li", "Sn", "Pu", "S", "Cl"])


def test_a_head_is_a_setting_of_mace_alone():
    check_overrides("mace", {"head": "omat_pbe", "fmax": 0.1})
    with pytest.raises(ValueError, match="setting 'head' of level_of_theory 'mace' is 3, and must be a name"):
        check_overrides("mace", {"head": 3})
    with pytest.raises(ValueError, match="setting 'head' of level_of_theory 'chgnet' is unknown"):
        check_overrides("chgnet", {"head": "omat_pbe"})
