"""`loop explore`: one field, without ranking; the same records, the same resume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dft.competing import parse_formula
from dft.compositions import require_neutral
from loop.campaign import Campaign
from loop.competing_phases import CompetingPhases
from loop.errors import UserError
from loop.executors import open_executor
from loop.exploration import Exploration, Show
from loop.feedback import about_those_beside
from loop.ladder import checked_ladder
from loop.report.live import Event
from loop.user_structures import tell_of_folder, tell_of_phases
from vae import PhaseField
from vae.csv_files import read_text_table


def explore_field(campaign: Campaign, phase_field: PhaseField, compositions: list[str], show: Show) -> None:
    """Explore one field as the only cycle of a campaign of its own.

    Args:
        campaign: Opened by its only driver.
        phase_field: See `read_field`.
        compositions: Formulas to probe; none for those that the campaign's strategy chooses.
        show: Told what happens.

    Raises:
        UserError: If the folder holds a campaign of something else.
    """
    states = campaign.proposal_states(1)
    if campaign.completed_cycles() > 1 or set(states) - {str(phase_field)} or not campaign.ranking(1).empty:
        raise UserError(
            f"{campaign.folder} holds another campaign ({', '.join(states)}); name another folder with --dir"
        )
    recorded = campaign.database.meta("compositions")
    if states and recorded is not None and compositions and json.loads(recorded) != compositions:
        raise UserError(f"{campaign.folder} was begun with other compositions; name another folder with --dir")
    if campaign.completed_cycles():
        show(Event("message", text=f"{phase_field} has been explored in {campaign.folder}; nothing to do"))
        return
    checked_ladder(campaign, phase_field.elements)
    tell_of_folder(campaign, show)
    tell_of_phases(campaign, phase_field, show)
    is_new = not campaign.calculations.levels(str(phase_field))
    if is_new and (nothing := CompetingPhases(campaign, phase_field.elements).known.nothing):
        raise UserError(f"competing.source: {nothing}")
    asked_for = compositions or json.loads(recorded or "[]")
    campaign.database.set_meta(compositions=json.dumps(asked_for))
    campaign.begin_cycle(1)
    if not states:
        campaign.record_proposals(1, {str(phase_field): "asked for by name"})
    if told := about_those_beside(asked_for, phase_field.elements):
        show(Event("message", text=told))
    with open_executor(campaign, show) as executor:
        Exploration(campaign, 1, phase_field, executor, show).run(asked_for)
    campaign.complete_cycle(1)


def read_field(text: str) -> PhaseField:
    """A field that can be explored: different elements, at least one cation and one anion.

    Raises:
        UserError: If it is none.
    """
    try:
        phase_field = PhaseField.parse(text)
    except ValueError as error:
        raise UserError(str(error)) from None
    if phase_field.has_repeats or not phase_field.anions or not phase_field.cations:
        raise UserError(f"{phase_field} cannot be explored: it needs different elements, cation and anion among them")
    return phase_field


def read_compositions(path: Path, phase_field: PhaseField) -> list[str]:
    """Formulas from a table with a column `composition`, each inside the field.

    Raises:
        UserError: Naming the file, the row and what is wrong.
    """
    try:
        table = read_text_table(path)
        by_line = {line: formula for line, formula in table["composition"].items() if formula.strip()}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except KeyError:
        raise UserError(f"{path} has no column `composition`, only {list(table.columns)}") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is no table: {error}") from None
    for row, formula in by_line.items():
        try:
            composition = parse_formula(formula)
        except ValueError as error:
            raise UserError(f"{path}, row {row}: {error}") from None
        outside = {element.symbol for element in composition.elements} - set(phase_field.elements)
        if outside:
            raise UserError(f"{path}, row {row}: {formula} holds {sorted(outside)}, which {phase_field} does not")
    formulas = list(by_line.values())
    if not formulas:
        raise UserError(f"{path} holds no compositions")
    _require_one_neutral(path, formulas)
    first: dict[str, str] = {}
    for formula in formulas:
        first.setdefault(parse_formula(formula).reduced_formula, formula)
    return list(first.values())


def _require_one_neutral(path: Path, formulas: Sequence[str]) -> None:
    """Refuse a table of nothing but compositions that cannot be neutral; among others such a one is set aside later."""
    reasons = []
    for formula in formulas:
        try:
            require_neutral(parse_formula(formula))
        except ValueError as error:
            reasons.append(str(error))
    if len(reasons) == len(formulas):
        raise UserError(f"{path}: nothing to probe: {reasons[0]}")
