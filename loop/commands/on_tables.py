"""Commands on tables of the user's own: rank, validate, draw a map, replay a campaign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from loop.commands.common import PICTURES, JsonOption, check_effect, check_target, opened, user_input, writing
from loop.errors import UserError

KNOWN_HELP = (
    "Known fields: a CSV with a column `phase_field` or one of formulas (an ICSD export), a folder of CIFs, or "
    "materials_project; default: the bundled list."
)


def rank(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="CSV", help="Where the ranking goes.")],
    candidates: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Fields to rank, in a column `phase_field`.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Rank every quaternary field of the known elements instead.")
    ] = False,
    train: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", help=KNOWN_HELP),
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
    check_target("--out", out)
    check_target("--map", latent_map, PICTURES)
    if candidates is None:
        check_effect(context, ["latent_map"], "--all")
        with writing(out), user_input():
            n_fields, diagnostics = rank_every_field(train, out, ranker, seed)
        print_diagnostics(diagnostics)
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


def validate(
    context: typer.Context,
    train: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", help=KNOWN_HELP),
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

    check_target("--json", as_json)
    if figures is not None and figures.is_file():
        raise UserError(f"--figures {figures} is a file: name a folder")
    if test is not None:
        check_effect(context, ["fold"], "--test")
    with user_input():
        result = validate_files(train, test, method, fold, seed, lambda line: typer.echo(line, err=True))
    print_validation(result["table"])
    if as_json is not None:
        with writing(as_json):
            as_json.write_text(json.dumps(result) + "\n", encoding="utf-8")
    if figures is not None:
        with writing(figures):
            draw_validation(result, figures)


def hull_map(
    context: typer.Context,
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
    level: Annotated[
        str, typer.Option(metavar="TEXT", help="Of a table, for the caption; of a campaign, which level to show.")
    ] = "",
    competing: Annotated[
        str, typer.Option(metavar="TEXT", help="Source of the table's competing phases, for the caption.")
    ] = "",
) -> None:
    """Draw the energy-above-hull map of a field from a table of total energies or from a campaign."""
    from loop.report.commands import MapOptions, map_campaign, map_command

    check_target("--out", out, (*PICTURES, ".html"))
    check_target("--json", json_file)
    if out.suffix.lower() == ".html":
        check_effect(context, ["style"], "an interactive map, which has one size")
    options = MapOptions(
        mark=tuple(mark or ()),
        size=style,
        colours=colours,
        level=level,
        source=competing,
        section=tuple(part.strip() for part in section.split(",") if part.strip()),
    )
    if source.is_dir():
        check_effect(context, ["competing"], "a campaign, which knows its source")
        from loop.summary import campaign_record

        with opened(source) as campaign, user_input(), writing(out):
            line = map_campaign(campaign_record(campaign), field, out, json_file, options)
    else:
        with writing(out), user_input():
            line = map_command(source, field, out, json_file, options)
    typer.echo(f"wrote {line}")


def simulate(
    context: typer.Context,
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
            help="In a field: hull, spread, grid, random, lowest (with --prior). Across fields: balanced, exploit, "
            "explore, popularity, triples, published, random. May be given several times.",
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
    train: Annotated[Path | None, typer.Option(metavar="SOURCE", help=KNOWN_HELP)] = None,
    cycles: Annotated[int, typer.Option(min=1, help="Batches of fields in a campaign.")] = 5,
    feedback: Annotated[
        bool | None, typer.Option("--feedback/--no-feedback", help="Learn from verdicts; default: both ways.")
    ] = None,
    anion_pairs: Annotated[
        str | None, typer.Option(metavar="LIST", help="Pairs of anions of the candidates, such as 'O-F, S-Cl'.")
    ] = None,
    subsystems: Annotated[
        bool, typer.Option(help="Across fields: whether known binary and ternary systems (bundled list) are evidence.")
    ] = True,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Picture of found against evaluated.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Replay a campaign on known energies: how many calculations does each strategy need?"""
    from loop import simulate_command as command

    both = [False, True] if feedback is None else [feedback]
    check_target("--json", json_file)
    check_target("--plot", plot, PICTURES)
    if fields is not None and energies is None:
        check_effect(context, ["field", "initial", "within", "prior"], "--fields")
        names, runs = strategy or ["balanced"], range(seed, seed + (seeds or 1))
        with user_input():
            picture = command.across_fields(
                fields, train, names, runs, both, cycles, batch or 100, anion_pairs, subsystems
            )
    elif energies is not None and field is not None and fields is None:
        check_effect(context, ["train", "cycles", "feedback", "anion_pairs", "subsystems"], "--field")
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
