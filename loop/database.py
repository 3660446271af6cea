"""The database of a campaign: its tables, one writer, one transaction per fact."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loop.errors import RunError, UserError

#: Raised whenever the tables change their meaning; a folder of another version is refused by name.
FORMAT_VERSION = 2

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cycles (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,               -- running, completed
    n_training INTEGER NOT NULL DEFAULT 0,
    n_candidates INTEGER NOT NULL DEFAULT 0,
    diagnostics TEXT NOT NULL DEFAULT '{}',
    latent TEXT NOT NULL DEFAULT '[]', -- where known and candidate fields lie for the ranker
    seconds TEXT NOT NULL DEFAULT '{}',
    started TEXT NOT NULL,
    finished TEXT NOT NULL DEFAULT ''
);
CREATE TABLE rankings (cycle INTEGER, rank INTEGER, phase_field TEXT, row TEXT, PRIMARY KEY (cycle, rank));
CREATE TABLE proposals (
    cycle INTEGER, position INTEGER, phase_field TEXT, reason TEXT, state TEXT NOT NULL DEFAULT 'proposed',
    PRIMARY KEY (cycle, position)
);
CREATE TABLE calculations (
    hash TEXT PRIMARY KEY,             -- of the input structures and the level of theory
    phase_field TEXT NOT NULL, cycle INTEGER NOT NULL, role TEXT NOT NULL, composition TEXT NOT NULL,
    level TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    energy_per_atom REAL,              -- eV/atom, only when done
    n_atoms INTEGER, n_structures INTEGER NOT NULL DEFAULT 0, generator TEXT NOT NULL DEFAULT '',
    structure TEXT, max_force REAL,    -- pymatgen JSON; eV/Å
    wall_s REAL NOT NULL DEFAULT 0, cpu_s REAL NOT NULL DEFAULT 0, force_calls INTEGER NOT NULL DEFAULT 0,
    force_s REAL NOT NULL DEFAULT 0, output TEXT NOT NULL DEFAULT '',
    input TEXT NOT NULL                -- the structures to try, JSON
    CHECK (energy_per_atom IS NULL OR state = 'done')
);
CREATE TABLE uses (                    -- which calculations the hull of a field rests on
    phase_field TEXT, level TEXT, role TEXT, -- probe, competing, again: a second search for a competing phase
    composition TEXT, hash TEXT, reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (phase_field, level, role, composition)
);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, hash TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    wall_s REAL NOT NULL DEFAULT 0, cpu_s REAL NOT NULL DEFAULT 0, started TEXT NOT NULL
);
CREATE TABLE verdicts (
    phase_field TEXT PRIMARY KEY, cycle INTEGER, verdict TEXT, reason TEXT, best_e_above_hull REAL,
    best_e_above_competing REAL, best_composition TEXT, level TEXT, error_band REAL, competing_source TEXT
);
"""

#: No part of the format, and made where it is missing: without it each attempt's end reads all attempts before it.
_INDEX = "CREATE INDEX IF NOT EXISTS attempts_by_hash ON attempts (hash)"

#: The same: which failures may have passed by a later cycle, see `CalculationLog.plan`.
_PASSING = "CREATE TABLE IF NOT EXISTS passing (hash TEXT PRIMARY KEY)"


class Database:
    """SQLite with write-ahead log; whoever holds it is the only writer (the campaign's lock sees to that)."""

    def __init__(self, path: Path, *, create: bool = False, read_only: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise UserError(
                f"{path.parent} holds no campaign (no {path.name}); `loop run --dir {path.parent}` begins one"
            )
        mode = "ro" if read_only else "rwc"
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)
        self._connection.row_factory = sqlite3.Row
        if create:
            self._make_tables()
        self._check_version()
        if create:
            self.write((_INDEX, ()), (_PASSING, ()))

    def _make_tables(self) -> None:
        try:
            if self._has_tables():
                return
            self._connection.executescript(
                f"PRAGMA journal_mode=WAL; BEGIN; {_SCHEMA}"
                f"INSERT INTO meta VALUES ('format_version', '{FORMAT_VERSION}'); COMMIT;"
            )
        except sqlite3.OperationalError as error:
            raise RunError(f"{self.path} cannot be written ({error}); make room or mend the permissions") from error
        except sqlite3.DatabaseError as error:
            raise self._no_database(error) from None

    def _no_database(self, error: Exception) -> UserError:
        return UserError(f"{self.path} is no campaign database ({error}); name another folder with --dir")

    def _has_tables(self) -> bool:
        return bool(self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone())

    def _check_version(self) -> None:
        try:
            found = self.meta("format_version")
        except sqlite3.DatabaseError as error:
            raise self._no_database(error) from None
        if found != str(FORMAT_VERSION):
            raise UserError(
                f"{self.path} has campaign format {found}, this program reads format {FORMAT_VERSION}; "
                "use the version of phaseloop that wrote it, or another folder"
            )

    def meta(self, key: str) -> str | None:
        """A value of the table of facts about the campaign itself."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    def set_meta(self, **facts: str) -> None:
        """Record facts about the campaign itself; what has not changed is not written."""
        changed = {key: value for key, value in facts.items() if self.meta(key) != value}
        if changed:
            self.write_many("INSERT OR REPLACE INTO meta VALUES (?, ?)", changed.items())

    def query(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """Rows that answer a question."""
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    def write(self, *statements: tuple[str, Iterable[Any]]) -> None:
        """Carry out statements as one transaction: all of them, or none.

        Raises:
            RunError: If the disk is full or the database cannot be written.
        """
        try:
            with self._connection:
                for sql, parameters in statements:
                    self._connection.execute(sql, tuple(parameters))
        except sqlite3.OperationalError as error:
            raise RunError(
                f"{self.path} cannot be written ({error}); nothing recorded is lost: "
                "make room or mend the permissions, then run again"
            ) from error

    def write_many(self, sql: str, rows: Iterable[Iterable[Any]], *also: tuple[str, Iterable[Any]]) -> None:
        """Insert many rows, and carry out further statements, as one transaction."""
        self.write(*((sql, row) for row in rows), *also)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def to_json(value: Any) -> str:
    """Compact JSON of plain values."""
    return json.dumps(value, separators=(",", ":"))


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
