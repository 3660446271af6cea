"""SevenNet's convolution over neighbours, the same sums in an order that a CPU does faster.

e3nn takes each of some 40 paths (irrep of the neighbour x spherical harmonic -> irrep of the message) on its own, over
arrays whose innermost index has one to seven members, and keeps all of them for the backward sweep. Here the paths of
one irrep of the neighbour are one batched matrix product with the channels innermost, and the backward sweep computes
the messages again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from e3nn.o3 import wigner_3j


@dataclass(frozen=True)
class Path:
    """One path: where its message lies among the components of its group, its weights, and its output."""

    components: slice
    weights: slice
    output: int


@dataclass(frozen=True)
class Group:
    """All paths that begin at one irrep of the neighbour.

    Attributes:
        start: Where this irrep begins in the features.
        channels: Its multiplicity U.
        dim: Its components I, 2 l + 1.
        coupling: Coupling coefficients with the paths' normalisation, shape (harmonics, K I); K components of messages.
        paths: The paths, in order of their components.
    """

    start: int
    channels: int
    dim: int
    coupling: torch.Tensor
    paths: tuple[Path, ...]

    @property
    def components(self) -> int:
        """Components K of the messages of all paths."""
        return self.paths[-1].components.stop


class Convolution(torch.nn.Module):
    """Stands in for one `sevenn.nn.convolution.IrrepsConvolution`, whose weights it uses.

    Args:
        original: The layer, of a model in one precision on the CPU.
    """

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original
        self.groups = groups(original.convolution)
        outputs = {path.output: (g, path) for g in self.groups for path in g.paths}
        self.order = [outputs[i] for i in sorted(outputs)]

    def forward(self, data: Any) -> Any:
        """Replaces the features of the atoms by the sum of their neighbours' messages."""
        o = self.original
        weights, x, harmonics = o.weight_nn(data[o.key_weight_input]), data[o.key_x], data[o.key_filter]
        centre, neighbour = data[o.key_edge_idx]
        sums = {}
        for group in self.groups:
            end = group.start + group.channels * group.dim
            features = x[:, group.start : end].reshape(len(x), group.channels, group.dim).transpose(1, 2).contiguous()
            coupled = (harmonics @ group.coupling).view(len(harmonics), group.components, group.dim)
            sums[id(group)] = Messages.apply(features, coupled, weights, centre, neighbour, group)
        blocks = [sums[id(g)][:, path.components].transpose(1, 2).reshape(len(x), -1) for g, path in self.order]
        data[o.key_x] = torch.cat(blocks, dim=1).div(o.denominator)
        return data


class Messages(torch.autograd.Function):
    """Sum over the neighbours of each atom of their weighted messages.

    With atoms n, edges e from the neighbour to the centre, components k and i, channels u and the path p(k):
    ``out[n, k, u] = sum_e w[e, p(k), u] sum_i coupled[e, k, i] x[neighbour(e), i, u]``.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, coupled: Any, weights: Any, centre: Any, neighbour: Any, group: Group) -> Any:
        """Shapes: x (atoms, I, U), coupled (edges, K, I), weights (edges, all), centre and neighbour (edges,)."""
        ctx.save_for_backward(x, coupled, weights, centre, neighbour)
        ctx.group = group
        message = _weighted(torch.bmm(coupled, x[neighbour]), weights, group)
        return x.new_zeros(len(x), group.components, group.channels).index_add_(0, centre, message)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Derivatives by x, coupled and weights."""
        x, coupled, weights, centre, neighbour = ctx.saved_tensors
        near, by_message = x[neighbour], gradients[0][centre]
        message = torch.bmm(coupled, near).mul_(by_message)
        by_weights = torch.zeros_like(weights)
        for path in ctx.group.paths:
            by_weights[:, path.weights] = message[:, path.components].sum(dim=1)
        by_message = _weighted(by_message, weights, ctx.group)
        by_coupled = torch.bmm(by_message, near.transpose(1, 2))
        by_x = torch.zeros_like(x).index_add_(0, neighbour, torch.bmm(coupled.transpose(1, 2), by_message))
        return by_x, by_coupled, by_weights, None, None, None


def faster(model: Any) -> Any:
    """Let a SevenNet model use `Convolution`, without what only its training needs.

    Returns:
        The model, changed in place.
    """
    from sevenn.nn.convolution import IrrepsConvolution

    for name, module in model.named_children():
        if isinstance(module, IrrepsConvolution):
            model.replace_module(name, Convolution(module))
    return model.requires_grad_(False)


def groups(product: Any) -> tuple[Group, ...]:
    """The paths of an e3nn tensor product by the irrep of the neighbour that they begin at.

    Raises:
        ValueError: If a path is not of the kind that SevenNet's convolutions are made of.
    """
    weights = iter(_weight_slices(product))
    placed = [(instruction, next(weights)) for instruction in product.instructions]
    chosen = []
    for index, (channels, irrep) in enumerate(product.irreps_in1):
        mine = [pair for pair in placed if pair[0].i_in1 == index]
        if mine:
            start = product.irreps_in1.slices()[index].start
            chosen.append(_group(product, mine, start, channels, irrep.dim))
    return tuple(chosen)


def _weight_slices(product: Any) -> list[slice]:
    slices, start = [], 0
    for instruction in product.instructions:
        if instruction.connection_mode != "uvu" or not instruction.has_weight or instruction.path_shape[1] != 1:
            raise ValueError(f"path {instruction} of SevenNet's convolution is of an unknown kind")
        slices.append(slice(start, start + instruction.path_shape[0]))
        start = slices[-1].stop
    return slices


def _group(product: Any, placed: list[Any], start: int, channels: int, dim: int) -> Group:
    blocks, paths, first = [], [], 0
    for instruction, weights in placed:
        left, right, out = (
            irreps[i].ir
            for irreps, i in (
                (product.irreps_in1, instruction.i_in1),
                (product.irreps_in2, instruction.i_in2),
                (product.irreps_out, instruction.i_out),
            )
        )
        block = torch.zeros(product.irreps_in2.dim, out.dim, dim)
        block[product.irreps_in2.slices()[instruction.i_in2]] = wigner_3j(left.l, right.l, out.l).permute(1, 2, 0)
        blocks.append(instruction.path_weight * block)
        paths.append(Path(slice(first, first + out.dim), weights, instruction.i_out))
        first += out.dim
    return Group(start, channels, dim, torch.cat(blocks, dim=1).flatten(1), tuple(paths))


def _weighted(message: torch.Tensor, weights: torch.Tensor, group: Group) -> torch.Tensor:
    """The message of each path times its weights, in place."""
    for path in group.paths:
        message[:, path.components].mul_(weights[:, None, path.weights])
    return message
