"""Commands on a campaign: begin it, run it, look at it, take its results elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.commands.common import DEFAULT_FOLDER, FolderArgument, opened, user_input, writing
from loop.errors import UserError

if TYPE_CHECKING:
    from loop.report.live import Mode

QuietOption = Annotated[bool, typer.Option("--quiet", help="Say nothing; the log has it all.")]
AcceptOption = Annotated[
    bool, typer.Option("--accept-changes", help="Go on although settings that change results have changed.")
]
JsonLogOption = Annotated[bool, typer.Option("--json-log", help="One JSON object per event instead of text.")]


def init(
    folder: FolderArgument = DEFAULT_FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing configuration.")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="QUEUE", help="Also the files of FireWorks and jobflow: slurm, pbs or sge."),
    ] = None,
    database: Annotated[
        str, typer.Option(metavar="[USER@]HOST[:PORT]", help="With --cluster: where MongoDB runs.")
    ] = "localhost",
) -> None:
    """Write a commented campaign configuration, DIR/campaign.yaml."""
    from loop.config import Settings
    from loop.execution_settings import Execution
    from loop.settings_file import commented_yaml

    target = folder / "campaign.yaml"
    if target.exists() and not force and cluster is None:
        raise UserError(f"{target} exists already; edit it, or write over it with --force")
    if cluster is not None:
        _init_cluster(folder / "fireworks", cluster, database, force)
    if target.exists() and not force:
        typer.echo(f"left {target} as it is")
        return
    with writing(target):
        folder.mkdir(parents=True, exist_ok=True)
        execution = Execution(executor="local" if cluster is None else "fireworks")
        target.write_text(commented_yaml(Settings(execution=execution)), encoding="utf-8")
    typer.echo(f"wrote {target}; edit it, then: loop run --dir {folder}")


def _init_cluster(folder: Path, queue: str, database: str, force: bool) -> None:
    from loop.cluster_setup import write_cluster_files

    with writing(folder, make=False):  # an argument that is refused leaves no folder
        for path in write_cluster_files(folder, queue, database, force):
            typer.echo(f"wrote {path}")
    folder = folder.resolve()
    typer.echo(f"your password goes into {folder}/my_launchpad.yaml and {folder}/jobflow.yaml (mode 600); then:")
    typer.echo(f"export FW_CONFIG_FILE={folder}/FW_config.yaml JOBFLOW_CONFIG_FILE={folder}/jobflow.yaml")


def run(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Configuration; default: DIR/campaign.yaml, or the built-in demo."),
    ] = None,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="The campaign folder.")] = DEFAULT_FOLDER,
    cycles: Annotated[
        int | None, typer.Option(min=1, help="Completed cycles to bring the campaign to, in total.")
    ] = None,
    accept_changes: AcceptOption = False,
    executor: Annotated[
        str | None, typer.Option(metavar="NAME", help="local or fireworks, from now on; default: execution.executor.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With fireworks: return when all is submitted; run again to go on.")
    ] = False,
    quiet: QuietOption = False,
    json_log: JsonLogOption = False,
) -> None:
    """Run the loop until the campaign has N completed cycles; run again to go on after any interruption."""
    from loop.running import run_in_folder

    if executor not in (None, "local", "fireworks"):
        raise UserError(f"--executor {executor!r} is unknown, choose from ['local', 'fireworks']")
    run_in_folder(
        folder,
        config,
        cycles,
        accept_changes=accept_changes,
        executor=executor,
        detach=detach,
        display=_display(quiet, json_log),
    )


def explore(
    field: Annotated[str, typer.Argument(metavar="FIELD", help="Such as Li-Sn-S-Cl.")],
    compositions: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Compositions to probe, in a column `composition`.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Configuration.")] = None,
    folder: Annotated[Path | None, typer.Option("--dir", metavar="DIR", help="Default: explore-FIELD.")] = None,
    accept_changes: AcceptOption = False,
    quiet: QuietOption = False,
    json_log: JsonLogOption = False,
) -> None:
    """Explore one field without ranking: probes, hull, map; run again to go on after any interruption."""
    from loop.running import explore_in_folder

    explore_in_folder(folder, config, field, compositions, _display(quiet, json_log), accept_changes)


def status(
    folder: FolderArgument = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the cycles, fields and calculations of a campaign, and what they cost so far."""
    from loop.summary import on_launchpad
    from loop.summary import status as campaign_status

    with opened(folder) as campaign:
        facts = campaign_status(campaign)
        launchpad = on_launchpad(campaign)
    if launchpad is not None:
        facts["launchpad"] = launchpad
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from loop.tables import print_status

    print_status(facts)


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


def doctor(
    setup: Annotated[
        str | None, typer.Option(metavar="NAME", help="Prepare instead what a level needs: cp2k, its basis sets.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where --setup writes; default: ./cp2k-data.")
    ] = None,
) -> None:
    """Say what this machine can run, and what each missing thing needs."""
    from loop.doctor import examine, set_up
    from loop.tables import print_findings

    if setup is not None:
        typer.echo("\n".join(set_up(setup, folder)))
        return
    print_findings(examine())


def _display(quiet: bool, json_log: bool) -> Mode:
    return "quiet" if quiet else "json" if json_log else "auto"
