"""Graph → NIR: neurons with their constants, weights, channels first.

What NIR's tools do without being told, the step of a connection and of a way back, is
not written; what NIR has no word for is said once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ....errors import UnsupportedLayer
from ....graph import nodes as n
from ....graph.graph import Graph
from ....graph.nodes import FloatArray, Node
from ....graph.preparation import Rescale
from ....graph.rearranging import Permute
from ...contract import Written
from ..form import Form
from .laying import MATRICES, Unlaid, is_matrix, laid_out
from .matrices import in_order, matrix_of, unit_rows
from .splits import TIMES, Split, splits_of
from .unsaid import unsaid
from .writer import Writer
from .writing import written

MOST_DIAGONAL = 4096  # neurons whose scale and offset are a matrix


def to_nir(graph: Graph) -> Written:
    """The file of a NIR graph of the same neurons; a spike of it is worth 1.

    SoftLIF and ReLU are the LIF and IF that have their rates.

    Raises:
        UnsupportedLayer: NIR has no equivalent of a node; all of them are said.
        ModelError: the Graph is not in order.
    """
    graph.check()
    splits = splits_of(graph)
    like = {name: split.parts[0].source for name, split in splits.items()}
    laid, obstacles = laid_out(graph, like)
    if obstacles:
        raise UnsupportedLayer.of(obstacles)
    writer = Writer(graph, laid, splits)
    for node in graph.nodes:
        try:
            if node.name not in writer.absorbed:
                kind = next(kind for kind in WRITING if isinstance(node, kind))
                WRITING[kind](writer, node)
        except Unlaid as error:
            obstacles.append(error.of(node))
    if obstacles:
        raise UnsupportedLayer.of(obstacles)
    content = written(writer.nodes, writer.edges())
    return Written(content=content, notes=unsaid(graph, laid))


def _put_input(w: Writer, node: n.Input) -> None:
    w.put(node, "Input", None, shape=np.array(w.shape(node)))


def _put_output(w: Writer, node: n.Output) -> None:
    w.put(node, "Output", node.inputs[0], shape=np.array(w.shape(node)))


def _put_nothing(w: Writer, node: Node) -> None:
    """An edge, or several into one node, are that."""


def _put_dense(w: Writer, node: n.Dense) -> None:
    if node.name in w.splits:
        _put_split(w, node, w.splits[node.name])
        return
    (source,) = node.inputs
    weight = in_order(node.weight.T, w.laid[source].form)
    _put_affine(w, node, source, weight, node.bias)


def _put_affine(
    w: Writer, node: Node, source: str | None, weight: FloatArray, bias: FloatArray
) -> None:
    if bias.any():
        w.put(node, "Affine", source, weight=weight, bias=bias)
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
    own: dict[str, Any] = {"weight": weight, "bias": node.bias, "groups": node.groups}
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
    if is_matrix(node, w.laid[source].form):
        _put_matrix(w, node, source, *matrix_of(node, w.graph.shapes[source]))
    elif isinstance(node, n.Conv2D):
        _put_conv(w, node)
    elif isinstance(node, n.AvgPool2D):
        _put_mean(w, node)


def _put_matrix(
    w: Writer, node: Node, source: str, weight: FloatArray, bias: FloatArray
) -> None:
    """Weight (outputs, inputs) of values in our order, flattened where they are not."""
    form = w.laid[source].form
    if len(form.shape) > 1:
        w.put(node, "Flatten", source, **_flattening(form))
        flat = w.ends[node.name].pop()
        form = Form((form.size,), form.shape)
        _put_affine(w, node, None, in_order(weight, form), bias)
        w.links.append((flat, w.ends[node.name][-1]))
        return
    _put_affine(w, node, source, in_order(weight, form), bias)


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
    shape, stop = w.graph.shapes[node.name], 0
    for source in node.inputs:
        start, stop = stop, stop + w.graph.shapes[source][-1]
        if len(w.shape(node)) == 1:
            places = np.arange(math.prod(shape)).reshape(shape)[..., start:stop]
            weight = unit_rows(math.prod(shape), places.ravel())
            _put_matrix(w, node, source, weight, np.zeros(1))
            continue
        two = np.ones(2, dtype=int)
        w.put(
            *(node, "Conv2d", source),
            input_shape=np.array(w.shape(node)[1:]),
            weight=np.eye(shape[-1])[:, start:stop, None, None],
            bias=np.zeros(shape[-1]),
            stride=two,
            padding=0 * two,
            dilation=two,
            groups=1,
        )


def _put_permuted(w: Writer, node: Permute) -> None:
    if not w.laid[node.name].raw:
        (source,) = node.inputs
        _put_matrix(w, node, source, *matrix_of(node, w.graph.shapes[source]))


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
    _put_worth(w, node, node)


def _put_split(w: Writer, node: n.Dense, split: Split) -> None:
    """One population, each neuron with time constants of its own."""
    parts, shape = split.parts[0], w.shape(node)
    kind, fields = parts.fields(split.nodes[0], lambda x: w.whole(node, x), shape)
    for name in fields.keys() & TIMES.keys():
        fields[name] = w.turned(node, split.constants(name))
    w.put(node, kind, parts.source, **fields)
    _put_worth(w, node, split.nodes[0])


def _put_worth(w: Writer, node: Node, sends: Node) -> None:
    """What a spike is worth, in its step, where it is not 1."""
    if isinstance(sends, n.Neurons) and sends.amplitude != w.dt:
        scale = np.full(w.shape(node), sends.amplitude / w.dt)
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
    Permute: _put_permuted,
    n.Delayed: _put_delayed,
    n.Neurons: _put_stateful,
    n.LI: _put_stateful,
    Node: _put_nothing,
}
