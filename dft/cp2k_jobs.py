"""atomate2's CP2K Makers, and what they need to read a run without spin polarisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomate2.cp2k.jobs.base import BaseCp2kMaker, cp2k_job
from atomate2.cp2k.jobs.core import CellOptMaker, RelaxMaker, StaticMaker
from atomate2.cp2k.schemas.calculation import CalculationInput
from jobflow import Response
from pymatgen.core import Structure


class _AnySpin:
    """A Maker that reads runs with and without spin polarisation."""

    @cp2k_job
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> Response:
        """Run CP2K on a structure; the output is atomate2's task document."""
        whole_job: Any = BaseCp2kMaker.make
        with restricted_runs_understood():
            return whole_job.original(self, structure, prev_dir)


@dataclass
class Static(_AnySpin, StaticMaker):
    """atomate2's Maker of a single point."""


@dataclass
class Relax(_AnySpin, RelaxMaker):
    """atomate2's Maker of a relaxation of the positions."""


@dataclass
class CellOpt(_AnySpin, CellOptMaker):
    """atomate2's Maker of a relaxation of cell and positions."""


@contextmanager
def restricted_runs_understood() -> Iterator[None]:
    """Read the DFT section of a run without spin polarisation, for as long as this lasts.

    atomate2 0.1.5 looks for the word UKS among values that it takes for text, and fails on the first number where the
    word is not there (`CalculationInput.cleanup_dft`).
    """
    schema: Any = CalculationInput
    before = schema.__dict__["from_cp2k_output"]
    schema.from_cp2k_output = classmethod(_read_input)
    try:
        yield
    finally:
        schema.from_cp2k_output = before


def _read_input(cls: Any, output: Any) -> CalculationInput:
    dft = output.data.get("dft") or {}
    restricted = "UKS" not in [value for value in dft.values() if isinstance(value, str)]
    read: CalculationInput = cls(
        structure=output.initial_structure,
        atomic_kind_info=output.data.get("atomic_kind_info"),
        cp2k_input=output.input.as_dict(),
        dft=_as_text(dft) if restricted else dft,  # which begins with the word UKS
        cp2k_global=output.data.get("global"),
    )
    return read


def _as_text(dft: dict[str, Any]) -> dict[str, str]:
    """The values as text, which the schema asks for again whenever the document is read; tables are left out."""
    flat = {key: value for key, value in dft.items() if not isinstance(value, dict)}
    return {key: " ".join(map(str, v)) if isinstance(v, list) else _told(v) for key, v in flat.items()}


def _told(value: Any) -> str:
    return "" if value is None or value is False else str(value)
