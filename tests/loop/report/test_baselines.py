import dataclasses

import pandas as pd
import pytest

from loop.records import CycleRecord
from loop.report.baselines import baselines_of
from loop.report.page import build_report


def cycle(known, candidates):
    ranking = pd.DataFrame({"phase_field": candidates, "rank": range(1, len(candidates) + 1)})
    latent = pd.DataFrame({"phase_field": [*known, *candidates], "x": 0.0, "y": 0.0})
    latent["kind"] = ["known"] * len(known) + ["candidate"] * len(candidates)
    return CycleRecord(1, "completed", len(known), len(candidates), ranking, latent=latent)


def test_baselines_by_hand():
    # counts: Li 2, Na 1, Sn 2, Ge 1, S 3, Cl 2, Br 1; Zn and I never
    known = ["Li-Sn-S-Cl", "Na-Sn-S-Cl", "Li-Ge-S-Br"]
    told = baselines_of(cycle(known, ["Li-Zn-Cl-I", "Li-Sn-S-Br", "Na-Ge-Cl-Br"]))
    # popularity: Li-Sn-S-Br 3 x 3 x 4 x 2 = 72; Na-Ge-Cl-Br 2 x 2 x 3 x 2 = 24; Li-Zn-Cl-I 3 x 1 x 3 x 1 = 9
    assert told.ranks["rank by popularity"].tolist() == [3, 1, 2]
    # pairs: Li-Sn, Li-S (2), Li-Br, Sn-S (2), S-Br are known; of Na-Ge-Cl-Br Na-Cl and Ge-Br; of Li-Zn-Cl-I Li-Cl
    assert told.ranks["rank by known pairs"].tolist() == [3, 1, 2]
    assert told.correlations == pytest.approx({"popularity": -0.5, "known pairs": -0.5})


def test_nothing_without_known_fields():
    assert baselines_of(cycle([], ["Li-Zn-Cl-I", "Li-Sn-S-Br"])).ranks.empty
    assert baselines_of(CycleRecord(1)).correlations == {}


def test_the_page_shows_the_baselines_beside_the_ranking(record, tmp_path):
    last = cycle(["Li-Sn-S-Cl", "Na-Sn-S-Cl"], ["Li-Sn-S-Br", "Li-Zn-S-Cl", "Li-Ge-S-Br"])
    page = build_report(dataclasses.replace(record, cycles=(last,)), tmp_path).read_text(encoding="utf-8")
    assert "rank by popularity" in page
    assert "Near 1, the ranking says little that counting would not." in page
