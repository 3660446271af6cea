"""Two levels of theory that compute nothing, and a field whose every energy is written down."""

from dataclasses import dataclass

from jobflow import Maker
from pymatgen.core import Composition, Lattice, Structure

from loop.calculation_log import Calculation
from loop.ladder import Rung

FIELD = "Na-Li-Br-Cl"
# eV/atom; the elements are the zero of energy, and LiCl + NaBr is the stable pair
COMPETING = {"Li": 0.0, "Na": 0.0, "Br": 0.0, "Cl": 0.0, "LiCl": -2.0, "NaBr": -1.9, "LiBr": -1.7, "NaCl": -2.05}
#: on the hull LiNaClBr would lie at -1.95, Li3NaCl3Br at -1.975, LiNa3ClBr3 at -1.925, Li2NaClBr2 at -1.867
PROBES = {"LiNaClBr": -1.93, "Li3NaCl3Br": -1.965, "LiNa3ClBr3": -1.85, "Li2NaClBr2": -1.78}


@dataclass(frozen=True)
class PlainLevel:
    """A level of theory of which only the name matters."""

    name: str
    error_band: float = 0.01
    error_source: str = "the test"
    package: str = ""

    @property
    def identity(self):
        return f"{self.name}|test"


@dataclass
class PlainMaker(Maker):
    name: str = "plain"

    @property
    def funnel(self):
        return {}


def rung(number, name, section=()):
    return Rung(number, PlainLevel(name), PlainMaker(), section, None if number else PlainMaker("harder"))


LOW, HIGH = rung(0, "low"), rung(1, "high")


def cell(formula):
    species = [str(e) for e, n in Composition(formula).items() for _ in range(int(n))]
    return Structure(
        Lattice.cubic(3.0 * len(species)), species, [[i / len(species), 0, 0] for i in range(len(species))]
    )


def compute(campaign, level, probes, competing, field=FIELD):
    items = [Calculation(f"{level.identity}-{f}", "probe", f, [{}]) for f in probes]
    items += [Calculation(f"{level.identity}-{f}", "competing", f, [{}]) for f in competing]
    campaign.calculations.plan(field, 1, level.identity, items, {})
    for formula, energy in {**probes, **competing}.items():
        finish(campaign, f"{level.identity}-{formula}", formula, energy)


def finish(campaign, identity, formula, energy):
    done = {"state": "done", "energy_per_atom": energy, "structure": cell(formula).as_dict(), "generator": "line"}
    campaign.calculations.begin(identity)
    campaign.calculations.end(identity, done)
