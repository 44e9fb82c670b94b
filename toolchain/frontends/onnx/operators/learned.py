"""ai.onnx.ml, as skl2onnx writes it: scalers and linear models."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ....graph import nodes as n
from .arithmetic import rescaled
from .arrangement import Tensor
from .call import Call
from .layers import dense
from .network import Known
from .pointwise import held_as


def scaler(call: Call) -> Tensor:
    """Scaler: (x − offset) · scale."""
    tensor = call.tensor()
    scale = np.array(call.attribute("scale", (1.0,)))
    offset = np.array(call.attribute("offset", (0.0,)))
    return rescaled(call, tensor, scale, -offset * scale)


def _linear(call: Call, rows: int, name: str) -> Tensor:
    """A Dense of the coefficients, a row an output."""
    tensor = call.tensor()
    weight = np.array(call.attribute("coefficients", (0.0,)))
    bias = np.array(call.attribute(name, (0.0,) * rows))
    if weight.size % rows or bias.size not in (1, rows):
        raise call.refuse(
            f"it has {weight.size} coefficients and {bias.size} intercepts for {rows} "
            "outputs",
            "export the model again",
        )
    return dense(call, tensor, weight.reshape(rows, -1).T, np.broadcast_to(bias, rows))


def regressor(call: Call) -> Tensor:
    """LinearRegressor."""
    if call.attribute("post_transform", "NONE") != "NONE":
        raise call.refuse("its answer is transformed", "use post_transform NONE")
    return _linear(call, call.attribute("targets", 1), "intercepts")


def classifier(call: Call) -> tuple[Tensor, ...]:
    """LinearClassifier of several classes: the label's place, and the scores."""
    labels = call.attribute("classlabels_ints", ()) or call.attribute(
        "classlabels_strings", ()
    )
    weights = len(call.attribute("coefficients", (0.0,)))
    features = call.tensor().shape[-1]
    rows = max(weights // features, 1)
    if len(labels) != rows or rows < 2:
        raise call.refuse(
            f"it has {rows} rows of coefficients for {len(labels)} classes",
            "give it one row a class, with multi_class='multinomial'",
        )
    scores = _linear(call, rows, "intercepts")
    if labels != tuple(range(rows)):
        call.net.notes[f"The classes are {', '.join(map(str, labels))}."] = None
    label = Tensor.plain(call.add(n.Argmax, scores.node, suffix="_label"), (), True)
    how = call.attribute("post_transform", "NONE")
    kinds: Mapping[str, type[n.Node] | None] = {
        "NONE": None,
        "LOGISTIC": n.Sigmoid,
        "SOFTMAX": n.Softmax,
    }
    if how not in kinds:
        raise call.refuse(f"its post_transform is {how!r}", "use SOFTMAX")
    kind = kinds[how]
    if kind is not None:
        scores = held_as(scores, call.add(kind, scores.node, suffix="_scores"))
    return label, scores


def normalizer(call: Call) -> Tensor:
    """Normalizer of what sums to 1 already, as skl2onnx writes it behind Softmax."""
    tensor = call.tensor()
    softmax = isinstance(call.net.nodes[tensor.node], n.Softmax)
    if not softmax or call.attribute("norm", "MAX") != "L1":
        raise call.refuse("it divides each sample by its own size")
    return tensor


LEARNED: Mapping[str, Callable[[Call], Known | tuple[Known, ...]]] = {
    "Scaler": scaler,
    "Normalizer": normalizer,
    "LinearRegressor": regressor,
    "LinearClassifier": classifier,
}
