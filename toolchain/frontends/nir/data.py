"""NIR's data files: what the nodes of a graph sent in each step of each sample.

Layout as ``nir.write_data`` makes it, of nir 1.0.8 (NIRGraphData, NIRNodeData,
TimeGriddedData): ``nodes/NODE/observables/OBSERVABLE/data``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from ...graph.nodes import Array

Grid = tuple[Array, float]
"""What a node sent, (samples, steps, *shape), channels last; s, length of a step."""


def data_file(sent: Mapping[str, Mapping[str, Grid]]) -> bytes:
    """A data file of node → observable ("spikes", "input") → what it was.

    In the file it is (samples, steps, neurons), in NIR's order of neurons, channels
    first. What spikes is bool.
    """
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["__type__"] = "NIRGraphData"
        nodes = root.create_group("nodes")
        for node, observables in sent.items():
            group = nodes.create_group(node)
            group.attrs["__type__"] = "NIRNodeData"
            held = group.create_group("observables")
            for name, (values, dt) in observables.items():
                grid = held.create_group(name)
                grid.attrs["__type__"], grid.attrs["dt"] = "TimeGriddedData", dt
                data = channels_first(values)
                grid.create_dataset("data", data=data, compression="gzip")
    return file.getvalue()


def channels_first(values: Array) -> Array:
    """(samples, steps, …, channels) as (samples, steps, neurons), channels first."""
    return np.moveaxis(values, -1, 2).reshape(*values.shape[:2], -1)
