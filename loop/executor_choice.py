"""Which word on where calculations run holds: that of the settings, or what a command has said since."""

from __future__ import annotations

from typing import Any

from loop.config import Settings
from loop.database import Database

#: What the settings asked for when they were last read, and what a command has chosen since; empty for nothing.
ASKED, CHOSEN = "executor_asked", "executor_chosen"


def with_chosen_executor(database: Database, settings: Settings) -> Settings:
    """Settings as they were read, with the executor that a command has chosen for their campaign.

    The later word counts: settings that ask for another executor than when they were last read end the choice.

    Args:
        database: The campaign's; it takes what the settings ask for.
        settings: As the user's file has them.
    """
    asked, asked_before = settings.execution.executor, database.meta(ASKED)
    chosen_before = database.meta(CHOSEN) or ""
    chosen = chosen_before if asked_before in (None, asked) else ""
    if (asked, chosen) != (asked_before, chosen_before):  # a run with nothing to do changes nothing
        database.set_meta(**{ASKED: asked, CHOSEN: chosen})
    return with_executor(settings, chosen) if chosen else settings


def with_executor(settings: Settings, executor: Any) -> Settings:
    """The same settings with another executor."""
    return settings.model_copy(update={"execution": settings.execution.model_copy(update={"executor": executor})})
