"""A layer of a Keras model, and the nodes that it becomes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....errors import ModelError, Obstacle, UnsupportedLayer
from ....graph.node import Array, FloatArray, Node, Pair, Shape
from ....graph.nodes import Reshape
from ....graph.preparation import ChannelsLast
from ....graph.rearranging import Permute


@dataclass(frozen=True)
class Tensor:
    """What a layer gives, as a node holds it: channels last, a sequence as a picture.

    Keras may see it in another form. Nothing is turned round until somebody needs it.
    """

    node: str
    stored: Shape  # of the node
    first: bool = False  # Keras has the channels first
    line: bool = False  # Keras has no width: stored (length, 1, channels)

    @property
    def shape(self) -> Shape:
        """As Keras sees it, samples not counted."""
        shape = (self.stored[0], self.stored[2]) if self.line else self.stored
        return (shape[-1], *shape[:-1]) if self.first else shape

    @property
    def bare(self) -> Tensor:
        """The node's output taken as it lies there."""
        return Tensor(self.node, self.stored)


@dataclass(frozen=True, eq=False)
class Network:
    """The nodes put so far, in order of flow."""

    old: bool = False  # written by Keras 2
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    turned: dict[tuple[Any, ...], Tensor] = field(default_factory=dict)

    def put(
        self, kind: type[Node], name: str, *tensors: Tensor, **fields: Any
    ) -> Tensor:
        """A node's output, in the form of its first input.

        Raises:
            ModelError: the inputs' shapes do not go with the node.
        """
        free, uses = name, 1
        while free in self.shapes:
            uses += 1
            free = f"{name}.{uses}"
        node = kind(free, tuple(tensor.node for tensor in tensors), **fields)
        self.shapes[free] = node.output_shape(*(tensor.stored for tensor in tensors))
        self.nodes.append(node)
        form = tensors[0] if tensors else Tensor("", ())
        return replace(form, node=free, stored=self.shapes[free])

    def plain(self, tensor: Tensor) -> Tensor:
        """Stored as Keras sees it."""
        if tensor.line:
            tensor = replace(self._turn(Reshape, "line", tensor), line=False)
        return self.ordered(tensor)

    def ordered(self, tensor: Tensor) -> Tensor:
        """Stored in the order that Keras has its values in; a width of 1 may stay."""
        if not tensor.first:
            return tensor
        return self._turn(Permute, "first", tensor).bare

    def formed(self, tensor: Tensor, *, first: bool, line: bool = False) -> Tensor:
        """Stored with channels last, of a shape in which Keras has them first or not.

        Args:
            line: as a picture one pixel wide, of a sequence.
        """
        if (tensor.first, tensor.line) == (first, line):
            return tensor
        tensor = self.plain(tensor)
        if first:
            tensor = replace(self._turn(ChannelsLast, "last", tensor), first=True)
        if line:
            tensor = replace(self._turn(Reshape, "image", tensor), line=True)
        return tensor

    def _turn(self, kind: type[Node], to: str, tensor: Tensor) -> Tensor:
        """The tensor in another form, once for all who need it."""
        key = tensor.node, to
        if key not in self.turned:
            fields: dict[str, Any] = {}
            last, shape = len(tensor.stored) - 1, tensor.stored
            if kind is Reshape:
                ends = (shape[0], shape[-1])
                fields = {"shape": ends if to == "line" else (ends[0], 1, ends[1])}
            elif kind is Permute:
                fields = {"axes": (last, *range(last))}
            name = f"{tensor.node}.{to}"
            self.turned[key] = self.put(kind, name, tensor, **fields)
        return replace(
            tensor, node=self.turned[key].node, stored=self.turned[key].stored
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A call of a layer, its weights, and what it is called with."""

    kind: str  # class name
    name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]  # "kernel", "bias", …
    arguments: tuple[Any, ...]  # Tensors, and constants where it is a function
    network: Network

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"Layer {self.name!r} ({self.kind})"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors it is called on."""
        return tuple(given for given in self.arguments if isinstance(given, Tensor))

    @property
    def input(self) -> Tensor:
        """The only one."""
        if len(self.inputs) != 1:
            raise ModelError(
                f"{self.title}: it takes 1 input and has {len(self.inputs)}; save the "
                "model again"
            )
        return self.inputs[0]

    @property
    def first(self) -> bool:
        """Whether its channels are said to come first."""
        given = self.config.get("data_format")
        if given not in (None, "channels_last", "channels_first"):
            raise ValueError(f"data_format is {given!r}")
        return given == "channels_first"

    @property
    def flat(self) -> bool:
        """Whether it works on sequences."""
        return "1D" in self.kind

    def picture(self) -> Tensor:
        """Its input as (height, width, channels), a sequence one pixel wide."""
        axes = 2 if self.flat else 3
        if len(self.input.shape) != axes:
            wanted = "(length, channels)" if self.flat else "(height, width, channels)"
            raise self.unsupported(
                "shape",
                f"its input is {self.input.shape}, and it works on {wanted}",
                "put a Reshape before it",
            )
        return self.network.formed(self.input, first=self.first, line=self.flat)

    def put(
        self, kind: type[Node], *tensors: Tensor, part: str = "", **fields: Any
    ) -> Tensor:
        """A node of this layer; one with a ``part`` stands before that of its name."""
        name = f"{self.name}.{part}" if part else self.name
        return self.network.put(kind, name, *tensors, **fields)

    def weight(self, *names: str) -> FloatArray:
        """A weight as float64, under the first of these names that it has.

        Raises:
            ModelError: it has none of them.
        """
        name = next((name for name in names if name in self.weights), names[0])
        if name not in self.weights:
            raise ModelError(
                f"{self.title}: the model holds no {name!r} for it, only "
                f"{sorted(self.weights)}; save the whole model with model.save"
            )
        array = np.asarray(self.weights[name])
        if f"lora_{name}_a" in self.weights:
            raise self.unsupported(
                "low-rank-weights",
                f"its {name!r} has a LoRA beside it",
                "save the model with model.save('name.keras'), which adds them up",
            )
        return np.asarray(array, np.float64)

    def bias(self, outputs: int) -> FloatArray:
        """Its bias, zeros where it has none."""
        return self.weight("bias") if self.config["use_bias"] else np.zeros(outputs)

    def pair(self, name: str) -> Pair:
        """Two whole numbers of the config; a sequence's one along its length."""
        given = self.config[name]
        if self.flat:
            return int(given[0] if isinstance(given, list | tuple) else given), 1
        rows, columns = given
        return int(rows), int(columns)

    def axis(self, given: Any = None) -> int:
        """The axis of its input's shape that the config names; samples are axis 0.

        Raises:
            ValueError: there is none.
        """
        given = self.config["axis"] if given is None else given
        axes = len(self.inputs[0].shape) + 1
        if not -axes < int(given) < axes or int(given) == 0:
            raise ValueError(f"axis {given} is none of its input's")
        return (int(given) - 1) if int(given) > 0 else int(given) + axes - 1

    def demand(self, name: str, *allowed: Any) -> None:
        """Raise UnsupportedLayer unless the config has one of these values here."""
        value = self.config.get(name)
        value = tuple(value) if isinstance(value, list) else value
        if value not in allowed:
            choices = " or ".join(repr(choice) for choice in allowed)
            raise self.unsupported(
                name.replace("_", "-"),
                f"{name} is {value!r}",
                f"{choices} is allowed, train again with it",
            )

    def unsupported(self, id: str, why: str, fix: str) -> UnsupportedLayer:
        """An error that names this layer, and what helps."""
        found = Obstacle(id=id, layer=self.name, kind=self.kind, why=why, fix=fix)
        return UnsupportedLayer.of([found])


def numbers(given: Any) -> FloatArray:
    """A number, a list, or an array as Keras 3 writes it down."""
    if isinstance(given, Mapping):
        given = given["config"]["value"]
    return np.asarray(given, np.float64)


def spread(tensor: Tensor, values: FloatArray) -> FloatArray:
    """Values for Keras' shape of a tensor, as a node has them of what is stored.

    Returns:
        (1,), (channels,), or of the stored shape.

    Raises:
        ValueError: they are of a larger shape.
    """
    if values.size == 1 and values.ndim <= len(tensor.shape):
        return values.reshape(1)
    whole = np.broadcast_to(values, tensor.shape)
    if tensor.first:
        whole = np.moveaxis(whole, 0, -1)
    whole = whole.reshape(tensor.stored)
    channels = whole.reshape(-1, tensor.stored[-1])
    same = bool((channels == channels[0]).all())
    return channels[0].copy() if same else whole.copy()


def channels_first(layer: Layer, tensor: Tensor, values: FloatArray) -> Tensor:
    """The tensor with its channels stored last where values say that they come first.

    (channels, 1, 1) is how a constant for each channel is written in such a model.
    """
    each, *rest = values.shape or (1,)
    said = each > 1 and len(rest) > 0 and math.prod(rest) == 1
    if not said or len(rest) + 1 != len(tensor.shape) or tensor.first:
        return tensor
    return layer.network.formed(tensor, first=True)
