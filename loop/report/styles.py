"""Sizes and colours of a map: for paper, slides and posters, for every eye, and for a black-and-white printer."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.colors import Colormap, LinearSegmentedColormap


@dataclass(frozen=True)
class Style:
    """Sizes of a figure.

    Attributes:
        side: Length of the map's sides, inches.
        font: Font size, points.
        line: Line width of the tripods, points.
        tripod: Size of a tripod, points.
        dpi: Resolution of a PNG.
    """

    side: float
    font: float
    line: float
    tripod: float
    dpi: int


#: A single column (89 mm) with its colour bar, a 16:9 slide, a poster.
STYLES = {
    "paper": Style(side=2.62, font=7.0, line=0.7, tripod=5.0, dpi=450),
    "slide": Style(side=5.6, font=13.0, line=1.3, tripod=10.0, dpi=200),
    "poster": Style(side=9.0, font=22.0, line=2.2, tripod=16.0, dpi=300),
}

#: Every ground is darkest on the hull and its lightness rises steadily, so that each can be read without its hue.
_GROUNDS = {
    "red": ["#4a0008", "#8f0612", "#c4201f", "#e4523c", "#f58f6f", "#fbc9b3", "#fff3ed"],
    "colour-blind": ["#00204d", "#223c6e", "#575d6d", "#7f7c75", "#a99d6f", "#d6c35a", "#ffea46"],  # cividis
    "grey": ["#1a1a1a", "#4d4d4d", "#7a7a7a", "#a3a3a3", "#c8c8c8", "#e4e4e4", "#fafafa"],
}
NEW_PHASE = {"red": "#ff00ff", "colour-blind": "#ff00ff", "grey": "#000000"}


def ground(colours: str) -> Colormap:
    """The colour map of the ground.

    Raises:
        ValueError: If it is unknown.
    """
    if colours not in _GROUNDS:
        raise ValueError(f"colours {colours!r} are unknown, choose from {', '.join(_GROUNDS)}")
    return LinearSegmentedColormap.from_list(f"hull-{colours}", _GROUNDS[colours])


def style(name: str) -> Style:
    """The sizes by their name.

    Raises:
        ValueError: If it is unknown.
    """
    if name not in STYLES:
        raise ValueError(f"style {name!r} is unknown, choose from {', '.join(STYLES)}")
    return STYLES[name]
