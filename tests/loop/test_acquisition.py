import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from pymatgen.core import Composition

from loop.acquisition import choose_compositions, choose_fields

spec = importlib.util.spec_from_file_location("field_of_salts", Path(__file__).with_name("field_of_salts.py"))
salts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(salts)


def test_explored_fields_are_not_chosen_again():
    fields = ["Li-Sn-S-Cl", "Li-Si-S-Cl", "Li-Zn-S-Cl"]
    ranking = pd.DataFrame({"phase_field": fields, "rank": [1, 2, 3], "score": [0.1, 0.2, 0.3]})
    assert list(choose_fields(ranking, {"Li-Si-S-Cl"}, 5)) == ["Li-Sn-S-Cl", "Li-Zn-S-Cl"]


def test_a_field_of_which_the_verdicts_say_nothing_has_no_such_reason():
    fields = ["Li-Sn-S-Cl", "Li-As-P-Cl"]
    ranking = pd.DataFrame({"phase_field": fields, "rank": [1, 2], "score": [0.1, 0.2]})
    reasons = choose_fields(ranking, (), 2, log_odds={"Li-Sn-S-Cl": -1.0, "Li-Ge-S-Cl": -2.0})
    assert "by the verdicts so far more promising than 50% of the fields" in reasons["Li-Sn-S-Cl"]
    assert "verdicts" not in reasons["Li-As-P-Cl"]


def chosen(**more):
    known = [(c, salts.above_competing(c)) for c in salts.neutral(18)[::4]]
    candidates = salts.neutral(18)
    return choose_compositions(salts.FIELD, salts.competing(), known, candidates, n=4, seed=0, **more)


def test_compositions_come_with_reasons():
    batch = chosen()
    assert len({choice.formula for choice in batch}) == 4
    assert all("meV/atom from the hull of the competing phases" in choice.reason for choice in batch)
    assert all(choice.improvement >= 0 for choice in batch)


def test_multiples_of_what_is_known_or_failed_are_not_chosen():
    first = Composition(chosen()[0].formula)
    again = chosen(failed=[first * 3])
    known = {c.reduced_formula for c in salts.neutral(18)[::4]}
    assert not {choice.formula for choice in again} & {first.reduced_formula, *known}


def test_a_field_without_a_reference_is_named():
    competing = [entry for entry in salts.competing() if entry.composition != Composition("S")]
    with pytest.raises(ValueError, match=r"no elemental reference entry for \['S'\]"):
        choose_compositions(salts.FIELD, competing, [], salts.neutral(12), n=2, seed=0)
