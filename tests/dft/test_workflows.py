import errno

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from dft.candidates import Candidate, for_their_kinds, in_proportion, largest_built
from dft.probes import ProbeStructure
from dft.workflows import ScreeningMaker, survivors
from tests.dft.scripted import VOLUME, A, B, C, Scripted, by_volume, salt


def screen(probes, singles, relaxed, **settings):
    maker = ScreeningMaker("scripted", "none", Scripted(1, singles), Scripted(300, relaxed), **settings)
    return ScreeningMaker.make.original(maker, probes)


WAYS = {"ordered lattice: a": -1.2, "prototype: a": -1.1, "chains: a": -1.0}

SINGLES = by_volume(a=(-1.0, 1, True), b=(-1.1, 1, True), c=(-1.2, 1, True))


def states(out):
    return [row["state"] for row in out["trail"]]


def test_the_lowest_of_those_relaxed_counts_wherever_it_stood_before():
    out = screen([A, B, C], SINGLES, by_volume(a=(-2.0, 1, True), b=(-1.9, 1, True), c=(-1.95, 1, True)))
    assert (out["state"], out["generator"], out["energy_per_atom"]) == ("done", "a", -2.0)
    assert [row["energy_per_atom"] for row in out["trail"]] == [-2.0, -1.9, -1.95]
    assert states(out) == ["done"] * 3
    assert out["n_structures"] == 3


def test_only_the_best_single_points_are_relaxed():
    out = screen([A, B, C], SINGLES, by_volume(c=(-2.0, 1, True), b=(-1.9, 1, True)), n_relaxed=2)
    assert [row["stage"] for row in out["trail"]] == ["single point", "relaxation", "relaxation"]
    assert states(out) == ["outranked", "done", "done"]
    assert [probe.generator for probe in survivors(out)] == ["c", "b"]


def test_a_relaxation_that_was_given_up_is_outranked_and_takes_a_place():
    given_up = by_volume(c=(-2.0, 1, True), b=(-1.9, 1, False), a=(-3.0, 1, True))
    out = screen([A, B, C], SINGLES, given_up, n_relaxed=2, margin=0.05)
    assert states(out) == ["outranked", "outranked", "done"]
    assert out["trail"][1]["reason"] == "not finished, 100 meV/atom above the lowest"
    assert [probe.generator for probe in survivors(out)] == ["c", "b"]


def test_the_bar_is_the_lowest_that_was_finished_and_the_margin():
    bars = []

    class Recording(Scripted):
        def _run_ase_safe(self, structure):
            bars.append(self.relax_kwargs.get("bar"))
            return super()._run_ase_safe(structure)

    relaxed = Recording(300, by_volume(c=(-2.0, 1, False), b=(-1.9, 1, True), a=(-1.95, 1, True)))
    maker = ScreeningMaker("scripted", "none", Scripted(1, SINGLES), relaxed, margin=0.02)
    ScreeningMaker.make.original(maker, [A, B, C])
    assert bars == pytest.approx([np.inf, np.inf, -1.88])  # the first did not converge


def test_each_way_of_building_keeps_a_place():
    probes = [salt(5.0, "molecules: x"), salt(5.2, "lattice: x"), salt(5.4, "lattice: y")]
    relaxed = by_volume(a=(-2.0, 1, True), c=(-1.3, 1, True))
    out = screen(probes, SINGLES, relaxed, n_relaxed=2)
    assert [row["stage"] for row in out["trail"]] == ["relaxation", "single point", "relaxation"]
    assert screen(probes, SINGLES, relaxed, n_relaxed=1)["generator"] == "lattice: y"


def test_the_lowest_comes_first_then_of_each_way_of_building_the_lowest_molecules_and_chains_before_others():
    lattice, prototype, chain = (Candidate(name, None, None, energy_per_atom=e) for name, e in WAYS.items())
    assert in_proportion([lattice, prototype, chain]) == [lattice, chain, prototype]


def test_ways_of_building_have_places_in_proportion_to_their_structures_layers_apart():
    names = ["ordered lattice: fcc", "ordered lattice: hcp", "ordered lattice: fcc, layered", "ordered lattice: bcc"]
    names += ["ordered lattice: 9R", "ordered lattice: hcp, layered", "ordered lattice: fcc"]
    candidates = [Candidate(name, None, None, energy_per_atom=float(k)) for k, name in enumerate(names)]
    assert [candidates.index(c) for c in in_proportion(candidates)] == [0, 2, 1, 3, 5, 4, 6]


@pytest.mark.parametrize(("names", "share"), [("ab", 1.0), ("a", 1.0), ("abc", 1.25), ("abcd", 1.5)])
def test_more_than_two_ways_of_building_get_more_places(names, share):
    assert for_their_kinds([Candidate(f"{name}: {k}", None, None) for name in names for k in range(3)]) == share


def test_frameworks_with_names_have_two_places_more_and_no_share():
    names = ["ordered lattice: x", "framework: argyrodite", "framework: argyrodite, as placed"]
    assert for_their_kinds([Candidate(name, None, None) for name in names]) == 1.0
    probes = [salt(5.0 + 0.2 * k, names[k % 2]) for k in range(6)]
    energies = {probe.structure.volume: (-2.0 - 0.1 * k, 1, True) for k, probe in enumerate(probes)}
    relaxed = [c["stage"] for c in screen(probes, energies, energies, n_relaxed=1)["trail"]].count("relaxation")
    assert relaxed == 3


def test_with_four_ways_of_building_three_are_relaxed():
    names = ("ordered lattice: x", "prototype: x", "molecules: x", "chains: x")
    probes = [salt(5.0 + 0.2 * k, name) for k, name in enumerate(names)]
    energies = {probe.structure.volume: (-2.0 - 0.1 * k, 1, True) for k, probe in enumerate(probes)}
    out = screen(probes, energies, energies, n_relaxed=2)
    assert sorted(states(out)) == ["done", "done", "done", "outranked"]


def test_of_larger_cells_fewer_are_relaxed():
    relaxed = by_volume(a=(-2.0, 1, True), b=(-1.9, 1, True), c=(-1.95, 1, True))
    assert states(screen([A, B, C], SINGLES, relaxed, n_relaxed=4, full_cell=1)).count("done") == 2


@pytest.mark.parametrize(("energy", "kept"), [(-1.997, ["a", "c"]), (-1.99, ["a", "b"])])
def test_of_survivors_that_are_the_same_structure_at_the_same_energy_one_is_handed_on(energy, kept):
    relaxed = by_volume(a=(-2.0, 1, True), b=(energy, 1, True), c=(-1.9, 1, True))
    out = screen([A, B, C], SINGLES, relaxed, n_survivors=2)
    assert [probe.generator for probe in survivors(out)] == kept


def test_survivors_are_the_lowest_and_start_the_next_level():
    relaxed = by_volume(a=(-2.0, 1.1, True), b=(-1.9, 1, True), c=(-1.8, 1, True))
    out = screen([A, B, C], SINGLES, relaxed, n_survivors=2)
    assert [(p.generator, round(p.structure.volume, 3)) for p in survivors(out)] == [
        ("a", round(VOLUME["a"] * 1.1, 3)),
        ("b", round(VOLUME["b"], 3)),
    ]


@pytest.mark.parametrize(
    ("spoilt", "state", "reason"),
    [
        ((-3.0, 2.5, True), "rejected", "volume changed by a factor of 2.50"),
        ((-3.0, 1.0, False), "unconverged", "force limit, cell included, not reached"),
        (RuntimeError("the engine broke"), "failed", "RuntimeError: the engine broke"),
        ((float("nan"), 1.0, True), "failed", "energy or forces are not numbers"),
    ],
)
def test_spoilt_candidate_makes_room_for_the_next_and_leaves_nothing_to_it(spoilt, state, reason):
    out = screen([A, B, C], SINGLES, by_volume(c=spoilt, b=(-1.45, 1, True), a=(-1.0, 1, True)), n_relaxed=2)
    assert (out["state"], out["generator"], out["energy_per_atom"]) == ("done", "b", -1.45)
    assert out["trail"][2]["state"] == state
    assert reason in out["trail"][2]["reason"]
    assert out["trail"][0]["state"] == "done"


SPOILT = {"out of its volume": (-3.0, 2.5, True), "out of steps": (-3.0, 1.0, False)}


@pytest.mark.parametrize(("spoilt", "tried"), [("out of its volume", 7), ("out of steps", 2)])
def test_as_many_make_room_as_there_are_but_two_run_out_of_steps_at_most(spoilt, tried):
    probes = [salt(5.0 + 0.05 * k, str(k)) for k in range(7)]
    singles = {probe.structure.volume: (-1.0, 1, True) for probe in probes}
    out = screen(probes, singles, dict.fromkeys(singles, SPOILT[spoilt]), n_relaxed=2)
    assert [row["stage"] for row in out["trail"]].count("relaxation") == tried
    assert out["energy_per_atom"] is None


def test_what_is_handed_on_are_the_lowest_finished_or_not():
    relaxed = by_volume(c=(-1.5, 1, True), b=(-2.0, 1, True), a=(-1.9, 1, False))
    out = screen([A, B, C], SINGLES, relaxed, n_survivors=2)
    assert states(out) == ["outranked", "done", "done"]
    assert [probe.generator for probe in survivors(out)] == ["b", "a"]


def test_composition_fails_with_the_reason_when_nothing_remains():
    out = screen([A], SINGLES, by_volume(a=(-3.0, 2.5, True)))
    assert (out["state"], out["energy_per_atom"]) == ("rejected", None)
    assert "volume changed" in out["reason"]


def test_every_candidate_failing_is_a_failure_without_energy():
    broken = dict.fromkeys(VOLUME.values(), RuntimeError("no weights"))
    out = screen([A, B], broken, broken)
    assert (out["state"], out["energy_per_atom"], out["reason"]) == ("failed", None, "RuntimeError: no weights")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError("too little")])
def test_an_error_of_the_machine_is_not_the_candidates(error):
    with pytest.raises(type(error), match=r"No space left|too little"):
        screen([A, B], SINGLES, dict.fromkeys(VOLUME.values(), error))


def test_another_error_of_files_is_the_candidates():
    broken = dict.fromkeys(VOLUME.values(), FileNotFoundError("no such parameter"))
    assert screen([A, B], SINGLES, broken)["state"] == "failed"


def test_structures_of_two_compositions_are_refused():
    other = ProbeStructure(Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]]), "given")
    with pytest.raises(ValueError, match=r"one composition, not of \['Li', 'LiCl'\]"):
        screen([A, other], SINGLES, SINGLES)


def test_large_known_types_leave_the_others_their_places():
    small, large = (Structure(Lattice.cubic(9.0), ["Li"] * n, np.zeros((n, 3))) for n in (12, 20))
    lattice, known = Candidate("ordered lattice: fcc", small, small), Candidate("prototype: AFLOW D5_8", large, large)
    assert largest_built([lattice, known]) == 12
    assert largest_built([known]) == 20
