"""Keras models → Graph: from memory, from a .h5 file, from a SavedModel folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, UnsupportedLayer
from ..graph.graph import Graph
from ..graph.nodes import Node, Output, Shape
from .keras_files import KerasModel, read_h5, read_saved_model, short_name
from .keras_layers import Layer, convert, problem

Config = Mapping[str, Any]


def from_keras(model: Any) -> Graph:
    """A Keras 2 model in memory, functional or sequential → Graph.

    A node has the name of its layer; an activation given inside a layer is the node
    ``<layer>_<activation>``; the Output is ``<last layer>_output``. Layers that only
    act in training are left out.

    Raises:
        UnsupportedLayer: a layer has no equivalent here.
        ModelError: it is no such model, or its weights are not finite.
    """
    try:
        config = model.get_config()
        weights = {
            layer.name: {
                short_name(variable.name): np.asarray(value)
                for variable, value in zip(layer.weights, layer.get_weights())
            }
            for layer in model.layers
        }
    except (AttributeError, NotImplementedError, ValueError) as error:
        raise ModelError(
            f"Model {type(model).__name__}: it is no built functional or sequential "
            "Keras model, and only those say how their layers are connected"
        ) from error
    return to_graph(KerasModel(config, weights))


def read_keras(path: str | Path) -> Graph:
    """A Keras .h5 file or SavedModel folder → Graph, named as in ``from_keras``.

    A .h5 is read without TensorFlow; of neither is any code executed.

    Raises:
        UnsupportedLayer: a layer has no equivalent here.
        ModelError: it is missing, damaged or no model, or its weights are not finite.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(
            f"Model {str(path)!r}: no such file; a Keras .h5 or SavedModel folder is "
            "allowed"
        )
    return to_graph(read_saved_model(path) if path.is_dir() else read_h5(path))


def to_graph(model: KerasModel) -> Graph:
    """Layers and weights → Graph, named as in ``from_keras``.

    Raises:
        UnsupportedLayer: a layer has no equivalent here.
        ModelError: the description is damaged, or weights are missing or not finite.
    """
    try:
        steps, last = _flow(model.config)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelError(f"Keras model: {_misread(error)}") from error
    nodes: list[Node] = []
    shapes: dict[str, Shape] = {}
    carrier: dict[str, str] = {}  # layer → node that holds its output
    for step in steps:
        for node in _convert(step, model.weights, carrier, shapes):
            shapes[node.name] = node.output_shape(*(shapes[i] for i in node.inputs))
            nodes.append(node)
            carrier[step.name] = node.name
    if last not in carrier:
        raise ModelError(f"Keras model: its output layer {last!r} does not exist")
    nodes.append(Output(f"{last}_output", (carrier[last],)))
    graph = Graph(tuple(nodes))
    graph.check()
    return graph


@dataclass(frozen=True, eq=False)
class _Step:
    """A layer as the config lists it."""

    kind: str  # class name
    name: str
    config: Config
    sources: tuple[str, ...]  # names of layers


def _convert(
    step: _Step,
    weights: Mapping[str, Mapping[str, Any]],
    carrier: dict[str, str],
    shapes: Mapping[str, Shape],
) -> tuple[Node, ...]:
    """The nodes of one layer; a layer without any is its input."""
    missing = [source for source in step.sources if source not in carrier]
    if missing:
        raise ModelError(
            f"Layer {step.name!r}: its input {missing[0]!r} does not exist"
        )
    inputs = tuple(carrier[source] for source in step.sources)
    layer = Layer(
        kind=step.kind,
        name=step.name,
        config=step.config,
        weights=weights.get(step.name, {}),
        inputs=inputs,
        shapes=tuple(shapes[i] for i in inputs),
    )
    try:
        nodes = convert(layer)
        if not nodes:
            (carrier[step.name],) = inputs
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ModelError(f"{layer.title}: {_misread(error)}") from error
    return nodes


def _misread(error: Exception) -> str:
    return (
        f"its description cannot be read ({type(error).__name__}: {error}); what "
        "Keras 2 writes is allowed, save the model again"
    )


def _flow(config: Config) -> tuple[list[_Step], str]:
    """The layers in order of flow, and the name of the one that is read."""
    if "input_layers" in config:
        return _functional(config)
    if isinstance(config.get("layers"), list):
        return _sequential(config)
    raise ModelError(
        "Keras model: it lists no layers; functional and sequential models are "
        "allowed, a subclassed one has to be rewritten as one of them"
    )


def _functional(config: Config) -> tuple[list[_Step], str]:
    for what in ("input_layers", "output_layers"):
        if len(config[what]) != 1:
            raise ModelError(
                f"Keras model: it has {len(config[what])} {what.replace('_', ' ')}; "
                "one is allowed"
            )
    steps = []
    for entry in config["layers"]:
        kind, name = entry["class_name"], entry["name"]
        _demand_supported(kind, name)
        calls = entry["inbound_nodes"]
        if len(calls) > 1:
            raise UnsupportedLayer(
                f"Layer {name!r} ({kind}): it is used {len(calls)} times; a layer that "
                "is used once is allowed, make one for each use"
            )
        sources = [call for group in calls for call in group]
        for _, _, _, options in sources:
            if any(options.values()):
                raise UnsupportedLayer(
                    f"Layer {name!r} ({kind}): it is called with {options}; calls "
                    "without options are allowed"
                )
        names = tuple(str(source[0]) for source in sources)
        steps.append(_Step(kind, name, entry["config"], names))
    return steps, config["output_layers"][0][0]


def _sequential(config: Config) -> tuple[list[_Step], str]:
    steps: list[_Step] = []
    entries = config["layers"]
    if not entries or entries[0]["class_name"] != "InputLayer":
        first = entries[0]["config"] if entries else {}
        shape = first.get("batch_input_shape") or config.get("build_input_shape")
        if not shape:
            raise ModelError(
                "Keras model: it was never built and has no input shape; begin it with "
                "keras.Input(shape)"
            )
        steps.append(_Step("InputLayer", "input", {"batch_input_shape": shape}, ()))
    for entry in entries:
        kind, name = entry["class_name"], entry["config"]["name"]
        _demand_supported(kind, name)
        sources = (steps[-1].name,) if steps else ()
        steps.append(_Step(kind, name, entry["config"], sources))
    return steps, steps[-1].name


def _demand_supported(kind: str, name: str) -> None:
    found = problem(kind)
    if found:
        raise UnsupportedLayer(f"Layer {name!r} ({kind}): {found}")
