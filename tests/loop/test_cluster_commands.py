import pytest

from loop.campaign import Campaign
from loop.commands import on_campaigns, on_cluster
from loop.config import Settings
from loop.errors import UserError
from loop.executors import heal_settings, open_executor, tag_of
from loop.running import _use_executor
from loop.summary import on_launchpad


@pytest.fixture
def campaign(tmp_path):
    with Campaign.drive(tmp_path / "c", Settings()) as campaign:
        yield campaign


@pytest.mark.parametrize("command", [on_cluster.heal, on_cluster.cancel])
def test_a_campaign_that_has_nothing_on_a_launchpad_is_told_so(campaign, command):
    with pytest.raises(UserError, match=r"has no calculations on a LaunchPad; `loop run --executor fireworks` submits"):
        command(campaign.folder)


def test_status_asks_no_launchpad_that_was_never_used(campaign):
    assert tag_of(campaign) is None
    assert on_launchpad(campaign) is None


def test_an_unknown_executor_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--executor 'slurm' is unknown, choose from \['local', 'fireworks'\]"):
        on_campaigns.run(folder=tmp_path, executor="slurm")


def test_a_machine_without_launchpad_is_told_how_to_get_one(campaign, monkeypatch):
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", None)
    _use_executor(campaign, "fireworks")
    with (
        pytest.raises(UserError, match="FireWorks has no LaunchPad: set FW_CONFIG_FILE"),
        open_executor(campaign, print),
    ):
        pass


def driven(folder, asked, command=None):
    """The executor of one command on a campaign whose file names one, or of a campaign without a file."""
    settings = None if asked is None else Settings.model_validate({"execution": {"executor": asked}})
    with Campaign.drive(folder, settings) as campaign:
        _use_executor(campaign, command)
    assert Campaign.read(folder).settings.execution.executor == campaign.settings.execution.executor
    return campaign.settings.execution.executor


def test_what_a_command_says_of_the_executor_holds_from_then_on(tmp_path):
    assert driven(tmp_path, "local") == "local"
    assert driven(tmp_path, "local", "fireworks") == "fireworks"
    assert [driven(tmp_path, asked) for asked in ("local", None, "local")] == ["fireworks"] * 3
    assert driven(tmp_path, "local", "local") == "local"
    assert driven(tmp_path, "local") == "local"


def test_a_file_that_names_another_executor_than_before_is_the_later_word(tmp_path):
    assert driven(tmp_path, "fireworks", "local") == "local"
    assert driven(tmp_path, "fireworks") == "local"
    assert driven(tmp_path, "local") == "local"  # edited
    assert driven(tmp_path, "fireworks") == "fireworks"  # edited again: what the command said is over


def test_hours_of_the_settings_are_seconds_to_the_healer():
    execution = Settings.model_validate({"execution": {"lost_after": 0.5, "retries": 7}}).execution
    assert heal_settings(execution).lost_after == 1800
    assert heal_settings(execution).retries == 7


def test_a_cycle_is_due_so_many_hours_after_it_began(campaign):
    campaign.begin_cycle(1)
    assert campaign.due(1) is None
    with Campaign.drive(campaign.folder.parent / "d", Settings.model_validate({"execution": {"deadline": 2}})) as other:
        other.begin_cycle(1)
        other.database.write(("UPDATE cycles SET started = '2026-01-01T00:00:00+00:00'", ()))
        assert other.due(1) == 1767225600 + 7200
