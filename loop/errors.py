"""The two kinds of trouble that a command reports without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave: one plain sentence that names the key or file, the value and the way out."""


class RunError(Exception):
    """A failure of the run itself; the sentence names the folder that holds its log."""


class Waiting(Exception):  # noqa: N818 - it is no error
    """The campaign waits for a decision of the user's: no failure; the sentence says for which."""
