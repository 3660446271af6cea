import io
import json
import logging
import os
import re

import pytest

from loop.report.live import Display, Event, JsonDisplay, LiveDisplay, PlainDisplay, Progress, line, open_display

RUN = [
    Event("cycle", cycle=1),
    Event("stage", text="train the ranker"),
    Event("field", phase_field="Li-Sn-S-Cl", total=3),
    Event("calculation", composition="Li3SnS3Cl", state="running"),
    Event("calculation", composition="Li3SnS3Cl", state="done", e_above_hull=0.0123),
    Event("calculation", composition="LiSnSCl", state="failed", text="did not converge"),
    Event("calculation", composition="Li5SnS4Cl", state="running"),
    Event("verdict", phase_field="Li-Sn-S-Cl", text="positive"),
]


def played(mode, events=RUN, stream=None):
    stream = stream or io.StringIO()
    with open_display(mode, cycles=3, stream=stream) as show:
        for event in events:
            show(event)
    return show, stream.getvalue() if isinstance(stream, io.StringIO) else ""


def test_plain_lines_carry_the_time_and_nothing_is_drawn():
    show, text = played("auto")  # a StringIO is no terminal
    assert isinstance(show, PlainDisplay)
    lines = text.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  ", each) for each in lines)
    assert [each[10:] for each in lines] == [
        "cycle 1 of 3",
        "train the ranker",
        "Li-Sn-S-Cl: 3 calculations to do",
        "Li-Sn-S-Cl: Li3SnS3Cl done, 12 meV/atom above the hull",
        "Li-Sn-S-Cl: LiSnSCl failed (did not converge)",
        "Li-Sn-S-Cl: positive",
    ]
    assert "\x1b" not in text


def test_events_add_up():
    show, _ = played("quiet")
    assert show.progress.states == {"done": 1, "failed": 1}
    assert show.progress.n_running == 1
    assert show.progress.total == 3
    assert show.progress.best == (0.0123, "Li3SnS3Cl", "Li-Sn-S-Cl")


def test_quiet_prints_nothing():
    show, text = played("quiet")
    assert type(show) is Display
    assert text == ""


def test_json_log_is_one_object_per_event():
    show, text = played("json")
    assert isinstance(show, JsonDisplay)
    told = [json.loads(each) for each in text.splitlines()]
    assert [each["kind"] for each in told] == [event.kind for event in RUN]
    assert told[4]["e_above_hull"] == 0.0123
    assert "total" not in told[4]
    assert all("time" in each for each in told)


def test_live_table_holds_what_is_known():
    show, text = played("live")
    assert isinstance(show, LiveDisplay)
    for part in ("1 of 3", "train the ranker", "1 done, 1 failed, 1 running", "Li3SnS3Cl, 12 meV/atom (Li-Sn-S-Cl)"):
        assert part in text
    assert "Li-Sn-S-Cl: positive" in text


def test_remaining_time_follows_the_finished_cycles():
    now = [100.0]
    progress = Progress(cycles=3, clock=lambda: now[0])
    progress.update(Event("cycle", cycle=1))
    assert progress.remaining is None
    now[0] = 160.0  # the first took 60 s
    progress.update(Event("cycle", cycle=2))
    now[0] = 170.0  # 10 s into the second: 50 s and one more cycle are left
    assert progress.remaining == pytest.approx(110.0)


def test_in_the_first_cycle_what_is_left_follows_the_calculations():
    now = [0.0]
    progress = Progress(cycles=2, clock=lambda: now[0])
    progress.update(Event("cycle", cycle=1))
    now[0] = 100.0  # training
    progress.update(Event("field", phase_field="Li-Sn-S-Cl", total=4))
    assert progress.remaining is None
    now[0] = 120.0
    progress.update(Event("calculation", composition="LiCl", state="done"))
    # three calculations of 20 s are left, and a cycle of 120 + 60 s
    assert progress.remaining == pytest.approx(60 + 180)


def test_the_field_is_that_of_the_stage_and_none_in_a_new_cycle():
    show, text = played(
        "live", [*RUN, Event("cycle", cycle=2), Event("stage", phase_field="Li-Zn-S-Cl", text="building structures")]
    )
    assert show.progress.phase_field == "Li-Zn-S-Cl"
    assert "2 of 3: 1 done" in text


def test_a_verdict_replaces_what_was_nearest_before_the_hull_sank():
    progress = Progress(cycles=1)
    told = (("best", "Li-P-O-F", -0.028), ("best", "Li-P-S-O", 0.07), ("verdict", "Li-P-O-F", -0.014))
    for kind, phase_field, energy in told:
        progress.update(Event(kind, phase_field=phase_field, composition="A", e_above_hull=energy))
    assert progress.best == (-0.014, "A", "Li-P-O-F")


def test_the_best_so_far_is_told_before_the_verdict():
    event = Event("best", phase_field="Li-Sn-S-Cl", composition="Li3SnS3Cl", e_above_hull=0.0041)
    _, text = played("plain", [event])
    assert text.rstrip().endswith("Li-Sn-S-Cl: nearest to the hull so far: Li3SnS3Cl, 4 meV/atom")


def test_markup_in_a_message_stays_text():
    _, text = played("live", [Event("message", text="[bold]not bold[/bold]")])
    assert "[bold]not bold[/bold]" in text


def test_the_last_line_sums_up():
    show, _ = played("quiet")
    assert re.match(
        r"finished after 0:00:0\d; 1 done, 1 failed, 1 running; nearest to the hull: Li3SnS3Cl, 12 meV/atom",
        line(Event("finished"), show.progress),
    )


@pytest.mark.parametrize("mode", ["plain", "json", "live"])
def test_a_reader_who_has_gone_ends_nothing(mode):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as nobody_reads:
        show, _ = played(mode, stream=nobody_reads)
    assert show.progress.states == {"done": 1, "failed": 1}


def test_the_log_has_every_line_of_a_quiet_run(caplog):
    caplog.set_level(logging.INFO, logger="loop")
    played("quiet")
    _, text = played("plain")
    plain = [each[10:] for each in text.splitlines()]
    assert [record.message for record in caplog.records] == 2 * plain
