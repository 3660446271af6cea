"""CPU time of a force call: through our engine, and through the model's own calculator, in turn.

    python benchmarks/force_calls.py [--level sevennet] [--atoms 8 16 24] [--calls 20]

Prints milliseconds of CPU per call on one thread, the ratio, and how far apart the two energies are.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", choices=["chgnet", "sevennet"], default="chgnet")
    parser.add_argument("--atoms", type=int, nargs="+", default=[8, 16, 24], help="multiples of 8")
    parser.add_argument("--calls", type=int, default=20)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    ours, theirs = calculators(arguments.level)
    print(f"{'atoms':>6s} {'ours, ms':>10s} {'its own, ms':>12s} {'ratio':>6s} {'difference, meV/atom':>21s}")
    for n in arguments.atoms:
        atoms = rock_salt(n)
        pairs = [(milliseconds(ours, atoms), milliseconds(theirs, atoms)) for _ in range(arguments.calls)]
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        apart = 1000 * abs(ours.results["energy"] - theirs.results["energy"]) / n
        print(f"{n:6d} {mine:10.1f} {other:12.1f} {ratio:6.2f} {apart:21.4f}")


def calculators(level: str) -> tuple[Any, Any]:
    """Our calculator of a level and the one that comes with its model."""
    if level == "sevennet":
        from sevenn.calculator import SevenNetCalculator

        from dft.engines import sevennet

        return sevennet(), SevenNetCalculator("7net-l3i5", device="cpu")
    from chgnet.model.dynamics import CHGNetCalculator

    from dft.engines import chgnet

    return chgnet(), CHGNetCalculator(on_isolated_atoms="ignore")


def rock_salt(n: int) -> Any:
    """LiCl with every atom out of its place, `n` atoms."""
    from pymatgen.core import Lattice, Structure

    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt.make_supercell([n // 8, 1, 1])
    salt.perturb(0.1)
    return salt.to_ase_atoms()


def milliseconds(calculator: Any, atoms: Any) -> float:
    """CPU time of one call."""
    start = time.process_time()
    calculator.calculate(atoms, ["energy", "forces", "stress"], ["positions"])
    return 1000 * (time.process_time() - start)


if __name__ == "__main__":
    main()
