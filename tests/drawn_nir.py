"""NIR graphs drawn at random, and what they do by NIR's own equations, plainly.

The equations are those of the docstrings of ``nir``; what those leave open is as in
``Timing``. Nothing of ours is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import nir
import numpy as np
from hypothesis import strategies as st

DT = 0.001
POPULATIONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)


@dataclass
class Builder:
    """A NIR graph as it grows, line by line, with ways back, skips and delays."""

    draw: st.DrawFn
    rng: np.random.Generator
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    shapes: dict = field(default_factory=dict)
    last: str = ""
    shape: tuple[int, ...] = ()

    def put(self, name: str, node: nir.NIRNode, shape: tuple[int, ...] = ()) -> None:
        for part, value in vars(node).items():  # nir writes no array of no axes
            if isinstance(value, np.ndarray) and not value.ndim:
                setattr(node, part, value[()])
        self.nodes[name] = node
        if self.last:
            self.edges.append((self.last, name))
        self.last, self.shape = name, shape or self.shape
        self.shapes[name] = self.shape

    def one_of(self, *names: str) -> str:
        return self.draw(st.sampled_from(names))

    def floats(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return self.rng.normal(scale=scale, size=shape).astype(np.float32)

    def positive(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(0.5, 1.5, shape).astype(np.float32)

    def weights(self, name: str, level: float) -> None:
        """Weights, in images now and then pooling, scales and flattening too."""
        axes = len(self.shape)
        if axes > 1 and self.draw(st.booleans()):
            self.put(f"{name}.flat", *self.flat())
            axes = 1
        if axes == 3:
            self.window(name, level)
        elif axes == 2:
            self.put(name, *self.row(level))
        else:
            (inputs,), outputs = self.shape, int(self.rng.integers(2, 6))
            weight = self.floats(outputs, inputs, scale=level / math.sqrt(inputs))
            node = nir.Linear(weight)
            if self.draw(st.booleans()):
                node = nir.Affine(weight, self.floats(outputs, scale=level / 5))
            self.put(name, node, (outputs,))
        if self.draw(st.integers(0, 3)) == 0:
            self.put(f"{name}.scale", nir.Scale(self.positive(*self.shape)))

    def flat(self):
        node = nir.Flatten(np.array(self.shape), start_dim=0, end_dim=-1)
        return node, (math.prod(self.shape),)

    def window(self, name: str, level: float) -> None:
        channels, *size = self.shape
        if min(size) > 3 and self.draw(st.booleans()):
            kind = {"mean": nir.AvgPool2d, "sum": nir.SumPool2d}[
                self.one_of("mean", "sum")
            ]
            padding = self.draw(st.integers(0, 1))
            two, pads = np.array([2, 2]), np.array([padding, 0])
            size = [(size[0] + 2 * padding) // 2, size[1] // 2]
            self.put(f"{name}.pool", kind(two, two, pads), (channels, *size))
        outputs, groups = 2 * self.draw(st.integers(1, 2)), self.draw(st.integers(1, 2))
        groups = groups if channels % groups == 0 else 1
        padding, stride = self.one_of("same", "valid", "one"), 1
        if min(size) < 2:  # no room for a window of two
            padding = "same"
        if padding != "same":
            stride = self.draw(st.integers(1, 2))
        kernel = 2 if padding == "valid" else 3
        weight = self.floats(outputs, channels // groups, kernel, kernel)
        pads = {"same": 1, "valid": 0, "one": 1}[padding]
        grown = [(n + 2 * pads - kernel) // stride + 1 for n in size]
        node = nir.Conv2d(
            input_shape=tuple(size),
            weight=weight * np.float32(level / math.sqrt(weight[0].size)),
            stride=stride,
            padding=padding if padding != "one" else (1, 1),
            dilation=1,
            groups=groups,
            bias=self.floats(outputs, scale=level / 5),
        )
        self.put(name, node, (outputs, *grown))

    def row(self, level: float):
        channels, length = self.shape
        outputs, stride = int(self.rng.integers(1, 4)), self.draw(st.integers(1, 2))
        weight = self.floats(outputs, channels, 3) * np.float32(level / 2)
        node = nir.Conv1d(
            input_shape=length,
            weight=weight,
            stride=stride,
            padding=1,
            dilation=1,
            groups=1,
            bias=self.floats(outputs, scale=level / 5),
        )
        return node, (outputs, (length - 1) // stride + 1)

    def tau(self, shape: tuple[int, ...], least: float = 0.002) -> np.ndarray:
        """One time constant for all, or, in a row of neurons, one of two for each."""
        few = np.float32(least) * self.rng.integers(1, 9, 2).astype(np.float32)
        if len(self.shape) == 1 and shape and self.draw(st.booleans()):
            return few[self.rng.integers(0, 2, shape)]
        return np.full(shape, few[0])

    def constants(self) -> dict[str, np.ndarray]:
        """r, v_leak, v_threshold, v_reset: a number each, or one for each neuron."""
        shape = () if self.draw(st.integers(0, 3)) == 0 else self.shape
        one, zero = np.ones(shape, np.float32), np.zeros(shape, np.float32)
        usual = {"r": one, "v_leak": zero, "v_threshold": one, "v_reset": zero}
        if self.draw(st.booleans()):
            return usual
        reset = self.rng.normal(scale=0.2, size=shape).astype(np.float32)
        return {
            "r": self.positive(*shape),
            "v_leak": self.rng.normal(scale=0.2, size=shape).astype(np.float32),
            "v_threshold": reset + self.positive(*shape),
            "v_reset": reset,
        }

    def population(self, name: str) -> float:
        """A population; how strong what drives it has to be."""
        kind, c = self.one_of("IF", "LIF", "CubaLIF", "Threshold"), self.constants()
        shape = c["r"].shape
        if kind == "Threshold":
            node = nir.Threshold(c["v_threshold"] - np.float32(0.5))
        elif kind == "IF":
            del c["v_leak"]
            c["r"] = c["r"] * np.float32(200)
            node = nir.IF(**c)
        elif kind == "LIF":
            node = nir.LIF(tau=self.tau(shape), **c)
        else:
            w_in = self.positive(*shape) if self.draw(st.booleans()) else np.float32(1)
            taus = {"tau_mem": self.tau(shape), "tau_syn": self.tau(shape)}
            node = nir.CubaLIF(**taus, w_in=w_in, **c)
        self.put(name, node)

    def back(self, name: str) -> None:
        """A way back from the population to itself, through weights."""
        axes, size = len(self.shape), self.shape
        if axes == 2:
            return
        if axes == 1:
            weight = self.floats(*size, *size) / np.float32(math.sqrt(size[0]))
            node = nir.Linear(2 * weight)
            if self.draw(st.booleans()):
                node = nir.Affine(2 * weight, self.floats(*size, scale=0.2))
        else:
            node = nir.Conv2d(
                input_shape=size[1:],
                weight=self.floats(size[0], size[0], 3, 3) / np.float32(3),
                stride=1,
                padding=(1, 1),
                dilation=1,
                groups=1,
                bias=np.zeros(size[0], np.float32),
            )
        way = f"{name}.w_rec"
        self.nodes[way] = node
        start = name
        if self.draw(st.integers(0, 2)) == 0:
            start = f"{name}.late"
            delay = np.full(self.shape, DT * self.draw(st.integers(1, 3)))
            self.nodes[start] = nir.Delay(delay)
            self.edges.append((name, start))
        self.edges += [(start, way), (way, name)]

    def integrator(self, name: str) -> None:
        """What is read: potentials."""
        shape = self.shape
        one, leak = np.ones(shape, np.float32), self.floats(*shape, scale=0.2)
        kind = self.one_of("LI", "CubaLI", "I")
        if kind == "I":
            self.put(name, nir.I(r=100 * self.positive(*shape)))
        elif kind == "LI":
            self.put(name, nir.LI(tau=self.tau(shape), r=2 * one, v_leak=leak))
        else:
            taus = {"tau_mem": self.tau(shape), "tau_syn": self.tau(shape)}
            self.put(
                name, nir.CubaLI(**taus, r=one, v_leak=leak, w_in=self.positive(*shape))
            )


@dataclass
class Drawn:
    """A NIR graph, and the shapes of its line's nodes."""

    graph: nir.NIRGraph
    shapes: dict[str, tuple[int, ...]]

    @property
    def populations(self) -> list[str]:
        return [x for x, n in self.graph.nodes.items() if isinstance(n, POPULATIONS)]


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 3) -> Drawn:
    """1 to ``most`` populations behind each other, with ways back and delays."""
    build = Builder(draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    shape = draw(st.sampled_from(((4,), (2, 6), (2, 5, 6))))
    build.put("input", nir.Input(np.array(shape)), shape)
    for number in range(draw(st.integers(1, most))):
        name = f"p{number}"
        build.weights(f"{name}.w", 4.0)
        build.population(name)
        if draw(st.booleans()):
            build.back(name)
        if draw(st.integers(0, 3)) == 0:
            steps = draw(st.integers(1, 3))
            build.put(f"{name}.delay", nir.Delay(np.full(build.shape, steps * DT)))
    if draw(st.booleans()):
        build.weights("read.w", 1.0)
        build.integrator("read")
    build.put("output", nir.Output(np.array(build.shape)))
    graph = nir.NIRGraph(build.nodes, build.edges, type_check=False)
    return Drawn(graph, build.shapes)


@dataclass
class Plainly:
    """One sample through a NIR graph, step by step."""

    drawn: Drawn
    dt: float = DT
    reset: str = "zero"
    grid: str = "exponential"

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Node → its values, (steps, …), of what enters, (steps, …), channels first."""
        self.graph = self.drawn.graph
        self.coming = {name: [] for name in self.graph.nodes}
        for source, target in sorted(self.graph.edges):
            self.coming[target].append(source)
        self.state, self.sent = {}, {name: [] for name in self.graph.nodes}
        for now in x:
            self.now, self.entered = {}, now.astype(np.float64)
            self.busy = set()
            for name in self.graph.nodes:
                self.value(name)
            for name, value in self.now.items():
                self.sent[name].append(value)
        return {name: np.stack(values) for name, values in self.sent.items()}

    def value(self, name: str) -> np.ndarray:
        """Of a node in this step; of one that is being computed, of the step before."""
        if name in self.now:
            return self.now[name]
        node = self.graph.nodes[name]
        if isinstance(node, nir.Delay):
            steps = int(round(float(node.delay.max()) / self.dt))
            source = self.coming[name][0]
            ago = len(self.sent[source]) - steps
            shape = node.delay.shape
            self.now[name] = self.sent[source][ago] if ago >= 0 else np.zeros(shape)
            return self.now[name]
        if name in self.busy:
            before = self.sent[name]
            return before[-1] if before else np.zeros(self.drawn.shapes[name])
        self.busy.add(name)
        if isinstance(node, nir.Input):
            y = self.entered
        else:
            y = self.computed(name, node, sum(map(self.value, self.coming[name])))
        self.busy.discard(name)
        self.now[name] = y
        return y

    def decay(self, tau: np.ndarray) -> np.ndarray:
        ratio = self.dt / np.asarray(tau, np.float64)
        return np.exp(-ratio) if self.grid == "exponential" else 1 - ratio

    def computed(self, name: str, node: nir.NIRNode, x: np.ndarray) -> np.ndarray:
        match node:
            case nir.Affine():
                return node.weight.astype(np.float64) @ x + node.bias
            case nir.Linear():
                return node.weight.astype(np.float64) @ x
            case nir.Scale():
                return node.scale * x
            case nir.Flatten():
                return x.reshape(-1)
            case nir.Conv2d():
                return conv(node, x)
            case nir.Conv1d():
                return conv(node, x[:, None])[:, 0]
            case nir.AvgPool2d() | nir.SumPool2d():
                return pool(node, x)
            case nir.Output():
                return x
            case nir.Threshold():
                return 1.0 * (x > node.threshold)
        return self.stepped(name, node, x)

    def stepped(self, name: str, node: nir.NIRNode, x: np.ndarray) -> np.ndarray:
        start = np.zeros(x.shape) + getattr(node, "v_reset", 0.0)
        v, i = self.state.get(name, (start, np.zeros(x.shape)))
        if isinstance(node, nir.CubaLIF | nir.CubaLI):
            a = self.decay(node.tau_syn)
            i = a * i + (1 - a) * node.w_in * x
            x = i
        if isinstance(node, nir.IF | nir.I):
            v = v + self.dt * node.r * x
        else:
            tau = node.tau if isinstance(node, nir.LIF | nir.LI) else node.tau_mem
            a = self.decay(tau)
            v = a * v + (1 - a) * (node.v_leak + node.r * x)
        if isinstance(node, nir.I | nir.LI | nir.CubaLI):
            self.state[name] = v, i
            return v
        z, unit = v > node.v_threshold, node.v_threshold - node.v_reset
        left = node.v_reset + np.zeros(v.shape)
        if self.reset == "subtract":
            if isinstance(node, nir.IF):  # several spikes a step, as in Sinabs
                z = np.maximum(np.floor((v - node.v_reset) / unit), 0)
            left = v - z * unit
        self.state[name] = np.where(z > 0, left, v), i
        return 1.0 * z


def conv(node: nir.Conv1d | nir.Conv2d, x: np.ndarray) -> np.ndarray:
    """Cross-correlation of (channels, height, width), window by window."""
    weight = node.weight.astype(np.float64)
    two = weight.ndim == 4
    weight = weight if two else weight[:, :, None]
    kernel, pads = weight.shape[2:], node.padding
    stride, dilation = (
        (value if np.ndim(value) else (value, value)) if two else (1, value)
        for value in (node.stride, node.dilation)
    )
    if isinstance(pads, str) and pads == "same":
        pads = [((k - 1) // 2, k // 2) for k in kernel]
    elif isinstance(pads, str):
        pads = [(0, 0), (0, 0)]
    else:
        pads = [(p, p) for p in (pads if two else (0, pads))]
    x = np.pad(x, [(0, 0), *pads])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    rows, columns = ((n - r) // s + 1 for n, r, s in zip(x.shape[1:], reach, stride))
    per = len(weight) // node.groups
    y = np.empty((len(weight), rows, columns))
    for o, r, c in np.ndindex(*y.shape):
        first = (o // per) * weight.shape[1]
        part = x[first : first + weight.shape[1]]
        top, left = r * stride[0], c * stride[1]
        seen = part[
            :,
            top : top + reach[0] : dilation[0],
            left : left + reach[1] : dilation[1],
        ]
        y[o, r, c] = (seen * weight[o]).sum() + node.bias[o]
    return y


def pool(node: nir.AvgPool2d | nir.SumPool2d, x: np.ndarray) -> np.ndarray:
    down, across = (int(p) for p in node.padding)
    x = np.pad(x, [(0, 0), (down, down), (across, across)])
    (k, m), (s, t) = node.kernel_size, node.stride
    rows, columns = (x.shape[1] - k) // s + 1, (x.shape[2] - m) // t + 1
    y = np.empty((len(x), rows, columns))
    for r, c in np.ndindex(rows, columns):
        y[:, r, c] = x[:, r * s : r * s + k, c * t : c * t + m].sum((1, 2))
    return y / (k * m) if isinstance(node, nir.AvgPool2d) else y
