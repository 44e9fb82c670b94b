"""Keras' files: the description of a model's layers, and their weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..graph.nodes import Array

HDF5 = b"\x89HDF\r\n\x1a\n"
Weights = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True, eq=False)
class KerasModel:
    """What ``model.get_config()`` says, and the weights by layer and name."""

    config: Mapping[str, Any]
    weights: Weights


def short_name(variable: str) -> str:
    """'conv/kernel:0' → 'kernel'."""
    return variable.rsplit("/", 1)[-1].split(":", 1)[0]


def read_h5(path: Path) -> KerasModel:
    """What ``model.save("….h5")`` wrote, read by h5py alone.

    Raises:
        ModelError: it is damaged, or no whole model.
    """
    import h5py

    with path.open("rb") as file:
        if file.read(len(HDF5)) != HDF5:
            raise ModelError(
                f"Model {str(path)!r}: it is no HDF5 file; a Keras .h5 is allowed, "
                "written by model.save('name.h5')"
            )
    try:
        with h5py.File(path, "r") as file:
            return KerasModel(_h5_config(path, file), _h5_weights(file))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _h5_config(path: Path, file: Any) -> Mapping[str, Any]:
    if "model_config" not in file.attrs:
        what = "weights only" if "layer_names" in file.attrs else "no Keras model"
        raise ModelError(
            f"Model {str(path)!r}: it holds {what}; a whole model is allowed, save it "
            "with model.save, not save_weights"
        )
    version = _text(file.attrs.get("keras_version", "2"))
    if not version.startswith("2."):
        raise ModelError(
            f"Model {str(path)!r}: Keras {version} wrote it; Keras 2 is allowed, save "
            "it from TensorFlow 2.15 or older, or with tf_keras"
        )
    config: Mapping[str, Any] = json.loads(_text(file.attrs["model_config"]))["config"]
    return config


def _h5_weights(file: Any) -> Weights:
    groups = file["model_weights"]
    return {
        layer: {
            short_name(_text(name)): groups[layer][_text(name)][()]
            for name in groups[layer].attrs["weight_names"]
        }
        for layer in map(_text, groups.attrs["layer_names"])
    }


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _damaged(path: Path, error: Exception) -> ModelError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError(
        f"Model {str(path)!r}: it is damaged ({reason}); save the model again"
    )


def read_saved_model(path: Path) -> KerasModel:
    """What ``model.save("folder")`` wrote; TensorFlow reads the variables.

    Raises:
        ModelError: it is damaged, no Keras model, or TensorFlow is missing.
    """
    metadata = path / "keras_metadata.pb"
    if not metadata.is_file():
        raise ModelError(
            f"Model {str(path)!r}: the folder holds no keras_metadata.pb; a SavedModel "
            "written by Keras' model.save is allowed"
        )
    try:
        import tensorflow as tf
        from google.protobuf.message import DecodeError
        from keras.protobuf.saved_metadata_pb2 import SavedMetadata
    except ImportError as error:
        raise ModelError(
            f"Model {str(path)!r}: reading a SavedModel needs TensorFlow, which is not "
            "installed here; pip install 'snn-deploy[keras]', or save the model as .h5"
        ) from error
    try:
        layers = SavedMetadata.FromString(metadata.read_bytes()).nodes
        tree = _plain(json.loads(layers[0].metadata))
        paths = {
            json.loads(layer.metadata)["name"]: layer.node_path.split(".")[1:]
            for layer in layers
            if layer.node_path.count(".") == 1
        }
        variables = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        weights = _checkpoint_weights(variables, paths)
        return KerasModel(tree["config"], weights)
    except (
        *(OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError),
        *(DecodeError, tf.errors.OpError),
    ) as error:
        raise _damaged(path, error) from error


def _checkpoint_weights(variables: Any, paths: Mapping[str, list[str]]) -> Weights:
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
        weights[layer] = {
            name: variables.get_tensor(child.attributes[0].checkpoint_key)
            for name, child in children(node).items()
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
