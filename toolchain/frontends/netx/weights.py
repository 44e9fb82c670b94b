"""The weights, biases and delays of a NetX layer, which fit the layer before it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...graph.node import Pair, Shape, conv_shape
from ...program.arithmetic import MAX_BIAS_MANTISSA, MAX_MANTISSA
from .fields import Fields, Integers

LONGEST = 62  # steps, lava-dl's max_delay


def shape_of(fields: Fields) -> Shape:
    """That of a layer, at least 1 in each axis."""
    found = tuple(fields.integers("shape").ravel().tolist())
    if not found or min(found) < 1:
        raise fields.error(
            f"its shape is {found}; at least one in each axis is allowed"
        )
    return found


def dense(fields: Fields, before: Shape | None) -> dict[str, Any]:
    outputs = math.prod(shape_of(fields))
    weight = _matrix(fields, "weight", outputs)
    inputs = weight.shape[1] if before is None else math.prod(before)
    if weight.shape[1] != inputs:
        raise fields.error(
            f"its weight takes {weight.shape[1]} inputs, the layer before it has "
            f"{inputs}"
        )
    found: dict[str, Any] = {"shape": (outputs,), "weight": weight}
    if fields.kind == "dense_rec":
        back = _matrix(fields, "weight_rec", outputs)
        if back.shape[1] != outputs:
            raise fields.error(f"its weight_rec is {back.shape}, it has {outputs}")
        demand_weights(fields, back)
        found["back"] = back
    return found


def _matrix(fields: Fields, name: str, outputs: int) -> Integers:
    weight = fields.integers(name)
    if not weight.size or weight.size % outputs or weight.ndim > 2:
        raise fields.error(
            f"its {name} is {weight.shape}; (outputs, inputs) with {outputs} outputs "
            "is allowed"
        )
    if weight.ndim == 2 and weight.shape[0] != outputs:
        raise fields.error(f"its {name} is {weight.shape}, its shape has {outputs}")
    return weight.reshape(outputs, -1)


def windowed(fields: Fields, before: Shape | None) -> dict[str, Any]:
    """A convolution or pooling: its kernel, and how it moves over ``before``."""
    if before is None or len(before) != 3:
        raise fields.error(
            "it takes a picture, and no layer before it says (channels, height, width)"
        )
    weight, channels = _kernel(fields), before[0]
    pool = fields.kind == "pool"
    groups = channels if pool else fields.integer("groups", 1)
    filters = channels if pool else weight.shape[0]
    if groups < 1 or filters % groups or weight.shape[1] * groups != channels:
        raise fields.error(
            f"its weight is {weight.shape} in {groups} groups, the layer before it has "
            f"{channels} channels"
        )
    moves = _moves(fields)
    high, wide = moves["padding"]
    how = (moves["stride"], ((high, high), (wide, wide)), moves["dilation"])
    rows, columns = weight.shape[2:]
    shape = (filters, *conv_shape(before[1:], (rows, columns), *how))
    if shape_of(fields) != shape:
        raise fields.error(
            f"its shape is {shape_of(fields)}, and of {before} it makes {shape}"
        )
    return {"shape": shape, "weight": weight, "groups": groups, **moves}


def _kernel(fields: Fields) -> Integers:
    """(filters, channels / groups, rows, columns); older files have a fifth axis."""
    weight = fields.integers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    pool = fields.kind == "pool"
    if weight.ndim != 4 or 0 in weight.shape or pool and weight.shape[:2] != (1, 1):
        raise fields.error(
            f"its weight is {weight.shape}; (filters, channels / groups, rows, columns)"
            " is allowed, of a pool 1 and 1"
        )
    return weight


def _moves(fields: Fields) -> dict[str, Pair]:
    """Stride, padding and dilation, along height and width."""
    moves = {
        "stride": fields.pair("stride", 1),
        "padding": fields.pair("padding", 0),
        "dilation": fields.pair("dilation", 1),
    }
    if min(*moves["stride"], *moves["dilation"], 1 + min(moves["padding"])) < 1:
        raise fields.error(
            f"it moves by {moves}; strides and dilations from 1 are "
            "allowed, and paddings from 0"
        )
    return moves


def demand_weights(fields: Fields, weight: Integers) -> None:
    wrong = weight[(np.abs(weight) > MAX_MANTISSA) | (weight % 2 != 0)]
    if wrong.size:
        fields.refuse(
            "weight",
            f"its weight {wrong.flat[0]} is no mantissa of 8 bits and a sign, even and "
            f"up to ±{MAX_MANTISSA}",
            "train its block with quantized weights within that",
        )


def demand_bias(fields: Fields, bias: Integers, channels: int) -> None:
    if bias.size not in (1, channels):
        raise fields.error(
            f"its bias holds {bias.size} numbers; one, or {channels} are allowed"
        )
    largest = np.abs(bias).max()
    if largest > MAX_BIAS_MANTISSA:
        fields.refuse(
            "bias",
            f"its bias is up to {largest}, 64 of which are a bias of 12 bits times 64",
            f"keep it within ±{MAX_BIAS_MANTISSA}",
        )


def delays(fields: Fields, weight: Integers, outputs: int) -> Integers:
    """Steps, (outputs or 1, inputs or 1): as lava-dl's Network spreads them."""
    found = fields.integers("delay")
    inputs = weight.shape[1] if weight.ndim == 2 else 0
    if found.size == 1:
        found = found.reshape(1, 1)
    elif found.ndim == 1 and found.size == outputs:
        found = found[:, None]
    elif found.ndim == 1 and found.size == inputs:
        found = found[None]
    elif found.shape != (outputs, inputs):
        raise fields.error(
            f"its delay is {found.shape}; one, {outputs} of outputs, or with dense "
            f"weights {inputs} of inputs or {(outputs, inputs)} are allowed"
        )
    if found.min() < 0 or found.max() > LONGEST:
        fields.refuse(
            "delay",
            f"its delays are {found.min()} … {found.max()} steps",
            f"train it with delays of 0 … {LONGEST}",
        )
    return found
