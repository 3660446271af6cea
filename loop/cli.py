"""The command line: each command parses, calls and prints. Heavy packages are imported inside the commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.errors import RunError, UserError

if TYPE_CHECKING:
    from loop.campaign import Campaign
    from loop.report.live import Mode

app = typer.Typer(
    name="loop",
    help="Discover inorganic solids: rank phase fields, compute their hulls, learn from the verdicts.",
    epilog="Any command takes --debug, which shows the traceback of an error.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

STOPPED = "stopped; run the same command again to go on"

DEFAULT_FOLDER = Path("campaign")

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The campaign folder.")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers there as JSON.")]

QuietOption = Annotated[bool, typer.Option("--quiet", help="Say nothing; the log has it all.")]
JsonLogOption = Annotated[bool, typer.Option("--json-log", help="One JSON object per event instead of text.")]


@app.command()
def init(
    folder: FolderArgument = DEFAULT_FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing configuration.")] = False,
) -> None:
    """Write a commented campaign configuration, DIR/campaign.yaml."""
    from loop.config import Settings, commented_yaml

    target = folder / "campaign.yaml"
    if target.exists() and not force:
        raise UserError(f"{target} exists already; edit it, or write over it with --force")
    with writing(target):
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(commented_yaml(Settings()), encoding="utf-8")
    typer.echo(f"wrote {target}; edit it, then: loop run --dir {folder}")


@app.command()
def run(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Configuration; default: DIR/campaign.yaml, or the built-in demo."),
    ] = None,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="The campaign folder.")] = DEFAULT_FOLDER,
    cycles: Annotated[
        int | None, typer.Option(min=1, help="Completed cycles to bring the campaign to, in total.")
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although settings that change results have changed.")
    ] = False,
    quiet: QuietOption = False,
    json_log: JsonLogOption = False,
) -> None:
    """Run the loop until the campaign has N completed cycles; run again to go on after any interruption."""
    from loop.running import run_in_folder

    run_in_folder(folder, config, cycles, accept_changes=accept_changes, display=_display(quiet, json_log))


@app.command()
def explore(
    field: Annotated[str, typer.Argument(metavar="FIELD", help="Such as Li-Sn-S-Cl.")],
    compositions: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Compositions to probe, in a column `composition`.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Configuration.")] = None,
    folder: Annotated[Path | None, typer.Option("--dir", metavar="DIR", help="Default: explore-FIELD.")] = None,
    quiet: QuietOption = False,
    json_log: JsonLogOption = False,
) -> None:
    """Explore one field without ranking: probes, hull, map; run again to go on after any interruption."""
    from loop.running import explore_in_folder

    explore_in_folder(folder, config, field, compositions, _display(quiet, json_log))


@app.command()
def status(
    folder: FolderArgument = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the cycles, fields and calculations of a campaign, and what they cost so far."""
    from loop.summary import status as campaign_status

    with opened(folder) as campaign:
        facts = campaign_status(campaign)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from loop.tables import print_status

    print_status(facts)


@app.command()
def rank(
    out: Annotated[Path, typer.Option(metavar="CSV", help="Where the ranking goes.")],
    candidates: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Fields to rank, in a column `phase_field`.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Rank every quaternary field of the known elements instead.")
    ] = False,
    train: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Known fields, in a column `phase_field`; default: the bundled list."),
    ] = None,
    ranker: Annotated[str, typer.Option(metavar="NAME", help="masked, or paper: the published VAE.")] = "masked",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 0,
    latent_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Draw known and candidate fields in the latent space.")
    ] = None,
) -> None:
    """Rank candidate phase fields by how well they fit the known ones; rank 1 is the most promising."""
    from loop.ranking import rank_every_field, rank_files
    from loop.tables import print_diagnostics

    if everything == (candidates is not None):
        raise UserError("give either --candidates CSV or --all: what is to be ranked?")
    if candidates is None:
        with writing(out), user_input():
            n_fields = rank_every_field(train, out, ranker, seed)
        typer.echo(f"wrote {out}: {n_fields} fields ranked")
        return
    with user_input():
        ranking = rank_files(train, candidates, ranker, seed)
    with writing(out):
        ranking.table.to_csv(out, index=False)
    if latent_map is not None:
        from vae.figures import latent_map as draw

        with writing(latent_map), user_input():
            draw(ranking, latent_map)
    print_diagnostics(ranking.diagnostics)
    typer.echo(f"wrote {out}: {len(ranking.table)} fields ranked")


@app.command()
def validate(
    train: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Known fields, in a column `phase_field`; default: the bundled list."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Train on one list, test on the fields that only this one has; no folds."),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this method; may be given several times.")
    ] = None,
    fold: Annotated[
        list[int] | None, typer.Option(min=1, max=5, help="Only this fold of five; may be given several times.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 0,
    figures: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw recall curve and calibration.")] = None,
    as_json: JsonOption = None,
) -> None:
    """Hold out known fields and measure how well the rankers and simple baselines find them again."""
    from loop.ranking import draw_validation, validate_files
    from loop.tables import print_validation

    with user_input():
        result = validate_files(train, test, method, fold, seed, lambda line: typer.echo(line, err=True))
    print_validation(result["table"])
    if as_json is not None:
        with writing(as_json):
            as_json.write_text(json.dumps(result) + "\n", encoding="utf-8")
    if figures is not None:
        with writing(figures):
            draw_validation(result, figures)


@app.command(name="map")
def hull_map(
    source: Annotated[
        Path, typer.Argument(metavar="ENERGIES.csv|DIR", help="Table `composition,total_energy_eV`, or a campaign.")
    ],
    field: Annotated[str, typer.Option(metavar="FIELD", help="The phase field, such as Li-Sn-S-Cl.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture: .png, .svg, .pdf or .html (interactive).")],
    json_file: JsonOption = None,
    mark: Annotated[list[str] | None, typer.Option(metavar="FORMULA", help="A new phase, drawn in magenta.")] = None,
    section: Annotated[
        str, typer.Option(metavar="A,B[,C]", help="End members of a section, such as Li2S,SnS2,LiCl.")
    ] = "",
    style: Annotated[str, typer.Option(metavar="STYLE", help="paper, slide or poster.")] = "paper",
    colours: Annotated[str, typer.Option(metavar="COLOURS", help="red, colour-blind or grey.")] = "red",
    level: Annotated[str, typer.Option(metavar="TEXT", help="Level of theory of the table, for the caption.")] = "",
    competing: Annotated[
        str, typer.Option(metavar="TEXT", help="Source of the table's competing phases, for the caption.")
    ] = "",
) -> None:
    """Draw the energy-above-hull map of a field from a table of total energies or from a campaign."""
    from loop.report.commands import MapOptions, map_campaign, map_command

    options = MapOptions(
        mark=tuple(mark or ()),
        size=style,
        colours=colours,
        level=level,
        source=competing,
        section=tuple(part.strip() for part in section.split(",") if part.strip()),
    )
    if source.is_dir():
        from loop.summary import campaign_record

        with opened(source) as campaign, user_input(), writing(out):
            line = map_campaign(campaign_record(campaign), field, out, json_file, options)
    else:
        with writing(out), user_input():
            line = map_command(source, field, out, json_file, options)
    typer.echo(f"wrote {line}")


@app.command()
def report(
    folder: FolderArgument = DEFAULT_FOLDER,
    slides: Annotated[
        bool, typer.Option("--slides", help="Also slides.pptx: a summary, and a slide per field.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Also report.md, for a repository or a notebook.")
    ] = False,
) -> None:
    """Make the figures, tables and page of a campaign again, from its records alone."""
    from loop.running import write_report

    with opened(folder) as campaign, writing(folder / "report"):
        typer.echo(f"wrote {write_report(campaign)}")
        from loop.summary import campaign_record

        target, record = folder / "report", campaign_record(campaign) if slides or markdown else None
        if slides and record:
            from loop.report.slides import write_slides

            with user_input():
                typer.echo(f"wrote {write_slides(record, target / 'slides.pptx')}")
        if markdown and record:
            from loop.report.markdown import write_markdown

            typer.echo(f"wrote {write_markdown(record, target)}")


@app.command()
def review(
    folder: FolderArgument = DEFAULT_FOLDER,
    approve: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Approve a field, or `all`.")] = None,
    veto: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Veto a field, or `all`.")] = None,
    add: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Add a field of your own.")] = None,
) -> None:
    """List what a cycle proposes; approve, veto or add, before anything is computed (`review: true`)."""
    from loop.campaign import Campaign
    from loop.review import decide, proposals_table
    from loop.tables import print_table

    if approve or veto or add:
        with opened(folder), Campaign.drive(folder, None) as campaign:
            decide(campaign, approve or (), veto or (), add or ())
    with opened(folder) as campaign:
        print_table(proposals_table(campaign))


@app.command()
def export(
    folder: FolderArgument = DEFAULT_FOLDER,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where it goes; default: DIR/export.")] = None,
) -> None:
    """Write entries as JSON, structures as CIF and ASE database, tables as CSV."""
    from loop.export import export as export_record
    from loop.summary import campaign_record

    target = out or folder / "export"
    with opened(folder) as campaign, writing(target):
        for path in export_record(campaign_record(campaign), target):
            typer.echo(f"wrote {path}")


@app.command()
def simulate(
    energies: Annotated[
        Path | None, typer.Argument(metavar="[ENERGIES.csv]", help="Table `composition,total_energy_eV` of one field.")
    ] = None,
    field: Annotated[str | None, typer.Option(metavar="FIELD", help="The phase field, such as Li-Sn-S-Cl.")] = None,
    fields: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Replay the choice of fields: a table `formula,e_above_hull` in eV/atom."),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="In a field: hull, spread, grid, random. Across fields: balanced, exploit, explore, popularity, "
            "triples, random. May be given several times.",
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many campaigns; default: 20, across fields 1.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first.")] = 0,
    initial: Annotated[int, typer.Option(min=0, help="Compositions drawn by chance first.")] = 5,
    batch: Annotated[
        int | None, typer.Option(min=1, help="How many are chosen at once; default: 1, across fields 100.")
    ] = None,
    within: Annotated[float, typer.Option(min=0, help="Found means this near to the hull, meV/atom.")] = 10.0,
    prior: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Energies of a cheaper level, `composition,e_above_hull` in eV/atom."),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Known fields, `phase_field`; default: the bundled list.")
    ] = None,
    cycles: Annotated[int, typer.Option(min=1, help="Batches of fields in a campaign.")] = 5,
    feedback: Annotated[
        bool | None, typer.Option("--feedback/--no-feedback", help="Learn from verdicts; default: both ways.")
    ] = None,
    anion_pairs: Annotated[
        str | None, typer.Option(metavar="LIST", help="Pairs of anions of the candidates, such as 'O-F, S-Cl'.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Picture of found against evaluated.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Replay a campaign on known energies: how many calculations does each strategy need?"""
    from loop import simulate_command as command

    both = [False, True] if feedback is None else [feedback]
    if fields is not None and energies is None:
        names, runs = strategy or ["balanced"], range(seed, seed + (seeds or 1))
        with user_input():
            picture = command.across_fields(fields, train, names, runs, both, cycles, batch or 100, anion_pairs)
    elif energies is not None and field is not None and fields is None:
        names, runs = strategy or ["hull"], range(seed, seed + (seeds or 20))
        with user_input():
            picture = command.inside_field(energies, field, names, runs, initial, batch or 1, within, prior)
    else:
        raise UserError("give ENERGIES.csv and --field for one field, or --fields TABLE for the choice of fields")
    picture.print()
    if json_file:
        with writing(json_file):
            picture.write_json(json_file)
    if plot:
        with user_input(), writing(plot):
            picture.plot(plot)


@app.command()
def doctor() -> None:
    """Say what this machine can run, and what each missing thing needs."""
    from loop.doctor import examine
    from loop.tables import print_findings

    print_findings(examine())


def _display(quiet: bool, json_log: bool) -> Mode:
    return "quiet" if quiet else "json" if json_log else "auto"


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
    """What goes wrong in here is wrong with what the user gave."""
    try:
        yield
    except (ValueError, FileNotFoundError, IsADirectoryError, UnicodeDecodeError, ModuleNotFoundError) as error:
        raise UserError(str(error)) from error


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """A file that cannot be written fails the command, not the user's data."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} cannot be written: its folder does not exist") from error
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror or error}") from error


def main() -> None:
    """Run the command line: 0 on success, 2 for a user's mistake, 1 for a failure of the run."""
    # The networks here are small: threads that wait for each other by spinning cost more than they give.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False)
        sentence = STOPPED
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
        return 130, STOPPED
    if hasattr(error, "format_message"):  # the command line itself was not understood
        return 2, f"{error.format_message()} (`loop COMMAND --help` lists what there is)"
    return 1, f"{type(error).__name__}: {error} (run again with --debug for the traceback)"


if __name__ == "__main__":
    main()
