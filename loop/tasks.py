"""What a campaign's workers do: build the structures of one composition, or run the Flow that computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Maker
from pymatgen.core import Composition, Structure

from dft.candidates import for_kinds_of
from dft.competing import build_competing
from dft.compositions import require_neutral
from dft.execute import FlowTask
from dft.flows import run_flow
from dft.probes import ProbeSettings, ProbeStructure, build_probes
from dft.probes.base import packed
from loop.calculation_log import Calculation
from loop.records import Role
from loop.report.events import Event

if TYPE_CHECKING:
    from loop.ladder import Rung


def build(role: Role, formula: str, settings: ProbeSettings, seed: int) -> dict[str, Any]:
    """Build the structures to try at one composition.

    Args:
        role: Whether a probe, which must be charge-neutral, or a competing phase.
        formula: The composition.
        settings: How structures are built.
        seed: Of the random numbers.

    Returns:
        Under `probes` each structure as `ProbeStructure.as_dict`.

    Raises:
        ValueError: If a probe cannot be charge-neutral, or nothing builds one.
    """
    if role == "probe":
        require_neutral(Composition(formula))
        probes = build_probes(Composition(formula), settings, seed)
        if not probes:
            ways = ", ".join(settings.generators)
            raise ValueError(f"{formula} has no structure by any of the generators [{ways}]: choose further ones")
    else:
        probes = build_competing(formula, settings, seed)
    return {"probes": [probe.as_dict() for probe in probes]}


def screen(maker: Maker, inputs: tuple[Any, ...], output: str) -> dict[str, Any]:
    """Run the Flow of one composition, at any level of theory."""
    return run_flow(maker, inputs, Path(output))


def flow_task(
    calculation: Calculation, rung: Rung, output: Path, phase_field: str, cycle: int, due: float | None
) -> FlowTask:
    """A calculation at one level of theory, with what it takes to run it somewhere else than on this machine.

    Args:
        calculation: With its structures.
        rung: The level of theory.
        output: File of its raw output.
        phase_field: Name of the field that asks for it.
        cycle: The cycle that asks for it.
        due: When it is given up, seconds since the epoch; none for never.
    """
    probes, maker = calculation.probes, rung.maker_of(calculation.again)
    inputs = (packed(probes) if rung.is_force_field else structures_of(probes),)
    return FlowTask(
        calculation.hash,
        screen,
        (maker, inputs, str(output)),
        maker=maker,
        inputs=inputs,
        output=output,
        name=f"{phase_field} {calculation.composition} {rung.level.name}",
        category="screen" if rung.is_force_field else "dft",
        phase_field=phase_field,
        cycle=cycle,
        package=rung.level.package,
        due=due,
    )


def load_engine(maker: Any) -> None:
    """Load in a worker what `build` and `screen` need, so that it is there when the first task comes."""
    build("competing", "LiCl", ProbeSettings(n_structures=1), 0)  # reads the tables of structure types and ions,
    Composition("LiCl").oxi_state_guesses()  # and pymatgen's of oxidation states
    maker.load_engine()


def expected_cost(calculation: Calculation) -> float:
    """For an order in which the longest come first, so that no worker ends long before the others.

    A force call takes time with the pairs of neighbours: the mean over the structures of atoms times atoms per volume,
    1/Å³. Several ways of building get more places. Over the calculations of a default campaign its rank correlation
    with the CPU time is 0.72, without the places 0.64, that of the number of atoms 0.4: oxides take long.
    """
    found = [probe["structure"] for probe in calculation.probes]
    dense = [len(structure["sites"]) ** 2 / structure["lattice"]["volume"] for structure in found]
    places = for_kinds_of(probe["generator"] for probe in calculation.probes)
    return places * sum(dense) / max(1, len(dense))


def structures_of(probes: list[dict[str, Any]]) -> list[ProbeStructure]:
    """Structures from the plain values of `ProbeStructure.as_dict`."""
    return [ProbeStructure(Structure.from_dict(probe["structure"]), probe["generator"]) for probe in probes]


def tell_failed(phase_field: str, items: Sequence[Calculation], show: Callable[[Event], None]) -> None:
    """A line for each composition without a structure: nothing else of it will ever be told."""
    for item in items:
        if item.problem:
            reason = item.problem.removeprefix(f"{item.composition}: ")
            show(Event("message", text=f"{phase_field}: {item.composition} failed ({reason})"))
