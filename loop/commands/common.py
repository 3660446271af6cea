"""What the commands share: options, the campaign they look at, and who is to blame for an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.errors import RunError, UserError

if TYPE_CHECKING:
    from loop.campaign import Campaign

DEFAULT_FOLDER = Path("campaign")

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The campaign folder.")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers there as JSON.")]


@contextmanager
def opened(folder: Path) -> Iterator[Campaign]:
    """A campaign to look at."""
    from loop.campaign import Campaign

    campaign = Campaign.read(folder)
    try:
        yield campaign
    finally:
        campaign.database.close()


@contextmanager
def user_input() -> Iterator[None]:
    """What goes wrong in here is wrong with what the user gave.

    Raises:
        UserError: In place of errors of values, of files that are not there and of extras that are not installed.
    """
    try:
        yield
    except (ValueError, FileNotFoundError, IsADirectoryError, UnicodeDecodeError, ModuleNotFoundError) as error:
        raise UserError(str(error)) from error


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """A file that cannot be written fails the command, not the user's data.

    Raises:
        UserError: If its folder does not exist.
        RunError: If it cannot be written for another reason.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} cannot be written: its folder does not exist") from error
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror or error}") from error
