"""NIR nodes and edges → the bytes of a file, as ``nir.write`` lays them out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

VERSION = "1.0"  # of NIR, whose nodes these are

Fields = Mapping[str, Any]
"""``type`` and the numbers of a node: arrays of floats, whole numbers, words."""


def node_name(wanted: str) -> str:
    """The name of a node in a file: HDF5's names have no / and are no single point."""
    return wanted.replace("/", ".").replace("\0", "").strip(".") or "node"


def written(nodes: Mapping[str, Fields], edges: Iterable[tuple[str, str]]) -> bytes:
    """The file of a graph of these nodes.

    Its floats are all of 32 bits where none of them needs more, as PyTorch's are;
    otherwise of 64.
    """
    import h5py

    dtype = np.float32 if all(map(_is_single, nodes.values())) else np.float64
    text = h5py.string_dtype()
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("version", data=VERSION, dtype=text)
        graph = opened.create_group("node")
        graph.create_dataset("type", data="NIRGraph", dtype=text)
        pairs = np.array(sorted(edges), dtype=object).reshape(-1, 2)
        graph.create_dataset("edges", data=pairs, dtype=text)
        group = graph.create_group("nodes")
        for name, fields in nodes.items():
            node = group.create_group(name)
            for field, value in fields.items():
                if isinstance(value, str):
                    node.create_dataset(field, data=value, dtype=text)
                    continue
                array = np.asarray(value)
                if array.dtype.kind == "f":
                    array = array.astype(dtype)
                how = {"compression": "gzip"} if array.ndim else {}
                node.create_dataset(field, data=array, **how)
    return file.getvalue()


def _is_single(fields: Fields) -> bool:
    """Whether 32 bits hold a node's floats; of a delay, whatever they hold of it."""
    for value in fields.values():
        array = np.asarray(value)
        if array.dtype.kind == "f" and fields["type"] != "Delay":
            with np.errstate(over="ignore"):
                if (array.astype(np.float32) != array).any():
                    return False
    return True
