"""Linear nodes that NIR has not, as the matrices that they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ....graph.nodes import Array, FloatArray, Linear, Node, Shape
from ....graph.operations import apply
from ..form import Form
from .laying import Unlaid

MOST = 4_000_000  # numbers of a matrix
ROWS = 64  # of a unit matrix, sent through at a time


def matrix_of(node: Node, shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Weight (outputs, inputs) and bias of an affine node that takes this shape.

    Raises:
        Unlaid: it has more than MOST numbers.
    """
    inputs, outputs = math.prod(shape), math.prod(node.output_shape(shape))
    if inputs * outputs > MOST:
        raise Unlaid(
            f"NIR has no such node, and as a matrix it has {inputs * outputs} numbers, "
            f"where {MOST} are allowed",
            "choose padding that is the same on both sides, or smaller pictures",
        )
    bias = apply(node, np.zeros((1, *shape))).ravel()
    if isinstance(node, Linear):
        node = replace(node, bias=np.zeros(node.bias.shape))
    columns = []
    for start in range(0, inputs, ROWS):
        unit = np.eye(min(ROWS, inputs - start), inputs, start)
        y = apply(node, unit.reshape(-1, *shape))
        columns.append(y.reshape(len(y), -1))
    return np.concatenate(columns).T, bias


def unit_rows(outputs: int, places: Array) -> FloatArray:
    """(outputs, inputs): input i is the output at places[i].

    Raises:
        Unlaid: it has more than MOST numbers.
    """
    if outputs * len(places) > MOST:
        raise Unlaid(
            f"as a matrix it has {outputs * len(places)} numbers, where {MOST} are "
            "allowed",
            "put weights before it",
        )
    weight = np.zeros((outputs, len(places)))
    weight[places, np.arange(len(places))] = 1
    return weight


def in_order(weight: FloatArray, form: Form) -> FloatArray:
    """The columns of a matrix in the order in which NIR has its inputs."""
    order = form.order
    if order is None:
        return weight
    placed = np.empty_like(weight)
    placed[:, order] = weight
    return placed
