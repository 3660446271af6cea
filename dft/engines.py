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
        """What has changed since the last call, as ASE tells it, but sooner and to the last bit.

        ASE's optimizers and atomate2's observers ask eight times for each evaluation.
        """
        last = self.atoms
        if last is None or last.arrays.keys() != atoms.arrays.keys():
            return super().check_state(atoms, tol)
        before, now = (_what_counts(each) for each in (last, atoms))
        return [name for name in all_changes if name in now and before[name].tobytes() != now[name].tobytes()]

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


def _what_counts(atoms: Atoms) -> dict[str, np.ndarray]:
    """What an energy depends on, by ASE's names."""
    return {**atoms.arrays, "cell": atoms.cell.array, "pbc": atoms.pbc}


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


def mace(checkpoint: str, head: str = "") -> Meter:
    """A MACE model from a file that the user names (Batatia et al., NeurIPS 35, 11423 (2022)).

    Raises:
        ValueError: If the file holds no model that MACE can load, or it has several heads and `head` is none of them.
    """
    return _mace(checkpoint, head)  # atomate2 gives names to its arguments, which would be another place in the cache


@cache
def _mace(checkpoint: str, head: str) -> Meter:
    of_level = f"checkpoint {checkpoint!r} of level_of_theory 'mace'"
    setting = "level_settings: {mace: {head: NAME}}"
    with _torch_unpickles(), contextlib.redirect_stdout(io.StringIO()):
        try:
            from mace.calculators import MACECalculator

            chosen = {"head": head} if head else {}
            calculator = MACECalculator(Path(checkpoint), device="cpu", default_dtype="float64", **chosen)
        except Exception as error:  # whatever unpickling something else leads to
            told = str(error).strip().splitlines() or [""]
            heads = told[0].partition("Available heads are: ")[2]
            if heads:
                raise ValueError(f"{of_level} has the heads {heads}: choose one with {setting}") from error
            raise ValueError(f"{of_level} cannot be used: {type(error).__name__}: {told[0]}") from error
    if head and calculator.head != head:  # MACE takes another one in its place
        heads = str(list(calculator.available_heads))
        raise ValueError(f"{of_level} has no head {head!r}, but {heads}: choose one with {setting}")
    return Meter(calculator)


def elements_of_mace(checkpoint: str, head: str = "") -> list[str]:
    """Symbols of the elements that a MACE model has learned under its head.

    A file has a table of elements for all its heads; those that a head has not learned have no reference energy there.

    Raises:
        ValueError: As `mace`.
    """
    calculator: Any = mace(checkpoint, head).inner
    symbols = [chemical_symbols[number] for number in calculator.z_table.zs]
    energies = calculator.models[0].atomic_energies_fn.atomic_energies.detach().reshape(-1, len(symbols))
    row = list(calculator.available_heads).index(calculator.head) if len(energies) > 1 else 0
    known = [symbol for symbol, energy in zip(symbols, energies[row].tolist(), strict=True) if energy]
    return known or symbols  # a model may do without reference energies


@contextlib.contextmanager
def _torch_unpickles() -> Iterator[None]:
    """While this lasts, `torch.load` unpickles whatever a file holds: MACE's models, and constants of e3nn, need it.

    Importing MACE lets it do so for the life of the process; afterwards it is as it was.
    """
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
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
