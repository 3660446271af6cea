from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from vae.descriptors import (
    DESCRIPTORS,
    element_descriptors,
    field_descriptors,
    permuted,
    read_descriptors,
    set_aside,
)
from vae.phase_fields import PhaseField

PUBLISHED = Path(__file__).parents[2] / "../shared/data/vasylenko2021"
needs_published_data = pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no published tables at {PUBLISHED}")


def test_thirty_seven_finite_descriptors_from_hydrogen_to_curium():
    table = element_descriptors()
    assert table.shape[1] == len(DESCRIPTORS) == 37
    assert np.isfinite(table.to_numpy()).all()
    assert {"H", "Li", "Ne", "Cm"} <= set(table.index)
    assert not {"At", "Fr", "Bk"} & set(table.index)


@pytest.mark.parametrize(
    ("element", "descriptor", "value"),
    [("Li", "Number", 3), ("Cl", "Electronegativity", 3.16), ("Sn", "NValance", 14), ("Ne", "Electronegativity", 0)],
)
def test_values_known_from_the_periodic_table(element, descriptor, value):
    assert element_descriptors().loc[element, descriptor] == value


@needs_published_data
def test_only_the_columns_named_in_the_docs_differ_from_the_published_table():
    published = pd.read_csv(PUBLISHED / "magpie_37.csv").set_index("element")
    ours = element_descriptors().loc[published.index]
    close = np.isclose(ours, published, rtol=1e-4, atol=1e-4).all(axis=0)
    differing = {name for name, same in zip(DESCRIPTORS, close, strict=True) if not same}
    bcc = {name for name in DESCRIPTORS if name.startswith("BCC")} - {"BCCbandgap"}
    assert differing == bcc | {"Pettifor", "Polarizability"}


@needs_published_data
@pytest.mark.parametrize("name", ["training", "candidate"])
def test_published_order_is_that_of_the_norm_of_our_standardised_descriptors(name):
    tables = {n: pd.read_csv(PUBLISHED / f"{n}_fields.csv") for n in ("training", "candidate")}
    fields = {n: [PhaseField.parse(f) for f in t["phase_field"]] for n, t in tables.items()}
    pooled = field_descriptors(fields["training"], element_descriptors()).reshape(-1, 37)
    mean, scale = pooled.mean(0), np.where(pooled.std(0) > 0, pooled.std(0), 1)
    standardised = (field_descriptors(fields[name], element_descriptors()) - mean) / scale
    norm = np.sqrt((standardised**2).sum((1, 2)))
    assert spearmanr(norm, tables[name]["published_score"])[0] > 0.99
    if name == "candidate":
        rank_of = dict(zip(map(str, fields[name]), norm.argsort().argsort() + 1, strict=True))
        assert rank_of["Li-Sn-S-Cl"] == 5


def test_all_orders_of_a_field():
    values = np.arange(8).reshape(1, 4, 2)
    orders = permuted(values)
    assert orders.shape == (1, 24, 8)
    assert len({tuple(row) for row in orders[0]}) == 24
    assert (orders[0].sum(1) == 28).all()


def test_fields_without_descriptors_are_set_aside_and_counted():
    fields = [PhaseField.parse(f) for f in ("Li-Sn-S-Cl", "Fr-Sn-S-Cl", "Fr-Li-O-S")]
    describable, missing = set_aside(fields, element_descriptors())
    assert [str(f) for f in describable] == ["Li-Sn-S-Cl"]
    assert missing == {"Fr": 2}
    with pytest.raises(ValueError, match=r"no descriptors for \['Fr'\]"):
        field_descriptors(fields, element_descriptors())


def test_descriptors_that_are_no_numbers_are_named(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("element,radius\nLi,1.5\nNa,nan\n")
    with pytest.raises(ValueError, match="descriptor 'radius' of Na is not a finite number"):
        read_descriptors(path)
