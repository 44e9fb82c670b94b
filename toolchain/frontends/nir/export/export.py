"""Graph → NIR: neurons with their constants, weights, channels first.

What NIR's tools do without being told, the step of a connection and of a way back, is
not written; what NIR has no word for is said once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ....errors import ModelError, UnsupportedLayer
from ....graph import nodes as n
from ....graph.graph import Graph
from ....graph.nodes import Array, FloatArray, Node
from ....graph.preparation import Rescale
from ...contract import Written
from ..form import Form, first
from .laying import MATRICES, Laid, Unlaid, is_matrix, laid_out
from .matrices import matrix_of
from .parts import Parts, parts_of
from .unsaid import DT, unsaid
from .writing import node_name, written

MOST_DIAGONAL = 4096  # neurons whose scale and offset are a matrix


def to_nir(graph: Graph) -> Written:
    """The file of a NIR graph of the same neurons; a spike of it is worth 1.

    SoftLIF and ReLU are the LIF and IF that have their rates.

    Raises:
        UnsupportedLayer: NIR has no equivalent of a node; all of them are said.
        ModelError: the Graph is not in order.
    """
    graph.check()
    laid, obstacles = laid_out(graph)
    if obstacles:
        raise UnsupportedLayer.of(obstacles)
    writer = Writer(graph, laid)
    for node in graph.nodes:
        try:
            writer.add(node)
        except Unlaid as error:
            obstacles.append(error.of(node))
    if obstacles:
        raise UnsupportedLayer.of(obstacles)
    content = written(writer.nodes, writer.edges())
    return Written(content=content, notes=unsaid(graph, laid))


class Writer:
    """Nodes of NIR as they grow."""

    def __init__(self, graph: Graph, laid: Mapping[str, Laid]) -> None:
        self.graph, self.laid = graph, laid
        self.dt = graph.dt or DT
        self.parts: dict[str, Parts] = parts_of(graph)
        self.absorbed = {
            name for parts in self.parts.values() for name in parts.absorbed
        }
        self.nodes: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, list[str]] = {}  # node here → NIR's, whose sum it is
        self.takes: list[tuple[str, str]] = []  # node here, and one of NIR's behind it
        self.links: list[tuple[str, str]] = []  # nodes of NIR

    def add(self, node: Node) -> None:
        """What a node is in NIR."""
        if node.name not in self.absorbed:
            kind = next(kind for kind in WRITING if isinstance(node, kind))
            WRITING[kind](self, node)

    def put(self, node: Node, kind: str, source: str | None, **fields: Any) -> None:
        """The node of NIR that a node is, of its name; another one adds to it."""
        name = self.free(node.name)
        self.nodes[name] = {"type": kind, **fields}
        self.ends.setdefault(node.name, []).append(name)
        if source is not None:
            self.takes.append((source, name))

    def behind(self, node: Node, suffix: str, kind: str, **fields: Any) -> None:
        """A node of NIR behind those that a node is by now."""
        name = self.free(f"{node.name}.{suffix}")
        self.nodes[name] = {"type": kind, **fields}
        self.links += [(end, name) for end in self.ends[node.name]]
        self.ends[node.name] = [name]

    def free(self, wanted: str) -> str:
        """A name that no node of NIR has yet, and that is one of HDF5's."""
        wanted = node_name(wanted)
        name, count = wanted, 1
        while name in self.nodes:
            count += 1
            name = f"{wanted}.{count}"
        return name

    def edges(self) -> list[tuple[str, str]]:
        """All edges, where the nodes are written.

        Raises:
            ModelError: a node is added to itself, which no edge says.
        """
        found = self.links + [
            (end, name) for source, name in self.takes for end in self.sum(source)
        ]
        if len({*found}) < len(found):
            twice = next(edge for edge in found if found.count(edge) > 1)
            raise ModelError(
                f"NIR: {twice[1]!r} takes {twice[0]!r} twice, and a NIR graph has an "
                "edge once; put a scale of 2 there"
            )
        return found

    def sum(self, name: str) -> list[str]:
        """The nodes of NIR whose sum a node here is."""
        found: list[str] = []
        waiting, seen = [name], set[str]()
        while waiting:
            node = self.graph[waiting.pop()]
            if node.name in self.ends:
                found += self.ends[node.name]
            elif node.name not in seen or not isinstance(node, n.Delayed):
                seen.add(node.name)
                waiting += node.inputs
        return found

    def shape(self, node: Node) -> tuple[int, ...]:
        """Of a node's value in NIR."""
        return self.laid[node.name].form.shape

    def turned(self, node: Node, values: FloatArray) -> Array:
        """Values of a node as NIR has them: one, or broadcast to its shape."""
        form = self.laid[node.name].form
        if values.size == 1 and (values.ndim == 0 or len(form.shape) == 1):
            return values.reshape(values.shape[:1])
        if len(form.shape) > 1:
            if values.ndim == 1:
                values = values.reshape((1, 1, -1))
            turned = first(values)
            return turned[:, 0] if len(form.shape) == 2 else turned
        flat = np.broadcast_to(values, self.graph.shapes[node.name]).ravel()
        order = form.order
        if order is None:
            return flat
        placed = np.empty_like(flat)
        placed[order] = flat
        return placed

    def whole(self, node: Node, values: FloatArray) -> Array:
        """The same, all of them."""
        return np.broadcast_to(self.turned(node, values), self.shape(node)).copy()


def _put_input(w: Writer, node: n.Input) -> None:
    w.put(node, "Input", None, shape=np.array(w.shape(node)))


def _put_output(w: Writer, node: n.Output) -> None:
    w.put(node, "Output", node.inputs[0], shape=np.array(w.shape(node)))


def _put_nothing(w: Writer, node: Node) -> None:
    """An edge, or several into one node, are that."""


def _put_dense(w: Writer, node: n.Dense) -> None:
    (source,) = node.inputs
    weight, order = node.weight.T, w.laid[source].form.order
    if order is not None:
        placed = np.empty_like(weight)
        placed[:, order] = weight
        weight = placed
    if node.bias.any():
        w.put(node, "Affine", source, weight=weight, bias=node.bias)
    else:
        w.put(node, "Linear", source, weight=weight)


def _put_conv(w: Writer, node: n.Conv2D) -> None:
    (source,) = node.inputs
    row = len(w.shape(node)) == 2
    weight, padding = _symmetric(node)
    channels = w.shape(node)[0]
    ones = (weight == 1).all() and not node.bias.any() and node.dilation == (1, 1)
    if ones and node.groups == channels and weight.shape[2] == 1 and not row:
        w.put(
            *(node, "SumPool2d", source),
            kernel_size=np.array(weight.shape[:2]),
            stride=np.array(node.stride),
            padding=np.array(padding),
        )
        return
    weight = weight.transpose(3, 2, 0, 1)
    own = {"weight": weight, "bias": node.bias, "groups": node.groups}
    if row:
        w.put(
            *(node, "Conv1d", source),
            input_shape=w.shape(w.graph[source])[1],
            stride=node.stride[1],
            padding=padding[1],
            dilation=node.dilation[1],
            **{**own, "weight": weight[:, :, 0]},
        )
        return
    w.put(
        *(node, "Conv2d", source),
        input_shape=np.array(w.shape(w.graph[source])[1:]),
        stride=np.array(node.stride),
        padding=np.array(padding),
        dilation=np.array(node.dilation),
        **own,
    )


def _symmetric(node: n.Conv2D) -> tuple[FloatArray, tuple[int, int]]:
    """The kernel with zeros at its shorter side, where padding is as much on both."""
    weight, both = node.weight, []
    for axis, (pads, dilation) in enumerate(zip(node.padding, node.dilation)):
        before, after = pads
        missing = abs(after - before) // dilation
        zeros = [(0, 0)] * 4
        zeros[axis] = (missing, 0) if after > before else (0, missing)
        weight = np.pad(weight, zeros)
        both.append(max(pads))
    return weight, (both[0], both[1])


def _put_mean(w: Writer, node: n.AvgPool2D) -> None:
    w.put(
        *(node, "AvgPool2d", node.inputs[0]),
        kernel_size=np.array(node.pool),
        stride=np.array(node.stride),
        padding=np.array([before for before, _ in node.padding]),
    )


def _put_window(w: Writer, node: Node) -> None:
    """A window where NIR has it, or the matrix that it is."""
    (source,) = node.inputs
    if not is_matrix(node, w.laid[source].form):
        _put_conv(w, node) if isinstance(node, n.Conv2D) else _put_mean(w, node)  # type: ignore[arg-type]
        return
    shape = w.graph.shapes[source]
    weight, bias = matrix_of(node, shape)
    form, flat = w.laid[source].form, f"{node.name}.flat"
    if len(form.shape) > 1:
        order = Form((form.size,), form.shape).order
        w.put(replace(node, name=flat), "Flatten", source, **_flattening(form))
    else:
        order = form.order
    if order is not None:
        placed = np.empty_like(weight)
        placed[:, order] = weight
        weight = placed
    w.put(node, "Affine", None, weight=weight, bias=bias)
    ends = w.ends[flat] if flat in w.ends else None
    if ends is None:
        w.takes.append((source, w.ends[node.name][0]))
    else:
        w.links += [(end, w.ends[node.name][0]) for end in ends]


def _flattening(form: Form, start: int = 0) -> dict[str, Any]:
    return {"start_dim": start, "end_dim": -1, "input_type": np.array(form.shape)}


def _put_scaled(w: Writer, node: n.BatchNorm | n.Membrane | Rescale) -> None:
    (source,) = node.inputs
    shape, scale = w.shape(node), w.whole(node, node.scale)
    offset = w.whole(node, node.offset)
    if not offset.any():
        w.put(node, "Scale", source, scale=scale)
    elif len(shape) == 1 and shape[0] <= MOST_DIAGONAL:
        w.put(node, "Affine", source, weight=np.diag(scale), bias=offset)
    elif len(shape) == 3 and all(
        (part == part[:, :1, :1]).all() for part in (scale, offset)
    ):
        two = np.ones(2, dtype=int)
        w.put(
            *(node, "Conv2d", source),
            input_shape=np.array(shape[1:]),
            weight=scale[:, :1, :1][:, None],
            bias=offset[:, 0, 0],
            stride=two,
            padding=0 * two,
            dilation=two,
            groups=shape[0],
        )
    else:
        raise Unlaid("NIR adds nothing to each value", "fold it into weights before")


def _put_flat(w: Writer, node: n.Flatten | n.Reshape) -> None:
    (source,) = node.inputs
    was, own = w.laid[source].form, w.laid[node.name].form
    if len(was.shape) == 1 or len(was.shape) == len(own.shape):
        return
    w.put(node, "Flatten", source, **_flattening(was, len(own.shape) - 1))


def _put_joined(w: Writer, node: n.Concat) -> None:
    """A matrix of 0 and 1 for each part; what they give is added."""
    total, start = w.shape(node)[0], 0
    for source in node.inputs:
        shape = w.shape(w.graph[source])
        weight = np.eye(total)[:, start : start + shape[0]]
        start += shape[0]
        if len(shape) == 1:
            w.put(node, "Linear", source, weight=weight)
        else:
            two = np.ones(2, dtype=int)
            w.put(
                *(node, "Conv2d", source),
                input_shape=np.array(shape[1:]),
                weight=weight[:, :, None, None],
                bias=np.zeros(total),
                stride=two,
                padding=0 * two,
                dilation=two,
                groups=1,
            )


def _put_delayed(w: Writer, node: n.Synapse) -> None:
    """A filter, and the delay beyond the connection's own step; a Delay is all said."""
    (source,) = node.inputs
    shape = w.shape(node)
    own = isinstance(node, n.Lowpass)
    if node.tau_syn:
        ones = np.ones(shape)
        fields = {"tau": node.tau_syn * ones, "r": ones, "v_leak": 0 * ones}
        w.put(node, "LI", source, **fields)
    delay = np.full(shape, (node.delay - own) * w.dt)
    if node.tau_syn and node.delay > 1:
        w.behind(node, "delay", "Delay", delay=delay)
    elif node.delay - own:
        w.put(node, "Delay", source, delay=delay)


def _put_stateful(w: Writer, node: n.Neurons | n.LI) -> None:
    """A population, or what integrates, with what was taken into its constants."""
    parts = w.parts[node.name]
    kind, fields = parts.fields(
        node, lambda values: w.turned(node, values), w.shape(node)
    )
    w.put(node, kind, parts.source, **fields)
    if isinstance(node, n.Neurons) and node.amplitude != w.dt:
        scale = np.full(w.shape(node), node.amplitude / w.dt)
        w.behind(node, "worth", "Scale", scale=scale)


WRITING: Mapping[type[Node], Callable[..., None]] = {
    n.Input: _put_input,
    n.Output: _put_output,
    n.Dense: _put_dense,
    **dict.fromkeys((n.Conv2D, n.AvgPool2D, *MATRICES), _put_window),
    n.BatchNorm: _put_scaled,
    n.Membrane: _put_scaled,
    Rescale: _put_scaled,
    n.Flatten: _put_flat,
    n.Reshape: _put_flat,
    n.Concat: _put_joined,
    n.Delayed: _put_delayed,
    n.Neurons: _put_stateful,
    n.LI: _put_stateful,
    Node: _put_nothing,
}
