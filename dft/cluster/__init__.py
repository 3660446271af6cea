"""Flows on a FireWorks LaunchPad: submitted once, collected as plain data, healed, counted and taken back.

Everything goes through FireWorks' and jobflow's own collections, so that `lpad`, `rlaunch` and `qlaunch` work as people
know them. What belongs to a calculation stands in ``spec.phaseloop`` of its Fireworks and in ``metadata.phaseloop`` of
its documents in the JobStore.
"""

from __future__ import annotations

#: Where the facts about a calculation stand in a Firework's document.
FACTS = "spec.phaseloop"

#: States of a Firework in which it may still run.
OPEN = ("WAITING", "READY", "RESERVED", "RUNNING", "PAUSED")

#: States of a Firework that nothing but a person or `loop heal` changes.
SETTLED = ("COMPLETED", "FIZZLED", "DEFUSED", "ARCHIVED")


class TakenBack(Exception):  # noqa: N818 - somebody's decision, no error
    """Calculations were taken off the LaunchPad while their campaign waited for them."""


class StillOpen(Exception):  # noqa: N818 - it is no error
    """Calculations are on the LaunchPad, and nobody waits for them."""
