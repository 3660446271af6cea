import pytest

from loop.config import Feedback, Verdicts
from loop.feedback import about_the_missing, judge, left_out, training_fields
from vae import PhaseField

LIMITS = Verdicts(stable_below=0.025, filtered_above=0.100)


@pytest.mark.parametrize(
    ("lowest", "verdict"),
    [
        (-0.050, "positive"),
        (0.001, "positive"),  # 1 + 24 meV/atom is just within 25
        (0.002, "undecided"),  # 2 + 24 is not
        (0.060, "undecided"),
        (0.123, "undecided"),  # 123 - 24 is not beyond 100
        (0.125, "filtered"),
        (None, "undecided"),
    ],
)
def test_a_verdict_allows_for_the_error_of_the_level(lowest, verdict):
    assert judge(lowest, "Li3SnS3Cl", 8, 0.024, LIMITS).verdict == verdict


def test_nothing_is_positive_while_a_salt_that_could_bound_it_has_no_energy():
    verdict = judge(-0.4, "Li2PO3F", 8, 0.024, LIMITS, ["P2O5", "Li22Si5"])
    assert verdict.verdict == "undecided"
    assert "not without an energy of P2O5" in verdict.reason
    assert "Li22Si5" not in verdict.reason
    assert judge(-0.01, "Li2PO3F", 8, 0.024, LIMITS, ["Li22Si5", "B6O"]).verdict == "positive"
    assert judge(0.2, "Li2PO3F", 8, 0.024, LIMITS, ["P2O5"]).verdict == "filtered"  # it could only lie higher


def test_what_has_no_energy_is_told_apart_by_how_it_is_known():
    assert about_the_missing([], []) == ""
    told = about_the_missing(["P2O5", "Li22Si5"], ["Li4SiS4"])
    assert "The hull lacks P2O5, Li22Si5, which have no energy and could only raise this distance" in told
    assert "Li4SiS4, by analogy alone, has no energy and may not exist" in told


def test_the_reason_holds_the_numbers():
    reason = judge(0.060, "Li3SnS3Cl", 8, 0.024, LIMITS).reason
    assert "the lowest of 8 probe compositions, Li3SnS3Cl, lies +60 meV/atom" in reason
    assert "(error band ±24)" in reason


VERDICTS = [
    {"phase_field": "Li-Sn-S-Cl", "verdict": "positive"},
    {"phase_field": "Li-Al-O-F", "verdict": "filtered"},
    {"phase_field": "Li-B-S-O", "verdict": "undecided"},
]
KNOWN = [PhaseField.parse("Li-Y-O-Cl")]


def names(fields):
    return [str(field) for field in fields]


def test_positives_join_the_training_set():
    assert names(training_fields(KNOWN, VERDICTS, Feedback())) == ["Li-Y-Cl-O", "Li-Sn-S-Cl"]
    assert names(training_fields(KNOWN, VERDICTS, Feedback(positives_join_training=False))) == ["Li-Y-Cl-O"]


def test_filtered_fields_leave_the_candidates():
    assert names(left_out(KNOWN, VERDICTS, Feedback())) == ["Li-Y-Cl-O", "Li-Sn-S-Cl", "Li-Al-O-F"]
    stays = left_out(KNOWN, VERDICTS, Feedback(filtered_leave_candidates=False))
    assert names(stays) == ["Li-Y-Cl-O", "Li-Sn-S-Cl"]
