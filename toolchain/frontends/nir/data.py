"""NIR's data files: what the nodes of a graph sent in each step of each sample.

Layout as ``nir.write_data`` makes it, of nir 1.0.8 (NIRGraphData, NIRNodeData,
TimeGriddedData): ``nodes/NODE/observables/OBSERVABLE/data``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from ...graph.graph import Graph
from ...graph.nodes import Array
from .export.laying import Laid, laid_out
from .export.splits import splits_of
from .export.writing import node_name

Grid = tuple[Array, float]
"""What a node sent, (samples, steps, *shape) as in its Graph; s, length of a step."""


def data_file(graph: Graph, sent: Mapping[str, Mapping[str, Grid]]) -> bytes:
    """A data file beside that of a Graph: node → observable → what it was.

    An observable is "spikes", which are bool, or "input". In the file it is (samples,
    steps, neurons), nodes and neurons called and ordered as ``to_nir`` does.
    """
    import h5py

    like = {name: split.parts[0].source for name, split in splits_of(graph).items()}
    laid, _ = laid_out(graph, like)
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["__type__"] = "NIRGraphData"
        nodes = root.create_group("nodes")
        for node, observables in sent.items():
            group = nodes.create_group(node_name(node))
            group.attrs["__type__"] = "NIRNodeData"
            held = group.create_group("observables")
            for name, (values, dt) in observables.items():
                grid = held.create_group(name)
                grid.attrs["__type__"], grid.attrs["dt"] = "TimeGriddedData", dt
                data = _in_order(values, laid[node])
                grid.create_dataset("data", data=data, compression="gzip")
    return file.getvalue()


def _in_order(values: Array, laid: Laid) -> Array:
    """Of (samples, steps, *shape) the same with its neurons in NIR's order, flat."""
    if len(laid.form.shape) > 1 and not laid.raw:
        values = np.moveaxis(values, -1, 2)
    flat = values.reshape(*values.shape[:2], -1)
    order = laid.form.order
    if order is None:
        return flat
    placed = np.empty_like(flat)
    placed[:, :, order] = flat
    return placed
