"""Calculators that atomate2's force-field Makers load by name: one per process and model, metered.

atomate2 takes any function that returns an ASE calculator (``force_field_name={"@module": ..., "@callable": ...}``).
These keep the model for the life of the process, so that a worker loads it once for all its jobs.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import chemical_symbols


class Meter(Calculator):
    """A calculator that counts its calls and the seconds they take.

    Attributes:
        inner: The calculator that does the work.
        calls: Energy-and-force evaluations so far.
        seconds: Wall-clock seconds in them.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 (as ASE declares it)

    def __init__(self, inner: Calculator) -> None:
        super().__init__()
        self.inner = inner
        self.calls = 0
        self.seconds = 0.0

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last call, as ASE tells it; sooner told where nothing has.

        ASE's optimizers and atomate2's observers ask eight times for each evaluation.
        """
        last = self.atoms
        if last is not None and last.arrays.keys() == atoms.arrays.keys():
            pairs = [(last.arrays[key], atoms.arrays[key]) for key in last.arrays]
            pairs += [(last.cell.array, atoms.cell.array), (last.pbc, atoms.pbc)]
            if all(np.array_equal(before, now) for before, now in pairs):
                return []
        return super().check_state(atoms, tol)

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Energy (eV), forces (eV/Å) and stress (eV/Å³) of the atoms; nothing of an earlier call remains."""
        super().calculate(atoms, properties, system_changes)
        self.results = {}
        start = time.perf_counter()
        try:
            self.inner.calculate(atoms, properties, system_changes)
        finally:
            self.calls += 1
            self.seconds += time.perf_counter() - start
        self.results = {key: self.inner.results[key] for key in (*self.implemented_properties, "free_energy")}


def in_one_sweep(model: Any) -> Any:
    """Let a CHGNet model take forces and stress in one backward sweep, without what only its training needs.

    CHGNet sweeps twice, with a graph for second derivatives, and keeps what the derivatives of its weights would take.
    Of the derivatives by its features, those of bonds near the cutoff are too small for a float32 of full precision:
    two in a hundred, with which a matrix product takes six times as long. They count as zero. Together that is three
    fifths of a force call (`benchmarks/force_calls.py`). No other thread may differentiate while it computes.

    Returns:
        The model, changed in place.
    """
    compute = model._compute

    def compute_in_one_sweep(graph: Any, **kwargs: Any) -> Any:
        with denormals_as_zero(), derivatives_at_once([*graph.atom_positions, *graph.strains]):
            return compute(graph, **kwargs)

    model._compute = compute_in_one_sweep
    return model.requires_grad_(False)


@contextlib.contextmanager
def denormals_as_zero() -> Iterator[None]:
    """While this lasts, numbers below 1.2e-38 are zero in this thread, where the processor can do so."""
    import torch

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def derivatives_at_once(leaves: Sequence[Any]) -> Iterator[None]:
    """While this lasts, the first call of `torch.autograd.grad` takes the first derivatives by all of `leaves`.

    Later calls are answered from these: they must be about the same output.
    """
    import torch

    grad = torch.autograd.grad
    found: dict[int, Any] = {}

    def once(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        wanted = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
        if not found:
            found.update(zip(map(id, leaves), grad(outputs, leaves), strict=True))
        return tuple(found[id(leaf)] for leaf in wanted)

    torch.autograd.grad = once
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
        model = in_one_sweep(CHGNet.load(model_name=model_name, verbose=False))
        return Meter(CHGNetCalculator(model, on_isolated_atoms="ignore"))


@cache
def sevennet(model: str = "7net-l3i5") -> Meter:
    """SevenNet, its weights from the sevenn wheel (Park et al., J. Chem. Theory Comput. 20, 4857 (2024))."""
    from sevenn.calculator import SevenNetCalculator

    from dft.equivariant_convolution import faster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends accelerators for GPUs
        calculator = SevenNetCalculator(model)
    if calculator.device.type == "cpu":
        faster(calculator.model)
    return Meter(calculator)


@cache
def mace(checkpoint: str, head: str = "") -> Meter:
    """A MACE model from a file that the user names (Batatia et al., NeurIPS 35, 11423 (2022)).

    Raises:
        ValueError: If the file holds no model that MACE can load, or it has several heads and `head` is none of them.
    """
    with _unpickling_afterwards_as_before(), contextlib.redirect_stdout(io.StringIO()):
        from mace.calculators import MACECalculator

        chosen = {"head": head} if head else {}
        try:
            calculator = MACECalculator(Path(checkpoint), device="cpu", default_dtype="float64", **chosen)
        except Exception as error:  # whatever unpickling something else leads to
            raise ValueError(
                f"checkpoint {checkpoint!r} of level_of_theory 'mace' cannot be used: {type(error).__name__}: {error}"
            ) from error
    if head and calculator.head != head:  # MACE takes another one in its place
        raise ValueError(
            f"checkpoint {checkpoint!r} of level_of_theory 'mace' has no head {head!r}, choose from "
            f"{list(calculator.available_heads)}"
        )
    return Meter(calculator)


def elements_of_mace(checkpoint: str, head: str = "") -> list[str]:
    """Symbols of the elements that a MACE model knows.

    Raises:
        ValueError: As `mace`.
    """
    inner: Any = mace(checkpoint, head).inner
    return [chemical_symbols[number] for number in inner.z_table.zs]


@contextlib.contextmanager
def _unpickling_afterwards_as_before() -> Iterator[None]:
    """Whether `torch.load` unpickles anything is as it was, once this is over: importing MACE lets it."""
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


@cache
def lennard_jones() -> Meter:
    """A Lennard-Jones model, `dft.pair_potential`: to try out a cluster in seconds."""
    from dft.pair_potential import LennardJones

    return Meter(LennardJones())


def meter_reading(calculator: Any) -> tuple[int, float]:
    """Calls and seconds so far; zeros for a calculator without a meter."""
    return (calculator.calls, calculator.seconds) if isinstance(calculator, Meter) else (0, 0.0)
