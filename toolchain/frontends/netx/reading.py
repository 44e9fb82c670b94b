"""NetX blocks → Graph, and the scales with which it has their very integers again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.node import FloatArray, Node, Shape
from ...graph.preparation import ChannelsLast, Rescale
from ...graph.rearranging import Permute
from ...memory import demand_memory
from ...program.scales import Scales
from ..contract import Imported
from .blocks import Block
from .fields import Integers
from .registers import GAIN, Registers

DT = 0.001  # s; a NetX step has no length, lava-dl's simulations call it 1 ms
INPUT, OUTPUT = "x", "y"
REFRACTORY = (
    "refractory periods (refDelay) are kept as the file has them; lava-dl's own "
    "Network leaves them out"
)
OF_PICTURES = (
    "delays of convolutions and pools are kept, on the way into each channel; "
    "lava-dl's own Network leaves them out"
)


def to_graph(blocks: Sequence[Block]) -> Imported:
    """The Graph of a file's layers; pictures in it are (height, width, channels).

    A spike is worth 1. Weights are of a threshold of 1: integers divided by what the
    registers make of it (``Registers.mantissa``). Delays that differ from synapse to
    synapse are several synapses of one source, each with the weights of its own.
    """
    building = Building()
    for block in blocks:
        building.add(block)
    return Imported(
        graph=building.graph(), notes=building.notes, scales=building.scales
    )


class Building:
    """The nodes so far, behind which the next layer stands."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.scales: dict[str, Scales] = {}
        self.source = ""  # the last population, or what is sent as spikes
        self.shape: Shape = ()  # of it, in the file
        self.notes: tuple[str, ...] = ()

    def graph(self) -> Graph:
        """The Graph, its Output behind the last layer."""
        graph = Graph((*self.nodes, n.Output(OUTPUT, (self.source,))), dt=DT)
        graph.check()
        return graph

    def add(self, block: Block) -> None:
        """Put a layer behind the others."""
        if block.kind == "input":
            self._input(block)
        elif block.kind == "average":
            self._average(block.shape[0])
        elif block.kind != "flatten":  # whose order is in the weights behind it
            if not self.nodes:
                self._start((block.weight.shape[1],))
            self._synaptic(block)

    def _start(self, shape: Shape) -> None:
        self.nodes.append(n.Input(INPUT, shape=shape))
        self.source, self.shape = INPUT, shape
        if len(shape) == 3:
            self.source = f"{INPUT}.last"
            self.nodes.append(ChannelsLast(self.source, (INPUT,)))

    def _input(self, block: Block) -> None:
        """The sample, sent as spikes or driving neurons: J = 64 · (weight · x + bias)
        in units of the bias."""
        self._start(block.shape)
        registers = block.registers
        if registers is None:
            return
        assert block.bias is not None
        unit = GAIN / registers.current(DT)
        factor = np.full(1, float(block.weight[0, 0]) * unit)
        driven = Rescale(
            f"{block.name}.driven",
            (self.source,),
            scale=factor,
            offset=block.bias * unit,
        )
        self.nodes.append(driven)
        self._population(block, registers, driven.name, {})

    def _population(
        self,
        block: Block,
        registers: Registers,
        current: str,
        mantissa: dict[str, float],
    ) -> None:
        """The neurons behind ``current``, and their scales."""
        if registers.refractory > 1:
            self._note(REFRACTORY)
        self.nodes.append(registers.neuron(block.name, current, DT))
        self.scales[block.name] = Scales(
            membrane=registers.membrane,
            current=registers.current(DT),
            weights=mantissa,
            exponents=dict.fromkeys(mantissa, 0),
        )
        self.source, self.shape = block.name, block.shape

    def _synaptic(self, block: Block) -> None:
        """Synapses, weights and neurons of a layer; of one without, what is read."""
        registers = block.registers
        if registers is None:
            self._potentials(block)
            return
        unit, tau_syn = registers.mantissa(DT), registers.tau_syn(DT)
        bias = np.zeros(block.shape[0])
        if block.bias is not None:
            bias = bias + block.bias * (GAIN / registers.current(DT))
        parts, pictured = list[str](), block.kind in ("conv", "pool")
        for delay, weight in self._delayed(block):
            name = f"{block.name}.weights" + (f"{delay}" if parts else "")
            synapse = n.Lowpass(
                f"{name}.synapse", (self.source,), tau_syn=tau_syn, delay=1 + delay
            )
            self.nodes.append(synapse)
            node = self._weights(block, name, synapse.name, weight / unit, bias)
            parts.append(node)
            bias = np.zeros(block.shape[0])
            if pictured and delay:
                self._note(OF_PICTURES)
        mantissa = {self.source: unit}
        if block.back is not None:
            parts.append(self._back(block, registers))
            mantissa[block.name] = unit
        if len(parts) > 1:
            self.nodes.append(n.Add(f"{block.name}.sum", tuple(parts)))
            parts = [f"{block.name}.sum"]
        self._population(block, registers, parts[0], mantissa)

    def _delayed(self, block: Block) -> Iterator[tuple[int, Integers]]:
        """The weights of each delay, with the delay of the file; at least once."""
        weight, delay = block.weight, block.delay
        if delay is None or not delay.any():
            yield 0, weight
            return
        delay = delay if weight.ndim == 2 else delay.reshape(-1, 1, 1, 1)
        spread = np.broadcast_to(delay, np.broadcast_shapes(weight.shape, delay.shape))
        found = np.unique(spread[np.broadcast_to(weight, spread.shape) != 0]).tolist()
        demand_memory(
            f"Layer {block.layer}: its weights of {len(found)} delays",
            16 * spread.size * len(found),
            "train it with fewer",
        )
        for each in found or [0]:
            yield each, np.where(spread == each, weight, 0)

    def _weights(
        self, block: Block, name: str, source: str, weight: FloatArray, bias: FloatArray
    ) -> str:
        """The linear node of a layer; its name."""
        if block.kind not in ("conv", "pool"):
            if len(self.shape) == 3:
                self.nodes.append(n.Flatten(f"{name}.in", (source,)))
                source = f"{name}.in"
            dense = inputs_last(weight, self.shape)
            self.nodes.append(n.Dense(name, (source,), weight=dense, bias=bias))
            return name
        kernel = np.moveaxis(weight, (2, 3), (0, 1)).swapaxes(2, 3)
        rows, columns, inputs, _ = kernel.shape
        kernel = np.broadcast_to(kernel, (rows, columns, inputs, block.shape[0]))
        high, wide = block.padding
        self.nodes.append(
            n.Conv2D(
                name,
                (source,),
                weight=np.array(kernel),
                bias=bias,
                stride=block.stride,
                padding=((high, high), (wide, wide)),
                groups=block.groups,
                dilation=block.dilation,
            )
        )
        return name

    def _back(self, block: Block, registers: Registers) -> str:
        """The recurrent synapses of a layer; the name of their weights."""
        assert block.back is not None
        synapse = n.Lowpass(
            f"{block.name}.back.synapse",
            (block.name,),
            tau_syn=registers.tau_syn(DT),
            shape=block.shape,
        )
        weight = block.back.T / registers.mantissa(DT)
        back = n.Dense(
            f"{block.name}.back",
            (synapse.name,),
            weight=weight,
            bias=np.zeros(block.shape[0]),
        )
        self.nodes += [synapse, back]
        return back.name

    def _potentials(self, block: Block) -> None:
        """The last layer's potentials, which the host computes: their mean rise."""
        bias = np.zeros(block.shape[0])
        if block.bias is not None:
            bias = bias + block.bias / GAIN
        self.source = self._weights(
            block, block.name, self.source, block.weight / GAIN, bias
        )
        self.shape = block.shape

    def _average(self, groups: int) -> None:
        """The mean of equal groups of neurons, in the file's order."""
        name, size = "average", math.prod(self.shape) // groups
        before: list[Node] = []
        if len(self.shape) == 3:
            before = [Permute(f"{name}.order", axes=(2, 0, 1))]
        chain = [
            *before,
            n.Reshape(f"{name}.groups", shape=(groups, size, 1)),
            n.AvgPool2D(name, pool=(1, size), stride=(1, size)),
            n.Flatten(f"{name}.out"),
        ]
        linked = Graph.chain(n.Input(self.source), *chain).nodes[1:]
        self.nodes += linked
        self.source, self.shape = linked[-1].name, (groups,)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes = (*self.notes, note)


def inputs_last(weight: FloatArray, shape: Shape) -> FloatArray:
    """(outputs, inputs) → (inputs, outputs); of a picture of this shape (channels,
    height, width) its channels last."""
    if len(shape) == 3:
        weight = weight.reshape(len(weight), *shape)
        weight = np.moveaxis(weight, 1, 3).reshape(len(weight), -1)
    return weight.T


def channels_first(weight: Integers, shape: Shape) -> Integers:
    """Back again; ``shape`` is the file's."""
    if len(shape) == 3:
        channels, *size = shape
        weight = np.moveaxis(weight.reshape(*size, channels, -1), 2, 0)
        weight = weight.reshape(math.prod(shape), -1)
    return weight.T
