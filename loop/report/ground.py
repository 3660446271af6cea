"""The ground of a map, drawn: colours, lines of equal energy, and a hatch where it rests on little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Polygon

from loop.report import interpolation
from loop.report.canvas import CONTOURS
from loop.report.geometry import Geometry
from loop.report.styles import Style

#: The colour bar ends between these, meV/atom: a field all near the hull looks dark, beside others too.
_SCALE_FROM, SCALE_LIMIT = 100.0, 200.0
#: Grid points along a side of the ground; few calculations leave nothing for a fine grid to show.
_FEW, _COARSE, _FINE = 60, 101, 201
#: Lines of the hatch across a map of any size.
_HATCH_LINES = 26


def interpolated(places: np.ndarray, energies: np.ndarray, geometry: Geometry) -> interpolation.Ground | None:
    """The ground in the plane of the map; distances stay in units of its side."""
    origin, side = geometry.frame
    resolution = _FINE if len(places) > _FEW else _COARSE
    surface = interpolation.interpolate((places - origin) / side, energies, resolution)
    if surface is None:
        return None
    x, y = origin[0] + side * surface.x, origin[1] + side * surface.y
    return replace(surface, x=x, y=y, outline=origin + side * surface.outline)


def scale_of(energies: np.ndarray) -> Normalize:
    """From the hull to the highest energy, in steps of 25 meV/atom."""
    return Normalize(0.0, float(np.clip(np.ceil(energies.max() / 25) * 25, _SCALE_FROM, SCALE_LIMIT)))


def is_sparse(surface: interpolation.Ground) -> bool:
    """Whether some of the ground lies far from every calculation."""
    return bool(surface.distance[surface.inside].max() > interpolation.SPARSE_BEYOND)


# On a triangle the plain `Axes` methods take places in the plane, mpltern's own would take three coordinates.


def draw_ground(
    axes: Axes,
    places: np.ndarray,
    energies: np.ndarray,
    surface: interpolation.Ground | None,
    colours: Colormap,
    scale: Normalize,
    sizes: Style,
) -> None:
    """Draw the ground, or coloured places where there is none."""
    if surface is None:
        look: dict[str, Any] = {"cmap": colours, "norm": scale, "edgecolors": "black", "linewidths": 0.7 * sizes.line}
        size = (1.9 * sizes.tripod) ** 2
        Axes.scatter(axes, places[:, 0], places[:, 1], c=energies, s=size, zorder=2, gid="places", **look)
        return
    limits = axes.get_xlim(), axes.get_ylim()
    extent = (surface.x[0], surface.x[-1], surface.y[0], surface.y[-1])
    look = {"cmap": colours, "norm": scale, "interpolation": "bilinear", "aspect": "auto"}
    image = Axes.imshow(axes, surface.energy, origin="lower", extent=extent, **look)
    image.set_clip_path(Polygon(surface.outline, transform=axes.transData))
    image.set_gid("ground")
    inside = np.where(surface.inside, surface.energy, np.nan)
    lines: dict[str, Any] = {"colors": "black", "linewidths": 0.5 * sizes.line, "alpha": 0.55, "zorder": 2}
    Axes.contour(axes, surface.x, surface.y, inside, levels=CONTOURS, **lines)
    if is_sparse(surface):
        _hatch(axes, surface, sizes)
    Axes.set_xlim(axes, limits[0])
    Axes.set_ylim(axes, limits[1])


def _hatch(axes: Axes, surface: interpolation.Ground, sizes: Style) -> None:
    sparse = np.where(surface.inside, surface.distance, 0.0)
    look: dict[str, Any] = {"colors": "none", "hatches": ["/" * round(_HATCH_LINES / sizes.side)], "zorder": 3}
    area = Axes.contourf(axes, surface.x, surface.y, sparse, levels=[interpolation.SPARSE_BEYOND, 2.0], **look)
    area.set(hatch_linewidth=0.6 * sizes.line, edgecolor="#8c8c8c", linewidth=0, gid="sparse")
