"""`loop run`: settings, log, lock, cycles and report, in this order."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loop.campaign import Campaign
from loop.config import Settings
from loop.database import to_json
from loop.errors import RunError, UserError, Waiting
from loop.executor_choice import CHOSEN, with_executor
from loop.report.live import Display, Event, Mode, open_display
from loop.settings_file import load_settings

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run_in_folder(
    folder: Path,
    config: Path | None,
    cycles: int | None,
    *,
    accept_changes: bool = False,
    executor: str | None = None,
    detach: bool = False,
    display: Mode = "auto",
) -> None:
    """Bring the campaign in `folder` to `cycles` completed cycles in total.

    Args:
        folder: The campaign folder.
        config: Configuration; none for the folder's own campaign.yaml, else what it was begun with, else the defaults.
        cycles: None for the number in the configuration.
        accept_changes: Go on under settings that change results.
        executor: Where calculations run from now on; none for what was said last, by a command or the settings.
        detach: Return when the calculations are on the cluster.
        display: How progress is shown.
    """
    settings = _settings(folder, config)
    if not _is_begun(folder):
        _quieten_libraries()
        from loop.beforehand import check_run

        check_run(folder, settings or Settings())
    _interruptible()
    os.umask(os.umask(0) | 0o002)  # nothing of a campaign is for everybody to change
    with Campaign.drive(folder, settings, accept_changes) as campaign, _logging_to(folder / "loop.log"):
        _use_executor(campaign, executor)
        wanted = cycles or campaign.settings.cycles
        page = folder / "report" / "index.html"
        with open_display(display, wanted) as show:
            try:
                made = _run(campaign, wanted, show, detach)
            except Waiting as waiting:
                show(Event("message", text=str(waiting)))
                return
        done = campaign.completed_cycles()
        if made:
            text = f"{made} cycles made, {done} in total; open {page}"
        else:
            text = f"{folder} has {done} completed cycles already (asked for {wanted}); nothing to do, see {page}"
        if display not in ("quiet", "json"):
            print(text)


def explore_in_folder(
    folder: Path | None,
    config: Path | None,
    field: str,
    compositions: Path | None,
    display: Mode,
    accept_changes: bool = False,
) -> None:
    """Explore one field in a folder of its own and make its report.

    Args:
        folder: The campaign folder; none for explore-FIELD.
        config: Configuration; as for `run_in_folder`.
        field: Such as ``Li-Sn-S-Cl``.
        compositions: Table of compositions to probe; none to choose them.
        display: How progress is shown.
        accept_changes: Go on under settings that change results.
    """
    _quieten_libraries()
    from loop.beforehand import check_exploration
    from loop.explore import explore_field, read_compositions, read_field

    phase_field = read_field(field)
    folder = folder or Path(f"explore-{phase_field}")
    formulas = read_compositions(compositions, phase_field) if compositions else []
    settings = _settings(folder, config)
    if not _is_begun(folder):
        check_exploration(folder, settings or Settings(), phase_field.elements)
    _interruptible()
    os.umask(os.umask(0) | 0o002)
    with (
        Campaign.drive(folder, settings, accept_changes) as campaign,
        _logging_to(folder / "loop.log"),
        _failures_told(campaign),
        open_display(display) as show,
    ):
        try:
            explore_field(campaign, phase_field, formulas, show)
        except Waiting as waiting:
            show(Event("message", text=str(waiting)))
            return
        page = write_report(campaign)
        campaign.database.set_meta(reported=str(campaign.completed_cycles()))
        show(Event("message", text=f"open {page}"))


def _use_executor(campaign: Campaign, executor: str | None) -> None:
    """Let a command's own word on where calculations run hold for this campaign from now on.

    The next command reads the user's file again, and so does a step that is taken on the cluster: neither may fall back
    to it while calculations are on the LaunchPad.
    """
    if executor is None:
        return
    campaign.settings = with_executor(campaign.settings, executor)
    campaign.database.set_meta(**{CHOSEN: executor, "settings": to_json(campaign.settings.plain())})


def _interruptible() -> None:
    """A queue's or a user's polite kill is an interruption like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def write_report(campaign: Campaign) -> Path:
    """Make the figures, tables and page of a campaign from its records."""
    from loop.report.page import build_report
    from loop.summary import campaign_record

    return build_report(campaign_record(campaign), campaign.folder / "report")


def _report(campaign: Campaign) -> None:
    """Make the report and record that it shows all cycles completed so far."""
    write_report(campaign)
    campaign.database.set_meta(reported=str(campaign.completed_cycles()))


def _is_begun(folder: Path) -> bool:
    """Whether the folder holds a campaign; what cannot run is refused before one is made."""
    return (folder / "campaign.db").exists()


def _settings(folder: Path, config: Path | None) -> Settings | None:
    own = folder / "campaign.yaml"
    if config is not None:
        return load_settings(config)
    return load_settings(own) if own.exists() else None


def _run(campaign: Campaign, cycles: int, show: Display, detach: bool) -> int:
    done = campaign.completed_cycles()
    if done >= cycles and campaign.database.meta("reported") == str(done):
        return 0
    _quieten_libraries()
    with _failures_told(campaign):
        if done >= cycles:  # the last run was stopped before its report was whole
            _report(campaign)
            return 0
        from loop.cycle import run_campaign

        return run_campaign(campaign, cycles, show, _report, detach)


@contextmanager
def _failures_told(campaign: Campaign) -> Iterator[None]:
    """What nobody foresaw goes to the log whole, and to the user as one sentence that names the log."""
    try:
        yield
    except (UserError, RunError, Waiting):
        raise
    except Exception as error:
        logging.getLogger("loop").exception("the run failed")
        message = f"the run failed ({type(error).__name__}: {error}); its log is {campaign.folder / 'loop.log'}"
        raise RunError(message) from error


def _quieten_libraries() -> None:
    """Warnings of the libraries go to the log; matplotlib needs no display."""
    logging.captureWarnings(True)
    os.environ.setdefault("MPLBACKEND", "Agg")


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk is told once, by the database
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    loggers = [logging.getLogger(name) for name in ("loop", "dft", "vae", "py.warnings")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()
