import json
import sqlite3

import pandas as pd
import pytest

from loop.calculation_log import Calculation
from loop.campaign import Campaign
from loop.config import Settings
from loop.errors import UserError

FIELD = "Li-Sn-S-Cl"
DONE = {"state": "done", "energy_per_atom": -3.5, "n_atoms": 8, "structure": {"a": 1}, "generator": "fcc"}


@pytest.fixture
def campaign(tmp_path):
    with Campaign.drive(tmp_path / "c", Settings()) as campaign:
        yield campaign


def plan(campaign, *hashes):
    items = [Calculation(h, "probe", f"Li{n}Cl{n}", [{"n": n}]) for n, h in enumerate(hashes, start=1)]
    campaign.calculations.plan(FIELD, 1, "chgnet", items, {"Li1Cl1": "spread"})


def test_a_second_driver_is_refused(campaign):
    with (
        pytest.raises(UserError, match="is being driven by process"),
        Campaign.drive(campaign.folder, Settings()),
    ):
        pass


@pytest.mark.parametrize(("levels", "recorded"), [((), set()), (("chgnet", "sevennet"), {"sevenn", "e3nn"})])
def test_versions_of_the_engines_of_the_ladder_are_recorded(tmp_path, levels, recorded):
    with Campaign.drive(tmp_path / "c", Settings(levels=levels)) as campaign:
        versions = json.loads(campaign.database.meta("versions"))
    assert versions.keys() & {"sevenn", "e3nn", "mace-torch"} == recorded
    assert "chgnet" in versions


def test_reading_does_not_need_the_lock(campaign):
    assert Campaign.read(campaign.folder).completed_cycles() == 0


def test_a_folder_without_campaign_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no campaign \(no campaign.db\)"):
        Campaign.read(tmp_path)


def test_another_version_is_refused_by_name(tmp_path):
    with Campaign.drive(tmp_path, Settings()):
        pass
    with sqlite3.connect(tmp_path / "campaign.db") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format_version'")
    with pytest.raises(UserError, match="has campaign format 99, this program reads format 2"):
        Campaign.read(tmp_path)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "campaign.db").write_text("hello " * 100)
    with pytest.raises(UserError, match="is no campaign database"):
        Campaign.read(tmp_path)


def test_the_attempt_that_ends_is_found_without_reading_all_others(tmp_path):
    with Campaign.drive(tmp_path, Settings()) as campaign:  # a campaign that was begun before there was an index
        campaign.database.write(("DROP INDEX attempts_by_hash", ()))
    with Campaign.drive(tmp_path, Settings()) as campaign:
        ending = "EXPLAIN QUERY PLAN UPDATE attempts SET state = 'done' WHERE hash = 'aa' AND state = 'running'"
        steps = [row["detail"] for row in campaign.database.query(ending)]
    assert steps == ["SEARCH attempts USING INDEX attempts_by_hash (hash=?)"]


def test_changed_settings_are_refused_by_name_until_accepted(tmp_path):
    changed = Settings(seed=5)
    with Campaign.drive(tmp_path, changed):
        pass
    with Campaign.drive(tmp_path, Settings()) as campaign:  # nothing has been computed: any change is welcome
        plan(campaign, "aa")
    with pytest.raises(UserError, match=r"seed was 0 when .* is now 5"), Campaign.drive(tmp_path, changed):
        pass
    with Campaign.drive(tmp_path, changed, accept_changes=True) as campaign:
        assert campaign.settings.seed == 5
        assert json.loads(campaign.database.meta("settings_until_cycle_0"))["seed"] == 0


def test_what_a_file_does_not_name_stays_as_begun_where_the_default_has_changed(tmp_path):
    begun = Settings.model_validate({"probes": {"generators": ["ordered"]}})
    with Campaign.drive(tmp_path, begun) as campaign:
        plan(campaign, "aa")
    with Campaign.drive(tmp_path, Settings()) as campaign:
        assert campaign.settings.probes.generators == ("ordered",)
    other = Settings.model_validate({"probes": {"generators": ["frameworks"]}})
    with pytest.raises(UserError, match=r"probes.generators was \['ordered'\] when"), Campaign.drive(tmp_path, other):
        pass


def test_a_campaign_that_knew_no_formulas_by_analogy_and_no_second_search_goes_on_without_them(tmp_path):
    with Campaign.drive(tmp_path, Settings()) as campaign:
        plan(campaign, "aa")
        earlier = campaign.settings.plain()
        del earlier["competing"]["by_analogy"], earlier["competing"]["search_again"]
        campaign.database.set_meta(settings=json.dumps(earlier))
    for settings in (None, Settings(), Settings()):  # again and again, with a file that does not name the key
        with Campaign.drive(tmp_path, settings) as campaign:
            assert (campaign.settings.competing.by_analogy, campaign.settings.competing.search_again) == (0, False)
    asked = Settings.model_validate({"competing": {"by_analogy": 2}})
    with pytest.raises(UserError, match=r"competing.by_analogy was 0 when"), Campaign.drive(tmp_path, asked):
        pass
    with Campaign.drive(tmp_path, asked, accept_changes=True) as campaign:
        assert campaign.settings.competing.by_analogy == 2


def test_only_a_done_calculation_has_an_energy(campaign):
    plan(campaign, "aa", "bb")
    for calculation in campaign.calculations.unfinished(FIELD, "chgnet"):
        campaign.calculations.begin(calculation.hash)
    campaign.calculations.end("aa", DONE)
    campaign.calculations.end("bb", {**DONE, "state": "unconverged", "reason": "force limit"})
    done, unconverged = campaign.calculations.of(FIELD, "probe", "chgnet")
    assert (done.state, done.energy_per_atom) == ("done", -3.5)
    assert (unconverged.state, unconverged.energy_per_atom) == ("unconverged", None)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        campaign.database.write(("UPDATE calculations SET energy_per_atom = 1 WHERE hash = 'bb'", ()))


def test_what_is_done_is_not_open_again_and_serves_a_second_field(campaign):
    plan(campaign, "aa", "bb")
    campaign.calculations.begin("aa")
    campaign.calculations.end("aa", DONE)
    assert [c.hash for c in campaign.calculations.unfinished(FIELD, "chgnet")] == ["bb"]
    campaign.calculations.plan("Li-Al-S-Cl", 2, "chgnet", [Calculation("aa", "probe", "Li1Cl1", [])], {})
    assert campaign.calculations.unfinished("Li-Al-S-Cl", "chgnet") == []
    assert campaign.calculations.of("Li-Al-S-Cl", "probe", "chgnet")[0].energy_per_atom == -3.5
    assert campaign.calculations.states() == {"done": 1, "approved": 1}


LATER = "Li-Al-S-Cl"


def fail(campaign, cycle, field=FIELD, passing=True, identity="aa"):
    """A competing phase that a field needs fails in a cycle, if it is open there; whether it was."""
    item = Calculation(identity, "competing", "Li", [{"n": 1}])
    campaign.calculations.plan(field, cycle, "chgnet", [item], {})
    for calculation in (open_ := campaign.calculations.unfinished(field, "chgnet")):
        campaign.calculations.begin(calculation.hash)
        campaign.calculations.end(calculation.hash, {"state": "failed", "reason": f"deadline {cycle}"}, passing)
    return bool(open_)


def records(campaign, field):
    found = campaign.calculations.of(field, "competing", "chgnet")
    return [(record.cycle, record.state, record.reason, record.energy_per_atom) for record in found]


def test_a_failure_that_may_have_passed_is_tried_again_in_each_later_cycle_once(campaign):
    tried = [fail(campaign, cycle, f"field {n}") for n, cycle in enumerate((1, 1, 2, 2, 3))]
    assert tried == [True, False, True, False, True]
    reasons = [reason for n in range(5) for _, _, reason, _ in records(campaign, f"field {n}")]
    assert reasons == ["deadline 1", "deadline 1", "deadline 2", "deadline 2", "deadline 3"]
    assert campaign.calculations.states() == {"failed": 3}
    assert campaign.calculations.spent()[0] == 3


def test_what_then_succeeds_leaves_the_failure_where_it_was(campaign):
    fail(campaign, 1)
    campaign.calculations.plan(LATER, 2, "chgnet", [Calculation("aa", "competing", "Li", [{"n": 1}])], {})
    (anew,) = campaign.calculations.unfinished(LATER, "chgnet")
    campaign.calculations.begin(anew.hash)
    campaign.calculations.end(anew.hash, DONE)
    assert records(campaign, FIELD) == [(1, "failed", "deadline 1", None)]
    assert records(campaign, LATER) == [(2, "done", "", -3.5)]
    assert not fail(campaign, 3, "Li-Ga-S-Cl")
    assert records(campaign, "Li-Ga-S-Cl") == [(2, "done", "", -3.5)]
    attempts = campaign.database.query("SELECT hash, state FROM attempts ORDER BY id")
    assert [tuple(row) for row in attempts] == [("aa-cycle-1", "failed"), ("aa", "done")]


def test_a_failure_of_the_calculation_itself_is_not_tried_again(campaign):
    assert fail(campaign, 1, passing=False)
    assert not fail(campaign, 2, LATER)
    assert records(campaign, LATER) == records(campaign, FIELD) == [(1, "failed", "deadline 1", None)]


def test_a_campaign_of_an_earlier_version_learns_to_tell_failures_apart(tmp_path):
    with Campaign.drive(tmp_path, Settings()) as campaign:
        campaign.database.write(("DROP TABLE passing", ()))
    with Campaign.drive(tmp_path, Settings()) as campaign:
        assert [fail(campaign, 1), fail(campaign, 2, LATER)] == [True, True]


def test_levels_of_a_field_do_not_mix(campaign):
    plan(campaign, "aa")
    campaign.calculations.plan(FIELD, 1, "cp2k", [Calculation("bb", "probe", "Li1Cl1", [{"n": 1}])], {})
    assert campaign.calculations.levels(FIELD) == ["chgnet", "cp2k"]
    assert [record.hash for record in campaign.calculations.of(FIELD, "probe", "cp2k")] == ["bb"]
    assert [c.hash for c in campaign.calculations.unfinished(FIELD, "chgnet")] == ["aa"]


def test_an_interrupted_attempt_is_recorded_and_tried_again(campaign):
    plan(campaign, "aa")
    campaign.calculations.begin("aa")
    assert [c.hash for c in campaign.calculations.unfinished(FIELD, "chgnet")] == ["aa"]
    campaign.calculations.begin("aa")
    states = [row["state"] for row in campaign.database.query("SELECT state FROM attempts ORDER BY id")]
    assert states == ["interrupted", "running"]


def test_a_ranking_comes_back_as_it_was(campaign):
    table = pd.DataFrame({"phase_field": ["Li-Sn-S-Cl", "Li-Al-O-F"], "rank": [1, 2], "score": [0.25, 1.0 / 3]})
    campaign.begin_cycle(1)
    campaign.record_ranking(1, table, {"kl": [0.1]}, 10)
    back = campaign.ranking(1)
    assert list(back["phase_field"]) == ["Li-Sn-S-Cl", "Li-Al-O-F"]
    assert back["score"].tolist() == pytest.approx([0.25, 1 / 3], abs=1e-9)


def test_a_write_that_fails_is_undone_whole(campaign):
    campaign.record_proposals(1, {"Li-Sn-S-Cl": "rank 1"})
    sql = "INSERT INTO proposals (cycle, position, phase_field, reason) VALUES (?, ?, ?, ?)"
    rows = [(2, 1, "Li-Al-O-F", "rank 1"), (1, 1, "Li-Al-O-F", "rank 1")]  # the second stands there already
    with pytest.raises(sqlite3.IntegrityError):
        campaign.database.write_many(sql, rows)
    assert campaign.proposals(1) == {"Li-Sn-S-Cl": "rank 1"}
    assert campaign.proposals(2) == {}
