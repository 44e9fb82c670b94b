"""A tiny Keras file and a folder of pictures, as a user has them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

DENSE = {
    "class_name": "Dense",
    "config": {"name": "box", "units": 4, "activation": "linear", "use_bias": True},
}
CONV = {
    "class_name": "Conv2D",
    "config": {
        "name": "conv",
        "filters": 2,
        "kernel_size": [3, 3],
        "strides": [2, 2],
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "relu",
        "use_bias": True,
    },
}
FLATTEN = {"class_name": "Flatten", "config": {"name": "flatten"}}
POOL = {
    "class_name": "MaxPooling2D",
    "config": {"name": "pool", "pool_size": [2, 2], "strides": [2, 2]},
}
SIZE = (8, 12, 3)


def write_model(path: Path, *layers: dict, nan: bool = False) -> Path:
    """A Keras .h5 of 3×3 convolution, flatten and dense, as Keras 2.11 writes it."""
    given = {
        "class_name": "InputLayer",
        "config": {"name": "image", "batch_input_shape": [None, *SIZE]},
    }
    config = {"name": "tiny", "layers": [given, *layers]}
    rng = np.random.default_rng(0)
    shapes = {"conv": (3, 3, 3, 2), "box": (4 * 6 * 2, 4)}
    with h5py.File(path, "w") as file:
        model = {"class_name": "Sequential", "config": config}
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "2.11.0"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"conv", b"box"]
        for name, shape in shapes.items():
            group = weights.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0", f"{name}/bias:0"]
            kernel = rng.normal(0, 0.3, shape)
            kernel.flat[0] = np.nan if nan else 0.1
            group[f"{name}/kernel:0"] = kernel.astype(np.float32)
            group[f"{name}/bias:0"] = np.full(shape[-1], 0.2, np.float32)
    return path


def write_pictures(folder: Path) -> Path:
    """Twenty pictures with a box each, in the layout of a user's folder."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["image,x_min,y_min,x_max,y_max"]
    for i in range(20):
        pixels = rng.integers(0, 255, (16, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i:02}.png")
        rows.append(f"{i:02}.png,2,3,{12 + i % 5},{9 + i % 4}")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder
