# /// script
# requires-python = ">=3.11"
# dependencies = ["phaseloop", "pyod>=2.0"]
# ///
"""What the rankers cost: training beside PyOD's VAE at the published settings, scoring, ranking everything.

    python benchmarks/ranker.py [--pyod] [--all FILE] [--json FILE]

CPU seconds of this process, one thread; peak memory of the whole run.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vae.datasets import known_phase_fields
from vae.descriptors import element_descriptors, field_descriptors, permuted
from vae.exhaustive import all_elements, rank_all
from vae.masked import MaskedRanker
from vae.ranking import make_ranker


def measured(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, round(time.process_time() - start, 2)


def pyod_seconds() -> float:
    """PyOD's VAE as published: 148-74-37-18-9-4, 24 orders of every field, 100 epochs, batches of 32."""
    from pyod.models.vae import VAE

    values = field_descriptors(known_phase_fields().fields, element_descriptors())
    rows = permuted(values).reshape(-1, 4 * values.shape[2])
    neurons = [74, 37, 18, 9]
    model = VAE(
        encoder_neuron_list=neurons,
        decoder_neuron_list=neurons[::-1],
        latent_dim=4,
        epoch_num=100,
        batch_size=32,
        random_state=0,
    )
    return measured(lambda: model.fit(rows))[1]


def two_anion_fields(ranker: MaskedRanker, elements: list[str], path: Path) -> float:
    """Scoring alone is what counts here, but the table is written, too."""
    return measured(lambda: rank_all(ranker, path, elements, only_two_anions=True))[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pyod", action="store_true", help="train PyOD's VAE, too (minutes)")
    parser.add_argument("--all", type=Path, help="rank all quaternary fields into this file")
    parser.add_argument("--two-anions", type=Path, default=Path("two_anions.csv"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = known_phase_fields().fields
    figures: dict[str, Any] = {"known_fields": len(known)}
    ranker, figures["masked_fit_cpu_s"] = measured(lambda: MaskedRanker().fit(known))
    _, figures["paper_fit_cpu_s"] = measured(lambda: make_ranker("paper").fit(known))
    elements = all_elements(known, ranker)
    figures["two_anion_fields_cpu_s"] = two_anion_fields(ranker, elements, arguments.two_anions)
    if arguments.all:
        count, figures["all_fields_cpu_s"] = measured(lambda: rank_all(ranker, arguments.all, elements))
        figures["all_fields"] = count
    if arguments.pyod:
        figures["pyod_fit_cpu_s"] = pyod_seconds()
        figures["times_faster_than_pyod"] = round(figures["pyod_fit_cpu_s"] / figures["masked_fit_cpu_s"], 1)
    figures["peak_memory_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
