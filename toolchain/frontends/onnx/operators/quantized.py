"""Quantize and dequantize operators, read as the floats that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ....graph import nodes as n
from ....graph.functions import MaxPool2D
from ....graph.rearranging import Pad2D, Permute, Slice
from .arithmetic import rescaled
from .arrangement import Tensor
from .call import Call
from .network import Known, Network
from .pointwise import held_as

NOTE = (
    "The model is quantised and read as floats: rounding and the limits of its whole "
    "numbers are left out."
)
PASS_ON = (
    *(n.Flatten, n.Reshape, n.Concat, n.AvgPool2D, n.Upsample2D),
    *(MaxPool2D, Pad2D, Permute, Slice),
)
"""Nodes that give nothing negative where they are given nothing negative."""


def quantize(call: Call) -> Tensor:
    """QuantizeLinear: its input, rectified where its whole numbers begin at 0.

    Quantisers leave a ReLU out where the limits of the whole numbers do its work.
    """
    call.net.notes[NOTE] = None
    tensor = call.tensor()
    zero = call.constant(2, "zero point") if call.has(2) else np.zeros(1, np.uint8)
    if zero.dtype.kind in "iu":
        lowest = np.iinfo(zero.dtype).min
        if (zero == lowest).all() and not _never_negative(call.net, tensor.node):
            tensor = held_as(tensor, call.add(n.ReLU, tensor.node))
    return replace(tensor, quantized=True, whole=False)


def _never_negative(net: Network, name: str) -> bool:
    """Whether a node's values are known to be, or a sample's own, which are its."""
    node = net.nodes[name]
    if isinstance(node, n.Input | n.ReLU | n.Sigmoid | n.Softmax | n.Argmax):
        return True
    kinds = isinstance(node, PASS_ON)
    return kinds and all(_never_negative(net, source) for source in node.inputs)


def dequantize(call: Call) -> Tensor:
    """DequantizeLinear: back to floats; of whole numbers that the model takes too."""
    tensor = call.net.tensor(call.inputs[0])
    if tensor.quantized:
        return replace(tensor, quantized=False)
    if not tensor.whole:
        raise call.refuse(
            "it dequantises what no QuantizeLinear gave", "export the float model"
        )
    scale, zero = call.numbers(1, "scale"), np.zeros(())
    if call.has(2):
        zero = call.numbers(2, "zero point")
    axis = 0
    if scale.size > 1:
        axis = call.axis(call.attribute("axis", 1), len(tensor.shape))
    shape = [1] * (len(tensor.shape) + 1)
    shape[axis + 1] = scale.size
    scale, zero = scale.reshape(shape), np.broadcast_to(zero.reshape(-1), scale.size)
    zero = zero.reshape(shape)
    return rescaled(call, replace(tensor, whole=False), scale, -zero * scale)


QUANTIZED: Mapping[str, Callable[[Call], Known]] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
}
