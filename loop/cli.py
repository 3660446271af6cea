"""The command line: which commands there are, and how a command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer

from loop.commands import on_campaigns, on_cluster, on_tables
from loop.errors import RunError, UserError
from loop.streams import outlast_readers

app = typer.Typer(
    name="loop",
    help="Discover inorganic solids: rank phase fields, compute their hulls, learn from the verdicts.",
    epilog="Any command takes --debug, which shows the traceback of an error.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

#: In the order in which `loop --help` lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "init": on_campaigns.init,
    "run": on_campaigns.run,
    "status": on_campaigns.status,
    "heal": on_cluster.heal,
    "cancel": on_cluster.cancel,
    "review": on_campaigns.review,
    "explore": on_campaigns.explore,
    "report": on_campaigns.report,
    "export": on_campaigns.export,
    "rank": on_tables.rank,
    "validate": on_tables.validate,
    "map": on_tables.hull_map,
    "simulate": on_tables.simulate,
    "doctor": on_campaigns.doctor,
}

for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)

STOPPED = "stopped"

#: What goes on where it was when it is run again; other commands begin anew.
RESUMED = ("run", "explore")


def main() -> None:
    """Run the command line: 0 on success, 2 for a user's mistake, 1 for a failure of the run."""
    # The networks here are small: threads that wait for each other by spinning cost more than they give.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    outlast_readers()
    try:
        code = app(standalone_mode=False)
        sentence = STOPPED
        if sys.stdout is not None:  # as where it was closed from the start
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        code, sentence = _exit(error)
    if code:
        typer.echo(f"loop: {sentence}", err=True)
        sys.exit(code)


def _exit(error: BaseException) -> tuple[int, str]:
    """Exit code and sentence for what ended a command."""
    if isinstance(error, UserError):
        return 2, str(error)
    if isinstance(error, RunError):
        return 1, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, f"{STOPPED}; run the same command again to go on" if sys.argv[1] in RESUMED else STOPPED
    if hasattr(error, "format_message"):  # the command line itself was not understood
        return 2, f"{error.format_message()} (`loop COMMAND --help` lists what there is)"
    return 1, f"{type(error).__name__}: {error} (run again with --debug for the traceback)"


if __name__ == "__main__":
    main()
