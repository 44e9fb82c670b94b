"""Trained networks and built Programs, read from the files a user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from .calibration.report.report import Score
from .models.training.checkpoint import ATTRIBUTE, read_metadata
from .toolchain.bundle.bundle import load_bundle
from .toolchain.errors import BundleError, DataError, ModelError
from .toolchain.frontends.keras import read_keras
from .toolchain.graph.graph import Graph
from .toolchain.graph.nodes import FloatArray
from .toolchain.passes.quantize.rounding import Scales
from .toolchain.program.program import Program

Metadata = Mapping[str, Any]
SHIPPED = "locnet.snn"
METRICS = {"ann_iou": "mean IoU", "ann_dice": "Dice"}  # as training notes scores


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and where it comes from."""

    graph: Graph
    metadata: Metadata  # "split" → part → names, scores, …

    @property
    def scales(self) -> dict[str, Scales] | None:
        """Population → the scales it was fine-tuned with; None for other networks."""
        found = self.metadata.get("finetuned")
        if not isinstance(found, dict):
            return None
        return {name: Scales(**given) for name, given in found["scales"].items()}

    @property
    def choices(self) -> Metadata | None:
        """What it was fine-tuned with (``cotraining.Choices``); None otherwise."""
        found = self.metadata.get("finetuned")
        return found["choices"] if isinstance(found, dict) else None

    @property
    def before(self) -> tuple[Score, ...]:
        """How well the ANN did from which it was fine-tuned, on all test samples."""
        known = self.metadata.get("scores", {}).get("test", {})
        return tuple(
            Score(
                name="ANN before fine-tuning",
                metric=METRICS[name],
                value=float(known[name]),
                label="counted",
                note="all test samples",
            )
            for name in METRICS
            if self.scales and name in known
        )


def read_model(path: Path | None) -> Model:
    """A Keras .keras, .h5 or SavedModel, a Graph's .snn, or the LocNet that ships.

    Raises:
        ModelError: it is missing, damaged, or no network.
        BundleError: the bundle is not in order.
    """
    if path is None:
        with as_file(files("snn_deploy.models.networks") / SHIPPED) as shipped:
            return read_model(shipped)
    if not path.exists():
        raise ModelError(
            f"Model {str(path)!r}: no such file; a Keras .keras or .h5, a SavedModel "
            "folder or a .snn bundle is allowed"
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


def _metadata(path: Path) -> Metadata:
    """What `snn-deploy train` noted in a .h5; nothing for other files."""
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return {}
    with h5py.File(path, "r") as file:
        if ATTRIBUTE not in file.attrs:
            return {}
    return read_metadata(path)


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
