"""The calculation of one composition: many candidate structures in, one energy with its history out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jobflow import Maker, job
from pymatgen.core import Lattice, Structure

from dft.candidates import (
    Candidate,
    for_frameworks,
    for_their_kinds,
    furthest,
    in_proportion,
    is_among,
    is_beside,
    largest_built,
    running,
)
from dft.engines import meter_reading
from dft.guards import why_rejected
from dft.levels import LevelOfTheory
from dft.probes.base import ProbeStructure, unpacked
from dft.tasks import is_of_the_machine
from dft.volume_steps import LARGE_STEP, VolumeSteps, single_points_of

#: Raised whenever the way in which candidates get their places changes.
PLACES = 7

#: Relaxations that may run out of steps before a composition is left with what it has: each has taken all there are.
UNCONVERGED = 2

#: Steps between the frames that atomate2 keeps of a relaxation: more than it takes.
BEYOND_ANY_STEP = 1_000_000

MEV = 1000.0  # meV per eV


@dataclass
class ScreeningMaker(Maker):
    """Maker for the lowest energy at one composition: single points, then relaxations.

    All candidates get a single point and a step in volume from its pressure, and where that is large another of both.
    The best of them, of each way of building, are then relaxed one after another to the force limit; once one has
    been finished a relaxation is given up that will hardly end near the lowest so far. A candidate that fails a guard
    makes room for the next.

    Attributes:
        name: Name of the job.
        level: Identity of the level of theory.
        static_maker: atomate2 force-field Maker of a single point.
        relax_maker: Of a relaxation to the force limit.
        n_relaxed: Candidates relaxed. More than two ways of building get more places, frameworks with names up to two;
            complexes come in their turn beside these.
        full_cell: Atoms up to which that many are; of larger cells fewer are, in proportion.
        margin: A relaxation is given up if it will hardly end within this above the lowest so far, eV/atom.
        n_survivors: Structures handed on to the next level of a ladder.
    """

    name: str = "screening"
    level: str = ""
    static_maker: Maker = field(default_factory=Maker)
    relax_maker: Maker = field(default_factory=Maker)
    n_relaxed: int = 10
    full_cell: int = 16
    margin: float = 0.03
    n_survivors: int = 5

    @classmethod
    def from_level(cls, level: LevelOfTheory, **settings: Any) -> ScreeningMaker:
        """The funnel at one level of theory; `settings` are fields of this class."""
        return cls(
            level=level.identity,
            static_maker=level.static_maker(),
            relax_maker=_ends_alone(level.relax_maker()),
            **settings,
        )

    def load_engine(self) -> None:
        """Load the engine in this process, by a single point on two atoms, so that it is there when a job needs it."""
        salt = Structure(Lattice(2.6 * (1 - np.eye(3))), ["Li", "Cl"], 0.5 * np.array([[0, 0, 0], [1, 1, 1]]))
        _run(self.static_maker, Candidate("", salt, salt))

    @property
    def funnel(self) -> dict[str, Any]:
        """The settings that, beside the level and the structures, decide the result: for `structure_hash`."""
        return {"places": PLACES, **{k: getattr(self, k) for k in ("n_relaxed", "full_cell", "margin", "n_survivors")}}

    @job
    def make(self, probes: list[ProbeStructure] | str) -> dict[str, Any]:
        """Screen the candidates of one composition.

        Args:
            probes: Candidate structures, all of one composition; or the same, `dft.probes.base.packed`.

        Returns:
            Plain values: state (done, unconverged, failed, rejected), reason, energy_per_atom (eV/atom, None unless
            done), n_atoms, structure (pymatgen dictionary), generator, max_force (eV/Å), force_calls, force_seconds,
            wall_s and cpu_s (seconds), n_structures, level, survivors (the lowest few: structure, generator,
            energy_per_atom), and trail: per candidate its generator, the stage it reached, its energy there (eV/atom),
            state (outranked if others were lower) and reason.

        Raises:
            ValueError: If there is no candidate or they differ in composition.
        """
        probes = unpacked(probes)
        formulas = {probe.structure.composition.reduced_formula for probe in probes}
        if len(formulas) != 1:
            raise ValueError(f"screening takes structures of one composition, not of {sorted(formulas) or 'none'}")
        before, wall, cpu = self._reading(), time.perf_counter(), time.process_time()
        candidates = [Candidate(probe.generator, probe.structure, probe.structure) for probe in probes]
        finished = self._funnel(candidates)
        took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        return {**self._output(candidates, finished), **self._cost(before), **took}

    def _funnel(self, candidates: list[Candidate]) -> list[Candidate]:
        for candidate in candidates:
            self._single_point(candidate)
        remaining = running(candidates)
        share = for_their_kinds(remaining) * min(1.0, self.full_cell / largest_built(candidates))
        n = max(1, round(self.n_relaxed * share)) + for_frameworks(remaining)
        finished: list[Candidate] = []
        counted = 0
        for candidate in in_proportion(remaining):
            if counted == n or [c.state for c in candidates].count("unconverged") == UNCONVERGED:
                break
            self._relax(candidate, min((c.rank for c in finished), default=np.inf))
            finished += [candidate] if candidate.state == "done" else []
            counted += candidate.state in ("done", "outranked") and not is_beside(candidate)
        for candidate in running(candidates):
            candidate.state = "outranked"
        return finished

    def _single_point(self, candidate: Candidate) -> None:
        candidate.stage = "single point"
        candidate.reason = why_rejected(candidate.start, candidate.structure)
        if candidate.reason:
            candidate.state = "rejected"
            return
        steps, energies = VolumeSteps(), []
        for _ in range(single_points_of(candidate)):
            frame = _run(self.static_maker, candidate)
            if frame is None:
                break
            energies.append(candidate.rank)
            candidate.structure, stretch = steps.next(candidate.structure, frame["stress"])
            if abs(stretch) < LARGE_STEP:
                break
        if energies:  # if a further one failed, what was known before will do
            candidate.energy_per_atom, candidate.state, candidate.reason = min(energies), "running", ""
        if len(energies) > 1:
            candidate.start = candidate.structure

    def _relax(self, candidate: Candidate, lowest: float) -> None:
        """To the force limit, unless it will hardly end near `lowest`, eV/atom."""
        candidate.stage = "relaxation"
        bar = lowest + self.margin
        if _run(_with_bar(self.relax_maker, bar), candidate) is None:
            return
        candidate.reason = why_rejected(candidate.start, candidate.structure)
        if candidate.reason:
            candidate.state = "rejected"
        elif candidate.converged:
            candidate.state = "done"
        elif candidate.rank > bar:
            candidate.state = "outranked"
            candidate.reason = f"not finished, {MEV * (candidate.rank - lowest):.0f} meV/atom above the lowest"
        else:
            candidate.state = "unconverged"
            candidate.reason = f"force limit, cell included, not reached; {candidate.max_force:.2f} eV/Å on an atom"

    def _output(self, candidates: list[Candidate], finished: list[Candidate]) -> dict[str, Any]:
        common = {"n_structures": len(candidates), "level": self.level, "trail": [c.row() for c in candidates]}
        best = min(finished, key=lambda c: c.rank) if finished else furthest(candidates)
        return {
            **common,
            "state": best.state,
            "reason": best.reason,
            "energy_per_atom": best.energy_per_atom if best.state == "done" else None,
            "n_atoms": len(best.structure),
            "structure": json.loads(best.structure.to_json()),
            "generator": best.generator,
            "max_force": best.max_force,
            "survivors": self._survivors(candidates),
        }

    def _survivors(self, candidates: list[Candidate]) -> list[dict[str, Any]]:
        sound = [c for c in candidates if c.state in ("done", "outranked") and c.stage == "relaxation"]
        distinct: list[Candidate] = []
        for candidate in sorted(sound, key=lambda c: c.rank):
            if len(distinct) < self.n_survivors and not is_among(candidate, distinct):
                distinct.append(candidate)
        return [
            {
                "generator": c.generator,
                "energy_per_atom": c.energy_per_atom,
                "structure": json.loads(c.structure.to_json()),
            }
            for c in distinct
        ]

    def _reading(self) -> tuple[int, float]:
        readings = {id(m.calculator): meter_reading(m.calculator) for m in self._makers()}
        return sum(calls for calls, _ in readings.values()), sum(seconds for _, seconds in readings.values())

    def _makers(self) -> tuple[Any, ...]:
        return self.static_maker, self.relax_maker

    def _cost(self, before: tuple[int, float]) -> dict[str, Any]:
        calls, seconds = self._reading()
        return {"force_calls": calls - before[0], "force_seconds": seconds - before[1]}


def survivors(output: dict[str, Any]) -> list[ProbeStructure]:
    """The lowest structures of a screening, as candidates for the next level of a ladder."""
    return [ProbeStructure(Structure.from_dict(s["structure"]), s["generator"]) for s in output["survivors"]]


def structure_hash(
    structures: Sequence[ProbeStructure | dict[str, Any]], level_identity: str, settings: Any = None
) -> str:
    """What a calculation is known by: its input structures, the level of theory and the settings of its funnel.

    Equal in every process and run; lengths count to 1e-4 Å, fractional coordinates to 1e-5.

    Args:
        structures: The candidates, in order; or their plain values, `ProbeStructure.as_dict`.
        level_identity: Identity of the level of theory.
        settings: Anything else that decides the result: plain values or a dataclass.
    """
    inputs = [_counted(each if isinstance(each, dict) else each.as_dict()) for each in structures]
    plain = asdict(settings) if hasattr(settings, "__dataclass_fields__") else settings
    text = json.dumps([inputs, level_identity, plain], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _counted(probe: dict[str, Any]) -> list[Any]:
    """What counts of a structure, from its plain values."""
    return [
        probe["generator"],
        [[_rounded(x, 4) for x in row] for row in probe["structure"]["lattice"]["matrix"]],
        [
            [site["species"][0]["element"], *(_rounded(round(x, 5) % 1, 5) for x in site["abc"])]
            for site in probe["structure"]["sites"]
        ],
    ]


def _rounded(x: float, digits: int) -> str:
    return f"{round(x, digits) + 0.0:.{digits}f}"  # that is never -0


def _run(maker: Any, candidate: Candidate) -> dict[str, Any] | None:
    """Run an atomate2 Maker's calculation on a candidate; its last frame, or nothing and the reason if it failed."""
    candidate.energy_per_atom = candidate.max_force = None
    candidate.converged = False
    try:
        result = maker._run_ase_safe(candidate.structure)
        frame = result.trajectory.frame_properties[-1]
        energy = float(frame["energy"]) / len(candidate.structure)
        forces = np.linalg.norm(np.array(frame["forces"]), axis=1)
        if not np.isfinite(energy) or not np.isfinite(forces).all():
            raise ValueError("energy or forces are not numbers")
    except Exception as error:  # one candidate's failure is recorded and must not end the others
        if is_of_the_machine(error):  # a full disk says nothing about this candidate
            raise
        candidate.state, candidate.reason = "failed", f"{type(error).__name__}: {error}"
        return None
    candidate.energy_per_atom, candidate.max_force = energy, float(forces.max())
    candidate.converged = bool(result.converged)
    if maker.steps > 1:
        candidate.structure = _bare(result.final_mol_or_struct)
    return frame


def _ends_alone(maker: Any) -> Any:
    """Of a relaxation only the first and the last frame are made into structures: nobody reads the others."""
    maker.relax_kwargs["interval"] = BEYOND_ANY_STEP
    return maker


def _with_bar(maker: Any, bar: float) -> Any:
    """`dft.relaxation.CellBFGS` gives up above the bar, eV/atom."""
    return replace(maker, relax_kwargs={**maker.relax_kwargs, "bar": bar})


def _bare(structure: Structure) -> Structure:
    """Species and positions alone, without the magnetic moments and forces that a calculator leaves on the sites."""
    return Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)
