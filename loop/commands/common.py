"""What the commands share: options, the campaign they look at, and who is to blame for an error."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.errors import RunError, UserError

if TYPE_CHECKING:
    from loop.campaign import Campaign

DEFAULT_FOLDER = Path("campaign")

#: Endings of the pictures that are drawn.
PICTURES = (".png", ".svg", ".pdf")

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


def check_target(option: str, target: Path | None, formats: Sequence[str] = ()) -> None:
    """Find out before the work whether its result could be written as the user asks.

    Args:
        option: What the user named it with.
        target: The file; none if none was asked for.
        formats: Endings to choose from; none if any will do.

    Raises:
        UserError: If it is a folder, its folder can be none, or it ends in another way.
    """
    if target is None:
        return
    if formats and target.suffix.lower() not in formats:
        raise UserError(
            f"{option} {target} ends in {target.suffix!r}: choose {', '.join(formats[:-1])} or {formats[-1]}"
        )
    if target.is_dir():
        raise UserError(f"{option} {target} is a folder: name a file in it")
    if above := next((parent for parent in target.parents if parent.exists() and not parent.is_dir()), None):
        raise UserError(f"{option} {target}: {above} is no folder")


def check_effect(context: typer.Context, names: Collection[str], what: str) -> None:
    """Refuse options that the user gave and that would change nothing.

    Args:
        context: Of the command.
        names: Of its parameters.
        what: Beside which they have no effect.

    Raises:
        UserError: Naming the first of them.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise UserError(f"{parameter.opts[0]} has no effect with {what}")


@contextmanager
def writing(target: Path, make: bool = True) -> Iterator[None]:
    """Make the folder of a file; one that cannot be written fails the command, not the user's data.

    Args:
        target: The file.
        make: False if what writes it makes its folder.

    Raises:
        RunError: If it cannot be written.
    """
    try:
        if make:
            target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror or error}") from error
