"""The campaign folder: what has been decided, computed and found, and nothing else."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from loop.calculation_log import CalculationLog
from loop.config import Settings
from loop.database import Database, now, to_json
from loop.errors import UserError
from loop.executor_choice import ASKED, with_chosen_executor
from loop.locking import locked
from loop.settings_changes import changed_settings, recorded_settings

#: Packages whose version can change a result.
_VERSIONED = ("phaseloop", "torch", "pymatgen", "ase", "atomate2", "jobflow", "chgnet", "matminer", "numpy")

#: The same for a level of theory whose engine is an extra.
_ENGINES = {"sevennet": ("sevenn", "e3nn"), "mace": ("mace-torch", "e3nn")}


class Campaign:
    """A folder with `campaign.db`, raw outputs, checkpoints and the report."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.calculations = CalculationLog(database)
        self.settings = _recorded(database)

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
        with locked(folder):
            database = Database(folder / "campaign.db", create=True)
            try:
                if database.meta("settings") is None:
                    _begin(database, settings or Settings())
                elif settings is not None:
                    _continue(database, settings, accept_changes)
                campaign = cls(folder, database)
                campaign._clear_scratch()
                yield campaign
            finally:
                database.close()

    @property
    def outputs(self) -> Path:
        """Folder of the raw outputs, one file per calculation; may be shared by campaigns."""
        store = self.settings.execution.store
        return Path(store) if store else self.folder / "outputs"

    def _clear_scratch(self) -> None:
        """Remove what killed workers left; in a shared store it may be somebody else's and stays."""
        if self.settings.execution.store is None:
            for left in self.outputs.glob(".*-*"):
                shutil.rmtree(left, ignore_errors=True)

    # cycles -----------------------------------------------------------------------------------------------------------

    def completed_cycles(self) -> int:
        """How many cycles are completed."""
        return self.database.query("SELECT COUNT(*) AS n FROM cycles WHERE state = 'completed'")[0]["n"]

    def begin_cycle(self, number: int) -> None:
        """Record that a cycle has begun; again after an interruption changes nothing."""
        self.database.write(
            ("INSERT OR IGNORE INTO cycles (number, state, started) VALUES (?, 'running', ?)", (number, now()))
        )

    def complete_cycle(self, number: int) -> None:
        """Record that a cycle is completed."""
        self.database.write(("UPDATE cycles SET state = 'completed', finished = ? WHERE number = ?", (now(), number)))

    def due(self, number: int) -> float | None:
        """When a cycle's calculations are given up, seconds since the epoch; none without `execution.deadline`."""
        hours = self.settings.execution.deadline
        rows = self.database.query("SELECT started FROM cycles WHERE number = ?", (number,))
        return datetime.fromisoformat(rows[0]["started"]).timestamp() + 3600 * hours if rows and hours else None

    def seconds(self, number: int) -> dict[str, float]:
        """Wall seconds of a cycle by stage, so far."""
        rows = self.database.query("SELECT seconds FROM cycles WHERE number = ?", (number,))
        return json.loads(rows[0]["seconds"]) if rows else {}

    @contextmanager
    def timed(self, number: int, stage: str) -> Iterator[None]:
        """Add the wall time of what happens in here to a stage of a cycle."""
        start = time.perf_counter()
        try:
            yield
        finally:
            total = self.seconds(number)
            total[stage] = round(total.get(stage, 0.0) + time.perf_counter() - start, 3)
            self.database.write(("UPDATE cycles SET seconds = ? WHERE number = ?", (to_json(total), number)))

    # ranking and proposals --------------------------------------------------------------------------------------------

    def record_ranking(
        self,
        cycle: int,
        table: pd.DataFrame,
        diagnostics: dict[str, Any],
        n_training: int,
        latent: pd.DataFrame | None = None,
    ) -> None:
        """Record the ranking of a cycle, whole, and where the fields lie for the ranker."""
        where = "[]" if latent is None else latent.to_json(orient="records", double_precision=4)
        rows = (
            (cycle, int(row["rank"]), row["phase_field"], to_json(row))
            for row in json.loads(table.to_json(orient="records", double_precision=9))
        )
        self.database.write_many(
            "INSERT OR REPLACE INTO rankings VALUES (?, ?, ?, ?)",
            rows,
            (
                "UPDATE cycles SET n_training = ?, n_candidates = ?, diagnostics = ?, latent = ? WHERE number = ?",
                (n_training, len(table), to_json(diagnostics), where, cycle),
            ),
        )

    def ranking(self, cycle: int) -> pd.DataFrame:
        """The ranking of a cycle; empty before it is made."""
        rows = self.database.query("SELECT row FROM rankings WHERE cycle = ? ORDER BY rank", (cycle,))
        return pd.DataFrame([json.loads(row["row"]) for row in rows])

    def record_proposals(self, cycle: int, proposals: dict[str, str]) -> None:
        """Record the fields chosen in a cycle, each with the reason for the choice, after those chosen before."""
        before = len(self.proposal_states(cycle))
        self.database.write_many(
            "INSERT INTO proposals (cycle, position, phase_field, reason) VALUES (?, ?, ?, ?)",
            [(cycle, position, name, why) for position, (name, why) in enumerate(proposals.items(), start=before + 1)],
        )

    def proposals(self, cycle: int) -> dict[str, str]:
        """The fields chosen in a cycle and why, in order."""
        rows = self.database.query(
            "SELECT * FROM proposals WHERE cycle = ? AND state != 'vetoed' ORDER BY position", (cycle,)
        )
        return {row["phase_field"]: row["reason"] for row in rows}

    def chosen_fields(self) -> list[dict[str, Any]]:
        """cycle, phase_field and reason of every field that was proposed and not vetoed, in order."""
        rows = self.database.query("SELECT * FROM proposals WHERE state != 'vetoed' ORDER BY cycle, position")
        return [dict(row) for row in rows]

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

    # verdicts ---------------------------------------------------------------------------------------------------------

    def record_verdict(self, verdict: dict[str, Any]) -> None:
        """Record what the probes say about a field; `verdict` has the columns of the table."""
        names = ", ".join(verdict)
        marks = ", ".join("?" * len(verdict))
        self.database.write((f"INSERT OR REPLACE INTO verdicts ({names}) VALUES ({marks})", verdict.values()))

    def verdicts(self) -> list[dict[str, Any]]:
        """All verdicts, in the order of the cycles."""
        return [dict(row) for row in self.database.query("SELECT * FROM verdicts ORDER BY cycle, rowid")]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _begin(database: Database, settings: Settings) -> None:
    engines = [package for level in settings.ladder_of_levels for package in _ENGINES.get(level, ())]
    versions = {name: _version(name) for name in (*_VERSIONED, *engines)}
    facts = {
        "settings": to_json(settings.plain()),
        "settings_hash": settings.hash(),
        "versions": to_json(versions),
        "created": now(),
        ASKED: settings.execution.executor,
    }
    database.set_meta(**facts)


def _recorded(database: Database) -> Settings:
    try:
        return recorded_settings(json.loads(database.meta("settings") or "{}"))
    except ValidationError:
        wrote = json.loads(database.meta("versions") or "{}").get("phaseloop", "another version")
        raise UserError(
            f"{database.path} holds settings that this version does not know (phaseloop {wrote} wrote them); "
            "use that version, or another folder"
        ) from None


def _continue(database: Database, settings: Settings, accept_changes: bool) -> None:
    begun_with = _recorded(database)
    before = begun_with.plain()
    settings = _with_earlier_defaults(settings, begun_with)
    changed = changed_settings(before, settings.plain())
    begun = database.query("SELECT 1 FROM rankings UNION ALL SELECT 1 FROM calculations LIMIT 1")
    if changed and begun and not accept_changes:
        old, new = (_value(values, changed[0]) for values in (before, settings.plain()))
        raise UserError(
            f"{changed[0]} was {old!r} when {database.path.parent} was begun and is now {new!r}, which would change "
            "results; take a new folder with --dir, or --accept-changes to go on all the same"
        )
    if changed and begun:
        done = database.query("SELECT COUNT(*) AS n FROM cycles WHERE state = 'completed'")[0]["n"]
        database.set_meta(**{f"settings_until_cycle_{done}": to_json(before)})
    settings = with_chosen_executor(database, settings)
    database.set_meta(settings=to_json(settings.plain()), settings_hash=settings.hash())


#: Section and name of settings whose default was another one in earlier versions.
_CHANGED_DEFAULTS = (
    ("competing", "by_analogy"),
    ("competing", "search_again"),
    ("ladder", "batch"),
    ("probes", "generators"),
)


def _with_earlier_defaults(settings: Settings, begun_with: Settings) -> Settings:
    """Settings that nobody has named keep what the campaign was begun with, where the default has changed since."""
    for section, key in _CHANGED_DEFAULTS:
        given = getattr(settings, section)
        if key not in given.model_fields_set:
            kept = given.model_copy(update={key: getattr(getattr(begun_with, section), key)})
            settings = settings.model_copy(update={section: kept})
    return settings


def _value(values: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values.get(part, {})
    return values
