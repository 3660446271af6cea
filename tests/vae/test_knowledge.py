import pandas as pd
import pytest

from vae.knowledge import Limits, Prior, apply_priors, exclude
from vae.phase_fields import PhaseField
from vae.ranking import Ranking

RANKING = Ranking(
    pd.DataFrame(
        {"phase_field": ["Li-Zn-S-Cl", "Li-Si-O-F", "Li-Sn-S-Cl"], "rank": [1, 2, 3], "score": [1.0, 2.0, 3.0]}
    ),
    {},
)


def test_a_prior_on_a_subfield_raises_the_fields_that_contain_it():
    # The scores' standard deviation is sqrt(2/3): three of them lift the last field to the first place.
    raised = apply_priors(RANKING, [Prior(("Li", "Sn", "S"), -3.0, "Li-Sn-S conducts well")]).table
    assert list(raised["phase_field"]) == ["Li-Sn-S-Cl", "Li-Zn-S-Cl", "Li-Si-O-F"]
    assert list(raised["rank_without_priors"]) == [3, 1, 2]
    assert list(raised["prior_notes"]) == ["Li-Sn-S conducts well", "", ""]
    assert raised["score"][0] == pytest.approx(3 - 3 * (2 / 3) ** 0.5)


def test_no_priors_change_nothing():
    assert apply_priors(RANKING, []) is RANKING


@pytest.mark.parametrize(
    ("limits", "symbol", "reason"),
    [
        (Limits(exclude=("Cd",)), "Cd", "excluded by name"),
        (Limits(radioactive=False), "Tc", "radioactive"),
        (Limits(radioactive=False), "Sn", ""),
        (Limits(max_hhi_production=5000), "La", "HHI of production 9500"),  # Gaultois et al., table 1: rare earths
        (Limits(toxicity=("1",)), "Cd", "toxicity class 1"),  # ICH Q3D, table 4.1
        (Limits(toxicity=("1",)), "Tl", ""),  # class 2B
        (Limits(toxicity=("1", "2B")), "Tl", "toxicity class 2B"),
        (Limits(max_price=100), "Au", "USD/kg"),
        (Limits(max_price=1000), "Zn", ""),
    ],
)
def test_reasons_against_an_element(limits, symbol, reason):
    found = limits.reason_against(symbol)
    assert reason in found
    assert bool(found) == bool(reason)


def test_excluded_elements_take_their_fields_along():
    fields = [PhaseField.parse(name) for name in ("Li-Sn-S-Cl", "Li-Cd-S-Cl")]
    kept, reasons = exclude(fields, Limits(exclude=("Cd",)))
    assert [str(field) for field in kept] == ["Li-Sn-S-Cl"]
    assert reasons == {"Cd": "excluded by name"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Limits(exclude=("Xx",)), "exclude: 'Xx' is no element"),
        (lambda: Limits(toxicity=("4",)), "toxicity: class '4' is unknown, choose from"),
        (lambda: Prior(("Li", "Xx"), -1, "why"), "prior 'Li-Xx': Xx names no element"),
        (lambda: Prior(("Li",), float("nan"), "why"), "prior 'Li': shift nan is not a finite number"),
        (lambda: Prior(("Li",), -1, " "), "prior 'Li': give a note"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
