"""Paper, axes, colour bar and caption of a map; what is drawn on it is in `hull_map`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from loop.report.formulas import field_formula, mathtext
from loop.report.geometry import CORNERS, Geometry
from loop.report.points import MapNote
from loop.report.styles import Style
from vae.phase_fields import PhaseField

#: Lines of equal energy, meV/atom.
CONTOURS = (25, 50, 100)
#: Beyond the square there is room for the labels of the compounds on its edges.
_XLIM, _YLIM = (-0.05, 1.05), (-0.085, 1.085)
#: Height over width of the axes.
_ASPECT = {"square": (_YLIM[1] - _YLIM[0]) / (_XLIM[1] - _XLIM[0]), "triangle": 0.75**0.5, "line": 0.8}


def lay_out(sizes: Style, geometry: Geometry, n_lines: int) -> tuple[Figure, Axes, Axes]:
    """A figure with axes for the map and the colour bar and room for the caption."""
    em = sizes.font / 72  # inches
    left, right, top, bottom = 4.9 * em, 6.6 * em, 0.8 * em, 3.6 * em
    if geometry.kind == "triangle":
        top, bottom, right = 2.6 * em, 4.2 * em, 8.2 * em
    tall = sizes.side * _ASPECT[geometry.kind]
    height = tall + top + bottom + (1.25 * n_lines + 1.2) * em * 0.86
    width = sizes.side + left + right
    figure = Figure(figsize=(width, height), dpi=sizes.dpi, facecolor="white")
    FigureCanvasAgg(figure)
    base = (height - top - tall) / height
    rectangle = (left / width, base, sizes.side / width, tall / height)
    if geometry.kind == "triangle":
        import mpltern  # noqa: F401 - registers the projection

        axes = figure.add_axes(rectangle, projection="ternary")
    else:
        axes = figure.add_axes(rectangle)
    bar_left = left + sizes.side + (2.2 if geometry.kind == "triangle" else 0.8) * em
    bar = figure.add_axes((bar_left / width, base, 1.1 * em / width, tall / height))
    return figure, axes, bar


def dress(axes: Any, geometry: Geometry, sizes: Style) -> None:
    """Limits, ticks and labels."""
    look: dict[str, Any] = {"fontsize": 1.1 * sizes.font, "labelpad": 0.3 * sizes.font}
    axes.tick_params(labelsize=sizes.font, width=sizes.line, length=2.5 * sizes.line + 1)
    for spine in axes.spines.values():
        spine.set_linewidth(sizes.line)
    if geometry.kind == "triangle":
        _name_corners(axes, geometry, sizes)
        for axis in (axes.taxis, axes.laxis, axes.raxis):
            axis.set_ticks([0.25, 0.5, 0.75], ["0.25", "0.5", "0.75"])
        return
    axes.set_xlim(_XLIM)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_xlabel(geometry.labels[0], **look)
    if geometry.kind == "square":
        axes.set(ylim=_YLIM, facecolor="#e9e9ec")
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        axes.set_ylabel(geometry.labels[1], **look)


def _name_corners(axes: Any, geometry: Geometry, sizes: Style) -> None:
    """The corners of a triangle, upright and clear of what lies there."""
    em = sizes.font
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 1.1 * em, "annotation_clip": False}
    sides = (("center", "bottom", 0.0, 0.6), ("right", "top", -0.3, -0.5), ("left", "top", 0.3, -0.5))
    for corner, label, (ha, va, dx, dy) in zip(CORNERS, geometry.labels, sides, strict=True):
        Axes.annotate(axes, label, corner, (dx * em, dy * em), ha=ha, va=va, gid="corner", **look)


def draw_bar(figure: Figure, bar: Axes, colours: Colormap, scale: Normalize, above: bool, sizes: Style) -> None:
    """The colour bar in meV/atom, with the lines of equal energy; `above` says that some ground lies beyond it."""
    extend = "max" if above else "neither"
    colour_bar = figure.colorbar(ScalarMappable(scale, colours), cax=bar, extend=extend, extendfrac=0.03)
    colour_bar.set_label("Energy above hull (meV/atom)", fontsize=1.1 * sizes.font)
    colour_bar.ax.tick_params(labelsize=sizes.font, width=sizes.line, length=2.5 * sizes.line + 1)
    colour_bar.outline.set_linewidth(sizes.line)
    for level in CONTOURS:
        if level < (scale.vmax or 0):
            colour_bar.ax.axhline(level, color="black", lw=0.5 * sizes.line, alpha=0.55)


def legend_of(marked: Sequence[str], field: PhaseField) -> str:
    """The letters of the new phases and their formulas."""
    names = (mathtext(field_formula(text, field.elements)) for text in marked)
    return "    ".join(f"{letter}  {name}" for letter, name in zip(ascii_lowercase, names, strict=False))


def caption_lines(note: MapNote | None, sizes: Style, *remarks: str) -> list[str]:
    """What the map rests on, in lines that fit beneath it."""
    if note is None:
        return []
    text = " ".join(filter(None, [note.text(), *remarks]))
    return textwrap.wrap(text, int((sizes.side * 72 / sizes.font + 9) / (0.86 * 0.53)))


def write_caption(figure: Figure, legend: str, lines: Sequence[str], sizes: Style, colour: str) -> None:
    """Write the legend of the new phases and the caption beneath the map."""
    em = sizes.font / 72
    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"fontsize": 0.86 * sizes.font, "va": "bottom", "ha": "left", "linespacing": 1.25}
    x, y = 1.2 * em / width, 0.4 * em / height
    figure.text(x, y, "\n".join(lines), gid="caption", **look)
    if legend:
        y += 1.25 * len(lines) * 0.86 * em / height
        figure.text(x, y, legend, color=colour, gid="legend", **look)
