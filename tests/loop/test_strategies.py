import importlib.util
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from loop.field_model import FieldModel
from loop.field_space import FieldSpace
from loop.hull_strategy import HullSettings
from loop.strategies import STRATEGIES, WITH_PRIOR, Knowledge, choose
from loop.surrogate import WITH_CHEAPER
from vae import PhaseField

spec = importlib.util.spec_from_file_location("field_of_salts", Path(__file__).with_name("field_of_salts.py"))
salts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(salts)

CANDIDATES = salts.neutral(18)


def known(computed=8, references=None, **more):
    """Knowledge of every fifth composition."""
    space = FieldSpace(salts.FIELD, tuple(salts.competing(references)))
    some = CANDIDATES[::3][:computed]
    return Knowledge(space, {c.reduced_formula: salts.above_competing(c) for c in some}, **more)


def formulas(strategy, knowledge, candidates=CANDIDATES, n=4, seed=0):
    return [choice.formula for choice in choose(strategy, knowledge, candidates, n, np.random.default_rng(seed))]


def test_the_hull_between_two_salts_is_their_tie_line():
    space = FieldSpace(salts.FIELD, tuple(salts.competing()))
    middle = Composition("Li3SCl")  # Li2S + LiCl: (3 x -1.5 + 2 x -2.1) / 5
    assert space.hull_energies(space.fractions([middle])) == pytest.approx([-1.74])


def test_a_phase_below_the_competing_ones_lowers_the_hull_around_it():
    space = FieldSpace(salts.FIELD, tuple(salts.competing()))
    at = space.fractions([Composition("Li3SnS3Cl"), Composition("LiCl")])
    before = space.hull_energies(at)
    after = space.hull_energies(at, (at[:1], before[:1] - 0.05))
    assert after - before == pytest.approx([-0.05, 0.0])


def test_on_a_section_the_hull_lies_between_its_end_members_whatever_the_elements_do():
    competing = [*salts.competing()[4:], ComputedEntry("Li3SCl", 5 * -1.80)]  # 60 meV/atom below Li2S + LiCl
    space = FieldSpace(salts.FIELD, tuple(competing), ("Li2S", "LiCl"))
    ends_and_between = [Composition(f) for f in ("Li2S", "LiCl", "Li3SCl", "Li4SCl2")]
    at = space.fractions(ends_and_between)
    # Li4SCl2 = Li3SCl + LiCl: 5 of its 7 atoms are in the phase that lies 60 meV/atom below
    assert space.hull_energies(at) == pytest.approx([0.0, 0.0, -0.06, -0.06 * 5 / 7])
    assert space.competing_energies == pytest.approx({"Li2S": 0.0, "Li3SCl": 0.0, "LiCl": 0.0})
    lower = space.hull_energies(at, (at[3:], space.hull_energies(at[3:]) - 0.05))
    # Li3SCl = (Li4SCl2 + Li2S) / 2, 7 of 10 atoms in what now lies at -93: at -65, below its -60
    assert lower - space.hull_energies(at) == pytest.approx([0.0, 0.0, -0.005, -0.05])


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
class TestEveryStrategy:
    def test_never_gives_what_is_known_or_failed_or_twice(self, strategy):
        failed = frozenset({CANDIDATES[1].reduced_formula})
        knowledge = known(failed=failed)
        chosen = formulas(strategy, knowledge, n=len(CANDIDATES))
        assert len(chosen) == len(set(chosen)) == len(CANDIDATES) - 8 - 1
        assert not set(chosen) & (knowledge.computed.keys() | failed)

    def test_multiples_of_a_composition_are_one_candidate(self, strategy):
        doubled = [c * 2 for c in CANDIDATES] + CANDIDATES
        assert formulas(strategy, known(), doubled) == formulas(strategy, known())

    def test_the_order_of_candidates_and_elements_does_not_matter(self, strategy):
        space = FieldSpace(PhaseField.parse("Cl-S-Sn-Li"), tuple(reversed(salts.competing())))
        turned = Knowledge(space, dict(reversed(known().computed.items())))
        assert formulas(strategy, turned, CANDIDATES[::-1]) == formulas(strategy, known())

    def test_elemental_references_do_not_matter(self, strategy):
        references = {"Li": -1.9, "Sn": -3.8, "S": -4.1, "Cl": -1.8}
        assert formulas(strategy, known(references=references)) == formulas(strategy, known())

    def test_the_same_seed_gives_the_same_choice(self, strategy):
        assert formulas(strategy, known(), seed=3) == formulas(strategy, known(), seed=3)

    def test_no_candidates_give_an_empty_batch(self, strategy):
        assert formulas(strategy, known(), []) == []

    def test_every_choice_has_a_reason(self, strategy):
        assert all(choice.reason for choice in choose(strategy, known(), CANDIDATES, 3, np.random.default_rng(0)))


def test_hull_goes_where_the_energy_is_low():
    # the field is smooth with one minimum: 24 of its compositions tell where the lowest quarter lies
    chosen = formulas("hull", known(computed=24), n=3)
    quarter = np.quantile([salts.above_competing(c) for c in CANDIDATES], 0.25)
    assert np.mean([salts.above_competing(Composition(f)) for f in chosen]) < quarter


def test_hull_learns_from_the_cheaper_level_before_anything_is_computed():
    above = {c.reduced_formula: salts.above_competing(c) for c in CANDIDATES}
    chosen = formulas("hull", known(computed=0, cheaper=above), n=3)
    assert set(chosen) <= set(sorted(above, key=above.__getitem__)[: len(above) // 5])


def cheaper_level():
    """Every composition too low by a quarter and 20 meV/atom."""
    return {c.reduced_formula: 0.75 * salts.above_competing(c) - 0.02 for c in CANDIDATES}


@pytest.mark.parametrize("strategy", WITH_PRIOR)
def test_a_cheaper_level_keeps_the_invariances(strategy):
    chosen = formulas(strategy, known(cheaper=cheaper_level()))
    references = {"Li": -1.9, "Sn": -3.8, "S": -4.1, "Cl": -1.8}
    assert formulas(strategy, known(references=references, cheaper=cheaper_level())) == chosen
    assert formulas(strategy, known(cheaper=cheaper_level()), [c * 2 for c in CANDIDATES[::-1]]) == chosen
    space = FieldSpace(PhaseField.parse("Cl-S-Sn-Li"), tuple(reversed(salts.competing())))
    turned = Knowledge(space, known().computed, cheaper=dict(reversed(cheaper_level().items())))
    assert formulas(strategy, turned) == chosen


def test_lowest_keeps_the_order_of_the_cheaper_level_whatever_is_known():
    cheaper, computed = cheaper_level(), known().computed
    left = sorted(cheaper.keys() - computed.keys(), key=cheaper.__getitem__)
    assert formulas("lowest", known(cheaper=cheaper), n=5) == left[:5]


def test_a_cheaper_level_is_corrected_where_it_is_wrong_and_not_beside_the_competing_phases():
    # 60 meV/atom too low everywhere but at the salts, which lie on its hull
    cheaper = {c.reduced_formula: salts.above_competing(c) - 0.06 for c in CANDIDATES}
    model = FieldModel.fit(known(computed=12, cheaper=cheaper), HullSettings())
    X = model.features([Composition("Li2S"), Composition("Li2Sn2SCl8")])
    beside, inside = model.surrogate.predict(X)[0] - WITH_CHEAPER.expected(X)
    assert abs(beside) < 0.01
    assert inside > 0.03


def test_where_the_cheaper_level_has_no_energy_its_neighbours_stand_in():
    some = dict(list(cheaper_level().items())[::2])
    model = FieldModel.fit(known(cheaper=some), HullSettings())
    lacking = [c for c in CANDIDATES if c.reduced_formula not in some]
    foretold, remainder = model.features(lacking)[:, -2:].T
    assert foretold == pytest.approx([cheaper_level()[c.reduced_formula] for c in lacking], abs=0.02)
    assert remainder == pytest.approx(np.zeros(len(lacking)))


def test_a_batch_is_spread_out():
    space = known().space
    chosen = formulas("hull", known(), n=6)
    at = space.coordinates(space.fractions([Composition(f) for f in chosen]))
    distances = np.linalg.norm(at[:, None] - at[None], axis=-1)[np.triu_indices(6, 1)]
    assert distances.min() >= 0.03


def test_hull_keeps_away_from_failures():
    first = formulas("hull", known(), n=1)[0]
    at = known().space.coordinates(known().space.fractions([*CANDIDATES, Composition(first)]))
    near = np.argsort(np.linalg.norm(at[:-1] - at[-1], axis=1))[:6]
    failed = frozenset(CANDIDATES[i].reduced_formula for i in near) - known().computed.keys()
    second = formulas("hull", known(failed=failed), n=1)[0]
    nearest = np.linalg.norm(at[[str(c.reduced_formula) for c in CANDIDATES].index(second)] - at[near], axis=1).min()
    assert nearest > 0.03


def test_without_energies_hull_spreads():
    space = FieldSpace(salts.FIELD, tuple(salts.competing()[:4]))
    knowledge = Knowledge(space)
    assert formulas("hull", knowledge) == formulas("spread", knowledge)


def test_an_unknown_strategy_is_named():
    with pytest.raises(ValueError, match=r"strategy 'best' is unknown, choose from \['grid', 'hull'"):
        formulas("best", known())


def test_a_candidate_outside_the_field_is_named():
    with pytest.raises(ValueError, match="candidate NaCl holds Na, which the field Li-Sn-S-Cl has not"):
        formulas("hull", known(), [Composition("NaCl")])
