"""What is looked at before a campaign folder is made, so that what cannot run leaves none behind."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dft.databases import client_missing, from_folder
from dft.probes import missing
from dft.structure_files import structure_files
from loop.competing_phases import ANSWERS
from loop.config import Settings
from loop.cycle import elements_of_candidates
from loop.errors import UserError
from loop.ladder import rungs_of
from vae.sources import check_source


def check_run(folder: Path, settings: Settings) -> None:
    """Refuse a campaign that could not begin.

    Args:
        folder: The campaign folder; it need not be there, and nothing is written.
        settings: What the user asks for.

    Raises:
        UserError: If a level or generator cannot run here, or known fields or competing phases cannot be read.
    """
    elements = elements_of_candidates(settings)
    rungs_of(settings, elements)
    try:
        check_source(settings.known.source, folder)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise UserError(f"known.source: {error}") from None
    _check_structures(folder, settings)


def check_exploration(folder: Path, settings: Settings, elements: Collection[str]) -> None:
    """Refuse an exploration of one field that could not begin; it needs no known fields.

    Args:
        folder: As of `check_run`.
        settings: What the user asks for.
        elements: Of the field.

    Raises:
        UserError: If a level or generator cannot run here, or competing phases cannot be read.
    """
    rungs_of(settings, elements)
    _check_structures(folder, settings)
    source = settings.competing.folder
    if source and (nothing := from_folder(source, elements).nothing):
        raise UserError(f"competing.source: {nothing}")


def _check_structures(folder: Path, settings: Settings) -> None:
    probes, competing = settings.probes, settings.competing
    for generator in probes.generators:
        if lacking := missing(generator, probes.folder or ""):
            raise UserError(f"probes.generators: {lacking}")
    has_answers = any((folder / ANSWERS).glob("*.json"))
    if competing.source == "materials_project" and not has_answers and (lacking := client_missing()):
        raise UserError(f"competing.source: {lacking}")
    for key, asked in (("competing.source", competing.folder), ("probes.folder", probes.folder_read)):
        try:
            if asked:
                structure_files(asked)
        except OSError as error:
            raise UserError(f"{key}: {error}") from None
