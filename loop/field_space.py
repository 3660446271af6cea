"""The geometry of a phase field: coordinates of compositions and the hull of the competing phases over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pymatgen.core import Composition
from scipy.spatial import ConvexHull

from dft.hull import Entry, build_phase_diagram
from dft.section import above_section
from vae import PhaseField

#: Logarithms of the number of atoms in a formula to one unit of distance: by itself, size counts for little.
SIZE = 9.0


def formula_of(composition: Composition | str) -> str:
    """The reduced formula that stands for all multiples of a composition."""
    return Composition(composition).reduced_formula


@dataclass(frozen=True)
class FieldSpace:
    """Where the compositions of a field lie, and what is known of the phases they compete with.

    Attributes:
        field: The phase field.
        competing: Entries of the competing phases, elements included, at one level of theory.
        section: End members between which the hull is built, without the elements; empty for the whole field.

    Raises:
        ValueError: On first use of the hull, if an element or end member has no reference entry or two levels meet.
    """

    field: PhaseField
    competing: tuple[Entry, ...]
    section: tuple[str, ...] = ()

    def fractions(self, compositions: Sequence[Composition]) -> np.ndarray:
        """Atomic fractions in the order of the field's elements, shape (n, n_elements)."""
        rows = [[c.get_atomic_fraction(symbol) for symbol in self.elements] for c in compositions]
        return np.array(rows, dtype=float).reshape(len(rows), len(self.elements))

    def coordinates(self, fractions: np.ndarray) -> np.ndarray:
        """Where compositions lie in the field: the ratio of the cations, of the anions, and cations to anions.

        At fixed charges neutrality leaves two degrees of freedom, the two ratios; the third tells valences apart. A
        ratio that is not defined, as for LiCl among the cations, is known from the other end of its tie lines only
        and stands at equal shares.

        Args:
            fractions: Atomic fractions, shape (n, n_elements).

        Returns:
            Of two cations the share of one, of more each share, the same for the anions, then the fraction of all
            cations; (n, 3) for M-M'-A-A'.
        """
        cations = np.array([symbol not in self.field.anions for symbol in self.elements])
        shares = [_shares(fractions[:, group]) for group in (cations, ~cations) if group.any()]
        return np.column_stack([*shares, fractions[:, cations].sum(axis=1)])

    def features(self, compositions: Sequence[Composition]) -> np.ndarray:
        """What the surrogate measures distances in: the coordinates, and the size of the formula.

        Small formulas tend to lie lower than their neighbours: simple ratios are where ordered compounds are, and their
        cells are searched more thoroughly. How much that counts in a field is learned like any other length.

        Args:
            compositions: Reduced ones.

        Returns:
            Shape (n, n_coordinates + 1).
        """
        sizes = np.array([c.num_atoms for c in compositions], dtype=float)
        return np.column_stack([self.coordinates(self.fractions(compositions)), np.log(sizes) / SIZE])

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """The distinct elements of the field, in its order."""
        return tuple(dict.fromkeys(self.field.elements))

    def _shares_of_ends(self, fractions: np.ndarray) -> np.ndarray:
        """What the hull is built over: atomic fractions, or in a section the shares of its end members."""
        if not self.section:
            return fractions
        ends = self.fractions([Composition(formula) for formula in self.section])
        return fractions @ np.linalg.pinv(ends)

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """Fractions and formation energies, eV/atom, of the stable competing phases."""
        if self.section:
            return self._points_of_section()
        diagram = build_phase_diagram(self.competing)
        stable = sorted(diagram.stable_entries, key=lambda entry: entry.composition.reduced_formula)
        energies = np.array([diagram.get_form_energy_per_atom(entry) for entry in stable])
        return self.fractions([entry.composition for entry in stable]), energies

    def _points_of_section(self) -> tuple[np.ndarray, np.ndarray]:
        """The same between the end members, from which the energies then count; those above the hull do no harm."""
        above = above_section(self.competing, self.section)
        inside = [entry for entry, energy in zip(self.competing, above, strict=True) if energy is not None]
        lowest: dict[str, float] = {}
        for entry in inside:
            formula = entry.composition.reduced_formula
            lowest[formula] = min(entry.energy_per_atom, lowest.get(formula, np.inf))
        fractions = self.fractions([Composition(formula) for formula in lowest])
        of_ends = np.array([lowest[formula_of(formula)] for formula in self.section])
        return fractions, np.array(list(lowest.values())) - self._shares_of_ends(fractions) @ of_ends

    @cached_property
    def competing_energies(self) -> dict[str, float]:
        """Energy above the hull of every competing compound by reduced formula, eV/atom; elements are left out."""
        lowest: dict[str, float] = {}
        for entry, above in zip(self.competing, self._above(), strict=True):
            if above is not None and not entry.composition.is_element:
                formula = entry.composition.reduced_formula
                lowest[formula] = min(max(0.0, above), lowest.get(formula, np.inf))
        return dict(sorted(lowest.items()))

    def _above(self) -> list[float | None]:
        """Distance of each competing phase from their hull, eV/atom; none for one outside the section."""
        if self.section:
            return above_section(self.competing, self.section)
        diagram = build_phase_diagram(self.competing)
        return [float(diagram.get_e_above_hull(entry) or 0.0) for entry in self.competing]

    def hull_energies(self, fractions: np.ndarray, extra: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
        """Formation energy of the hull at given fractions.

        Args:
            fractions: Where, shape (n, n_elements).
            extra: Fractions (m, n_elements) and formation energies (m,), eV/atom, of phases beside the competing ones.

        Returns:
            eV/atom against the elements, in a section against its end members, shape (n,).
        """
        points, energies = self._points
        if extra is not None:
            points, energies = np.vstack([points, extra[0]]), np.concatenate([energies, extra[1]])
        return _lower_hull(self._shares_of_ends(points), energies, self._shares_of_ends(fractions))


def _shares(fractions: np.ndarray) -> np.ndarray:
    total = fractions.sum(axis=1, keepdims=True)
    equal = np.full_like(fractions, 1 / fractions.shape[1])
    shares = np.divide(fractions, total, out=equal, where=total > 0)
    return shares if shares.shape[1] > 2 else shares[:, 1:]  # of two, one says it all


def _lower_hull(points: np.ndarray, energies: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Height of the lower convex hull of points over the composition simplex; a plane per facet, the highest counts."""
    lid = np.append(
        points[:, 1:].mean(axis=0), energies.max() + 10.0
    )  # keeps a hull of the elements alone from being flat
    hull = ConvexHull(np.vstack([np.column_stack([points[:, 1:], energies]), lid]))
    lower = hull.equations[hull.equations[:, -2] < -1e-9]
    planes = -(at[:, 1:] @ lower[:, :-2].T + lower[:, -1]) / lower[:, -2]
    return planes.max(axis=1)
