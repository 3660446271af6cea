"""Settings that a campaign was begun with beside those of today: what differs, and what earlier versions lacked."""

from __future__ import annotations

from typing import Any

from loop.config import WITHOUT_EFFECT_ON_RESULTS, Settings


def recorded_settings(recorded: dict[str, Any]) -> Settings:
    """Settings that a campaign was begun with, by this version or an earlier one, which lacked some of the keys.

    Such a key has its default, unless an earlier version did something else: on a ladder the lowest went on, all at
    once, no formula came by analogy, and nothing was searched for twice.

    Raises:
        ValidationError: If this version does not know them.
    """
    if recorded:
        earlier = {"by_analogy": 0, "search_again": False}
        recorded = {**recorded, "competing": {**earlier, **recorded.get("competing", {})}}
    if len(recorded.get("levels", ())) > 1:
        recorded = {**recorded, "ladder": {"batch": None, **recorded.get("ladder", {})}}
    return Settings.model_validate(recorded)


def changed_settings(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Names of the settings that differ and would change results, such as ``probes.max_atoms``."""
    # The known fields may have moved to another file: what counts is their hash, which is checked when they are read.
    relevant = sorted((old.keys() | new.keys()) - {*WITHOUT_EFFECT_ON_RESULTS, "known"})
    changed = []
    for key in relevant:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            names = sorted(before.keys() | after.keys())
            changed += [f"{key}.{name}" for name in names if before.get(name) != after.get(name)]
        elif before != after:
            changed.append(key)
    return changed
