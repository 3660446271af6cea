"""A campaign small enough to check by hand."""

from pathlib import Path

import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry

from dft.hull import LEVEL_KEY, build_phase_diagram, hull_points
from loop.records import CampaignRecord, CycleRecord, FieldRecord

LEVEL = "chgnet-0.3.0"
# eV/atom; the elements are the zero of energy
COMPETING = {
    "Li": 0,
    "Sn": 0,
    "S": 0,
    "Cl": 0,
    "Li2S": -1.2,
    "LiCl": -2.0,
    "SnS2": -0.6,
    "SnCl4": -0.8,
    "Li2SnS3": -1.0,
}
PROBES = {"Li3SnS3Cl": -1.25, "Li5SnS4Cl": -1.15, "LiSnS2Cl": -0.9, "Li4SnS2Cl4": -1.62}
PUBLISHED = Path(__file__).parents[3] / "../shared/data/vasylenko2021/li_sn_s_cl_dft.csv"


@pytest.fixture
def published():
    if not PUBLISHED.is_file():
        pytest.skip("the published energies of Li-Sn-S-Cl are not beside the repository (../shared/data)")
    return PUBLISHED


def entry(formula, energy_per_atom):
    composition = Composition(formula)
    return ComputedEntry(composition, energy_per_atom * composition.num_atoms, data={LEVEL_KEY: LEVEL})


def cell(formula):
    """Atoms on a line 3 Å apart: a structure to look at, nothing more."""
    species = [str(element) for element, n in Composition(formula).items() for _ in range(int(n))]
    coordinates = [[i / len(species), 0, 0] for i in range(len(species))]
    return Structure(Lattice.orthorhombic(3.0 * len(species), 4, 5), species, coordinates)


def explored(field="Li-Sn-S-Cl", cycle=1, note="A probe lies near the hull.", rename=None):
    """A field record with the energies above; `rename` swaps elements, energies stay."""
    swap = rename or {}

    def named(formula):
        return "".join(
            f"{swap.get(symbol, symbol)}{n:g}" for symbol, n in Composition(formula).get_el_amt_dict().items()
        )

    competing = [entry(named(formula), e) for formula, e in COMPETING.items()]
    probes = [entry(named(formula), e) for formula, e in PROBES.items()]
    points = hull_points(probes, competing, LEVEL)
    alone = build_phase_diagram(competing, LEVEL)
    rows = [
        {
            "composition": each.formula,
            "formula": each.composition.reduced_formula,
            "state": "done",
            "reason": "",
            "e_above_hull": point.e_above_hull,
            "e_above_competing": point.e_above_competing,
            "energy_per_atom": point.energy_per_atom,
            "decomposition": point.decomposition,
            "competing_decomposition": point.competing_decomposition,
            "n_atoms": int(each.composition.num_atoms),
            "n_structures": 8,
            "generator": "ordered lattice: fcc anions, tetrahedral",
            "structure": cell(each.formula).as_dict(),
            "max_force": 0.04,
            "cpu_s": 11.5,
            "hash": f"{field}-{i}",
            "output": f"outputs/{field}-{i}.json.gz",
        }
        for i, (each, point) in enumerate(zip(probes, points, strict=True))
    ]
    failed = {"composition": named("Li6Sn1S4Cl2"), "state": "failed", "reason": "contact below 0.6 of the radii"}
    best = min(rows, key=lambda row: row["e_above_competing"])
    return FieldRecord(
        phase_field=field,
        cycle=cycle,
        verdict="positive",
        reason=note,
        best_e_above_hull=best["e_above_hull"],
        best_e_above_competing=best["e_above_competing"],
        best_composition=best["formula"],
        level=LEVEL,
        error_band=0.02,
        competing_source="prototype search",
        probes=pd.DataFrame([*rows, {**dict.fromkeys(rows[0]), **failed, "n_structures": 8}]),
        competing=pd.DataFrame(
            {
                "formula": each.composition.reduced_formula,
                "state": "done",
                "reason": "",
                "energy_per_atom": each.energy_per_atom,
                "e_above_hull": alone.get_e_above_hull(each),
                "generator": "AFLOW prototype",
                "structure": None,
                "hash": f"{field}-c{i}",
            }
            for i, each in enumerate(competing)
        ),
    )


def calculations(fields):
    rows = [
        {
            "hash": row["hash"],
            "phase_field": each.phase_field,
            "cycle": each.cycle,
            "role": role,
            "composition": row.get("composition") or row.get("formula"),
            "state": row["state"],
            "reason": row["reason"],
            "energy_per_atom": row["energy_per_atom"],
            "cpu_s": row.get("cpu_s") or 4.0,
            "wall_s": 12.0,
        }
        for each in fields
        for role, table in (("probe", each.probes), ("competing", each.competing))
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


def ranking(names):
    return pd.DataFrame(
        {
            "phase_field": names,
            "rank": range(1, len(names) + 1),
            "score": [1.0 + i / 10 for i in range(len(names))],
            "score_std": 0.05,
            "nearest_known": "Li-Ge-S-Cl",
            "novelty": [0.5 + i / 20 for i in range(len(names))],
        }
    )


def campaign(fields, cycles, **changes):
    values = {
        "name": "Li electrolytes",
        "settings": {"seed": 7, "verdicts": {"stable_below": 0.025}},
        "settings_hash": "5ea1f00d",
        "versions": {"phaseloop": "0.1.0", "chgnet": "0.4.0"},
        "data": {"source": "bundled list", "licence": "CC-BY 4.0", "n_fields": 1140, "hash": "abc"},
        "calculations": calculations(fields),
        "created": "2026-01-01T00:00:00Z",
    }
    return CampaignRecord(fields=tuple(fields), cycles=tuple(cycles), **(values | changes))


@pytest.fixture(scope="session")
def record():
    names = ["Li-Sn-S-Cl", "Li-Ge-S-Br", "Li-Zn-S-Cl", "Li-Sn-S-Br"]
    first = CycleRecord(
        number=1,
        state="completed",
        n_training=1140,
        n_candidates=4,
        ranking=ranking(names),
        diagnostics={"correlation with the norm of the descriptors": 0.31, "reconstruction R²": 0.82},
        proposals={"Li-Sn-S-Cl": "rank 1"},
        positives=("Li-Sn-S-Cl",),
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:03:20Z",
        seconds={"training": 40.0, "calculations": 160.0},
    )
    second = CycleRecord(
        number=2,
        state="completed",
        n_training=1141,
        n_candidates=3,
        ranking=ranking(["Li-Sn-S-Br", "Li-Zn-S-Cl", "Li-Ge-S-Br"]),
        diagnostics={"correlation with the norm of the descriptors": 0.28},
        latent=pd.DataFrame(
            {
                "phase_field": ["Li-Ge-S-Cl", "Li-Sn-S-Br", "Li-Zn-S-Cl", "Li-Ge-S-Br"],
                "kind": ["known", "candidate", "candidate", "candidate"],
                "x": [0.0, 1.0, 2.0, 1.0],
                "y": [0.0, 2.0, 1.0, 0.5],
            }
        ),
        proposals={"Li-Sn-S-Br": "rank 1"},
        seconds={"training": 42.0, "calculations": 150.0},
    )
    fields = [explored(), explored("Li-Sn-S-Br", 2, rename={"Cl": "Br"})]
    return campaign(fields, [first, second])


@pytest.fixture(scope="session")
def make_field():
    return explored


@pytest.fixture(scope="session")
def make_campaign():
    return campaign
