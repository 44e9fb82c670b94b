"""Keras models → Graph: from memory, from a .keras or .h5 file, from a SavedModel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from ...graph.graph import Graph
from ...graph.nodes import Array
from ..contract import Format, Imported
from .building import to_graph
from .files import ALLOWED, KerasModel, read_file
from .hdf5 import MAGIC
from .layers.table import IDENTITIES, LAYERS
from .saved_model import read_saved_model
from .weights import short_name


def from_keras(model: Any, output: str | None = None) -> Graph:
    """A Keras 2 or 3 model in memory, functional or sequential → Graph.

    A node has the name of its layer, ``<layer>.2`` where that is used a second time and
    ``<model>/<layer>`` inside a model; an activation given inside a layer is the node
    ``<layer>_<activation>``; the Output is ``<last layer>_output``. Layers that only
    act in training are left out. Several inputs are one: a sample is their values one
    after the other.

    Args:
        output: name of the one of several outputs that is read, or "all".

    Raises:
        UnsupportedLayer: layers have no equivalent here; all of them are said.
        ModelError: it is no such model, its weights are not finite, or it has several
            outputs and none is named.
    """
    try:
        config = model.get_config()
        weights = dict(_weights_of(model, ()))
    except (AttributeError, NotImplementedError, ValueError) as error:
        raise ModelError(
            f"Model {type(model).__name__}: it is no built functional or sequential "
            "Keras model, and only those say how their layers are connected"
        ) from error
    return to_graph(KerasModel(config, weights), output)


def _weights_of(
    model: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Array]]]:
    for layer in model.layers:
        if isinstance(getattr(layer, "layers", None), list):
            yield from _weights_of(layer, (*path, layer.name))
            continue
        yield (
            (*path, layer.name),
            {
                short_name(variable.name): np.asarray(value)
                for variable, value in zip(layer.weights, layer.get_weights())
            },
        )


def read_keras(path: str | Path, output: str | None = None) -> Graph:
    """A Keras .keras or .h5, or SavedModel folder → Graph, named as in ``from_keras``.

    A file is read without TensorFlow; of none is any code executed.

    Args:
        output: name of the one of several outputs that is read, or "all".

    Raises:
        UnsupportedLayer: layers have no equivalent here; all of them are said.
        ModelError: it is missing, damaged or no model, its weights are not finite, or
            it has several outputs and none is named.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(f"Model {str(path)!r}: no such file; {ALLOWED}")
    model = read_saved_model(path) if path.is_dir() else read_file(path)
    return to_graph(model, output)


def recognises(path: Path) -> bool:
    """A folder with a SavedModel, HDF5, a zip, or a file called as Keras' are."""
    if path.is_dir():
        names = ("saved_model.pb", "keras_metadata.pb")
        return any((path / name).is_file() for name in names)
    if path.suffix.lower() in (".keras", ".h5", ".hdf5"):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)).startswith((MAGIC, b"PK"))


FORMAT = Format(
    shown="a Keras .keras or .h5, or a SavedModel folder,",
    recognises=recognises,
    read=lambda path, output, timing: Imported(graph=read_keras(path, output)),
    operations=lambda: {*LAYERS, *IDENTITIES},
)
