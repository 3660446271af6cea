"""The ground of a map: energies above the hull between the computed compositions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
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
    energy = _spread(energies[nearest], _radii(distance * (resolution - 1)))
    inner = slice(margin, margin + resolution)
    grid, energy, distance = grid[inner, inner], energy[inner, inner], distance[inner, inner]
    normals, offsets = hull.equations[:, :2], hull.equations[:, 2]
    # one edge of the hull after the other; a hair outwards, so that points on the edge belong to it
    inside = np.all(
        [grid[..., 0] * x + grid[..., 1] * y + c <= 1e-9 for (x, y), c in zip(normals, offsets, strict=True)], axis=0
    )
    return Ground(axis, axis, energy, distance, inside, places[hull.vertices])


def _radii(distance: np.ndarray) -> np.ndarray:
    """Radii in grid steps, rounded down: no disc reaches past its own calculation. Large ones go in larger steps."""
    radii = (distance + 1e-9).astype(int)
    return np.where(radii < 16, radii, np.where(radii < 32, radii // 2 * 2, radii // 4 * 4))


def _spread(values: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Mean at each grid point of the values whose discs reach it; all discs of one radius at once."""
    total, weight = np.zeros(values.shape), np.zeros(values.shape)
    for radius in np.unique(radii):
        here = radii == radius
        offset = np.arange(-radius, radius + 1)
        disc = (offset[:, None] ** 2 + offset**2 <= radius**2).astype(float)
        if here.sum() * disc.size < 2_000_000:
            _add_discs(total, weight, values, here, disc)
        else:
            total += fftconvolve(np.where(here, values, 0.0), disc, mode="same")
            weight += fftconvolve(here.astype(float), disc, mode="same")
    return total / np.maximum(weight, 1e-12)


def _add_discs(total: np.ndarray, weight: np.ndarray, values: np.ndarray, here: np.ndarray, disc: np.ndarray) -> None:
    rows, columns = np.nonzero(here)
    di, dj = np.nonzero(disc)
    reach = disc.shape[0] // 2
    i, j = rows[:, None] + di - reach, columns[:, None] + dj - reach
    on_grid = (i >= 0) & (j >= 0) & (i < values.shape[0]) & (j < values.shape[1])
    flat = np.ravel_multi_index((i[on_grid], j[on_grid]), values.shape)
    shares = np.broadcast_to(values[rows, columns][:, None], i.shape)[on_grid]
    total += np.bincount(flat, shares, values.size).reshape(values.shape)
    weight += np.bincount(flat, minlength=values.size).reshape(values.shape)
