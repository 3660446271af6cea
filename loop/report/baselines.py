"""How simple baselines would have ranked the candidates of a cycle, beside the ranking itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from loop.records import CycleRecord
from vae.phase_fields import PhaseField


@dataclass(frozen=True)
class Baselines:
    """Ranks by counts among the known fields.

    Attributes:
        ranks: One row per candidate in the order of the ranking, one column per baseline.
        correlations: Spearman's rank correlation of each baseline with the ranking.
    """

    ranks: pd.DataFrame = field(default_factory=pd.DataFrame)
    correlations: dict[str, float] = field(default_factory=dict)


def baselines_of(cycle: CycleRecord) -> Baselines:
    """Rank a cycle's candidates by how often their elements, and pairs of elements, occur among its known fields.

    Nothing where the records hold no known fields, or fewer than two candidates.
    """
    known = _members(cycle.latent[cycle.latent["kind"] == "known"]["phase_field"]) if not cycle.latent.empty else []
    candidates = _members(cycle.ranking["phase_field"]) if not cycle.ranking.empty else []
    if not known or len(candidates) < 2 or len({len(row) for row in [*known, *candidates]}) != 1:
        return Baselines()
    from vae.baselines import popularity, subset_counts

    symbols = sorted({symbol for row in [*known, *candidates] for symbol in row})
    number = {symbol: i for i, symbol in enumerate(symbols)}
    known_rows = np.array([[number[symbol] for symbol in row] for row in known])
    rows = np.array([[number[symbol] for symbol in row] for row in candidates])
    scores = {
        "popularity": popularity(known_rows, len(symbols))(rows),
        "known pairs": subset_counts(known_rows, len(symbols), 2)(rows),
    }
    ranks = {f"rank by {name}": rankdata(score, method="min").astype(int) for name, score in scores.items()}
    ours = pd.Series(cycle.ranking["rank"].to_numpy(float))
    correlations = {name: float(ours.corr(pd.Series(score), method="spearman")) for name, score in scores.items()}
    return Baselines(pd.DataFrame(ranks), {name: value for name, value in correlations.items() if np.isfinite(value)})


def _members(names: pd.Series) -> list[tuple[str, ...]]:
    return [PhaseField.parse(str(name)).elements for name in names]
