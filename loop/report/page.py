"""The page of a campaign: one HTML file that opens from disk, with its maps and tables beside it."""

from __future__ import annotations

import base64
import io
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dft.execute import usable_cores
from loop.records import CampaignRecord, FieldRecord
from loop.report import charts, found, readable, structures, view
from loop.report.citations import citations
from loop.report.embedding import json_for_script
from loop.report.formulas import html
from loop.report.hull_map import draw_hull_map, places_on_image, save_map
from loop.report.levels import file_stem, level_table
from loop.report.points import MapPoint, level_in_words, note_from_record, points_from_record
from loop.report.tables import write_tables
from loop.report.winners import winners
from vae.phase_fields import PhaseField

#: Resolution of the maps beside the page.
_PRINT_DPI = 400
#: Resolution of the ground in an SVG, which is smooth; all else there is lines and text.
_GROUND_DPI = 200
#: Maps that are worth the start of another process.
_MAPS_PER_PROCESS = 8
#: Width of the maps inside the page, pixels.
_PAGE_WIDTH = 900


@dataclass(frozen=True)
class FieldMap:
    """The map of one field as the page shows it.

    Attributes:
        image: The picture as a data address; empty where there is no map.
        width: Pixels.
        height: Pixels.
        spots: Places of the calculations on the picture, pixels from the left and the top, with what they show.
        missing: Why there is no map.
    """

    image: str = ""
    width: int = 0
    height: int = 0
    spots: tuple[tuple[float, float, MapPoint], ...] = ()
    missing: str = ""


def build_report(record: CampaignRecord, folder: Path) -> Path:
    """Make figures, tables and page from the records alone.

    Args:
        record: The campaign, empty, in progress or complete.
        folder: Gets ``index.html``, ``maps/<field>.png`` and ``.svg``, ``tables/*.csv``, ``structures/*.cif``.

    Returns:
        The page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(record, folder / "tables")
    write_structures(record, folder / "structures")
    maps = draw_fields(record, folder / "maps")
    page = folder / "index.html"
    page.write_text(render(record, maps), encoding="utf-8")
    return page


def write_structures(record: CampaignRecord, folder: Path) -> list[Path]:
    """The structures behind the energies of the probes, as CIF: ``<field>_<formula>.cif``, the lowest at each."""
    probes = [probe for field in record.fields for probe in found.found_in(field) if probe.structure]
    return [structures.write_cif(probe.structure or {}, folder / probe.file_name) for probe in probes]


def draw_fields(record: CampaignRecord, folder: Path, processes: int | None = None) -> dict[str, FieldMap]:
    """Draw the maps of all fields and of their lower levels, many of them in as many processes as there are cores.

    Args:
        record: The campaign.
        folder: Gets the maps.
        processes: None for one process where there are few maps.

    Returns:
        The maps by the stem of their files.
    """
    fields = {field.phase_field: field for field in record.fields}
    fields |= {file_stem(lower, top=False): lower for field in record.fields for lower in field.lower}
    marks = [found.near_hull(field, record) for field in fields.values()]
    orders = (list(fields.values()), [folder] * len(fields), marks, list(fields))
    processes = processes or min(usable_cores(), 1 + len(fields) // _MAPS_PER_PROCESS)
    if processes == 1:
        return dict(zip(fields, map(draw_field, *orders), strict=True))
    # matplotlib keeps state that a fork would share
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        return dict(zip(fields, pool.map(draw_field, *orders), strict=True))


def draw_field(field: FieldRecord, folder: Path, mark: Sequence[str], name: str) -> FieldMap:
    """Draw the map of a field, save it for print under a name, and return what the page embeds."""
    remark = "Calculations are missing: the campaign is running." if field.verdict == "open" else ""
    points = points_from_record(field)
    phase_field = PhaseField.parse(field.phase_field)
    note = note_from_record(field, points, remark)
    try:
        figure = draw_hull_map(points, phase_field, note, mark)
    except ValueError as error:
        return FieldMap(missing=str(error))
    folder.mkdir(parents=True, exist_ok=True)
    image = _picture(figure)
    image.save(folder / f"{name}.png", dpi=(_PRINT_DPI, _PRINT_DPI), compress_level=3)
    save_map(figure, folder / f"{name}.svg", _GROUND_DPI)
    spots = places_on_image(figure, points, phase_field, image.height)
    return FieldMap(_embedded(image), image.width, image.height, tuple(spots))


def _picture(figure: Figure) -> Image.Image:
    """The figure drawn once, for the file and for the page."""
    figure.set_dpi(_PRINT_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _embedded(picture: Image.Image) -> str:
    """A picture as a data address, at the size a page shows it."""
    small = picture.resize((_PAGE_WIDTH, round(picture.height * _PAGE_WIDTH / picture.width)), Image.Resampling.BOX)
    data = io.BytesIO()
    small.save(data, format="webp", quality=85, method=2)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def render(record: CampaignRecord, maps: dict[str, FieldMap]) -> str:
    """The page as text; everything that comes from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("loop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        formula=html, mev=readable.mev, number=readable.number, duration=readable.duration, plain=readable.plain
    )
    environment.filters.update(level_table=level_table, stem=lambda lower: file_stem(lower, top=False))
    environment.filters.update(winners=winners, level=level_in_words, file_name=lambda path: Path(path).name)
    page = view.page_view(record)
    spent, near = _sums([each.cpu_hours for each in page.spent]), _sums([each.near for each in page.spent])
    return environment.get_template("page.html.j2").render(
        view=page,
        maps=maps,
        bump=charts.bump_chart(record),
        latent=charts.latent_map(record),
        budget=charts.found_against_spent(spent, [round(n) for n in near]),
        citations=citations(record),
        data=json_for_script(viewer_data(page.found)),
    )


def viewer_data(probes: Sequence[found.Found]) -> dict[str, dict]:
    """What the structure viewer needs: structures by their key, and how to draw each element."""
    shown = {probe.id: structures.compact(probe.structure) for probe in probes if probe.structure}
    symbols = {symbol for each in shown.values() for symbol in each["symbols"]}
    names = {probe.id: {"formula": probe.formula, "file": probe.file_name} for probe in probes if probe.structure}
    return {
        "structures": {key: each | names[key] for key, each in shown.items()},
        "looks": structures.element_looks(symbols),
    }


def _sums(values: Sequence[float]) -> list[float]:
    return [sum(values[: i + 1]) for i in range(len(values))]
