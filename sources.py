"""What a user names, a model file and a data folder, read for ``deploy``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from .calibration.picture import Boxes
from .calibration.report import Score
from .models.boxes import BoxData, iou, load_caltech101, load_folder, median_box
from .models.scenes import scene_data
from .models.split import Split, split
from .toolchain.bundle import load_bundle
from .toolchain.errors import BundleError, DataError, ModelError
from .toolchain.frontends.keras import read_keras
from .toolchain.graph import Graph
from .toolchain.nodes import FloatArray, Shape
from .toolchain.program import Program

SHIPPED = "locnet.snn"
SCENES = 600  # generated scenes; split like any other data
SEED = 0  # of the split, where the model names none


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and where it comes from."""

    graph: Graph
    metadata: Mapping[str, Any]  # "split" → {"seed", "block"}, scores, …


def read_model(path: Path | None) -> Model:
    """A Keras .h5 or SavedModel, a .snn bundle of a Graph, or the LocNet that ships.

    Raises:
        ModelError: it is missing, damaged, or no network.
        BundleError: the bundle is not in order.
    """
    if path is None:
        with as_file(files("snn_deploy.models") / SHIPPED) as shipped:
            return read_model(shipped)
    if not path.exists():
        raise ModelError(
            f"Model {str(path)!r}: no such file; a Keras .h5, a SavedModel folder or a "
            ".snn bundle is allowed"
        )
    if path.suffix != ".snn":
        return Model(read_keras(path), _metadata(path))
    bundle = load_bundle(path)
    if bundle.graph is None:
        raise ModelError(
            f"Model {str(path)!r}: it holds a Program, which is built already; run it "
            "with `snn-deploy run`"
        )
    return Model(bundle.graph, bundle.metadata)


def _metadata(path: Path) -> Mapping[str, Any]:
    """What `snn-deploy train` noted in a .h5; nothing for other files."""
    import h5py

    if not path.is_file():
        return {}
    with h5py.File(path, "r") as file:
        found = json.loads(file.attrs.get("snn_deploy_metadata", "{}"))
    return found if isinstance(found, dict) else {}


def read_program(path: Path, samples: int) -> tuple[Program, FloatArray]:
    """The Program in a bundle, and the first of the samples that travel with it.

    Raises:
        BundleError: the bundle is not in order, or holds no Program or no samples.
    """
    bundle = load_bundle(path)
    if bundle.program is None or bundle.samples is None:
        raise BundleError(
            f"Bundle {str(path)!r}: it holds no Program with samples; name a "
            "program.snn that `snn-deploy build` wrote"
        )
    if samples > len(bundle.samples):
        raise DataError(
            f"Bundle {str(path)!r}: {samples} samples are asked for; it holds "
            f"{len(bundle.samples)}"
        )
    return bundle.program, bundle.samples[:samples].astype(np.float64)


def make_folder(path: Path) -> None:
    """The folder for results, made where it is missing.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"Folder {str(path)!r} cannot be made ({error.strerror}); name another "
            "with --out"
        ) from error


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Samples to calibrate and to test with, and how well an answer does."""

    source: str  # the data, in words
    calibration: FloatArray  # of the training part
    test: FloatArray
    truth: FloatArray  # boxes of the test samples, (samples, 4)
    constant: FloatArray  # median box of the training part, (4,)

    def scores(self, network: FloatArray, ann: FloatArray) -> tuple[Score, ...]:
        """The network beside the float ANN and the constant box; none without boxes.

        Args:
            network: its answers to the first samples, (samples, 4).
            ann: the float network's to the same.
        """
        truth = self.truth[: len(network)]
        if network.shape != truth.shape:
            return ()
        answers = {
            "integer SNN": network,
            "float ANN": ann,
            "constant box": np.broadcast_to(self.constant, truth.shape),
        }
        return tuple(
            Score(
                name=name,
                metric="mean IoU",
                value=float(iou(boxes, truth).mean()),
                label="counted",
                note=f"{len(truth)} test samples",
            )
            for name, boxes in answers.items()
        )

    def picture(self, network: FloatArray) -> Boxes | None:
        """The first samples with the network's boxes; None where it finds none."""
        truth = self.truth[: len(network)]
        if network.shape != truth.shape:
            return None
        return Boxes(
            images=self.test[: len(network)],
            true=truth,
            predicted=network,
            iou=iou(network, truth),
        )


def read_task(path: Path | None, model: Model, calibration: int, test: int) -> Task:
    """Calibration samples of the training part, test samples of the test part.

    The split is the one the model was trained with, where its metadata says so.

    Args:
        path: a folder of images and boxes, or of Caltech-101's category; generated
            scenes where None.
        model: decides the size of the pictures.
        calibration, test: how many samples of each at most.

    Raises:
        DataError: the data are missing, damaged, or the network takes no pictures.
    """
    size = model.graph.input.shape
    if len(size) != 3:
        raise DataError(
            f"The network takes samples of shape {size}; pictures (height, width, "
            "channels) are what can be read from a folder"
        )
    data = read_boxes(path, size)
    parts, how = _split(data, model.metadata)
    train, held = data.take(parts.train), data.take(parts.test[:test])
    shown = train.take(range(min(calibration, len(train))))
    where = "generated scenes" if path is None else str(path.resolve().name)
    return Task(
        source=f"{where}, {how}",
        calibration=shown.images(size).astype(np.float64),
        test=held.images(size).astype(np.float64),
        truth=held.boxes,
        constant=median_box(train.boxes),
    )


def read_boxes(path: Path | None, size: Shape) -> BoxData:
    """A folder with images/ and boxes.csv, or 101_ObjectCategories/<category>.

    Args:
        path: the folder; generated scenes where None.
        size: (height, width, channels) of the scenes.

    Raises:
        DataError: it is neither, or something in it is missing or damaged.
    """
    if path is None:
        height, width, channels = size
        return scene_data(SCENES, SEED, (height, width, channels))
    if path.parent.name == "101_ObjectCategories":
        return load_caltech101(path.parent.parent, path.name)
    return load_folder(path)


def _split(data: BoxData, metadata: Mapping[str, Any]) -> tuple[Split, str]:
    """The split the model was trained with, where it is one of these pictures."""
    known = metadata.get("split")
    index = {name: i for i, name in enumerate(data.names)}
    if isinstance(known, dict) and set().union(*known.values()) == set(index):
        parts = {
            part: np.array([index[name] for name in names], np.intp)
            for part, names in known.items()
        }
        return Split(**parts), "test part of the model's split"
    return split(data.names, SEED), f"test part of a split of seed {SEED}"
