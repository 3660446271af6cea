"""Campaigns on a real LaunchPad, alone and side by side: each ends as it does on one machine."""

import stat

import pytest

from loop.campaign import Campaign
from tests.cluster.drivers import assert_undisturbed, explore, facts
from tests.cluster.harness import verdicts, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_campaign_through_the_launchpad_is_the_campaign(lasting_site, drivers, undisturbed, fresh):
    folder = lasting_site.campaign("plain")
    drivers.worker()
    drivers.run(*explore(folder))
    found = assert_undisturbed(drivers, folder, undisturbed)
    assert found["launchpad"]["states"] == {"COMPLETED": found["calculations"]["done"]}
    assert set(found["launchpad"]["fields"]) == {row["phase_field"] for row in found["fields"]}
    assert found["launchpad"]["core_hours"] > 0
    text = drivers.run("status", folder)
    assert "LaunchPad:" in text
    assert "nothing to do" in drivers.run(*explore(folder))


def test_a_second_driver_is_refused_and_two_campaigns_share_one_launchpad(lasting_site, drivers, undisturbed, fresh):
    folders = [lasting_site.campaign(name) for name in ("one", "two")]
    pids = [drivers.start(*explore(folder)) for folder in folders]
    wait_for(lambda: (folders[0] / "campaign.db").exists())
    assert "is being driven by process" in drivers.run(*explore(folders[0]), code=2)
    drivers.worker()
    wait_for(lambda: all(pid in drivers.ended for pid in pids), what="the campaigns")
    for folder in folders:
        found = facts(drivers, folder)
        assert verdicts(found) == verdicts(undisturbed)
        assert found["calculations"] == undisturbed["calculations"]


def test_the_cluster_takes_the_next_steps_itself(lasting_site, drivers, undisturbed, fresh):
    folder = lasting_site.campaign("alone", advance="cluster", executor="local")  # each step reads this file again
    text = drivers.run("run", "--dir", folder, "--cycles", 1, "--executor", "fireworks")
    assert "the cluster takes the next step" in text
    drivers.worker()
    wait_for(lambda: facts(drivers, folder)["cycles_completed"] == 1, what="the cycle")
    found = facts(drivers, folder)
    assert verdicts(found) == verdicts(undisturbed)
    assert found["launchpad"]["categories"]["screen"] == {"COMPLETED": found["calculations"]["done"]}


def here_and_there(lasting_site, drivers, name, changes):
    """Folders of the same campaign, run in processes of this machine and by a cluster that takes its own next steps."""
    here = lasting_site.campaign(f"{name}-here", changes, executor="local")
    there = lasting_site.campaign(name, changes, advance="cluster")
    drivers.run("run", "--dir", here, "--cycles", 1)
    assert "the cluster takes the next step" in drivers.run("run", "--dir", there, "--cycles", 1)
    drivers.worker()
    wait_for(lambda: facts(drivers, there)["cycles_completed"] == 1, what="the cycle")
    return here, there


@pytest.mark.physics
@pytest.mark.long
def test_a_ladder_is_climbed_by_the_cluster_batch_by_batch_as_it_is_here(lasting_site, drivers, fresh):
    changes = {
        "levels": ["lennard-jones", "chgnet"],
        "level_settings": {"chgnet": {"fmax": 0.5}},
        "ladder": {"keep": [2], "batch": 1, "window": 9, "structures": 1, "section": ["LiCl", "NaBr"]},
        "probes": {"compositions_per_field": 4, "first_batch": 4, "max_atoms": 8},
    }
    here, there = here_and_there(lasting_site, drivers, "climb", changes)
    found, expected = (facts(drivers, folder)["fields"] for folder in (there, here))
    assert found == expected
    assert [level["probes"] for level in found[0]["levels"]] == [4, 2]
    chosen = [
        campaign.database.query("SELECT composition, reason FROM uses WHERE reason != '' ORDER BY rowid")
        for campaign in map(Campaign.read, (here, there))
    ]
    assert [tuple(row) for row in chosen[0]] == [tuple(row) for row in chosen[1]]
    assert sum("; at chgnet expected " in row["reason"] for row in chosen[1]) == 2


@pytest.mark.slow
@pytest.mark.long
def test_what_a_positive_rests_on_is_searched_for_again_by_the_cluster_as_it_is_here(lasting_site, drivers, fresh):
    changes = {
        "competing": {"source": "offline", "max_atoms": 8, "by_analogy": 0},
        "probes": {"compositions_per_field": 2, "first_batch": 2, "max_atoms": 8},
        "verdicts": {"error_band": 0.0, "stable_below": 5.0, "filtered_above": 9.0},
    }
    here, there = here_and_there(lasting_site, drivers, "again", changes)
    kept = [
        (campaign.verdicts()[0]["reason"], sorted(map(tuple, campaign.database.query("SELECT role, hash FROM uses"))))
        for campaign in map(Campaign.read, (here, there))
    ]
    assert kept[0] == kept[1]
    assert "Searched for again, harder: " in kept[1][0]
    assert sum(role == "again" for role, _ in kept[1][1]) >= 2


def test_nothing_that_was_written_has_the_password_or_is_for_all_to_change(lasting_site, undisturbed):
    lasting_site.close()
    ours = [path for path in lasting_site.folder.iterdir() if path.name not in ("config", "mongo")]
    written = [path for top in ours for path in (top, *top.rglob("*")) if path.is_file()]
    assert len(written) > 50
    with_password = [path for path in written if lasting_site.mongo.password.encode() in path.read_bytes()]
    assert with_password == []
    launchpad, store = lasting_site.mongo.launchpad(), lasting_site.mongo.job_store()
    store.connect()
    kept = [str(list(launchpad.db[name].find())) for name in ("fireworks", "launches", "workflows")]
    assert lasting_site.mongo.password not in "".join(kept) + str(list(store.query({})))
    campaigns = [path for path in written if (path.parent / "campaign.db").exists() or path.name == "campaign.db"]
    assert not [path for path in campaigns if path.stat().st_mode & stat.S_IWOTH]
