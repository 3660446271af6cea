"""The maps of a campaign's fields: files for print, and the pictures that the page embeds."""

from __future__ import annotations

import base64
import io
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dft.execute import usable_cores
from loop.records import CampaignRecord, FieldRecord
from loop.report import found
from loop.report.hull_map import draw_hull_map, places_on_image, save_map
from loop.report.levels import file_stem
from loop.report.points import MapNote, MapPoint, note_from_record, points_from_record
from vae.phase_fields import PhaseField

#: Resolution of the maps beside the page.
_PRINT_DPI = 400
#: Resolution of the ground in an SVG, which is smooth; all else there is lines and text.
_GROUND_DPI = 150
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


@dataclass(frozen=True)
class MapContents:
    """What a map shows: its field, the calculations, the words below it, and the formulas that are marked."""

    phase_field: PhaseField
    points: list[MapPoint]
    note: MapNote
    mark: Sequence[str]

    @classmethod
    def of(cls, field: FieldRecord, record: CampaignRecord) -> MapContents:
        """Of the map of a field."""
        remark = "Calculations are missing: the campaign is running." if field.verdict == "open" else ""
        points = points_from_record(field)
        note = note_from_record(field, points, remark)
        return cls(PhaseField.parse(field.phase_field), points, note, found.near_hull(field, record))


#: The maps that this process drew last, by file without its ending: a report after each cycle draws what has changed.
_drawn: dict[Path, tuple[MapContents, FieldMap]] = {}

#: Endings of the files of a map.
_KINDS = ("png", "svg")


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
    contents = {folder / name: MapContents.of(field, record) for name, field in fields.items()}
    new = [(path, shown) for path, shown in contents.items() if not _is_drawn(path, shown)]
    processes = processes or min(usable_cores(), 1 + len(new) // _MAPS_PER_PROCESS)
    maps = [draw_map(*order) for order in new] if processes == 1 else _draw_side_by_side(new, processes)
    _drawn.update({path: (shown, drawn) for (path, shown), drawn in zip(new, maps, strict=True)})
    return {name: _drawn[folder / name][1] for name in fields}


def _is_drawn(path: Path, contents: MapContents) -> bool:
    """Whether this process has made this very map before, and its files are still there."""
    if path not in _drawn or _drawn[path][0] != contents:
        return False
    return bool(_drawn[path][1].missing) or all(_file(path, kind).exists() for kind in _KINDS)


def _file(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}.{kind}")


def _draw_side_by_side(orders: Sequence[tuple[Path, MapContents]], processes: int) -> list[FieldMap]:
    """Draw with the help of other processes: this one takes from the end what they have not begun."""
    # matplotlib keeps state that a fork would share
    with ProcessPoolExecutor(processes - 1, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(draw_map, *order) for order in orders]
        mine = {i: draw_map(*orders[i]) for i in reversed(range(len(orders))) if futures[i].cancel()}
        return [mine[i] if i in mine else future.result() for i, future in enumerate(futures)]


def draw_map(path: Path, contents: MapContents) -> FieldMap:
    """Draw a map, save it for print under a path that lacks its ending, and return what the page embeds."""
    try:
        figure = draw_hull_map(contents.points, contents.phase_field, contents.note, contents.mark)
    except ValueError as error:
        return FieldMap(missing=str(error))
    path.parent.mkdir(parents=True, exist_ok=True)
    image = _picture(figure)
    image.save(_file(path, "png"), dpi=(_PRINT_DPI, _PRINT_DPI), compress_level=2)
    save_map(figure, _file(path, "svg"), _GROUND_DPI)
    spots = places_on_image(figure, contents.points, contents.phase_field, image.height)
    return FieldMap(_embedded(image), image.width, image.height, tuple(spots))


def _picture(figure: Figure) -> Image.Image:
    """The figure drawn once, for the file and for the page."""
    figure.set_dpi(_PRINT_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    size = canvas.get_width_height(physical=True)
    return Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")


def _embedded(picture: Image.Image) -> str:
    """A picture as a data address, at the size a page shows it."""
    small = picture.resize((_PAGE_WIDTH, round(picture.height * _PAGE_WIDTH / picture.width)), Image.Resampling.BOX)
    data = io.BytesIO()
    small.save(data, format="webp", quality=85, method=1)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")
