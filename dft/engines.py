"""Calculators that atomate2's force-field Makers load by name: one per process and model, metered.

atomate2 takes any function that returns an ASE calculator (``force_field_name={"@module": ..., "@callable": ...}``).
These keep the model for the life of the process, so that a worker loads it once for all its jobs.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class Meter(Calculator):
    """A calculator that counts its calls and the seconds they take.

    Attributes:
        inner: The calculator that does the work.
        calls: Energy-and-force evaluations so far.
        seconds: Wall-clock seconds in them.
        differentiates: Whether the calculator takes its forces with torch.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 (as ASE declares it)

    def __init__(self, inner: Calculator, differentiates: bool = True) -> None:
        super().__init__()
        self.inner = inner
        self.differentiates = differentiates
        self.calls = 0
        self.seconds = 0.0

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Energy (eV), forces (eV/Å) and stress (eV/Å³) of the atoms; nothing of an earlier call remains."""
        super().calculate(atoms, properties, system_changes)
        self.results = {}
        start = time.perf_counter()
        try:
            with first_derivatives_only() if self.differentiates else contextlib.nullcontext():
                self.inner.calculate(atoms, properties, system_changes)
        finally:
            self.calls += 1
            self.seconds += time.perf_counter() - start
        self.results = {key: self.inner.results[key] for key in (*self.implemented_properties, "free_energy")}


@contextlib.contextmanager
def first_derivatives_only() -> Iterator[None]:
    """Take forces and stress without a graph for second derivatives, for as long as this lasts.

    CHGNet asks for that graph because its training needs it; in a relaxation it is a fifth of the CPU time of a force
    call (`benchmarks/force_calls.py`). No other thread may differentiate meanwhile.
    """
    import torch

    grad = torch.autograd.grad

    def first_order(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return grad(outputs, inputs, *args, **{**kwargs, "create_graph": False})

    torch.autograd.grad = first_order
    try:
        yield
    finally:
        torch.autograd.grad = grad


@cache
def chgnet(model_name: str = "0.3.0") -> Meter:
    """CHGNet, its weights from the chgnet wheel (Deng et al., Nat. Mach. Intell. 5, 1031 (2023))."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the device it runs on
        return Meter(CHGNetCalculator(CHGNet.load(model_name=model_name, verbose=False), on_isolated_atoms="ignore"))


@cache
def sevennet(model: str = "7net-l3i5") -> Meter:
    """SevenNet, its weights from the sevenn wheel (Park et al., J. Chem. Theory Comput. 20, 4857 (2024))."""
    from sevenn.calculator import SevenNetCalculator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends accelerators for GPUs
        return Meter(SevenNetCalculator(model))


@cache
def mace(checkpoint: str) -> Meter:
    """A MACE model from a file that the user names (Batatia et al., NeurIPS 35, 11423 (2022))."""
    from mace.calculators import MACECalculator

    return Meter(MACECalculator(model_paths=checkpoint, device="cpu", default_dtype="float64"))


@cache
def lennard_jones() -> Meter:
    """A Lennard-Jones model, `dft.pair_potential`: to try out a cluster in seconds."""
    from dft.pair_potential import LennardJones

    return Meter(LennardJones(), differentiates=False)


def meter_reading(calculator: Any) -> tuple[int, float]:
    """Calls and seconds so far; zeros for a calculator without a meter."""
    return (calculator.calls, calculator.seconds) if isinstance(calculator, Meter) else (0, 0.0)
