import hashlib
import itertools
import json

import pytest

from loop.config import WITHOUT_EFFECT_ON_RESULTS, Settings
from loop.errors import UserError
from loop.settings_changes import changed_settings, recorded_settings
from loop.settings_file import commented_yaml, load_settings


def test_written_settings_read_back_as_themselves(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text(commented_yaml(Settings()))
    assert load_settings(path) == Settings()


def test_every_key_is_explained():
    lines = commented_yaml(Settings()).splitlines()
    for before, line in itertools.pairwise(lines):
        if ":" in line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("# ")
            assert len(before.strip()) > 10


def test_the_demo_configuration_is_the_built_in_default(repository):
    assert load_settings(repository / "configs/demo.yaml") == Settings()


def test_every_configuration_that_is_shipped_can_be_read(repository):
    for path in (repository / "configs").glob("*.yaml"):
        assert load_settings(path).name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("probez: {}", r"unknown key 'probez', choose from \['candidates'"),
        ("probes: {max_atomz: 3}", r"unknown key 'probes.max_atomz', choose from \['batch', 'budget_calculations'"),
        ("candidates: {cations: [Xx]}", "candidates.cations: 'Xx' is no element"),
        ("candidates: {anions: [S]}", r"anions: a field has two anions, but only \['S'\] can be chosen from"),
        ("candidates: {anions: [S, Sn]}", "anions: Sn is no anion here"),
        ("candidates: {required: [Cl]}", r"\['Cl'\] stand among both cations and anions"),
        ("candidates: {cations: [Li]}", r"no field can be made of \['Li'\] beside \['Li'\]"),
        ("candidates: {required: [Li, Na, K]}", "required: a field has two cations, but 3 are required"),
        ("limits: {exclude: [Xx]}", "limits: exclude: 'Xx' is no element"),
        ("priors: [{field: Li-Sn-S, shift: -1, note: ''}]", "prior 'Li-Sn-S': give a note that says why"),
        ("priors: [{field: Li-Xx, shift: -1, note: a}]", "prior 'Li-Xx': Xx names no element"),
        ("levels: [chgnet, dftb]", "levels: 'dftb' is unknown, choose from"),
        ("level_settings: {chgnet: {encut: 5}}", "setting 'encut' of level_of_theory 'chgnet' is unknown, choose from"),
        (
            "ladder: {keeps: [3]}",
            r"unknown key 'ladder.keeps', choose from \['batch', 'keep', 'section'",
        ),
        ("ladder: {batch: 0}", r"ladder.batch: Input should be greater than or equal to 1 \(found 0\)"),
        ("competing: {formulas: [Li2SnS3, table salt]}", "competing.formulas: 'table salt' is no formula"),
        ("competing: {formulas: Li2S}", r"competing.formulas: Input should be a list \(found 'Li2S'\)"),
        ("seed: -1", r"seed: Input should be greater than or equal to 0 \(found -1\)"),
        ("verdicts: {filtered_above: 0.01}", r"filtered_above \(0.01 eV/atom\) must be larger than stable_below"),
        ("a: [", r"is no valid YAML \(line 1\)"),
        ("- 1", "holds a list, not `key: value` lines"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, sentence):
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_settings(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.yaml does not exist; `loop init DIR` writes one"):
        load_settings(tmp_path / "nowhere.yaml")


def test_a_relative_source_stands_beside_its_configuration(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text("known: {source: fields.csv}")
    assert load_settings(path).known.source == str(tmp_path / "fields.csv")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "campaign.yaml"
    keys = "known: {source: %s}\ncompeting: {source: %s}\nprobes: {folder: %s}\nexecution: {store: %s}\ncheckpoint: %s"
    path.write_text(keys % tuple(f"~/{name}" for name in "abcde"))
    found = load_settings(path)
    paths = [found.known.source, found.competing.source, found.probes.folder, found.execution.store, found.checkpoint]
    assert paths == [str(tmp_path / "home" / name) for name in "abcde"]


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().seed = 3  # type: ignore[misc]


def test_only_settings_that_change_results_count_as_changes():
    old = Settings()
    new = Settings.model_validate({"name": "other", "cycles": 9, "execution": {"workers": 1}})
    assert changed_settings(old.plain(), new.plain()) == []
    assert old.hash() == new.hash()
    new = Settings.model_validate({"seed": 1, "probes": {"max_atoms": 16}})
    assert changed_settings(old.plain(), new.plain()) == ["probes.max_atoms", "seed"]
    assert old.hash() != new.hash()


def test_keys_that_an_earlier_version_lacked_are_no_changes():
    recorded = Settings(seed=3).plain()
    del recorded["competing"]["formulas"], recorded["ladder"]["batch"]
    assert recorded_settings(recorded) == Settings(seed=3)
    del recorded["competing"]["by_analogy"]
    assert recorded_settings(recorded).competing.by_analogy == 0  # no formula came by analogy
    ladder = {**recorded, "levels": ["chgnet", "chgnet-r2scan"]}
    assert recorded_settings(ladder).ladder.batch is None  # the lowest went on, all at once


def test_an_element_that_yaml_takes_for_a_truth_value_is_to_be_quoted(tmp_path):
    (tmp_path / "c.yaml").write_text("limits: {exclude: [No]}\n")
    with pytest.raises(UserError, match=r'found False.*write "No" in quotes'):
        load_settings(tmp_path / "c.yaml")


def test_the_hash_of_a_campaign_begun_before_energies_could_be_taken_stays():
    earlier = Settings().plain()
    for key in WITHOUT_EFFECT_ON_RESULTS:
        del earlier[key]
    earlier["known"] = None
    del earlier["competing"]["energies"]
    assert Settings().hash() == hashlib.sha256(json.dumps(earlier, sort_keys=True).encode()).hexdigest()
