"""Random small float Graphs for property tests."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.preparation import Rescale
from snn_deploy.toolchain.graph.rearranging import Pad2D, Permute, Slice

Drawn = st.DrawFn
IMAGES = st.tuples(st.integers(3, 7), st.integers(3, 7), st.integers(1, 3))
STRIDES = st.tuples(st.integers(1, 2), st.integers(1, 2))
DILATIONS = st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3)])
SIDES = st.tuples(st.integers(1, 3), st.integers(1, 3))


class Builder:
    """Nodes one behind the other, with drawn geometry and weights of a drawn seed."""

    def __init__(self, draw: Drawn, shape: n.Shape, bias: bool = True) -> None:
        self.draw = draw
        self.bias = bias
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes: list[n.Node] = [n.Input("x", shape=shape)]

    @property
    def last(self) -> str:
        return self.nodes[-1].name

    def shape(self, name: str = "") -> n.Shape:
        return Graph(tuple(self.nodes)).shapes[name or self.last]

    def add(self, kind: type[n.Node], *inputs: str, **fields: object) -> str:
        name = f"{kind.__name__.lower()}{len(self.nodes)}"
        self.nodes.append(kind(name, inputs or (self.last,), **fields))
        return name

    def weights(self, *shape: int) -> dict[str, n.FloatArray]:
        """Weights around 1/√fan-in and biases around half a threshold."""
        weight = self.rng.normal(size=shape) / math.sqrt(math.prod(shape[:-1]))
        scale = 0.5 if self.bias else 0.0
        return {"weight": weight, "bias": self.rng.normal(scale=scale, size=shape[-1])}

    def dense(self) -> None:
        if len(self.shape()) > 1:
            self.add(n.Flatten)
        outputs = self.draw(st.sampled_from((4, 6, 12)))
        self.add(n.Dense, **self.weights(*self.shape(), outputs))

    def conv(self, transposed: bool = False, same: bool = False) -> None:
        rows, columns, channels = self.shape()
        kernel = (3, 3) if same else self.draw(SIDES)
        most = [min(k - 1, 2) for k in kernel]
        sides = [st.integers(0, m) for m in most]
        padding = tuple(self.draw(st.tuples(s, s)) for s in sides)
        if same:
            padding = ((1, 1), (1, 1))
        stride = (1, 1) if same else self.draw(STRIDES)
        dilation = (1, 1) if same else self.draw(DILATIONS)
        find = n.transpose_shape if transposed else n.conv_shape
        size = find((rows, columns), kernel, stride, padding, dilation)
        if min(size) < 1 or max(size) > 14:
            return
        groups = self.draw(st.sampled_from((1, 1, channels)))
        filters = channels if same else groups * self.draw(st.integers(1, 3))
        self.add(
            n.ConvTranspose2D if transposed else n.Conv2D,
            **self.weights(*kernel, channels // groups, filters),
            stride=stride,
            padding=padding,
            groups=groups,
            dilation=dilation,
        )

    def pool(self) -> None:
        pool = self.draw(SIDES)
        if all(p <= size for p, size in zip(pool, self.shape())):
            stride = self.draw(st.one_of(st.just(pool), STRIDES))
            edge = [st.integers(0, (p - 1) // 2) for p in pool]
            padding = tuple(self.draw(st.tuples(e, e)) for e in edge)
            inside = self.draw(st.booleans())
            self.add(
                n.AvgPool2D, pool=pool, stride=stride, padding=padding, inside=inside
            )

    def scale(self) -> None:
        """Batch normalisation, or constants of every shape that broadcasts."""
        shape = self.shape()
        if self.draw(st.booleans()):
            gamma, beta, mean = self.rng.normal(size=(3, shape[-1]))
            variance = self.rng.uniform(0.5, 2, shape[-1])
            statistics = {"mean": mean, "variance": variance, "epsilon": 1e-3}
            self.add(n.BatchNorm, gamma=gamma, beta=beta * self.bias, **statistics)
            return
        size = self.draw(st.sampled_from(((1,), shape[-1:], shape)))
        offset = self.rng.normal(size=size) * self.bias
        self.add(Rescale, scale=self.rng.normal(size=size), offset=offset)

    def surround(self) -> None:
        side = st.tuples(st.integers(0, 2), st.integers(0, 2))
        if max(self.shape()[:2]) < 8:
            self.add(Pad2D, padding=(self.draw(side), self.draw(side)))

    def cut(self) -> None:
        box = [
            sorted(self.draw(st.tuples(st.integers(0, size - 1), st.integers(1, size))))
            for size in self.shape()
        ]
        start, stop = zip(*((a, max(b, a + 1)) for a, b in box))
        self.add(Slice, start=start, stop=stop)

    def permute(self) -> None:
        axes = tuple(self.draw(st.permutations(range(len(self.shape())))))
        self.add(Permute, axes=axes)

    def upsample(self) -> None:
        if max(self.shape()[:2]) <= 7:
            self.add(n.Upsample2D, factor=self.draw(STRIDES))

    def reshape(self) -> None:
        size = math.prod(self.shape())
        rows = self.draw(st.sampled_from([d for d in (1, 2, 3) if size % d == 0]))
        self.add(n.Reshape, shape=(rows, 1, size // rows))

    def linear(self) -> None:
        """One linear layer, of those that take the current shape."""
        steps = [self.dense, self.reshape, self.scale, self.cut, self.permute]
        if len(self.shape()) == 3:
            image = [self.conv, lambda: self.conv(transposed=True), self.pool]
            steps += [*image, *image, *image, self.upsample, self.surround]
        self.draw(st.sampled_from(steps))()

    def branch(self) -> None:
        """A block whose input meets its output in an Add or a Concat."""
        start, shape = self.last, self.shape()
        for _ in range(self.draw(st.integers(0, 2))):
            if len(shape) == 3:
                self.conv(same=True)
            else:
                self.add(n.Dense, **self.weights(*shape, *shape))
            if self.draw(st.booleans()):
                self.population()
        kind = self.draw(st.sampled_from((n.Add, n.Concat)))
        self.add(kind, start, self.last)

    def population(self) -> None:
        amplitude = self.draw(st.sampled_from((0.002, 0.01)))
        kind = self.draw(st.sampled_from((n.LIF, n.IF, n.SoftLIF, n.ReLU)))
        self.add(kind, amplitude=amplitude)


@st.composite
def graphs(draw: Drawn, *, populations: int = 3) -> Graph:
    """Up to ``populations`` stages of linear layers and branches, and a read-out."""
    build = Builder(draw, draw(IMAGES))
    for stage in range(draw(st.integers(1, populations))):
        for _ in range(draw(st.integers(0, 3))):
            build.linear()
        if stage and draw(st.integers(0, 2)) == 0:
            build.branch()
        build.population()
    if draw(st.booleans()):
        build.dense()
    build.add(n.Output)
    return Graph(tuple(build.nodes))


def samples_for(graph: Graph, seed: int, count: int = 3) -> n.FloatArray:
    """Samples in 0 … 1, (count, *input shape)."""
    return np.random.default_rng(seed).random((count, *graph.input.shape))
