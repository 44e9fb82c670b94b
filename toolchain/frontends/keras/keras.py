"""Keras models → Graph: from memory, from a .keras or .h5 file, from a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from ...graph.graph import Graph
from ...graph.nodes import Node, Output, Shape
from ..contract import Format, Imported
from .config import Step, flow
from .files import ALLOWED, KerasModel, read_file, short_name
from .layers import Layer, convert
from .saved_model import read_saved_model


def from_keras(model: Any) -> Graph:
    """A Keras 2 or 3 model in memory, functional or sequential → Graph.

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
    """A Keras .keras or .h5, or SavedModel folder → Graph, named as in ``from_keras``.

    A file is read without TensorFlow; of none is any code executed.

    Raises:
        UnsupportedLayer: a layer has no equivalent here.
        ModelError: it is missing, damaged or no model, or its weights are not finite.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(f"Model {str(path)!r}: no such file; {ALLOWED}")
    return to_graph(read_saved_model(path) if path.is_dir() else read_file(path))


def to_graph(model: KerasModel) -> Graph:
    """Layers and weights → Graph, named as in ``from_keras``.

    Raises:
        UnsupportedLayer: a layer has no equivalent here.
        ModelError: the description is damaged, or weights are missing or not finite.
    """
    try:
        steps, last = flow(model.config)
        names = [name for step in steps for name in (step.name, *step.sources)]
        if not all(isinstance(name, str) for name in (*names, last)):
            raise TypeError("the name of a layer is no text")
    except (
        *(KeyError, TypeError, ValueError, IndexError),
        *(AttributeError, RecursionError),
    ) as error:
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


def _convert(
    step: Step,
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
    except (
        *(KeyError, TypeError, ValueError, IndexError),
        *(ArithmeticError, AttributeError),
    ) as error:
        raise ModelError(f"{layer.title}: {_misread(error)}") from error
    return nodes


def _misread(error: Exception) -> str:
    return (
        f"its description cannot be read ({type(error).__name__}: {error}); what "
        "Keras 2 and 3 write is allowed, save the model again"
    )


FORMAT = Format(
    shown="a Keras .keras or .h5, or a SavedModel folder,",
    recognises=lambda path: True,
    read=lambda path, output: Imported(graph=read_keras(path)),
)
