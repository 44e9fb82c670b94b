"""What a connection computes, between whole objects: y = W · x, as nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import nengo
import numpy as np
from nengo.ensemble import Neurons
from nengo.transforms import ConvolutionTranspose, NoTransform

from ...graph import nodes as n
from ...graph.node import Padding
from ...graph.nodes import FloatArray, Node, Shape
from ...graph.operations import apply
from ...graph.preparation import Rescale
from ...graph.rearranging import Permute

Kernel = n.Conv2D | n.ConvTranspose2D


@dataclass(frozen=True, eq=False, kw_only=True)
class Window:
    """A convolution in images (height, width, channels), without bias.

    With ``channels_first`` what it takes and gives is (channels, height, width).
    """

    node: Kernel
    image: Shape
    channels_first: bool

    @property
    def output(self) -> Shape:
        """Image of what it gives."""
        return self.node.output_shape(self.image)

    def spread(self, values: FloatArray) -> FloatArray:
        """Flat values of what it gives, as an image."""
        if not self.channels_first:
            return values.reshape(self.output)
        rows, columns, channels = self.output
        return values.reshape(channels, rows, columns).transpose(1, 2, 0)

    def matrix(self) -> FloatArray:
        """The same as a matrix (inputs, outputs), both flat."""
        unit = np.eye(int(np.prod(self.image)))
        rows, columns, channels = self.image
        if self.channels_first:
            image = unit.reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1)
        else:
            image = unit.reshape(-1, *self.image)
        given = apply(self.node, image)
        if self.channels_first:
            given = given.transpose(0, 3, 1, 2)
        return given.reshape(len(unit), -1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Wire:
    """y = gain · W · x: W a matrix (inputs, outputs), a window, or none of them."""

    gain: FloatArray  # (outputs,)
    matrix: FloatArray | None = None  # gains are part of it
    window: Window | None = None

    def of(self, values: FloatArray) -> FloatArray:
        """y of constant values x, (inputs,)."""
        if self.matrix is not None:
            return values @ self.matrix
        if self.window is not None:
            values = values @ self.window.matrix()
        return self.gain * values


def wire_of(connection: Any, built: Any, initial: Any) -> Wire:
    """What a connection has become in a simulator.

    Args:
        connection: nengo.Connection.
        built: object → its weights, encoders and biases (Simulator.data).
        initial: object → the same before training (Simulator.model.params): gains on
            the way into neurons are never trained.
    """
    pre, post = connection.pre_obj, connection.post_obj
    decoded = isinstance(pre, nengo.Ensemble)
    size = pre.n_neurons if decoded else pre.size_out
    given = np.arange(size) if decoded else np.arange(size)[connection.pre_slice]
    taken = np.arange(post.size_in)[connection.post_slice]
    given, taken = np.atleast_1d(given), np.atleast_1d(taken)
    gain = np.ones(post.size_in)
    if isinstance(post, Neurons):
        gain = np.asarray(initial[post.ensemble].gain, np.float64)
    whole = _is_whole(given, size) and _is_whole(taken, post.size_in)
    weights = built[connection].weights
    window = window_of(connection.transform, weights)
    if whole and not isinstance(post, nengo.Ensemble):
        if window is not None:
            return Wire(gain=gain, window=window)
        if not decoded and isinstance(connection.transform, NoTransform):
            return Wire(gain=gain)
    part = (
        window.matrix()
        if window
        else _matrix(weights, initial[connection].weights, given.size)
    )
    if decoded and isinstance(post, nengo.Ensemble) and connection.solver.weights:
        return Wire(gain=np.ones(part.shape[1]), matrix=part)  # to neurons at once
    matrix = np.zeros((size, post.size_in))
    matrix[np.ix_(given, taken)] = part
    if isinstance(post, nengo.Ensemble):
        matrix = matrix @ np.asarray(built[post].scaled_encoders, np.float64).T
        return Wire(gain=np.ones(matrix.shape[1]), matrix=matrix)
    return Wire(gain=gain, matrix=matrix * gain)


def _is_whole(indices: Any, size: int) -> bool:
    return bool(np.array_equal(indices, np.arange(size)))


def _matrix(weights: Any, initial: Any, size: int) -> FloatArray:
    """Nengo's weights (outputs, inputs), whatever holds them, as (inputs, outputs).

    Of a sparse matrix NengoDL gives the numbers alone, at the places they were at.
    """
    if weights is None:
        return np.eye(size)
    if hasattr(initial, "toarray"):
        rows, columns = _places(initial)
        sparse = np.zeros(initial.shape)
        np.add.at(sparse, (rows, columns), getattr(weights, "data", weights))
        return sparse.T
    matrix = np.asarray(weights, np.float64)
    if matrix.ndim < 2:
        matrix = np.diag(np.broadcast_to(matrix, size))
    return cast(FloatArray, matrix.T)


def _places(sparse: Any) -> tuple[Any, Any]:
    """Rows and columns of the numbers of Nengo's or SciPy's sparse matrix."""
    if isinstance(sparse, nengo.transforms.SparseMatrix):
        return tuple(sparse.indices.T)
    coordinates = sparse.tocoo()
    return coordinates.row, coordinates.col


def window_of(transform: Any, weights: Any) -> Window | None:
    """The window of a convolution with these weights; None of any other transform.

    One of a single dimension moves along the width of an image of height 1.
    """
    if not isinstance(transform, nengo.Convolution | ConvolutionTranspose):
        return None
    back = isinstance(transform, ConvolutionTranspose)
    ends = transform.input_shape, transform.output_shape
    image, output = (_image(shape) for shape in ends)
    line = transform.dimensions == 1
    kernel = np.asarray(weights, np.float64)
    kernel = kernel[None] if line else kernel
    stride = (1, *transform.strides) if line else tuple(transform.strides)
    padding = tuple(
        _padding(transform.padding, k, s, *((few, many) if back else (many, few)), back)
        for k, s, many, few in zip(kernel.shape, stride, image[:2], output[:2])
    )
    node = n.ConvTranspose2D if back else n.Conv2D
    return Window(
        node=node(
            "",
            weight=kernel,
            bias=np.zeros(kernel.shape[-1]),
            stride=cast(n.Pair, stride),
            padding=cast(Padding, padding),
            groups=int(getattr(transform, "groups", 1)),
        ),
        image=image,
        channels_first=not transform.channels_last,
    )


def _image(shape: Any) -> Shape:
    spatial = tuple(int(size) for size in shape.spatial_shape)
    return (*((1,) if len(spatial) == 1 else ()), *spatial, int(shape.n_channels))


def _padding(
    kind: str, kernel: int, stride: int, many: int, few: int, back: bool
) -> n.Pair:
    """Before and after, of a convolution from ``many`` pixels to ``few``, or back.

    Source: nengo._vendor.npconv2d, which pads as TensorFlow does.
    """
    total = max((few - 1) * stride + kernel - many, 0) if kind == "same" else 0
    before = total // 2
    if back:
        return before, (few - 1) * stride + kernel - many - before
    return before, total - before


def nodes_of(
    wire: Wire, name: str, given: Shape, wanted: Shape, bias: FloatArray | None
) -> list[Node]:
    """A wire and a bias as nodes in a row, from one shape to another; may be none.

    Args:
        wire: the connection.
        name: of the node with the weights, which begins the others'.
        given: shape of what it takes.
        wanted: shape of what it gives.
        bias: added to that, flat; None for nothing.
    """
    if wire.matrix is not None:
        bias = np.zeros(len(wire.gain)) if bias is None else bias
        dense = n.Dense(name, weight=wire.matrix, bias=bias)
        return [
            *reshaped(f"{name}.flat", given, (len(wire.matrix),)),
            dense,
            *reshaped(f"{name}.shape", (bias.size,), wanted),
        ]
    if wire.window is not None:
        return _convolved(wire.window, wire.gain, name, given, wanted, bias)
    nodes = reshaped(f"{name}.shape", given, wanted)
    if bias is not None or (wire.gain != 1).any():
        offset = np.zeros(1) if bias is None else bias.reshape(wanted)
        nodes.append(
            Rescale(name, scale=wire.gain.reshape(wanted), offset=offset),
        )
    return nodes


def _convolved(
    window: Window,
    gain: FloatArray,
    name: str,
    given: Shape,
    wanted: Shape,
    bias: FloatArray | None,
) -> list[Node]:
    """A window with its gains, which are its kernel's where each filter has one."""
    rows, columns, channels = window.image
    first = window.channels_first
    image = (channels, rows, columns) if first else window.image
    nodes = reshaped(f"{name}.image", given, image)
    if first:
        nodes.append(Permute(f"{name}.last", axes=(1, 2, 0)))
    gains = window.spread(gain)
    offset = window.spread(np.zeros(gain.size) if bias is None else bias)
    if (gains == gains[0, 0]).all():
        weight = window.node.weight * gains[0, 0]
        shared = offset[0, 0] if (offset == offset[0, 0]).all() else offset
        nodes.append(replace(window.node, name=name, weight=weight, bias=shared))
    else:
        nodes.append(replace(window.node, name=name))
        nodes.append(Rescale(f"{name}.gain", scale=gains, offset=offset))
    output = window.output
    if first:
        nodes.append(Permute(f"{name}.first", axes=(2, 0, 1)))
        output = (output[2], *output[:2])
    return nodes + reshaped(f"{name}.shape", output, wanted)


def reshaped(name: str, given: Shape, wanted: Shape) -> list[Node]:
    """What makes one shape of another, in C order; nothing where they are the same."""
    if given == wanted:
        return []
    if len(wanted) == 1:
        return [n.Flatten(name)]
    return [n.Reshape(name, shape=wanted)]
