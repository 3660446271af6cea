import importlib.util
import json
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from pymatgen.entries.computed_entries import ComputedEntry

from loop.simulate import Oracle, Puzzle, figures, read_cheaper, replay, simulate_field
from loop.strategies import STRATEGIES, Knowledge

spec = importlib.util.spec_from_file_location("field_of_salts", Path(__file__).with_name("field_of_salts.py"))
salts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(salts)


@pytest.fixture(scope="module")
def puzzle():
    return Puzzle.of(salts.probes(), salts.competing(), salts.FIELD, within=0.010)


def test_targets_lie_near_the_hull_of_all_entries(puzzle):
    assert "Li3SnS3Cl" in puzzle.targets  # 30 meV/atom below the competing phases: on the hull
    assert 1 < len(puzzle.targets) < len(puzzle.candidates) / 4


def test_a_replay_asks_each_composition_once_and_ends_with_the_last_target(puzzle):
    run = replay(puzzle, "hull", seed=1)
    assert len(set(run.order)) == len(run.order) == len(run.found)
    assert run.order[-1] in puzzle.targets
    assert set(run.order) >= puzzle.targets
    assert run.found[-1] == len(puzzle.targets)


def test_hull_needs_fewer_than_chance(puzzle):
    facts = figures(puzzle, simulate_field(puzzle, ["hull"], range(3)))
    assert facts["mean"]["hull"]["all"] < facts["expected_at_random"]["all"] / 2


def test_the_first_compositions_of_a_seed_are_the_same_for_all_strategies(puzzle):
    assert len({replay(puzzle, name, seed=2).order[:5] for name in STRATEGIES}) == 1


def test_no_energy_is_seen_before_it_is_asked_for(puzzle, monkeypatch):
    # what a strategy was given at each step holds exactly the energies asked for until then
    import loop.simulate as simulate

    asked: list[str] = []
    monkeypatch.setattr(Oracle, "ask", lambda self, f, ask=Oracle.ask: asked.append(f) or ask(self, f))

    def watched(strategy, known: Knowledge, *rest, choose=simulate.choose):
        assert set(known.computed) == set(asked)
        return choose(strategy, known, *rest)

    monkeypatch.setattr(simulate, "choose", watched)
    replay(puzzle, "hull", seed=0)
    assert asked


def test_energies_not_asked_for_change_no_choice(puzzle):
    run = replay(puzzle, "hull", seed=0)
    seen = set(run.order[:12])
    other = {f: e if f in seen else 1.0 + e for f, e in puzzle._energies.items()}
    turned = Puzzle(puzzle.space, puzzle.candidates, puzzle.targets, (), other)
    assert replay(turned, "hull", seed=0).order[:12] == run.order[:12]


def test_multiples_and_references_change_nothing(puzzle):
    references = {"Li": -1.9, "Sn": -3.8, "S": -4.1, "Cl": -1.8}
    turned = Puzzle.of(salts.probes(references=references, multiple=2), salts.competing(references), salts.FIELD, 0.010)
    assert turned.targets == puzzle.targets
    assert replay(turned, "hull", seed=0).order[:12] == replay(puzzle, "hull", seed=0).order[:12]


def test_batches_fill_up_to_what_is_there(puzzle):
    run = replay(puzzle, "random", seed=0, batch=1000)
    assert sorted(run.order) == sorted(puzzle.candidates)


def test_figures_by_hand(puzzle):
    run = replay(puzzle, "random", seed=0)
    facts = figures(puzzle, [run])
    hits = [i for i, f in enumerate(run.order, start=1) if f in puzzle.targets]
    assert facts["runs"] == [
        {"seed": 0, "strategy": "random", "first": hits[0], "half": hits[ceil(len(hits) / 2) - 1], "all": hits[-1]}
    ]
    json.dumps(facts)


def test_of_two_energies_the_lowest_counts_and_it_is_said(puzzle):
    twice = [*salts.probes(), ComputedEntry("Li6Sn2S6Cl2", 0.0)]
    again = Puzzle.of(twice, salts.competing(), salts.FIELD, 0.010)
    assert again.targets == puzzle.targets
    assert again.notes == ("1 probe row repeating a composition: its lowest energy counts",)


def test_an_absurd_energy_is_left_out_and_said(puzzle):
    spoilt = [*salts.probes(), ComputedEntry("Li9SnS6Cl", -1e5)]
    again = Puzzle.of(spoilt, salts.competing(), salts.FIELD, 0.010)
    assert again.targets == puzzle.targets
    assert "Li9SnS6Cl lies -5882.4 eV/atom from its elements: left out" in again.notes


def test_a_missing_reference_is_named():
    with pytest.raises(ValueError, match=r"no elemental reference entry for \['Sn'\]"):
        Puzzle.of(salts.probes(), [e for e in salts.competing() if e.composition.formula != "Sn1"], salts.FIELD, 0.01)


def test_no_candidates_and_no_targets_are_said():
    with pytest.raises(ValueError, match="no probe composition of Li-Sn-S-Cl has an energy"):
        Puzzle.of([], salts.competing(), salts.FIELD, 0.010)
    high = [ComputedEntry(e.composition, e.energy + e.composition.num_atoms) for e in salts.probes()]
    with pytest.raises(ValueError, match=r"within 10 meV/atom of the hull \(nearest: 9\d\d"):
        Puzzle.of(high, salts.competing(), salts.FIELD, 0.010)


@pytest.mark.parametrize("column", ["e_above_hull", "e_above_hull_eV_per_atom"])
def test_rows_of_a_prior_that_cannot_be_used_are_set_aside_with_a_line_each(tmp_path, column):
    table = tmp_path / "prior.csv"
    bad = ["LiCl,", "Li2S,nan", "SnS2,low", "Li3SnS3Cl,-5000", "Li2O,0.1", "Xq7,0.1", ",0.2"]
    table.write_text("\n".join([f"composition,{column}", "Li6Sn2S6Cl2,0.05", "Li3SnS3Cl,0.02", *bad, "Li5SnS4Cl,0.1"]))
    told = []
    assert read_cheaper(table, salts.FIELD, told) == {"Li3SnS3Cl": 0.02, "Li5SnS4Cl": 0.1}
    assert told == [
        f"left out: {table} row 4: the energy '' is no finite number of eV",
        f"left out: {table} row 5: the energy 'nan' is no finite number of eV",
        f"left out: {table} row 6: the energy 'low' is no finite number of eV",
        f"left out: {table} row 7: no salt lies -5000 eV/atom from the hull",
        f"left out: {table} row 8: Li2O holds O, which the field Li-Sn-S-Cl has not",
        f"left out: {table} row 9: 'Xq7' is no formula, write it as Li3SnS3Cl",
        f"left out: {table} row 10: '' is no formula, write it as Li3SnS3Cl",
        f"1 row of {table} repeating a composition: its lowest energy counts",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("formula,e_above_hull\nLiCl,0\n", "has no column 'composition'"),
        ("composition,energy\nLiCl,0\n", "has no column 'e_above_hull'"),
        ("composition,e_above_hull\nXq7,0.1\n", "no row that can be used; left out: .* row 2: 'Xq7'"),
        ("composition,e_above_hull\n", "no row that can be used; it is empty"),
        ("", "cannot be read as a CSV table"),
    ],
)
def test_a_prior_table_without_a_row_that_can_be_used(tmp_path, text, message):
    table = tmp_path / "prior.csv"
    table.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_cheaper(table, salts.FIELD, [])


def test_the_order_of_a_cheaper_level_is_a_strategy_to_compare_with(puzzle):
    cheaper = {f: e for f, e in puzzle._energies.items() if f != "Li3SnS3Cl"}
    run = replay(puzzle, "lowest", seed=0, initial=0, cheaper=cheaper)
    assert list(run.order[:-1]) == sorted(cheaper, key=lambda f: (cheaper[f], f))[: len(run.order) - 1]
    assert run.order[-1] == "Li3SnS3Cl"  # without an energy there it comes last


def test_a_replay_ends_when_its_evaluations_are_spent(puzzle):
    run = replay(puzzle, "hull", seed=0, initial=2, batch=3, most=7)
    assert len(run.order) == 7
    assert run.order == replay(puzzle, "hull", seed=0, initial=2, batch=3).order[:7]


def test_a_good_prior_helps(puzzle):
    truth = {e.composition.reduced_formula: salts.above_competing(e.composition) for e in salts.probes()}
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(truth))
    cheaper = {f: e + d for (f, e), d in zip(sorted(truth.items()), noise, strict=True)}
    without = replay(puzzle, "hull", seed=0)
    with_prior = replay(puzzle, "hull", seed=0, initial=0, cheaper=cheaper)
    assert len(with_prior.order) < len(without.order)
