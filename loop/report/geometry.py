"""Where a composition lies on a map: a square, a triangle or a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pymatgen.core import Composition

from loop.report.formulas import mathtext
from vae.phase_fields import PhaseField

#: Corners of a triangle map in the plane: top, left, right, where mpltern has them.
CORNERS = np.array([(0.0, 1.0), (-1 / np.sqrt(3), 0.0), (1 / np.sqrt(3), 0.0)])


@dataclass(frozen=True)
class Geometry:
    """How compositions are laid out.

    Attributes:
        kind: square, triangle or line.
        parts: What the coordinates count: two pairs of elements (square), or three or two elements or end members.
        rule: cations over anions (``pairs``), shares of elements among all of them (``elements``) or among the parts
            alone (``share``), or amounts of end members (``section``).
        without: What a composition lacks that has no place, in words.
    """

    kind: Literal["square", "triangle", "line"]
    parts: tuple[str, ...]
    rule: Literal["pairs", "elements", "share", "section"]
    without: str

    def fractions(self, composition: Composition) -> np.ndarray | None:
        """Coordinates from 0 to 1: two for a square, else one per part with sum 1; none where there is no place."""
        if self.rule == "section":
            return _in_end_members(composition, self.parts)
        amounts = np.array([composition.get_el_amt_dict().get(symbol, 0.0) for symbol in self.parts])
        if self.rule == "pairs":
            first, second = amounts[:2].sum(), amounts[2:].sum()
            return np.array([amounts[0] / first, amounts[2] / second]) if first > 0 and second > 0 else None
        # one anion among three cations, or the reverse: the fourth element must be there
        lacks_fourth = self.rule == "share" and composition.num_atoms - amounts.sum() < 1e-9
        return None if amounts.sum() <= 0 or lacks_fourth else amounts / amounts.sum()

    def place(self, composition: Composition) -> tuple[float, float] | None:
        """Place in the plane, within `frame`; a line runs along x."""
        fractions = self.fractions(composition)
        if fractions is None:
            return None
        if self.kind == "triangle":
            fractions = fractions @ CORNERS
        elif self.kind == "line":
            fractions = np.array([fractions[1], 0.0])
        return float(fractions[0]), float(fractions[1])

    @property
    def frame(self) -> tuple[np.ndarray, float]:
        """Origin and side of the square in the plane that holds every place."""
        if self.kind == "triangle":
            return CORNERS[1], float(CORNERS[2, 0] - CORNERS[1, 0])
        return np.zeros(2), 1.0

    @property
    def labels(self) -> tuple[str, ...]:
        """What the axes, or the corners of a triangle, are."""
        if self.rule == "pairs":
            m, m2, a, a2 = self.parts
            return f"{m} / ({m} + {m2})", f"{a} / ({a} + {a2})"
        if self.kind == "line":
            first, second = map(mathtext, self.parts)
            return (f"{second} / ({first} + {second})",)
        return tuple(mathtext(part) for part in self.parts)

    @property
    def sides(self) -> str:
        """What each side of a triangle counts, in words; empty for the other kinds, whose axes say it."""
        if self.kind != "triangle":
            return ""
        top, left, right = map(mathtext, self.parts)
        each = f"of {top} (right), {left} (left) and {right} (below)"
        if self.rule == "share":
            return f"shares {each} among themselves"
        return f"{'mole' if self.rule == 'section' else 'atomic'} fractions {each}"


def geometry_of(field: PhaseField, section: Sequence[str] = ()) -> Geometry:
    """The geometry that suits a field, or a section through it.

    Two cations and two anions make a square; three elements, or three of one kind and one of the other, a triangle;
    two elements, or a section between two end members, a line; a section between three end members a triangle.

    Args:
        field: The phase field.
        section: Formulas of two or three end members.

    Raises:
        ValueError: If no geometry suits it.
    """
    if section:
        return _section(field, section)
    cations, anions, elements = *_roles(field), field.elements
    if not field.has_repeats:
        if len(cations) == 2 and len(anions) == 2:
            return Geometry("square", (*cations, *anions), "pairs", "a cation or an anion")
        if len(elements) == 3:
            return Geometry("triangle", elements, "elements", "")
        if len(elements) == 2:
            return Geometry("line", elements, "elements", "")
        if len(elements) == 4 and {len(cations), len(anions)} == {1, 3}:
            three, one = (cations, anions) if len(cations) == 3 else (anions, cations)
            return Geometry("triangle", three, "share", f"{one[0]}, or all of {', '.join(three)},")
    raise ValueError(
        f"no map for the field {field}: it has {len(cations)} cations and {len(anions)} anions; "
        "give two or three end members as a section"
    )


def _roles(field: PhaseField) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cations and anions of a field; of one cation and three anions, P, As, Se or Te may be meant as the second cation.

    Phosphorus and arsenic beside two more electronegative anions are (thiophosphates, phosphates), selenium and
    tellurium beside oxygen or fluorine.
    """
    cations, anions = field.cations, field.anions
    if len(cations) == 1 and len(anions) == 3:
        first, *others = anions  # the least electronegative comes first
        if first in ("P", "As") or (first in ("Se", "Te") and {"O", "F"} & set(others)):
            return (*cations, first), tuple(others)
    return cations, anions


def _section(field: PhaseField, section: Sequence[str]) -> Geometry:
    if len(section) not in (2, 3):
        raise ValueError(f"the section {','.join(section)} has {len(section)} end members: give two or three")
    columns = []
    for text in section:
        try:
            amounts = Composition(text).get_el_amt_dict()
        except (ValueError, KeyError) as error:
            raise ValueError(f"the end member {text!r} is no formula") from error
        outside = sorted(set(amounts) - set(field.elements))
        if outside or not amounts:
            raise ValueError(f"the end member {text!r} holds {', '.join(outside)}, which the field {field} has not")
        columns.append([amounts.get(symbol, 0.0) for symbol in field.elements])
    if np.linalg.matrix_rank(np.array(columns)) < len(section):
        raise ValueError(f"the end members {', '.join(section)} span no section: one is a mixture of the others")
    kind: Literal["triangle", "line"] = "triangle" if len(section) == 3 else "line"
    return Geometry(kind, tuple(section), "section", f"a place on the section {'–'.join(section)}")


def _in_end_members(composition: Composition, parts: Sequence[str]) -> np.ndarray | None:
    """Mole fractions of the end members that make up a composition; none if they do not."""
    ends = [Composition(part).get_el_amt_dict() for part in parts]
    wanted = composition.fractional_composition.get_el_amt_dict()
    symbols = sorted({*wanted, *(symbol for end in ends for symbol in end)})
    matrix = np.array([[end.get(symbol, 0.0) for end in ends] for symbol in symbols])
    target = np.array([wanted.get(symbol, 0.0) for symbol in symbols])
    amounts = np.linalg.lstsq(matrix, target, rcond=None)[0]
    if np.abs(matrix @ amounts - target).max() > 1e-6 or amounts.min() < -1e-6:
        return None
    amounts = np.clip(amounts, 0.0, None)
    return amounts / amounts.sum()
