"""A SavedModel folder of Keras 2: its layers by name, its variables by TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import ModelError
from .files import ALLOWED, FAILURES, KerasModel, damaged
from .hdf5 import parse
from .weights import Path as LayerPath
from .weights import Weights


def read_saved_model(path: Path) -> KerasModel:
    """What Keras 2's ``model.save("folder")`` wrote; TensorFlow reads the variables.

    Raises:
        ModelError: it is damaged, holds no layers, or TensorFlow is missing.
    """
    metadata = path / "keras_metadata.pb"
    if not metadata.is_file():
        if (path / "saved_model.pb").is_file():
            raise ModelError(
                f"Model {str(path)!r}: the folder holds what TensorFlow computes, as "
                "model.export writes it, and no layers; save the model with "
                "model.save('net.keras') instead"
            )
        raise ModelError(f"Model {str(path)!r}: the folder holds no model; {ALLOWED}")
    try:
        import tensorflow as tf
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError(
            f"Model {str(path)!r}: reading a SavedModel needs TensorFlow, which cannot "
            f"be imported ({error}); pip install tensorflow, or save the model with "
            "model.save('net.h5')"
        ) from error
    try:
        layers = list(_layers(metadata.read_bytes()))
        tree = _plain(parse(layers[0][1]))
        paths = _paths(layers)
        variables = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        return KerasModel(tree["config"], _checkpoint_weights(variables, paths))
    except (*FAILURES, DecodeError, tf.errors.OpError) as error:
        raise damaged(path, error) from error


def _layers(metadata: bytes) -> Iterator[tuple[str, str]]:
    """Path in the checkpoint and description of every layer, the model first.

    Source: keras/protobuf/saved_metadata.proto of Keras 2 (Keras 3 has it no more).
    """
    for field, node in _fields(metadata):
        if field == 1:
            inside = dict(_fields(node))
            yield inside[3].decode(), inside[5].decode()


def _paths(layers: list[tuple[str, str]]) -> dict[LayerPath, list[str]]:
    """Path of every layer by names, of models inside too → by the checkpoint's."""
    names = {node: str(parse(text)["name"]) for node, text in layers}
    paths = {}
    for node in names:
        _, *steps = node.split(".")
        if steps and all(step.startswith("layer") for step in steps):
            nodes = (".".join(("root", *steps[: i + 1])) for i in range(len(steps)))
            paths[tuple(names.get(each, "") for each in nodes)] = steps
    return paths


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field of a protocol buffer that holds bytes.

    Source: protobuf.dev/programming-guides/encoding.
    """
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 63:
                return value

    while place < len(message):
        key = number()
        size = number()  # or the value itself, of a field that holds a number
        if key & 7 == 2:
            yield key >> 3, message[place : place + size]
            place += size
        elif key & 7:
            raise ValueError(f"keras_metadata.pb has a field of type {key & 7}")
    if place > len(message):
        raise ValueError("keras_metadata.pb is truncated")


def _checkpoint_weights(
    variables: Any, paths: Mapping[LayerPath, list[str]]
) -> Weights:
    """Follow the checkpoint's own object graph from the root to each layer's variables.

    Source: tensorflow/core/protobuf/trackable_object_graph.proto.
    """
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import (
        TrackableObjectGraph,
    )

    objects = TrackableObjectGraph.FromString(
        variables.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    ).nodes

    def children(node: Any) -> dict[str, Any]:
        return {c.local_name: objects[c.node_id] for c in node.children}

    weights = {}
    for layer, steps in paths.items():
        node = objects[0]
        for step in steps:
            node = children(node)[step]
        inside = children(node)
        if "layer" in inside:  # of a wrapper
            inside |= children(inside["layer"])
        weights[layer] = {
            name: variables.get_tensor(child.attributes[0].checkpoint_key)
            for name, child in inside.items()
            if child.attributes
        }
    return weights


def _plain(tree: Any) -> Any:
    """JSON with Keras' {"class_name": "__tuple__", "items": […]} as lists."""
    if isinstance(tree, list):
        return [_plain(branch) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("class_name") == "__tuple__":
        return _plain(tree["items"])
    return {key: _plain(branch) for key, branch in tree.items()}
