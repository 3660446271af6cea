"""The map of a pseudo-binary: formation energies from the two ends, with the hull between them."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from pymatgen.core import Composition

from loop.report.formulas import mathtext
from loop.report.geometry import Geometry
from loop.report.labels import BACKING, place_labels
from loop.report.points import MapPoint, Placed
from loop.report.styles import Style


def draw_line(
    axes: Axes,
    shown: Sequence[Placed],
    marked: Sequence[tuple[str, tuple[float, float]]],
    geometry: Geometry,
    colours: Colormap,
    scale: Normalize,
    sizes: Style,
    new_phase: str,
) -> None:
    """Draw tripods at their formation energies, on discs in the colour of their energy above the hull, and tie lines.

    Competing phases on their own hull are white circles, as on the other maps.

    Raises:
        ValueError: If an end member, or an energy, is missing.
    """
    energies = np.array([point.e_above_hull for point, _ in shown]) * 1000
    x, y, corners, hull = on_line(shown, geometry)
    axes.plot(*hull, color="black", lw=1.3 * sizes.line, zorder=2, gid="tie-line")
    look: dict[str, Any] = {"cmap": colours, "norm": scale, "edgecolors": "black", "linewidths": 0.5 * sizes.line}
    known = np.array([point.is_known for point, _ in shown], dtype=bool)
    size, (xs, ys) = 2.2 * sizes.tripod**2, (x[~known], y[~known])
    axes.scatter(xs, ys, c=energies[~known], s=size, zorder=3, gid="places", **look)
    axes.scatter(x[known], y[known], s=size, c="white", edgecolors="black", lw=sizes.line, zorder=5, gid="known")
    (tripods,) = axes.plot(xs, ys, "1", color="black", ms=sizes.tripod, mew=sizes.line, zorder=4, gid="tripods")
    tripods.set_path_effects([withStroke(linewidth=2.4 * sizes.line, foreground="white", alpha=0.75)])
    margin = 0.14 * max(float(np.ptp(y)), 10.0)
    axes.set_ylim(y.min() - margin, y.max() + margin)
    axes.set_ylabel("Formation energy (meV/atom)", fontsize=1.1 * sizes.font, labelpad=0.1 * sizes.font)
    for letter, (_, (place, _)) in zip(ascii_lowercase, marked, strict=False):
        axes.axvline(place, color=new_phase, lw=1.5 * sizes.line, zorder=1, gid=f"mark-{letter}")
        style: dict[str, Any] = {"color": new_phase, "weight": "bold", "fontsize": 1.15 * sizes.font, "bbox": BACKING}
        axes.text(place, y.max() + 0.4 * margin, letter, ha="center", zorder=9, **style)
    texts = [mathtext(shown[i][0].formula) for i in corners]
    radius = 0.75 * sizes.tripod * float(axes.figure.dpi) / 72  # of a disc, pixels
    discs = [Bbox([at - radius, at + radius]) for at in axes.transData.transform(np.column_stack([x, y]))]
    line = [Bbox([at - 1, at + 1]) for at in axes.transData.transform(np.column_stack(hull))]
    place_labels(axes, np.column_stack([x[corners], y[corners]]), texts, 0.92 * sizes.font, discs, line)


def on_line(
    shown: Sequence[Placed], geometry: Geometry
) -> tuple[np.ndarray, np.ndarray, list[int], tuple[np.ndarray, np.ndarray]]:
    """Mole fractions, formation energies (meV/atom), which of them are corners of the hull, and the hull's line.

    Raises:
        ValueError: If an end member, or an energy, is missing.
    """
    x = np.array([place[0] for _, place in shown])
    y = formation_energies([point for point, _ in shown], geometry) * 1000
    ends = [Composition(part).num_atoms for part in geometry.parts] if geometry.rule == "section" else [1.0, 1.0]
    corners = lower_hull(x, y * atoms_per_mole(x, ends))
    return x, y, corners, tie_line(x[corners], y[corners], ends)


def formation_energies(points: Sequence[MapPoint], geometry: Geometry) -> np.ndarray:
    """Energies against the lowest of each end, eV/atom.

    Raises:
        ValueError: If an end was not computed or a point has no energy.
    """
    if any(point.energy_per_atom is None for point in points):
        raise ValueError("a line map needs the total energies, not only those above the hull")
    energies = np.array([float(point.energy_per_atom or 0.0) for point in points])
    fractions = np.array([geometry.fractions(point.composition) for point in points])
    ends = []
    for i, part in enumerate(geometry.parts):
        pure = fractions[:, i] > 1 - 1e-6
        if not pure.any():
            raise ValueError(f"no line between {' and '.join(geometry.parts)}: {part} was not computed")
        ends.append(energies[pure].min())
    atoms = fractions * [Composition(part).num_atoms for part in geometry.parts]
    return energies - atoms / atoms.sum(axis=1, keepdims=True) @ ends


def atoms_per_mole(x: np.ndarray, ends: Sequence[float]) -> np.ndarray:
    """Atoms in one mole of the ends together, at mole fraction `x` of the second."""
    return (1 - x) * ends[0] + x * ends[1]


def lower_hull(x: np.ndarray, energy_per_mole: np.ndarray) -> list[int]:
    """Indices of the corners of the lower hull, by x.

    Args:
        x: Mole fractions of the second end.
        energy_per_mole: Formation energies per mole of the ends; only per mole are mixtures straight lines over x.
    """
    y = energy_per_mole
    lowest = [min(np.flatnonzero(np.isclose(x, value)), key=lambda i: y[i]) for value in np.unique(np.round(x, 9))]
    below = [int(i) for i in lowest if y[i] <= 1e-9]
    corners: list[int] = []
    for i in below:  # monotone chain
        while len(corners) > 1 and _turns_up(x, y, corners[-2], corners[-1], i):
            corners.pop()
        corners.append(i)
    return corners


def _turns_up(x: np.ndarray, y: np.ndarray, first: int, middle: int, last: int) -> bool:
    """Whether the middle point lies above the line between its neighbours."""
    straight = y[first] + (y[last] - y[first]) * (x[middle] - x[first]) / (x[last] - x[first])
    return bool(y[middle] > straight + 1e-12)


def tie_line(x: np.ndarray, y: np.ndarray, ends: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Energies per atom of the mixtures between the corners: straight per mole, slightly bent per atom."""
    fine = np.unique(np.concatenate([x, np.linspace(x[0], x[-1], 201)]))
    return fine, np.interp(fine, x, y * atoms_per_mole(x, ends)) / atoms_per_mole(fine, ends)
