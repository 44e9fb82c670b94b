"""A Program's network in other simulators, float32: PyTorch's layers, their neurons.

All steps of a layer at once, (steps, samples, channels, rows, columns): the fastest way
that each of them has. What is timed has spikes arrive in the step in which they are
sent, not in the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snn_deploy.toolchain.program.arithmetic import WEIGHT_SHIFT
from snn_deploy.toolchain.program.connections import ConvConnection, DenseConnection
from snn_deploy.toolchain.program.host import Stimulus
from snn_deploy.toolchain.program.program import Program


@dataclass(frozen=True)
class Leak:
    """What neurons of a layer have: v ← keep · v + input, threshold 1, reset to 0."""

    keep: float

    @property
    def tau(self) -> float:
        """Steps, as e^(−1 / tau) = keep."""
        return -1 / math.log(self.keep)


class Steps(nn.Module):
    """A layer for single pictures, applied to all samples and steps at once."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x.flatten(0, 1))
        return y.unflatten(0, x.shape[:2])


class Padded(nn.Module):
    """A convolution with room around the picture that may be uneven."""

    def __init__(self, conv: nn.Conv2d, padding: Sequence[Sequence[int]]) -> None:
        super().__init__()
        (top, bottom), (left, right) = padding
        self.conv, self.sides = conv, (left, right, top, bottom)
        if top == bottom and left == right:
            conv.padding, self.sides = (top, left), ()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.sides) if self.sides else x)


def spikingjelly(leak: Leak) -> nn.Module:
    from spikingjelly.activation_based import neuron, surrogate

    return neuron.LIFNode(
        tau=1 / (1 - leak.keep),
        decay_input=False,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        step_mode="m",
    )


class OneByOne(nn.Module):
    """snnTorch's neurons, which take a step at a time."""

    def __init__(self, leak: Leak) -> None:
        super().__init__()
        import snntorch
        from snntorch import surrogate

        self.neurons = snntorch.Leaky(
            beta=leak.keep,
            spike_grad=surrogate.atan(),
            reset_mechanism="zero",
            reset_delay=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        potential, spikes = torch.zeros_like(x[0]), []
        for now in x:
            fired, potential = self.neurons(now, potential)
            spikes.append(fired)
        return torch.stack(spikes)


class SamplesFirst(nn.Module):
    """Sinabs' neurons, which take samples before steps."""

    def __init__(self, leak: Leak) -> None:
        super().__init__()
        import sinabs.layers
        from sinabs.activation import MembraneReset, SingleExponential, SingleSpike

        self.leak = leak
        self.neurons = sinabs.layers.LIF(
            tau_mem=leak.tau,
            norm_input=False,
            spike_fn=SingleSpike,
            reset_fn=MembraneReset(),
            surrogate_grad_fn=SingleExponential(),
        )

    def forward(self, x: Tensor) -> Tensor:
        self.neurons.reset_states()
        return self.neurons(x.transpose(0, 1)).transpose(0, 1)


NEURONS: dict[str, Callable[[Leak], nn.Module]] = {
    "spikingjelly": spikingjelly,
    "snntorch": OneByOne,
    "sinabs": SamplesFirst,
}


def fresh(model: nn.Module) -> None:
    """Forget the last presentation, where neurons keep their state in themselves."""
    for part in model.modules():
        if hasattr(part, "step_mode"):
            part.reset()


def network(program: Program, kind: str) -> nn.Sequential:
    """First neurons, then weights and neurons by turns; thresholds are made 1."""
    make = NEURONS[kind]
    leaks = [Leak((4096 - p.decay_v) / 4096) for p in program.populations]
    parts: list[nn.Module] = [make(leaks[0])]
    shape = program.populations[0].shape
    for connection, population, leak in zip(
        program.connections, program.populations[1:], leaks[1:]
    ):
        if isinstance(connection, DenseConnection) and len(shape) > 1:
            parts.append(nn.Flatten(2))
        weights = _weights(connection, population, shape)
        parts += [Steps(weights), make(leak)]
        shape = population.shape
    return nn.Sequential(*parts)


def _weights(connection: Any, population: Any, shape: Sequence[int]) -> nn.Module:
    threshold = np.resize(population.threshold, population.shape[-1]).astype(float)
    unit = 2.0 ** (WEIGHT_SHIFT + connection.exponent) / threshold
    weight = connection.weight * unit
    outputs = weight.shape[-1]
    bias = np.resize(population.bias, population.shape).reshape(-1, outputs)[0]
    if isinstance(connection, ConvConnection):
        rows, columns, inputs, _ = weight.shape
        conv = nn.Conv2d(inputs, outputs, (rows, columns), connection.stride)
        _set(conv, weight.transpose(3, 2, 0, 1), bias / threshold)
        return Padded(conv, connection.padding)
    if len(shape) > 1:  # channels lie first here
        order = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), -1, 0).ravel()
        weight = weight[order]
    dense = nn.Linear(*weight.shape)
    _set(dense, weight.T, bias / threshold)
    return dense


def _set(layer: nn.Conv2d | nn.Linear, weight: Any, bias: Any) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.ascontiguousarray(weight)))
        layer.bias.copy_(torch.tensor(bias))


def currents(program: Program, stimulus: Stimulus) -> Tensor:
    """Of the first neurons, the same in every step, (steps, samples, …)."""
    first = program.populations[0]
    bias = stimulus.bias[first.name] / np.resize(first.threshold, first.size)
    picture = torch.tensor(bias, dtype=torch.float32).reshape(-1, *first.shape)
    picture = picture.movedim(-1, 1).contiguous()
    return picture.expand(stimulus.steps, *picture.shape)


def spikes_of(model: nn.Sequential, x: Tensor) -> list[Any]:
    """Of every population, (samples, steps, neurons), channels last as ours.

    Here spikes arrive a step later, as ours do, so that they can be compared.
    """
    found = []
    for part in model:
        if isinstance(part, Steps):
            x = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        x = part(x)
        if not isinstance(part, Steps | nn.Flatten):
            seen = x.movedim(2, -1).transpose(0, 1).flatten(2)
            found.append(seen.detach().numpy() > 0.5)
    return found


class Trained(nn.Module):
    """LocNet of the same shape, with a first layer and a box to be trained too."""

    def __init__(self, program: Program, kind: str, channels: int) -> None:
        super().__init__()
        self.body = network(program, kind)
        first = program.populations[0]
        self.first = nn.Conv2d(channels, first.shape[-1], 3, padding=1)
        self.box = nn.Linear(program.populations[-1].size, 4)

    def forward(self, x: Tensor, steps: int) -> Tensor:
        current = self.first(x)
        spikes = self.body(current.expand(steps, *current.shape))
        return self.box(spikes.mean(0))
