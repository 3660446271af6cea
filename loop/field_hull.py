"""The hull of an explored field, from the campaign's calculations at one level of theory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pandas as pd
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from dft.analogues import BY_ANALOGY
from dft.hull import LEVEL_KEY, HullPoint, build_phase_diagram, hull_points
from dft.section import above_section, section_points
from loop.records import CalculationRecord


@dataclass(frozen=True)
class FieldHull:
    """The calculations of a field seen against their hull.

    Attributes:
        probes: Columns of `loop.records.FieldRecord.probes`.
        competing: Columns of `loop.records.FieldRecord.competing`.
        reason: Why there is no hull; empty if there is one.
    """

    probes: pd.DataFrame
    competing: pd.DataFrame
    reason: str = ""
    points: tuple[HullPoint, ...] = field(default=(), repr=False)

    @property
    def best(self) -> pd.Series | None:
        """The probe nearest to the hull of the competing phases, or below it; none without an energy."""
        energies = self.probes["e_above_competing"].astype(float)
        return None if energies.isna().all() else self.probes.loc[energies.idxmin()]

    def of_whole_field(self, elements: Collection[str]) -> FieldHull:
        """Without the probes that lack an element of the field: what they tell is of another one."""
        whole = [set(elements) <= set(Composition(formula).as_dict()) for formula in self.probes["formula"]]
        return replace(self, probes=self.probes.loc[np.array(whole, dtype=bool)])

    @property
    def n_probes(self) -> int:
        """Probe compositions that have an energy above the hull."""
        return int(self.probes["e_above_competing"].notna().sum())

    @property
    def missing_competing(self) -> list[str]:
        """Formulas of known competing phases that have no energy: the hull may lie too high for want of them."""
        return self._missing(by_analogy=False)

    @property
    def missing_by_analogy(self) -> list[str]:
        """Formulas by analogy that have no energy; there may be no such phase."""
        return self._missing(by_analogy=True)

    def _missing(self, by_analogy: bool) -> list[str]:
        guessed = self.competing["choice"].str.startswith(BY_ANALOGY)
        wanted = self.competing["energy_per_atom"].isna() & (guessed == by_analogy)
        return self.competing["formula"][wanted].tolist()

    @property
    def n_competing(self) -> int:
        """Competing phases that have an energy."""
        return int(self.competing["energy_per_atom"].notna().sum())


def field_hull(
    probes: Sequence[CalculationRecord], competing: Sequence[CalculationRecord], section: Sequence[str] = ()
) -> FieldHull:
    """Put the finished calculations of a field on one hull; the others are listed and take no part.

    Args:
        probes: Records of the probe calculations.
        competing: Records of the competing phases, elements included, at the same level of theory.
        section: End members, for a hull between them without the elements.
    """
    done_probes = [record for record in probes if record.energy_per_atom is not None]
    done_competing = [record for record in competing if record.energy_per_atom is not None]
    try:
        points, distances = _points([entry_of(r) for r in done_probes], [entry_of(r) for r in done_competing], section)
    except ValueError as error:
        return FieldHull(_probe_table(probes, {}), _competing_table(competing, {}), str(error))
    above = {r.hash: d for r, d in zip(done_competing, distances, strict=True) if d is not None}
    by_hash = {record.hash: point for record, point in zip(done_probes, points, strict=True)}
    return FieldHull(_probe_table(probes, by_hash), _competing_table(competing, above), points=tuple(points))


def _points(
    probes: list[ComputedEntry], competing: list[ComputedEntry], section: Sequence[str]
) -> tuple[list[HullPoint], list[float | None]]:
    """Probes on the hull, and the distance of each competing phase from the hull of the competing phases."""
    if section:
        return section_points(probes, competing, section), above_section(competing, section)
    diagram = build_phase_diagram(competing)
    return hull_points(probes, competing), [float(diagram.get_e_above_hull(entry) or 0.0) for entry in competing]


def entry_of(record: CalculationRecord) -> ComputedEntry:
    """A finished calculation as an entry that carries its level of theory; total energy in eV.

    Raises:
        ValueError: If it has no energy.
    """
    if record.energy_per_atom is None:
        raise ValueError(f"{record.composition} has no energy and can be on no hull")
    return labelled_entry(record.composition, record.energy_per_atom, record.level)


def labelled_entry(formula: str, energy_per_atom: float, level: str) -> ComputedEntry:
    """An entry of total energy in eV, from eV/atom; without a level of theory, as from a table, it carries none."""
    composition = Composition(formula)
    data = {LEVEL_KEY: level} if level else {}
    return ComputedEntry(composition, float(energy_per_atom) * composition.num_atoms, data=data)


def _probe_table(records: Sequence[CalculationRecord], points: dict[str, HullPoint]) -> pd.DataFrame:
    rows = []
    for record in records:
        point = points.get(record.hash)
        rows.append(
            {
                **asdict(record),
                "formula": Composition(record.composition).reduced_formula,
                "e_above_hull": point.e_above_hull if point else None,
                "e_above_competing": point.e_above_competing if point else None,
                "decomposition": point.decomposition if point else {},
                "competing_decomposition": point.competing_decomposition if point else {},
            }
        )
    columns = [*CalculationRecord.__dataclass_fields__, "formula", "e_above_hull", "e_above_competing"]
    return pd.DataFrame(rows, columns=[*columns, "decomposition", "competing_decomposition"])


def _competing_table(records: Sequence[CalculationRecord], above: dict[str, float]) -> pd.DataFrame:
    rows = [
        {
            "formula": Composition(record.composition).reduced_formula,
            "state": record.state,
            "reason": record.reason,
            "energy_per_atom": record.energy_per_atom,
            "e_above_hull": above.get(record.hash),
            "level": record.level,
            "n_structures": record.n_structures,
            "generator": record.generator,
            "choice": record.choice,
            "structure": record.structure,
            "hash": record.hash,
        }
        for record in records
    ]
    columns = ["formula", "state", "reason", "energy_per_atom", "e_above_hull", "level", "n_structures", "generator"]
    return pd.DataFrame(rows, columns=[*columns, "choice", "structure", "hash"])
