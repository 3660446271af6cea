"""The ground of a map: energies above the hull between the computed compositions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError, cKDTree

#: Further than this from every computed composition, in units of the map's side, the ground is hatched.
SPARSE_BEYOND = 0.12
#: The grid reaches beyond the map by this, so that its edge is weighted like its middle.
_MARGIN = 0.3
#: Rows of discs summed at a time, which bounds the memory.
_AT_A_TIME = 300_000


@dataclass(frozen=True)
class Ground:
    """Interpolated energies on a grid.

    Attributes:
        x: Grid coordinates, shape (n,).
        y: Grid coordinates, shape (n,).
        energy: In the unit given, shape (n, n), rows along y; meaningless where not `inside`.
        distance: Distance to the nearest computed composition, shape (n, n).
        inside: Whether a grid point lies within the computed compositions, shape (n, n).
        outline: Corners of the convex hull of the computed compositions, shape (m, 2).
    """

    x: np.ndarray
    y: np.ndarray
    energy: np.ndarray
    distance: np.ndarray
    inside: np.ndarray
    outline: np.ndarray


def lowest_per_place(places: np.ndarray, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unique places and the lowest energy at each.

    Args:
        places: Shape (n, 2).
        energies: Shape (n,).

    Returns:
        Shapes (m, 2) and (m,), m <= n.
    """
    unique, index = np.unique(np.round(places, 9), axis=0, return_inverse=True)
    lowest = np.full(len(unique), np.inf)
    np.minimum.at(lowest, index.reshape(-1), energies)
    return unique, lowest


def interpolate(places: np.ndarray, energies: np.ndarray, resolution: int = 201) -> Ground | None:
    """Natural-neighbour interpolation between the computed compositions.

    Each point of the ground is a mean of the calculations around it, weighted by how much of their surroundings lies
    nearer to it than to them. So the ground is smooth, passes through every value, and invents no minimum below them.

    Args:
        places: Unique places in the unit square, shape (n, 2).
        energies: eV/atom or any other unit, shape (n,).
        resolution: Grid points along each axis.

    Returns:
        The ground, or none where the places span no area (fewer than three, or all on one line).

    Source:
        Sibson, in Interpreting Multivariate Data, Wiley (1981), on a grid as Park et al., IEEE Trans. Vis. Comput.
        Graph. 12, 243 (2006), doi 10.1109/TVCG.2006.27.
    """
    try:
        hull = ConvexHull(places)
    except (QhullError, ValueError):
        return None
    axis = np.linspace(0.0, 1.0, resolution)
    margin = round(_MARGIN * (resolution - 1))
    wide = np.arange(-margin, resolution + margin) / (resolution - 1)
    grid = np.stack(np.meshgrid(wide, wide), axis=-1)
    distance, nearest = cKDTree(places).query(grid)
    # radii in grid steps, rounded down: no disc reaches past its own calculation
    energy = _spread(energies[nearest], (distance * (resolution - 1) + 1e-9).astype(int), margin)
    inner = slice(margin, margin + resolution)
    grid, distance = grid[inner, inner], distance[inner, inner]
    normals, offsets = hull.equations[:, :2], hull.equations[:, 2]
    # one edge of the hull after the other; a hair outwards, so that points on the edge belong to it
    inside = np.all(
        [grid[..., 0] * x + grid[..., 1] * y + c <= 1e-9 for (x, y), c in zip(normals, offsets, strict=True)], axis=0
    )
    return Ground(axis, axis, energy, distance, inside, places[hull.vertices])


def _spread(values: np.ndarray, radii: np.ndarray, margin: int) -> np.ndarray:
    """Mean at each grid point within the margin of the values whose discs reach it.

    A disc is a stack of rows; each row adds its value where it begins and takes it away where it ends, and one sum
    along the rows of the grid fills all of them.
    """
    n = len(values) - 2 * margin
    size = n * (n + 1)
    totals, counts = np.zeros(size), np.zeros(size, dtype=int)
    for begins, ends, shares in _batches(values, radii, margin):
        totals += np.bincount(begins, shares, size) - np.bincount(ends, shares, size)
        counts += np.bincount(begins, minlength=size) - np.bincount(ends, minlength=size)
    total, count = (np.cumsum(each.reshape(n, n + 1), axis=1)[:, :-1] for each in (totals, counts))
    # sums of many numbers are a hair off: no mean lies outside what it is a mean of
    return np.clip(total / np.maximum(count, 1), values.min(), values.max())


def _batches(values: np.ndarray, radii: np.ndarray, margin: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Where the rows of all discs begin and end on the grid within the margin, and their values, many at a time."""
    n = len(values) - 2 * margin
    rows, columns, radii, values = (each.reshape(-1) for each in (*np.indices(radii.shape) - margin, radii, values))
    order = np.argsort(radii, kind="stable")
    reaches, starts = np.unique(radii[order], return_index=True)
    parts: list[tuple[np.ndarray, ...]] = []
    for radius, members in zip(reaches, np.split(order, starts[1:]), strict=True):
        parts.append(_rows(rows[members], columns[members], values[members], radius, n))
        if sum(len(part[0]) for part in parts) > _AT_A_TIME:
            yield tuple(map(np.concatenate, zip(*parts, strict=True)))
            parts = []
    if parts:
        yield tuple(map(np.concatenate, zip(*parts, strict=True)))


def _rows(i: np.ndarray, j: np.ndarray, values: np.ndarray, radius: int, n: int) -> tuple[np.ndarray, ...]:
    """Where the rows of discs of one radius about (i, j) begin and end on a grid of n by n, and their values."""
    offsets = np.arange(-radius, radius + 1)
    reach = np.sqrt(radius**2 - offsets**2 + 1e-9).astype(int)
    lines = i[:, None] + offsets
    first, last = np.maximum(j[:, None] - reach, 0), np.minimum(j[:, None] + reach + 1, n)
    on_grid = (lines >= 0) & (lines < n) & (first < last)
    base = (lines * (n + 1))[on_grid]
    return base + first[on_grid], base + last[on_grid], np.broadcast_to(values[:, None], lines.shape)[on_grid]
