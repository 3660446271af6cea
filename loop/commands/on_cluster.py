"""Commands on a campaign's calculations on a cluster: heal them, take them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.commands.common import DEFAULT_FOLDER, FolderArgument, opened
from loop.errors import RunError, UserError

if TYPE_CHECKING:
    from dft.cluster.connections import Cluster
    from dft.cluster.healing import HealSettings
    from dft.cluster.submission import Tag


def heal(folder: FolderArgument = DEFAULT_FOLDER) -> None:
    """Find lost runs on the LaunchPad, say why calculations failed, and run again what may succeed."""
    from dft.cluster.healing import heal as heal_campaign
    from dft.cluster.healing import told

    with _on_launchpad(folder) as (cluster, tag, settings):
        failures = heal_campaign(cluster, tag.campaign, settings)
    for line in told(failures):
        typer.echo(line)
    again = sum(failure.again for failure in failures)
    typer.echo(f"{again} run again, {len(failures) - again} given up")


def cancel(
    folder: FolderArgument = DEFAULT_FOLDER,
    running: Annotated[bool, typer.Option("--running", help="End those that run, too.")] = False,
) -> None:
    """Take a campaign's waiting and queued calculations back; other campaigns' are not touched."""
    from dft.cluster.overview import take_back

    with _on_launchpad(folder) as (cluster, tag, _):
        counts = take_back(cluster, tag.campaign, running)
    typer.echo("taken back: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    typer.echo(f"`loop run --dir {folder}` submits them anew")


@contextmanager
def _on_launchpad(folder: Path) -> Iterator[tuple[Cluster, Tag, HealSettings]]:
    """The LaunchPad, what marks the campaign's Fireworks on it, and how failures are treated."""
    from loop.executors import connected, heal_settings, tag_of

    with opened(folder) as campaign:
        tag = tag_of(campaign)
        if tag is None:
            raise UserError(
                f"{folder} has no calculations on a LaunchPad; `loop run --executor fireworks` submits some"
            )
        settings = heal_settings(campaign.settings.execution)
    try:
        yield connected(lambda text: typer.echo(text, err=True)), tag, settings
    except ConnectionError as error:
        raise RunError(str(error)) from None
