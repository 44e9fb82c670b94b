"""The calls of a Keras model, one after the other, as a Graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ...errors import ModelError, Obstacle, UnsupportedLayer
from ...graph.graph import Graph
from ...graph.nodes import Concat, Flatten, Input, Output, Reshape, Shape
from ...graph.rearranging import Slice
from ..contract import ALL, ReadInPart
from .config import Call, Flow, Source, flow
from .files import KerasModel
from .layers.activations import demand_activation
from .layers.advice import ADVICE
from .layers.layer import Layer, Network, Tensor
from .layers.table import CONVERTERS, PLAIN, convert, obstacle
from .weights import Weights

T = TypeVar("T")
DAMAGE = (
    *(KeyError, TypeError, ValueError, IndexError, StopIteration),
    *(ArithmeticError, AttributeError, RecursionError),
)
"""What a damaged description makes of reading it."""


def to_graph(model: KerasModel, output: str | None = None) -> Graph:
    """Layers and weights → Graph, named as in ``from_keras``.

    Raises:
        UnsupportedLayer: layers have no equivalent here; all of them are said.
        ModelError: the description is damaged, weights are missing or not finite, or
            it has several outputs and none is named.
    """
    found = _readable("Keras model", lambda: flow(model.config))
    names = _chosen(found, output)
    building = _Building(Network(found.old), model.weights)
    calls = found.up_to(*names)
    building.begin(found, {call.name for call in calls})
    for call in calls:
        if call.kind != "InputLayer":
            building.add(call)
        elif call.name not in building.tensors:
            raise ModelError(
                f"Keras model: its layer {call.name!r} is an input, and none of the "
                f"inputs {', '.join(map(repr, found.inputs))} that it names; save the "
                "model again"
            )
    if building.obstacles:
        read = Graph(tuple(building.network.nodes))
        raise ReadInPart(building.obstacles, read)
    network = building.network
    lasts = [building.tensors[found.outputs[name]] for name in names]
    whole = [network.plain(last) for last in lasts if last is not None]  # each is one
    title = f"{names[0]}_output" if len(whole) == 1 else "outputs"
    network.put(Output, title, _joined(network, whole))
    graph = Graph(tuple(network.nodes))
    graph.check()
    return graph


def _readable(title: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except DAMAGE as error:
        raise ModelError(
            f"{title}: its description cannot be read ({type(error).__name__}: "
            f"{error}); what Keras 2 and 3 write is allowed, save the model again"
        ) from error


def _chosen(found: Flow, output: str | None) -> list[str]:
    """Names of the outputs that are read."""
    names = list(found.outputs)
    if output in names:
        return [str(output)]
    if not names:
        raise ModelError("Keras model: it has no output; save the model again")
    if output == ALL or (output is None and len(names) == 1):
        return names
    others = "" if output is None else f" and no {output!r}"
    raise ModelError(
        f"Keras model: it has the outputs {', '.join(map(repr, names))}{others}; name "
        f"the one to read, --output {names[0]}, or --output {ALL}"
    )


def _joined(network: Network, tensors: list[Tensor]) -> Tensor:
    """Several outputs as one: each flattened, one after the other."""
    if len(tensors) == 1:
        return tensors[0]
    flat = [
        tensor
        if len(tensor.shape) == 1
        else network.put(Flatten, f"outputs.{i}", tensor)
        for i, tensor in enumerate(tensors, 1)
    ]
    return network.put(Concat, "outputs.all", *flat)


@dataclass(frozen=True, eq=False)
class _Building:
    """A Graph on its way: what each call gives, and what stands in the way."""

    network: Network
    weights: Weights
    tensors: dict[str, Tensor | None] = field(default_factory=dict)  # None: not known
    obstacles: list[Obstacle] = field(default_factory=list)

    def begin(self, found: Flow, needed: set[str]) -> None:
        """The Input; of several, each is a part of it."""
        calls = {call.name: call for call in found.calls}
        shapes = {}
        for name in found.inputs:
            if name not in calls:
                raise ModelError(f"Keras model: its input {name!r} does not exist")
            shapes[name] = self._input_shape(calls[name])
        whole = [shape for shape in shapes.values() if shape is not None]
        if len(whole) < len(shapes):
            self.tensors.update(dict.fromkeys(shapes))
            return
        if len(shapes) == 1:
            ((name, shape),) = shapes.items()
            self.tensors[name] = self.network.put(Input, name, shape=shape)
            return
        self._divide({name: shape for name, shape in zip(shapes, whole)}, needed)

    def _divide(self, shapes: dict[str, Shape], needed: set[str]) -> None:
        """One Input with the values of all inputs, one after the other."""
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        free = "inputs"
        while free in shapes:
            free += "_"
        given = self.network.put(Input, free, shape=(sum(sizes),))
        ends = np.cumsum(sizes)
        for (name, shape), size, end in zip(shapes.items(), sizes, map(int, ends)):
            if name not in needed:
                continue
            box = {"start": (end - size,), "stop": (end,)}
            part = name if len(shape) == 1 else f"{name}.part"
            tensor = self.network.put(Slice, part, given, **box)
            if len(shape) != 1:
                tensor = self.network.put(Reshape, name, tensor, shape=shape)
            self.tensors[name] = tensor

    def _input_shape(self, call: Call) -> Shape | None:
        layer = self._layer(call, ())

        def read() -> Shape | None:
            config = call.config
            _, *shape = config.get("batch_shape") or config["batch_input_shape"]
            return None if None in shape else tuple(int(size) for size in shape)

        shape = _readable(layer.title, read)
        if shape is None:
            given = call.config.get("batch_shape") or call.config["batch_input_shape"]
            error = layer.unsupported(
                "open-shape",
                f"its shape {tuple(given[1:])} is open",
                "a fixed one is allowed, say keras.Input((height, width, channels))",
            )
            self.obstacles.extend(error.obstacles)
        return shape

    def _layer(self, call: Call, arguments: tuple[Any, ...]) -> Layer:
        of_a_function = call.kind.startswith(("tf.", "ops."))
        config = {**call.config, **call.options} if of_a_function else call.config
        return Layer(
            kind=call.kind,
            name=call.name,
            config=config,
            weights=self.weights.get(call.path, {}),
            arguments=arguments,
            network=self.network,
        )

    def add(self, call: Call) -> None:
        """What a call gives; None where that cannot be known."""
        given = [
            self.tensors[each.call] if isinstance(each, Source) else each
            for each in call.arguments
        ]
        layer = _readable(
            f"Layer {call.name!r} ({call.kind})",
            lambda: self._layer(call, tuple(given)),
        )
        known = all(self.tensors[name] is not None for name in call.sources)
        self.tensors[call.name] = None
        try:
            self.tensors[call.name] = _readable(
                layer.title, lambda: self._converted(layer, call, known)
            )
        except UnsupportedLayer as error:
            self.obstacles.extend(error.obstacles)
            if known and layer.kind in CONVERTERS:
                self.tensors[call.name] = _without_its_options(layer)
        except ModelError:
            if not self.obstacles:  # else they are why
                raise

    def _converted(self, layer: Layer, call: Call, known: bool) -> Tensor | None:
        found = obstacle(layer)
        if found:
            self.obstacles.append(found)
            shape = ADVICE[layer.kind].shape if layer.kind in ADVICE else None
            if shape is None or not known:
                return None
            shapes = [tensor.shape for tensor in layer.inputs]
            given = shape(layer.config, shapes)
            return self.network.put(Input, call.name, shape=given)
        _demand_call(layer, call)
        if not known:
            demand_activation(layer)
            return None
        return convert(layer)


def _without_its_options(layer: Layer) -> Tensor | None:
    """Something of the shape that a refused layer gives, to look at what follows."""
    try:
        return convert(replace(layer, config={**layer.config, **PLAIN}))
    except (ModelError, *DAMAGE):
        return None


def _demand_call(layer: Layer, call: Call) -> None:
    """Raise UnsupportedLayer where a layer is called with more than tensors."""
    if call.kind.startswith(("tf.", "ops.")):
        return
    options = {name: value for name, value in call.options.items() if value}
    if len(call.sources) < len(call.arguments):
        options["a constant"] = True
    if options:
        said = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise layer.unsupported(
            "call-options",
            f"it is called with {said}",
            "calls without options are allowed, save the model with such",
        )
