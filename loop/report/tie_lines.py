"""Tie lines between stable phases, from pymatgen's phase diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from pymatgen.analysis.phase_diagram import CompoundPhaseDiagram, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.hull import require_one_level
from loop.field_hull import labelled_entry
from loop.report.geometry import Geometry
from loop.report.points import MapPoint


def tie_lines(points: Sequence[MapPoint], geometry: Geometry) -> list[tuple[str, str]]:
    """Pairs of formulas that a tie line joins.

    On a section they are those of the section alone; elsewhere those of the whole field, as far as both ends have a
    place. A square has none: too many phases off its plane take part.

    Args:
        points: Computed compositions; those without an energy are left out.
        geometry: Of the map.

    Raises:
        ValueError: If two levels of theory meet.
    """
    entries = [_entry(point, point.energy_per_atom) for point in points if point.energy_per_atom is not None]
    if geometry.kind == "square" or not entries:
        return []
    require_one_level(entries)
    diagram = _section_diagram(entries, geometry) if geometry.rule == "section" else _diagram(entries)
    if diagram is None:
        return []
    names = [str(getattr(each, "original_entry", each).name) for each in diagram.qhull_entries]
    pairs = {tuple(sorted(pair)) for facet in diagram.facets for pair in combinations((names[i] for i in facet), 2)}
    placed = {name for name in names if geometry.place(Composition(name)) is not None}
    return sorted((a, b) for a, b in pairs if a in placed and b in placed)


def _entry(point: MapPoint, energy_per_atom: float) -> ComputedEntry:
    entry = labelled_entry(point.formula, energy_per_atom, point.level)
    entry.name = point.formula
    return entry


def _diagram(entries: list[ComputedEntry]) -> PhaseDiagram | None:
    elements = {element for entry in entries for element in entry.elements}
    pure = {entry.elements[0] for entry in entries if entry.is_element}
    return PhaseDiagram(entries) if pure == elements else None


def _section_diagram(entries: list[ComputedEntry], geometry: Geometry) -> PhaseDiagram | None:
    """The diagram of the section, if its end members were computed."""
    ends = [Composition(part) for part in geometry.parts]
    inside = [entry for entry in entries if geometry.fractions(entry.composition) is not None]
    computed = {entry.composition.reduced_formula for entry in inside}
    if any(end.reduced_formula not in computed for end in ends):
        return None
    return CompoundPhaseDiagram(inside, ends, normalize_terminal_compositions=False)
