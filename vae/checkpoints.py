"""Checkpoints: weights with the configuration, the descriptors and the hash of the list they were trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor

from vae.training import WARM_STARTS, TrainingConfig


class Saved(Protocol):
    """What rankers have in common in a file.

    Attributes:
        name: Of the architecture.
        arguments: Names of the constructor's arguments that stand as attributes of the same name, beside descriptors,
            training and the settings of the model.
    """

    name: str
    arguments: tuple[str, ...]
    descriptors: pd.DataFrame
    training: TrainingConfig
    config: Any
    trained_on: str
    warm_starts: int


R = TypeVar("R", bound=Saved)


def save_ranker(path: str | Path, ranker: Saved, content: Mapping[str, Any]) -> None:
    """Write a ranker, plain values and tensors, readable with ``weights_only=True``.

    Args:
        path: Where to.
        ranker: Fitted.
        content: What it has learned.
    """
    frame = {
        "kind": ranker.name,
        "arguments": {name: getattr(ranker, name) for name in ranker.arguments},
        "config": asdict(ranker.config),
        "training": asdict(ranker.training),
        "elements": list(ranker.descriptors.index),
        "columns": list(ranker.descriptors.columns),
        "descriptors": torch.tensor(ranker.descriptors.to_numpy()),
        "trained_on": ranker.trained_on,
        "warm_starts": ranker.warm_starts,
    }
    torch.save({**frame, **content}, path)


def load_ranker(path: str | Path, kind: type[R]) -> tuple[R, dict[str, Any]]:
    """A ranker as `save_ranker` wrote it, not yet with what it has learned, which comes beside it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no checkpoint, is truncated, or belongs to another ranker or architecture.
    """
    content = load_checkpoint(path, kind.name)
    try:
        table = pd.DataFrame(content["descriptors"].numpy(), index=content["elements"], columns=content["columns"])
        training = TrainingConfig(**content["training"])
        build: Callable[..., R] = kind
        ranker = build(**content["arguments"], descriptors=table, training=training, **content["config"])
        ranker.trained_on = content["trained_on"]
        ranker.warm_starts = content.get("warm_starts", WARM_STARTS)  # an earlier version's were not counted
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} holds a ranker of another version; train again") from error
    return ranker, content


def load_checkpoint(path: str | Path, kind: str) -> dict[str, Any]:
    """Read a checkpoint as it was written.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no checkpoint, is truncated, or belongs to another ranker.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: give a checkpoint written by this program")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on damaged files
        raise ValueError(f"{path} is no readable checkpoint, perhaps truncated; train again") from error
    found = content.get("kind") if isinstance(content, dict) else None
    if found != kind:
        raise ValueError(f"{path} holds a {found!r} checkpoint where a {kind!r} one is needed")
    return content


def load_weights(model: torch.nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Put weights into a model.

    Raises:
        ValueError: If they belong to another architecture.
    """
    try:
        model.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        raise ValueError(f"{path} holds weights of another architecture; train again") from error
    model.eval()


def warm_start(model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Begin with what another model of the same architecture has learned; its memory of known fields is left behind.

    Raises:
        ValueError: If the weights belong to another architecture.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in weights or weights[name].shape != parameter.shape:
                raise ValueError(f"no warm start: the earlier ranker's {name} does not fit; train without")
            parameter.copy_(weights[name])
