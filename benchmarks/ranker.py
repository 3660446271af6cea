# /// script
# requires-python = ">=3.11"
# dependencies = ["phaseloop", "pyod>=2.0", "torch==2.13.0"]
# ///
"""What the rankers cost: training beside PyOD's VAE at the published settings, scoring, ranking everything.

    python benchmarks/ranker.py [--pyod] [--pyod-epochs N] [--all FILE] [--json FILE]

CPU seconds of this process, one thread; peak memory of the whole run. With fewer epochs of PyOD than the published 100,
what 100 would take is that time times 100 / N, and both are given.
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
from vae.phase_fields import ANIONS
from vae.ranking import make_ranker


def measured(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, round(time.process_time() - start, 2)


#: Epochs of the published training.
PUBLISHED_EPOCHS = 100


def pyod_seconds(epochs: int) -> float:
    """PyOD's VAE as published: 148-74-37-18-9-4, 24 orders of every field, batches of 32."""
    from pyod.models.vae import VAE

    values = field_descriptors(known_phase_fields().fields, element_descriptors())
    rows = permuted(values).reshape(-1, 4 * values.shape[2])
    neurons = [74, 37, 18, 9]
    model = VAE(
        encoder_neuron_list=neurons,
        decoder_neuron_list=neurons[::-1],
        latent_dim=4,
        epoch_num=epochs,
        batch_size=32,
        random_state=0,
    )
    return measured(lambda: model.fit(rows))[1]


def two_anion_seconds(ranker: MaskedRanker, elements: list[str]) -> tuple[int, float, float]:
    """All fields M-M'-A-A': how many, seconds to score them the first time after training, and again."""
    cations = [symbol for symbol in elements if symbol not in ANIONS]
    anions = [symbol for symbol in elements if symbol in ANIONS]
    position = {symbol: i for i, symbol in enumerate(ranker.descriptors.index)}
    pairs = [torch.combinations(torch.tensor([position[symbol] for symbol in part]), 2) for part in (cations, anions)]
    fields = torch.cat([pairs[0].repeat_interleave(len(pairs[1]), 0), pairs[1].repeat(len(pairs[0]), 1)], 1)
    _, first = measured(lambda: ranker.score_indices(fields))
    _, again = measured(lambda: ranker.score_indices(fields))
    return len(fields), first, again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pyod", action="store_true", help="train PyOD's VAE, too (minutes)")
    parser.add_argument("--pyod-epochs", type=int, default=PUBLISHED_EPOCHS)
    parser.add_argument("--all", type=Path, help="rank all quaternary fields into this file")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = known_phase_fields().fields
    figures: dict[str, Any] = {"known_fields": len(known)}
    ranker, figures["masked_fit_cpu_s"] = measured(lambda: MaskedRanker().fit(known))
    _, figures["paper_fit_cpu_s"] = measured(lambda: make_ranker("paper").fit(known))
    elements = all_elements(known, ranker)
    count, first, again = two_anion_seconds(ranker, elements)
    figures |= {"two_anion_fields": count, "two_anion_fields_cpu_s": first, "two_anion_fields_again_cpu_s": again}
    if arguments.all:
        count, figures["all_fields_cpu_s"] = measured(lambda: rank_all(ranker, arguments.all, elements))
        figures["all_fields"] = count
    if arguments.pyod:
        seconds = pyod_seconds(arguments.pyod_epochs)
        figures["pyod_epochs"], figures["pyod_measured_cpu_s"] = arguments.pyod_epochs, seconds
        figures["pyod_fit_cpu_s"] = round(seconds * PUBLISHED_EPOCHS / arguments.pyod_epochs, 1)
        figures["times_faster_than_pyod"] = round(figures["pyod_fit_cpu_s"] / figures["masked_fit_cpu_s"], 1)
    figures["peak_memory_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
