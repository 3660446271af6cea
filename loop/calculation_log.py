"""Every calculation of a campaign: what it is of, its attempts, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Any

import pandas as pd

from loop.database import Database, now, to_json
from loop.records import CalculationRecord, Role

#: States in which a calculation is still to be run.
OPEN_STATES = ("proposed", "approved", "submitted", "running")

#: What stands in the place of the role where a competing phase is searched for a second time.
AGAIN = "again"

#: A second search that another field gave rise to counts wherever the same phase competes.
_AGAIN_ELSEWHERE = (
    "INSERT OR IGNORE INTO uses SELECT ?, u.level, u.role, u.composition, u.hash, u.reason FROM uses u "
    f"JOIN calculations c ON c.hash = u.hash AND c.state = 'done' WHERE u.role = '{AGAIN}' AND u.level = ? "
    "AND u.composition = ? ORDER BY c.energy_per_atom LIMIT 1"
)

_CALCULATION_COLUMNS = tuple(f.name for f in fields(CalculationRecord) if f.name not in ("structure", "choice"))


@dataclass(frozen=True)
class Calculation:
    """A calculation to be made: the structures to try at one composition.

    Attributes:
        hash: What identifies it, here and in any other campaign.
        role: Probe or competing phase.
        composition: Formula.
        probes: The structures as plain values, `dft.probes.ProbeStructure.as_dict`.
        problem: Why none could be built; it is then recorded as failed.
        origin: How the formula of a competing phase came, if no list has it, and whether it was searched for again.
        again: Whether it is the second, harder search for a competing phase.
        taken: What is known of it without computing, as `end` records it; a database's energy.
    """

    hash: str
    role: Role
    composition: str
    probes: list[dict[str, Any]]
    problem: str = ""
    origin: str = ""
    again: bool = False
    taken: Mapping[str, Any] = field(default_factory=dict)

    @property
    def use(self) -> str:
        """What it is for, as the tables have it: its role, or a second search."""
        return AGAIN if self.again else self.role

    @property
    def state(self) -> str:
        """Its first state."""
        if self.taken:
            return "done"
        return "approved" if self.probes else "failed"


class CalculationLog:
    """The calculations in a campaign's database; one transaction per fact."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def plan(
        self, phase_field: str, cycle: int, level: str, items: Sequence[Calculation], reasons: Mapping[str, str]
    ) -> None:
        """Record what a field's hull at a level will rest on, at once; what is known is used, not made again.

        Nor is what has failed, but for a failure of an earlier cycle that may have passed by now (`end`): an element
        that missed one deadline would be missing on every later hull. That failure stays where it was, its reason and
        attempts too, under a name of its own (`_left_to`), with the fields that rested on it and whose verdict is told;
        the calculation begins anew. Within a cycle nothing does, so that no run tries for ever.

        Args:
            phase_field: The field.
            cycle: The cycle.
            level: Identity of the level of theory.
            items: The calculations.
            reasons: Why each probe composition was chosen, by composition.
        """
        names = "hash, phase_field, cycle, role, composition, level, state, reason, n_structures, input"
        names += ", energy_per_atom, n_atoms, generator, structure"
        calculations = [
            (
                f"INSERT OR IGNORE INTO calculations ({names}) VALUES ({', '.join('?' * 14)})",
                (
                    c.hash,
                    phase_field,
                    cycle,
                    c.use,
                    c.composition,
                    level,
                    c.state,
                    c.problem,
                    len(c.probes),
                    structures,
                    c.taken.get("energy_per_atom"),
                    c.taken.get("n_atoms"),
                    c.taken.get("generator", ""),
                    to_json(c.taken["structure"]) if c.taken else None,
                ),
            )
            for c, structures in ((c, to_json(c.probes)) for c in items)
        ]
        uses = [
            (
                "INSERT OR IGNORE INTO uses VALUES (?, ?, ?, ?, ?, ?)",
                (phase_field, level, c.use, c.composition, c.hash, reason),
            )
            for c in items
            for reason in [reasons.get(c.composition, "") if c.role == "probe" else c.origin]
        ]
        again = [(_AGAIN_ELSEWHERE, (phase_field, level, c.composition)) for c in items if c.role == "competing"]
        self.database.write(*self._anew({c.hash for c in items}, cycle), *calculations, *uses, *again)

    def _anew(self, hashes: Collection[str], cycle: int) -> list[tuple[str, tuple[str, ...]]]:
        """Statements that leave to their cycles those of these failures that may have passed."""
        sql = "SELECT c.hash, c.cycle FROM calculations c JOIN passing p ON p.hash = c.hash WHERE c.cycle < ?"
        passed = [(row["hash"], row["cycle"]) for row in self.database.query(sql, (cycle,)) if row["hash"] in hashes]
        return [statement for identity, before in passed for statement in _left_to(before, identity)]

    def unfinished(self, phase_field: str, level: str) -> list[Calculation]:
        """The calculations of a field at a level that are still to be run, competing phases first."""
        rows = self.database.query(
            "SELECT c.hash, c.role, c.composition, c.input FROM calculations c JOIN uses u ON u.hash = c.hash "
            f"WHERE u.phase_field = ? AND u.level = ? AND c.state IN ({', '.join('?' * len(OPEN_STATES))}) "
            "GROUP BY c.hash ORDER BY c.role, c.n_structures DESC, c.composition",
            (phase_field, level, *OPEN_STATES),
        )
        return [
            Calculation(
                row["hash"],
                "competing" if row["role"] == AGAIN else row["role"],
                row["composition"],
                json.loads(row["input"]),
                again=row["role"] == AGAIN,
            )
            for row in rows
        ]

    def is_planned(self, identity: str) -> bool:
        """Whether a calculation of this identity has been asked for, be it ended or not."""
        return bool(self.database.query("SELECT 1 FROM calculations WHERE hash = ?", (identity,)))

    def begin(self, identity: str) -> None:
        """Record the start of an attempt."""
        self.database.write(
            ("UPDATE attempts SET state = 'interrupted' WHERE hash = ? AND state = 'running'", (identity,)),
            ("INSERT INTO attempts (hash, state, started) VALUES (?, 'running', ?)", (identity, now())),
            ("UPDATE calculations SET state = 'running' WHERE hash = ?", (identity,)),
        )

    def end(self, identity: str, result: dict[str, Any], passing: bool = False) -> None:
        """Record how a calculation ended. Only one that is done has an energy.

        Args:
            identity: Which.
            result: state, reason, energy_per_atom (eV/atom), n_atoms, generator, structure, max_force (eV/Å), wall_s,
                cpu_s, force_calls, force_s, output.
            passing: Whether it failed of something that may have passed by a later cycle, see `dft.tasks.Outcome`.
        """
        done = result["state"] == "done"
        names = ("n_atoms", "generator", "max_force", "wall_s", "cpu_s", "force_calls", "force_s", "output")
        values = {name: result[name] for name in names if result.get(name) is not None}
        values |= {"state": result["state"], "reason": result.get("reason") or ""}
        values["energy_per_atom"] = result["energy_per_atom"] if done else None
        values["structure"] = to_json(result["structure"]) if result.get("structure") else None
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.database.write(
            (f"UPDATE calculations SET {assignments} WHERE hash = ?", (*values.values(), identity)),
            (
                "UPDATE attempts SET state = ?, reason = ?, wall_s = ?, cpu_s = ? WHERE hash = ? AND state = 'running'",
                (
                    values["state"],
                    values["reason"],
                    values.get("wall_s", 0.0),
                    values.get("cpu_s", 0.0),
                    identity,
                ),
            ),
            *([("INSERT OR IGNORE INTO passing VALUES (?)", (identity,))] if passing else []),
        )

    def levels(self, phase_field: str) -> list[str]:
        """Identities of the levels of theory that a field has reached, the screening level first."""
        rows = self.database.query(
            "SELECT level FROM uses WHERE phase_field = ? GROUP BY level ORDER BY MIN(rowid)", (phase_field,)
        )
        return [row["level"] for row in rows]

    def of(self, phase_field: str, role: Role, level: str) -> list[CalculationRecord]:
        """The calculations that a field's hull at a level rests on, one per composition: of two searches the lower.

        The structures tried are those of both.
        """
        records = {record.composition: record for record in self._used(phase_field, role, level)}
        for second in self._used(phase_field, AGAIN, level) if role == "competing" else ():
            first = records[second.composition]
            tried = first.n_structures + second.n_structures
            records[second.composition] = replace(min(first, second, key=_energy), n_structures=tried)
        return list(records.values())

    def searched_again(self, phase_field: str, level: str) -> list[tuple[CalculationRecord, CalculationRecord]]:
        """The competing phases of a field that were searched for twice at a level: first search and second."""
        first = {record.composition: record for record in self._used(phase_field, "competing", level)}
        return [(first[record.composition], record) for record in self._used(phase_field, AGAIN, level)]

    def _used(self, phase_field: str, use: str, level: str) -> list[CalculationRecord]:
        rows = self.database.query(
            "SELECT c.*, u.composition AS used_as, u.reason AS choice FROM uses u "
            "JOIN calculations c ON c.hash = u.hash WHERE u.phase_field = ? AND u.role = ? AND u.level = ? "
            "ORDER BY u.rowid",
            (phase_field, use, level),
        )
        return [_record(row, "probe" if use == "probe" else "competing") for row in rows]

    def table(self) -> pd.DataFrame:
        """Every calculation without its structures."""
        rows = self.database.query(
            f"SELECT {', '.join(_CALCULATION_COLUMNS)}, force_s FROM calculations ORDER BY cycle, role, composition"
        )
        return pd.DataFrame([dict(row) for row in rows], columns=[*_CALCULATION_COLUMNS, "force_s"])

    def spent(self) -> tuple[int, float]:
        """Calculations that have been run to an end, and CPU seconds of all attempts."""
        ended = self.database.query(
            "SELECT COUNT(DISTINCT hash) AS n, SUM(cpu_s) AS s FROM attempts WHERE state != 'running'"
        )
        return ended[0]["n"], float(ended[0]["s"] or 0.0)

    def states(self) -> dict[str, int]:
        """How many calculations are in each state."""
        rows = self.database.query("SELECT state, COUNT(*) AS n FROM calculations GROUP BY state ORDER BY state")
        return {row["state"]: row["n"] for row in rows}


def _left_to(cycle: int, identity: str) -> list[tuple[str, tuple[str, ...]]]:
    """Statements that give all that is recorded of a calculation another name, which tells the cycle of its failure."""
    name = f"{identity}-cycle-{cycle}"
    tables = ("calculations", "uses", "attempts")
    return [
        *((f"UPDATE {table} SET hash = ? WHERE hash = ?", (name, identity)) for table in tables),
        ("DELETE FROM passing WHERE hash = ?", (identity,)),
    ]


def _energy(record: CalculationRecord) -> float:
    return inf if record.energy_per_atom is None else record.energy_per_atom


def _record(row: Any, role: Role) -> CalculationRecord:
    values = {name: row[name] for name in _CALCULATION_COLUMNS}
    structure = json.loads(row["structure"]) if row["structure"] else None
    used = {"role": role, "composition": row["used_as"], "choice": row["choice"]}
    return CalculationRecord(**{**values, **used, "structure": structure})
