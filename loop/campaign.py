"""The campaign folder: what has been decided, computed and found, and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from loop.config import Settings, changed_settings
from loop.database import Database, to_json
from loop.errors import RunError, UserError
from loop.records import CalculationRecord, Role

#: Packages whose version can change a result.
_VERSIONED = ("phaseloop", "torch", "pymatgen", "ase", "atomate2", "jobflow", "chgnet", "matminer", "numpy")

#: States in which a calculation is still to be run.
OPEN_STATES = ("proposed", "approved", "submitted", "running")

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
    """

    hash: str
    role: Role
    composition: str
    probes: list[dict[str, Any]]
    problem: str = ""

    @property
    def state(self) -> str:
        """Its first state."""
        return "approved" if self.probes else "failed"


class Campaign:
    """A folder with `campaign.db`, raw outputs, checkpoints and the report."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.settings = Settings.model_validate(json.loads(database.meta("settings") or "{}"))

    @classmethod
    def read(cls, folder: Path) -> Campaign:
        """Open a campaign to look at it.

        Raises:
            UserError: If the folder holds none, or one of another version.
        """
        return cls(folder, Database(folder / "campaign.db", read_only=True))

    @classmethod
    @contextmanager
    def drive(cls, folder: Path, settings: Settings | None, accept_changes: bool = False) -> Iterator[Campaign]:
        """Open a campaign, or begin it, as its only driver.

        Args:
            folder: The campaign folder; made if there is none.
            settings: What the user asks for; none to go on with what the campaign was begun with.
            accept_changes: Go on although settings that change results differ.

        Raises:
            UserError: If another process drives the campaign or a setting that changes results differs.
        """
        with _lock(folder):
            database = Database(folder / "campaign.db", create=True)
            try:
                if database.meta("settings") is None:
                    _begin(database, settings or Settings())
                elif settings is not None:
                    _continue(database, settings, accept_changes)
                yield cls(folder, database)
            finally:
                database.close()

    @property
    def outputs(self) -> Path:
        """Folder of the raw outputs, one file per calculation; may be shared by campaigns."""
        store = self.settings.execution.store
        return Path(store) if store else self.folder / "outputs"

    # cycles -----------------------------------------------------------------------------------------------------------

    def completed_cycles(self) -> int:
        """How many cycles are completed."""
        return self.database.query("SELECT COUNT(*) AS n FROM cycles WHERE state = 'completed'")[0]["n"]

    def begin_cycle(self, number: int) -> None:
        """Record that a cycle has begun; again after an interruption changes nothing."""
        self.database.write(
            ("INSERT OR IGNORE INTO cycles (number, state, started) VALUES (?, 'running', ?)", (number, _now()))
        )

    def complete_cycle(self, number: int) -> None:
        """Record that a cycle is completed."""
        self.database.write(("UPDATE cycles SET state = 'completed', finished = ? WHERE number = ?", (_now(), number)))

    def seconds(self, number: int) -> dict[str, float]:
        """Wall seconds of a cycle by stage, so far."""
        rows = self.database.query("SELECT seconds FROM cycles WHERE number = ?", (number,))
        return json.loads(rows[0]["seconds"]) if rows else {}

    def add_seconds(self, number: int, stage: str, seconds: float) -> None:
        """Add wall seconds to a stage of a cycle."""
        total = self.seconds(number)
        total[stage] = round(total.get(stage, 0.0) + seconds, 3)
        self.database.write(("UPDATE cycles SET seconds = ? WHERE number = ?", (to_json(total), number)))

    # ranking and proposals --------------------------------------------------------------------------------------------

    def record_ranking(self, cycle: int, table: pd.DataFrame, diagnostics: dict[str, Any], n_training: int) -> None:
        """Record the ranking of a cycle, whole."""
        rows = (
            (cycle, int(row["rank"]), row["phase_field"], to_json(row))
            for row in json.loads(table.to_json(orient="records", double_precision=9))
        )
        self.database.write_many(
            "INSERT OR REPLACE INTO rankings VALUES (?, ?, ?, ?)",
            rows,
            (
                "UPDATE cycles SET n_training = ?, n_candidates = ?, diagnostics = ? WHERE number = ?",
                (n_training, len(table), to_json(diagnostics), cycle),
            ),
        )

    def ranking(self, cycle: int) -> pd.DataFrame:
        """The ranking of a cycle; empty before it is made."""
        rows = self.database.query("SELECT row FROM rankings WHERE cycle = ? ORDER BY rank", (cycle,))
        return pd.DataFrame([json.loads(row["row"]) for row in rows])

    def record_proposals(self, cycle: int, proposals: dict[str, str]) -> None:
        """Record the fields chosen in a cycle, each with the reason for the choice."""
        self.database.write_many(
            "INSERT INTO proposals (cycle, position, phase_field, reason) VALUES (?, ?, ?, ?)",
            [(cycle, position, name, reason) for position, (name, reason) in enumerate(proposals.items(), start=1)],
        )

    def proposals(self, cycle: int) -> dict[str, str]:
        """The fields chosen in a cycle and why, in order."""
        rows = self.database.query(
            "SELECT * FROM proposals WHERE cycle = ? AND state != 'vetoed' ORDER BY position", (cycle,)
        )
        return {row["phase_field"]: row["reason"] for row in rows}

    def all_proposals(self, cycle: int) -> dict[str, str]:
        """As `proposals`, the vetoed ones too."""
        rows = self.database.query("SELECT * FROM proposals WHERE cycle = ? ORDER BY position", (cycle,))
        return {row["phase_field"]: row["reason"] for row in rows}

    def proposal_states(self, cycle: int) -> dict[str, str]:
        """proposed, approved or vetoed, for each field proposed in a cycle."""
        rows = self.database.query(
            "SELECT phase_field, state FROM proposals WHERE cycle = ? ORDER BY position", (cycle,)
        )
        return {row["phase_field"]: row["state"] for row in rows}

    def settled_fields(self) -> set[str]:
        """Fields that are not to be proposed again: they have a verdict or were vetoed."""
        vetoed = self.database.query("SELECT phase_field FROM proposals WHERE state = 'vetoed'")
        return {row["phase_field"] for row in vetoed} | {verdict["phase_field"] for verdict in self.verdicts()}

    def decide_proposal(self, cycle: int, phase_field: str, state: str) -> None:
        """Record that a proposal is approved or vetoed."""
        self.database.write(
            ("UPDATE proposals SET state = ? WHERE cycle = ? AND phase_field = ?", (state, cycle, phase_field))
        )

    def add_proposal(self, cycle: int, phase_field: str, reason: str) -> None:
        """Add a field of the user's own to a cycle, approved."""
        self.database.write(
            (
                "INSERT INTO proposals SELECT ?, COALESCE(MAX(position), 0) + 1, ?, ?, 'approved' "
                "FROM proposals WHERE cycle = ?",
                (cycle, phase_field, reason, cycle),
            )
        )

    def running_cycle(self) -> int | None:
        """The cycle that has begun and is not completed."""
        rows = self.database.query("SELECT number FROM cycles WHERE state = 'running'")
        return rows[0]["number"] if rows else None

    # calculations -----------------------------------------------------------------------------------------------------

    def record_calculations(
        self, phase_field: str, cycle: int, level: str, items: Sequence[Calculation], reasons: Mapping[str, str]
    ) -> None:
        """Record what a field's hull will rest on, at once; what is known already is used, not made again.

        Args:
            phase_field: The field.
            cycle: The cycle.
            level: Identity of the level of theory.
            items: The calculations.
            reasons: Why each composition was chosen, by composition.
        """
        names = "hash, phase_field, cycle, role, composition, level, state, reason, n_structures, input"
        calculations = [
            (
                f"INSERT OR IGNORE INTO calculations ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    c.hash,
                    phase_field,
                    cycle,
                    c.role,
                    c.composition,
                    level,
                    c.state,
                    c.problem,
                    len(c.probes),
                    structures,
                ),
            )
            for c, structures in ((c, to_json(c.probes)) for c in items)
        ]
        uses = [
            (
                "INSERT OR IGNORE INTO uses VALUES (?, ?, ?, ?, ?)",
                (phase_field, c.role, c.composition, c.hash, reasons.get(c.composition, "")),
            )
            for c in items
        ]
        self.database.write(*calculations, *uses)

    def open_calculations(self, phase_field: str) -> list[Calculation]:
        """The calculations of a field that are still to be run, competing phases first."""
        rows = self.database.query(
            "SELECT c.hash, c.role, c.composition, c.input FROM calculations c JOIN uses u ON u.hash = c.hash "
            f"WHERE u.phase_field = ? AND c.state IN ({', '.join('?' * len(OPEN_STATES))}) GROUP BY c.hash "
            "ORDER BY c.role, c.n_structures DESC, c.composition",
            (phase_field, *OPEN_STATES),
        )
        return [Calculation(row["hash"], row["role"], row["composition"], json.loads(row["input"])) for row in rows]

    def record_running(self, calculation_hash: str) -> None:
        """Record the start of an attempt."""
        self.database.write(
            ("UPDATE attempts SET state = 'interrupted' WHERE hash = ? AND state = 'running'", (calculation_hash,)),
            ("INSERT INTO attempts (hash, state, started) VALUES (?, 'running', ?)", (calculation_hash, _now())),
            ("UPDATE calculations SET state = 'running' WHERE hash = ?", (calculation_hash,)),
        )

    def record_result(self, calculation_hash: str, result: dict[str, Any]) -> None:
        """Record how a calculation ended. Only one that is done has an energy.

        Args:
            calculation_hash: Which.
            result: state, reason, energy_per_atom (eV/atom), n_atoms, generator, structure, max_force (eV/Å), wall_s,
                cpu_s, force_calls, force_s, output.
        """
        done = result["state"] == "done"
        names = ("n_atoms", "generator", "max_force", "wall_s", "cpu_s", "force_calls", "force_s", "output")
        values = {name: result[name] for name in names if result.get(name) is not None}
        values |= {"state": result["state"], "reason": result.get("reason") or ""}
        values["energy_per_atom"] = result["energy_per_atom"] if done else None
        values["structure"] = to_json(result["structure"]) if result.get("structure") else None
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.database.write(
            (f"UPDATE calculations SET {assignments} WHERE hash = ?", (*values.values(), calculation_hash)),
            (
                "UPDATE attempts SET state = ?, reason = ?, wall_s = ?, cpu_s = ? WHERE hash = ? AND state = 'running'",
                (
                    values["state"],
                    values["reason"],
                    values.get("wall_s", 0.0),
                    values.get("cpu_s", 0.0),
                    calculation_hash,
                ),
            ),
        )

    def calculations_of(self, phase_field: str, role: Role) -> list[CalculationRecord]:
        """The calculations that a field's hull rests on, one per composition."""
        rows = self.database.query(
            "SELECT c.*, u.composition AS used_as, u.reason AS choice FROM uses u "
            "JOIN calculations c ON c.hash = u.hash WHERE u.phase_field = ? AND u.role = ? ORDER BY u.rowid",
            (phase_field, role),
        )
        return [_record(row, role) for row in rows]

    def calculations(self) -> pd.DataFrame:
        """Every calculation without its structures."""
        rows = self.database.query(
            f"SELECT {', '.join(_CALCULATION_COLUMNS)}, force_s FROM calculations ORDER BY cycle, role, composition"
        )
        return pd.DataFrame([dict(row) for row in rows], columns=[*_CALCULATION_COLUMNS, "force_s"])

    def calculation_states(self, hashes: Iterable[str] | None = None) -> dict[str, int]:
        """How many calculations are in each state."""
        rows = self.database.query("SELECT hash, state FROM calculations")
        wanted = None if hashes is None else set(hashes)
        counts: dict[str, int] = {}
        for row in rows:
            if wanted is None or row["hash"] in wanted:
                counts[row["state"]] = counts.get(row["state"], 0) + 1
        return counts

    # verdicts ---------------------------------------------------------------------------------------------------------

    def record_verdict(self, verdict: dict[str, Any]) -> None:
        """Record what the probes say about a field; `verdict` has the columns of the table."""
        names = ", ".join(verdict)
        marks = ", ".join("?" * len(verdict))
        self.database.write((f"INSERT OR REPLACE INTO verdicts ({names}) VALUES ({marks})", verdict.values()))

    def verdicts(self) -> list[dict[str, Any]]:
        """All verdicts, in the order of the cycles."""
        return [dict(row) for row in self.database.query("SELECT * FROM verdicts ORDER BY cycle, rowid")]


def _record(row: Any, role: Role) -> CalculationRecord:
    values = {name: row[name] for name in _CALCULATION_COLUMNS}
    structure = json.loads(row["structure"]) if row["structure"] else None
    used = {"role": role, "composition": row["used_as"], "choice": row["choice"]}
    return CalculationRecord(**{**values, **used, "structure": structure})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _begin(database: Database, settings: Settings) -> None:
    versions = {name: _version(name) for name in _VERSIONED}
    facts = {
        "settings": to_json(settings.plain()),
        "settings_hash": settings.hash(),
        "versions": to_json(versions),
        "created": _now(),
    }
    database.write_many("INSERT INTO meta VALUES (?, ?)", facts.items())


def _continue(database: Database, settings: Settings, accept_changes: bool) -> None:
    before = json.loads(database.meta("settings") or "{}")
    changed = changed_settings(before, settings.plain())
    if changed and not accept_changes:
        old, new = (_value(values, changed[0]) for values in (before, settings.plain()))
        raise UserError(
            f"{changed[0]} was {old!r} when {database.path.parent} was begun and is now {new!r}, which would change "
            "results; take a new folder with --dir, or --accept-changes to go on all the same"
        )
    database.write_many(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        {"settings": to_json(settings.plain()), "settings_hash": settings.hash()}.items(),
    )


def _value(values: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values.get(part, {})
    return values


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder against a second driver; the operating system lets go of it when the process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "campaign.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunError(f"the campaign folder {folder} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise UserError(f"{folder} is being driven by process {holder}; wait for it or stop it") from None
        with suppress(OSError):  # the number only serves the message above; a full disk is told by the database
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
