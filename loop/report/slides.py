"""The campaign as PowerPoint: a summary, and one slide per field with its map and its best compositions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loop.records import CampaignRecord, FieldRecord
from loop.report import view
from loop.report.hull_map import draw_hull_map
from loop.report.points import level_in_words, note_from_record, points_from_record
from vae.phase_fields import PhaseField

#: Compositions on a slide.
_ROWS = 8
_HEAD = ("Composition", "From competing phases (meV/atom)", "Decomposes into")


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
    lines = [page.state, f"Level of theory: {page.level}", f"{page.cpu_hours:.2f} CPU-hours in calculations"]
    if page.found:
        near = f"{len(page.near)} of {len(page.found)} compositions within {view.mev(page.stable_below)} meV/atom"
        lines.append(f"{near} of the competing phases")
    _write(slide, lines, top=1.3, height=1.9)
    if page.found:
        rows = [(f"{each.formula} ({each.phase_field})", *_energies(each)) for each in page.found[:_ROWS]]
        _table(slide, rows, left=0.6, top=3.3, width=12.1)


def _field_slide(deck: Any, field: FieldRecord, record: CampaignRecord) -> None:
    from pptx.util import Inches

    slide = _titled(deck, f"{field.phase_field}: {field.verdict}")
    points = points_from_record(field)
    try:
        mark = view.near_hull(field, record)
        figure = draw_hull_map(points, PhaseField.parse(field.phase_field), note_from_record(field), mark, size="slide")
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=160)
        picture = slide.shapes.add_picture(image, Inches(0.4), Inches(1.15), height=Inches(6.2))
        picture._element.nvPicPr.cNvPr.set("descr", f"Energy above hull over {field.phase_field}")
    except ValueError as error:
        _write(slide, [str(error)], top=1.4, height=1.0, width=6.0)
    _write(
        slide,
        [field.reason or "No verdict yet.", f"Level of theory: {level_in_words(field.level)}"],
        1.2,
        1.3,
        left=7.1,
        width=5.9,
    )
    rows = [(each.formula, *_energies(each)) for each in view.found_in(field)[:_ROWS]]
    if rows:
        _table(slide, rows, left=7.1, top=2.7, width=5.9)


def _energies(probe: view.Found) -> tuple[str, str]:
    return view.mev(probe.e_above_competing, signed=True), probe.decomposition


def _titled(deck: Any, title: str) -> Any:
    slide = deck.slides.add_slide(deck.slide_layouts[5])  # title only
    from pptx.util import Inches, Pt

    box = slide.shapes.title
    box.left, box.top, box.width, box.height = Inches(0.5), Inches(0.25), Inches(12.3), Inches(0.8)
    box.text_frame.text = title
    box.text_frame.paragraphs[0].runs[0].font.size = Pt(32)
    return slide


def _write(slide: Any, lines: Sequence[str], top: float, height: float, left: float = 0.6, width: float = 12.1) -> None:
    from pptx.util import Inches, Pt

    frame = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(width), Inches(height)).text_frame
    frame.word_wrap = True
    for i, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if i == 0 else frame.add_paragraph()
        paragraph.text = line
        paragraph.font.size = Pt(16)


def _table(slide: Any, rows: Sequence[Sequence[str]], left: float, top: float, width: float) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    height = 0.38 * (len(rows) + 1)
    box = (Inches(left), Inches(top), Inches(width), Inches(height))
    table = slide.shapes.add_table(len(rows) + 1, len(_HEAD), *box).table
    for column, share in enumerate((0.3, 0.2, 0.5)):
        table.columns[column].width = Inches(width * share)
    for i, row in enumerate([_HEAD, *rows]):
        for j, text in enumerate(row):
            cell = table.cell(i, j)
            cell.text = text
            cell.text_frame.paragraphs[0].font.size = Pt(12)
            if i == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor(0x8F, 0x06, 0x12)
