"""What a campaign knows, as plain frozen records: written by the cycle, read by the report and the tables.

A record is made fresh for every attempt, and the defaults describe one that has not succeeded: it has no energy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

State = Literal[
    "proposed", "approved", "submitted", "running", "done", "unconverged", "failed", "duplicate", "rejected"
]
Role = Literal["probe", "competing"]


@dataclass(frozen=True)
class CalculationRecord:
    """One calculation: the structures tried at one composition, at one level of theory, and what came of it.

    Attributes:
        hash: Hash of its input structures and the identity of the level of theory.
        phase_field: The field it was first computed for.
        cycle: The cycle it was first computed in, from 1.
        role: Whether a probe or a competing phase.
        composition: Formula as built, such as ``Li6Sn2S6Cl2``.
        level: Identity of the level of theory.
        state: See `State`.
        reason: Why it failed, was rejected or did not converge; empty otherwise.
        energy_per_atom: eV/atom of the lowest accepted structure; none unless `state` is done.
        n_atoms: Atoms in that structure's cell.
        n_structures: How many structures were tried.
        generator: How the lowest structure was built, such as ``ordered lattice: fcc anions, tetrahedral``.
        structure: The lowest structure as a pymatgen dictionary.
        max_force: Largest force on an atom, eV/Å.
        wall_s: Wall-clock seconds.
        cpu_s: CPU seconds.
        force_calls: Energy-and-force evaluations.
        choice: Why a field's exploration chose this composition; of a competing phase how its formula came if no list
            has it, and whether it was searched for again, else empty.
        output: File of the raw output, relative to the campaign folder.
    """

    hash: str
    phase_field: str
    cycle: int
    role: Role
    composition: str
    level: str
    state: State = "proposed"
    reason: str = ""
    energy_per_atom: float | None = None
    n_atoms: int | None = None
    n_structures: int = 0
    generator: str = ""
    structure: dict[str, Any] | None = None
    max_force: float | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    force_calls: int = 0
    choice: str = ""
    output: str = ""


@dataclass(frozen=True)
class FieldRecord:
    """What the probes say about one explored field.

    Attributes:
        phase_field: Such as ``Li-Sn-S-Cl``.
        cycle: The cycle that explored it.
        verdict: positive, filtered, undecided; open while calculations are missing.
        reason: One sentence that a chemist can check.
        best_e_above_hull: Distance of the best probe from the hull of all entries, eV/atom; none without a probe.
        best_e_above_competing: The same from the competing phases alone, eV/atom, signed: the lowest of all probes,
            and what the verdict rests on.
        best_composition: Its formula.
        level: Identity of the level of theory.
        error_band: Known error of energies above the hull at this level, eV/atom.
        competing_source: Where the competing phases came from, in words.
        probes: One row per probe calculation: composition, formula, state, reason, e_above_hull, e_above_competing,
            energy_per_atom (all eV/atom), decomposition, competing_decomposition (dictionaries formula -> fraction of
            atoms), choice (why this composition), n_atoms, n_structures, generator, structure (pymatgen dictionary),
            max_force, cpu_s, hash, output.
        competing: One row per competing phase: formula, state, reason, level, energy_per_atom, e_above_hull (eV/atom,
            among the competing phases), n_structures, generator, choice (as in `CalculationRecord`), structure, hash.
        level_name: The level's short name, such as ``cp2k``.
        section: End members between which the hull was built; empty for the whole field, elements included.
        lower: The same field at the levels below, the screening level first; each has its own hull and no verdict.
    """

    phase_field: str
    cycle: int
    verdict: Literal["positive", "filtered", "undecided", "open"] = "open"
    reason: str = ""
    best_e_above_hull: float | None = None
    best_e_above_competing: float | None = None
    best_composition: str = ""
    level: str = ""
    error_band: float = 0.0
    competing_source: str = ""
    probes: pd.DataFrame = field(default_factory=pd.DataFrame)
    competing: pd.DataFrame = field(default_factory=pd.DataFrame)
    level_name: str = ""
    section: tuple[str, ...] = ()
    lower: tuple[FieldRecord, ...] = ()


@dataclass(frozen=True)
class CycleRecord:
    """One pass of the loop.

    Attributes:
        number: From 1.
        state: running or completed.
        n_training: Known fields the ranker was trained on.
        n_candidates: Fields ranked.
        ranking: The columns of `loop rank`, one row per candidate.
        diagnostics: The ranker's own account of itself (collapse diagnostics and the like).
        latent: Two principal components of the ranker's space: phase_field, kind (known or candidate), x, y.
        proposals: Fields chosen in this cycle, in order, each with the reason for the choice.
        positives: Fields that this cycle's verdicts add to the training set of the next.
        filtered: Fields that this cycle's verdicts remove from the candidates.
        started: UTC, ISO 8601.
        finished: UTC, ISO 8601; empty while running.
        seconds: Wall seconds by stage: training, generation, calculations, report and so on.
    """

    number: int
    state: Literal["running", "completed"] = "running"
    n_training: int = 0
    n_candidates: int = 0
    ranking: pd.DataFrame = field(default_factory=pd.DataFrame)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    latent: pd.DataFrame = field(default_factory=pd.DataFrame)
    proposals: dict[str, str] = field(default_factory=dict)
    positives: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()
    started: str = ""
    finished: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CampaignRecord:
    """All that a report needs, and all that it may use.

    Attributes:
        name: The campaign's name.
        settings: The settings as plain values.
        settings_hash: Their hash.
        versions: Versions of the packages that computed it.
        data: Source, licence, number and hash of the known phase fields.
        cycles: In order.
        fields: In the order they were explored.
        calculations: One row per `CalculationRecord`, the structures left out.
        created: UTC, ISO 8601.
    """

    name: str
    settings: dict[str, Any]
    settings_hash: str
    versions: dict[str, str]
    data: dict[str, Any]
    cycles: tuple[CycleRecord, ...] = ()
    fields: tuple[FieldRecord, ...] = ()
    calculations: pd.DataFrame = field(default_factory=pd.DataFrame)
    created: str = ""

    @property
    def in_progress(self) -> bool:
        """Whether a cycle has begun that is not completed."""
        return any(cycle.state == "running" for cycle in self.cycles)
