"""The campaign as PowerPoint: a summary, and one slide per field with its map and its best compositions."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loop.records import CampaignRecord, FieldRecord
from loop.report import found, readable, view
from loop.report.formulas import lowered
from loop.report.hull_map import draw_hull_map
from loop.report.points import level_in_words, level_of, note_from_record, points_from_record
from loop.units import cpu_time
from vae.phase_fields import PhaseField

#: Compositions on a slide.
_ROWS = 8
_HEAD = ("Composition", "From competing phases (meV/atom)", "Decomposes into (fractions of atoms)")
#: Shares of the table's width; points; inches from the top that nothing passes; line height in units of the font.
_SHARES, _CELL_FONT, _BOTTOM, _LINE = (0.3, 0.22, 0.48), 12, 7.3, 1.2
#: Inches for a map beside its table; that of a line is wider than high.
_MAP_WIDTH = 6.5


def write_slides(record: CampaignRecord, path: Path) -> Path:
    """Write a 16:9 presentation.

    Args:
        record: The campaign, empty, in progress or complete.
        path: The .pptx file.

    Raises:
        ModuleNotFoundError: If python-pptx is not installed, with the command that installs it.
    """
    try:
        from pptx import Presentation
        from pptx.util import Inches
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("slides need python-pptx: pip install 'phaseloop[slides]'") from error
    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
    page = view.page_view(record)
    _summary(deck, page)
    for field in page.fields:
        _field_slide(deck, field, record)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    deck.save(str(path))
    return path


def _summary(deck: Any, page: view.PageView) -> None:
    slide = _titled(deck, page.record.name)
    lines = [page.state, f"Level of theory: {page.level}", f"{cpu_time(page.cpu_hours)} in calculations"]
    if page.found:
        limit = readable.mev(page.stable_below, digits=0)
        near = f"{len(page.near)} of {len(page.found)} compositions within {limit} meV/atom"
        lines.append(f"{near} of the competing phases")
    bottom = _write(slide, lines, top=1.2)
    if page.found:
        rows = [(f"{lowered(each.formula)} ({each.phase_field})", *_energies(each)) for each in page.found]
        _table(slide, rows, left=0.6, top=bottom + 0.1, width=12.1)


def _field_slide(deck: Any, field: FieldRecord, record: CampaignRecord) -> None:
    from pptx.util import Inches

    slide = _titled(deck, f"{field.phase_field}: {field.verdict}")
    points = points_from_record(field)
    try:
        mark = found.near_hull(field, record)
        note = note_from_record(field, points)
        figure = draw_hull_map(points, PhaseField.parse(field.phase_field), note, mark, size="slide")
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=160)
        wide, tall = figure.get_size_inches()
        height = min(6.2, _MAP_WIDTH * tall / wide)
        picture = slide.shapes.add_picture(image, Inches(0.4), Inches(1.15), height=Inches(height))
        picture._element.nvPicPr.cNvPr.set("descr", f"Energy above hull over {field.phase_field}")
    except ValueError as error:
        _write(slide, [str(error)], top=1.4, width=6.0)
    told = [
        lowered(readable.sentence(field.reason)) or "No verdict yet.",
        f"Level of theory: {level_in_words(level_of(field))}",
    ]
    bottom = _write(slide, told, top=1.2, left=7.1, width=5.9, size=12)
    rows = [(lowered(each.formula), *_energies(each)) for each in found.found_in(field)]
    if rows:
        _table(slide, rows, left=7.1, top=bottom + 0.1, width=5.9)


def _energies(probe: found.Found) -> tuple[str, str]:
    return readable.mev(probe.e_above_competing, signed=True), lowered(probe.decomposition)


def _titled(deck: Any, title: str) -> Any:
    slide = deck.slides.add_slide(deck.slide_layouts[5])  # title only
    from pptx.util import Inches, Pt

    box = slide.shapes.title
    box.left, box.top, box.width, box.height = Inches(0.5), Inches(0.25), Inches(12.3), Inches(0.8)
    box.text_frame.text = title
    box.text_frame.paragraphs[0].runs[0].font.size = Pt(32)
    return slide


def _write(
    slide: Any, lines: Sequence[str], top: float, left: float = 0.6, width: float = 12.1, size: float = 16
) -> float:
    """Write paragraphs; inches. Where they end, by their length."""
    from pptx.util import Inches, Pt

    height = sum(_n_lines(line, width - 0.2, size) for line in lines) * _LINE * size / 72 + 0.1
    frame = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(width), Inches(height)).text_frame
    frame.word_wrap = True
    for i, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if i == 0 else frame.add_paragraph()
        paragraph.text = line
        paragraph.font.size = Pt(size)
    return top + height


def _n_lines(text: str, width: float, size: float) -> int:
    """Lines that a text takes up in so many inches at so many points; a letter is about half as wide as high."""
    return max(1, math.ceil(len(text) * 0.53 * size / 72 / width))


def _table(slide: Any, rows: Sequence[Sequence[str]], left: float, top: float, width: float) -> None:
    """A table of as many rows as there is room for on the slide."""
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    widths = [width * share for share in _SHARES]
    heights = [_row_height(row, widths) for row in [_HEAD, *rows[:_ROWS]]]
    while len(heights) > 2 and top + sum(heights) > _BOTTOM:
        heights.pop()
    box = (Inches(left), Inches(top), Inches(width), Inches(sum(heights)))
    table = slide.shapes.add_table(len(heights), len(_HEAD), *box).table
    for column, inches in enumerate(widths):
        table.columns[column].width = Inches(inches)
    for i, (row, height) in enumerate(zip([_HEAD, *rows], heights, strict=False)):
        table.rows[i].height = Inches(height)
        for j, text in enumerate(row):
            cell = table.cell(i, j)
            cell.text = text
            cell.text_frame.paragraphs[0].font.size = Pt(_CELL_FONT)
            if i == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor(0x8F, 0x06, 0x12)


def _row_height(row: Sequence[str], widths: Sequence[float]) -> float:
    n_lines = max(_n_lines(text, width - 0.2, _CELL_FONT) for text, width in zip(row, widths, strict=True))
    return n_lines * _LINE * _CELL_FONT / 72 + 0.12
