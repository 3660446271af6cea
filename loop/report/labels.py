"""Labels beside their points, none over another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

#: Behind a label; an outline of the letters would turn them into paths in SVG and PDF.
BACKING = {"boxstyle": "round,pad=0.08", "facecolor": "white", "edgecolor": "none", "alpha": 0.72}
#: Distances from the point tried in turn, in units of the font size.
_DISTANCES = (0.6, 1.2, 2.2, 3.4, 5.0)
#: Above and below a point a label may also stand a little to one side, in units of the font size.
_NUDGES = (0.0, 0.5, -0.5, 1.0, -1.0)
#: Beyond this distance a thin line leads from the label to its point.
_LEADER_FROM = 2.0


def place_labels(
    axes: Axes,
    places: np.ndarray,
    texts: Sequence[str],
    size: float,
    keep_free: Sequence[Bbox] = (),
    rather_free: Sequence[Bbox] = (),
    frame: tuple[np.ndarray, float] = (np.zeros(2), 1.0),
    look: Mapping[str, Any] = MappingProxyType({}),
) -> list[Text]:
    """Write each text near its place, clear of the others, of `keep_free` and of the edge of the axes.

    Labels are set from the first to the last; one that finds no free room is left out: its artist stays invisible.

    Args:
        axes: Where to write; its limits and the figure's size must be final.
        places: Data coordinates, shape (n, 2).
        texts: n strings.
        size: Font size in points.
        keep_free: Boxes in display coordinates that no label may cover.
        frame: Origin and side of the square that holds the places, in data coordinates.
        look: Further properties of the text, such as its colour.
        rather_free: Boxes that a label covers only if it finds no other room within a short distance.

    Returns:
        n text artists.
    """
    taken: list[Bbox] = list(keep_free)
    labels: list[Text] = []
    inside = axes.get_window_extent()
    for place, text in zip(places, texts, strict=True):
        label = axes.annotate(text, place, xytext=(0, 0), textcoords="offset points", fontsize=size, zorder=8)
        label.set(bbox=BACKING, **look)
        directions = _directions(*(np.asarray(place) - frame[0]) / frame[1])
        free = (
            _try(label, directions, _DISTANCES[:3], [*taken, *rather_free], inside)
            or _try(label, directions, _DISTANCES[:2], taken, inside)
            or _try(label, directions, _DISTANCES, taken, inside)
        )
        label.set_visible(free is not None and bool(text))
        if free is not None and text:
            taken.append(free)
            _draw_leader(axes, label)
        labels.append(label)
    return labels


def _directions(x: float, y: float) -> list[tuple[int, int]]:
    """Directions tried in turn: outwards from an edge of the map, sideways elsewhere."""
    out_x, out_y = (-1 if x > 0.5 else 1), (1 if y > 0.5 else -1)
    if y > 0.99 or y < 0.01:
        sideways = out_x if x < 0.01 or x > 0.99 else 0
        return [
            (sideways, out_y),
            (out_x, out_y),
            (0, out_y),
            (-out_x, out_y),
            (out_x, 0),
            (out_x, -out_y),
            (0, -out_y),
        ]
    return [(out_x, 0), (-out_x, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]


def _try(
    label: Annotation,
    directions: Sequence[tuple[int, int]],
    distances: Sequence[float],
    taken: list[Bbox],
    inside: Bbox,
) -> Bbox | None:
    """Move the label to the first free room; its box there, or none."""
    size, pixels = float(label.get_fontsize()), label.figure.dpi / 72  # pixels per point
    for distance in distances:
        for (dx, dy), nudge in _nudged(directions):
            # a label above or below its point needs less room than its full distance
            label.set_position((((0.0 if dy else dx * distance) + nudge) * size, dy * distance * size * 0.8))
            label.set_horizontalalignment(("right", "center", "left")[dx + 1])
            label.set_verticalalignment(("top", "center", "bottom")[dy + 1])
            box = label.get_window_extent()
            if _within(box, inside) and not box.count_overlaps(taken):
                return box.padded(0.15 * size * pixels, 0.06 * size * pixels)  # room between labels
    return None


def _nudged(directions: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], float]]:
    for direction in directions:
        for nudge in _NUDGES if direction[0] == 0 else (0.0,):
            yield direction, nudge


def _draw_leader(axes: Axes, label: Annotation) -> None:
    dx, dy = label.get_position()
    if max(abs(dx), abs(dy)) < _LEADER_FROM * float(label.get_fontsize()):
        return
    arrow = {"arrowstyle": "-", "lw": 0.4, "color": "black", "shrinkA": 0, "shrinkB": 1}
    axes.annotate("", label.xy, xytext=(dx, dy), textcoords="offset points", arrowprops=arrow, zorder=6)


def _within(box: Bbox, outer: Bbox) -> bool:
    return bool(box.x0 >= outer.x0 and box.x1 <= outer.x1 and box.y0 >= outer.y0 and box.y1 <= outer.y1)
