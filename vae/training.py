"""Fit a model with early stopping on a held-out part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

#: Fits in a row that may each start from the weights of the one before: after six the ranking has drifted
#: (docs/ranker.md).
WARM_STARTS = 3

#: Called with the epochs done and the most there can be.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingConfig:
    """How to fit.

    Attributes:
        epochs: At most.
        batch_size: Rows per step.
        learning_rate: Of Adam.
        weight_decay: Of AdamW; zero is Adam.
        held_out: Fraction of the rows whose loss decides when to stop.
        patience: Epochs without improvement of that loss before stopping.
        one_cycle: Whether the learning rate rises to its value and falls to nothing over all epochs.
        check_every: Epochs between looks at that loss.
        least_gain: Relative improvement that counts as one; a decoder that saturates improves for ever, by nothing.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    held_out: float = 0.1
    patience: int = 4
    check_every: int = 1
    least_gain: float = 1e-3
    one_cycle: bool = False


def train(
    model: torch.nn.Module,
    rows: Tensor,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None = None,
    kept: Tensor | None = None,
) -> list[float]:
    """Fit a model to rows, in place, and leave it with the weights of its best epoch.

    Where a gradient stays zero, Adam's mean of it shrinks until it is too small for a float32 of full precision: seven
    in ten of the `paper` ranker's. Sums with such numbers are slow, and they count as zero.

    Args:
        model: A module with a method ``loss(x, generator)``.
        rows: Shape (n, ...), on the model's device.
        config: How to fit.
        seed: Of everything random here, dropout included; the global generator is left as it was.
        progress: Called after each epoch.
        kept: Which rows are held out, as a mask; by default a random part, see `split`.

    Returns:
        The loss on the held-out rows, at every look.
    """
    learned, held = split(len(rows), config.held_out, seed) if kept is None else (~kept, kept)
    training, held_out = rows[learned], rows[held]
    with seeded(seed) as generator, denormals_as_zero():
        optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        schedule = _schedule(optimizer, config, len(training))
        history: list[float] = []
        best, best_loss, best_epoch = _weights(model), float("inf"), 0
        for epoch in range(config.epochs):
            model.train()
            for batch in _batches(training, config.batch_size, generator):
                optimizer.zero_grad()
                model.loss(batch, generator).backward()  # type: ignore[operator]
                optimizer.step()
                schedule.step()
            if progress:
                progress(epoch + 1, config.epochs)
            if (epoch + 1) % config.check_every and epoch + 1 < config.epochs:
                continue
            history.append(_held_out_loss(model, held_out, seed))
            if history[-1] < best_loss - config.least_gain * abs(best_loss) or len(history) == 1:
                best, best_loss, best_epoch = _weights(model), history[-1], epoch
            elif epoch - best_epoch >= config.patience:
                break
        model.load_state_dict(best)
        model.eval()
        return history


def split(n_rows: int, held_out: float, seed: int) -> tuple[Tensor, Tensor]:
    """Which rows `train` learns from, and which it holds out (at least one)."""
    order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
    n_held_out = max(1, int(held_out * n_rows))
    return order[n_held_out:], order[:n_held_out]


def warm(config: TrainingConfig) -> TrainingConfig:
    """How to fit from weights that nearly fit already: a third of the epochs, half the learning rate."""
    return replace(config, epochs=-(-config.epochs // 3), learning_rate=config.learning_rate / 2)


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """A generator for the seed, and the same sums every time, on however many cores.

    torch's global generator, which dropout uses, is seeded inside and restored after. Several threads would add up in
    whatever order they come; two were a fifth faster than one, while the workers of a campaign start beside it.
    """
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)  # on a GPU threads are not ours to choose
        torch.set_num_threads(1)
        try:
            yield torch.Generator().manual_seed(seed)
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """While this lasts, numbers below 1.2e-38 are zero in this thread, where the processor can do so."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, n_rows: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if not config.one_cycle:
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    steps = config.epochs * -(-n_rows // config.batch_size)
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps, pct_start=0.1)


def _batches(rows: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(len(rows), generator=generator)
    for start in range(0, len(rows), size):
        yield rows[order[start : start + size]]


@torch.no_grad()
def _held_out_loss(model: torch.nn.Module, rows: Tensor, seed: int) -> float:
    model.eval()
    # The same noise every epoch, so that epochs compare.
    return float(model.loss(rows, torch.Generator().manual_seed(seed)))  # type: ignore[operator]


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
