"""A small network of each kind of task, built with its page, once a session."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from small_networks import fitted, fitted_masks, save, stripes

from snn_deploy.deploy import Settings, build, write
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.toolchain.graph.graph import Graph

HOSTILE = "<script>alert(1)</script>"


def classes() -> tuple[Graph, np.ndarray, np.ndarray]:
    x, y = stripes(240)
    return fitted(x, 6 * np.eye(3)[y]), x, y


def boxes() -> tuple[Graph, np.ndarray, np.ndarray]:
    """A bright rectangle, and where it is."""
    rng = np.random.default_rng(0)
    corner, size = rng.integers(0, 5, (240, 2)), rng.integers(2, 6, (240, 2))
    end = np.minimum(corner + size, 8)
    x = 0.2 * rng.random((240, 8, 8, 1))
    for picture, (a, b), (c, d) in zip(x, corner, end):
        picture[b:d, a:c] += 0.7
    y = np.column_stack([corner, end]) / 8
    return fitted(x, y, features=128), x, y


def masks() -> tuple[Graph, np.ndarray, np.ndarray]:
    """Pixels of bright bars."""
    x, _ = stripes(120)
    y = (x[..., 0] > 0.5).astype(int)
    return fitted_masks(x, 4.0 * y[..., None] - 2), x, y


def values() -> tuple[Graph, np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((240, 6))
    y = x[:, :1] - x[:, 1:2] + 0.5 * x[:, 2:3]
    return fitted(x, y), x, y


NETWORKS = {make.__name__: make for make in (classes, boxes, masks, values)}


OTHERS = {
    f"{folder.parent.name}/{folder.name}": folder
    for folder in map(Path, os.environ.get("SNN_DEPLOY_PAGES", "").split(os.pathsep))
    if folder.name
}
"""Folders of builds whose pages are looked at too, as of networks that take long."""
SHOWN = (*NETWORKS, *OTHERS)


@cache
def shown(name: str, target: str = "reference") -> Path:
    """The folder of a build of a kind's network, made once; or one of ``OTHERS``."""
    if name in OTHERS:
        return OTHERS[name]
    folder = Path(mkdtemp(prefix=f"snn-deploy-{name}-"))
    graph, x, y = NETWORKS[name]()
    model, data = save(folder / "net.snn", graph), folder / "xy.npz"
    np.savez(data, x=x, y=y)
    made = build(
        target,
        model,
        data,
        reading=Reading(kind=name),
        settings=Settings(steps=48),
        samples=24,
        command=f"snn-deploy build --target {target} --task {name}",
    )
    write(made, folder / "out")
    return folder / "out"
