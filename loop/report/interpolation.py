"""The ground of a map: energies above the hull between the computed compositions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError, cKDTree

#: Further than this from every computed composition, in units of the map's side, the ground is hatched.
SPARSE_BEYOND = 0.12
#: The grid reaches beyond the map by this, so that its edge is weighted like its middle.
_MARGIN = 0.3


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
    energy = _spread(energies[nearest], (distance * (resolution - 1) + 1e-9).astype(int))
    inner = slice(margin, margin + resolution)
    grid, energy, distance = grid[inner, inner], energy[inner, inner], distance[inner, inner]
    normals, offsets = hull.equations[:, :2], hull.equations[:, 2]
    # one edge of the hull after the other; a hair outwards, so that points on the edge belong to it
    inside = np.all(
        [grid[..., 0] * x + grid[..., 1] * y + c <= 1e-9 for (x, y), c in zip(normals, offsets, strict=True)], axis=0
    )
    return Ground(axis, axis, energy, distance, inside, places[hull.vertices])


def _spread(values: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Mean at each grid point of the values whose discs reach it.

    A disc is a stack of rows; each row adds its value where it begins and takes it away where it ends, and one sum
    along the rows of the grid fills all of them.
    """
    height, width = values.shape
    ends = [np.zeros(height * (width + 1)) for _ in range(2)]  # of sums of values, and of counts
    for radius in np.unique(radii):
        rows, columns = np.nonzero(radii == radius)
        offsets = np.arange(-radius, radius + 1)
        reach = np.sqrt(radius**2 - offsets**2 + 1e-9).astype(int)
        i = rows[:, None] + offsets
        on_grid = (i >= 0) & (i < height)
        first = i * (width + 1) + np.maximum(columns[:, None] - reach, 0)
        last = i * (width + 1) + np.minimum(columns[:, None] + reach, width - 1) + 1
        places = np.concatenate([first[on_grid], last[on_grid]])
        shares = np.broadcast_to(values[rows, columns][:, None], i.shape)[on_grid]
        for end, amount in zip(ends, (shares, np.ones_like(shares)), strict=True):
            end += np.bincount(places, np.concatenate([amount, -amount]), end.size)
    total, weight = (np.cumsum(end.reshape(height, width + 1), axis=1)[:, :-1] for end in ends)
    # sums of many numbers are a hair off: no mean lies outside what it is a mean of
    return np.clip(total / np.maximum(weight, 1e-12), values.min(), values.max())
