"""Operators, functions and arrays → the bytes of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ModelError
from ...graph.nodes import Array, Shape
from .files import LARGEST
from .formulas import NEURONS, VERSION
from .model import OWN, Function, Operator, Reference

IR_VERSION = 8  # with functions


def written(
    operators: tuple[Operator, ...],
    arrays: Mapping[str, Array],
    given: tuple[str, Shape],
    answer: tuple[str, Shape],
) -> bytes:
    """An ONNX model; names and shapes of its input and output, samples not counted.

    Raises:
        ModelError: ``onnx`` is not installed, or it has more than 2 GB.
    """
    if sum(array.nbytes for array in arrays.values()) > LARGEST // 2:
        raise ModelError(
            "ONNX: the model has more than 1 GB of weights; export a smaller network"
        )
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise ModelError(
            f"ONNX: writing it needs the package onnx, which cannot be imported "
            f"({error}); pip install 'snn-deploy[onnx]'"
        ) from error
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("samples", *shape))
        for name, shape in (given, answer)
    ]
    graph = helper.make_graph(
        [_node(operator) for operator in operators],
        "network",
        ports[:1],
        ports[1:],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    used = sorted({o.kind for o in operators if o.domain == OWN})
    opsets = [helper.make_opsetid("", VERSION)]
    model = helper.make_model(
        graph,
        functions=[_function(name, NEURONS[name]) for name in used],
        opset_imports=[*opsets, *([helper.make_opsetid(OWN, 1)] if used else [])],
        ir_version=IR_VERSION,
        producer_name="snn-deploy",
    )
    content: bytes = model.SerializeToString()
    return content


def _node(operator: Operator) -> Any:
    from onnx import helper

    node = helper.make_node(
        operator.kind,
        operator.inputs,
        operator.outputs,
        name=operator.name,
        domain=operator.domain,
    )
    for name, value in operator.attributes.items():
        node.attribute.append(_attribute(name, value))
    return node


def _attribute(name: str, value: Any) -> Any:
    from onnx import AttributeProto, helper

    if isinstance(value, Reference):
        kind = AttributeProto.FLOAT
        return AttributeProto(name=name, ref_attr_name=value.name, type=kind)
    if isinstance(value, np.generic):
        value = value.item()
    return helper.make_attribute(name, value)


def _function(name: str, function: Function) -> Any:
    from onnx import helper

    return helper.make_function(
        OWN,
        name,
        function.inputs,
        function.outputs,
        [_node(operator) for operator in function.operators],
        [helper.make_opsetid("", VERSION)],
        function.attributes,
    )
