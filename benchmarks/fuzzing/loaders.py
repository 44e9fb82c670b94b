"""What is fuzzed: each loader's seeds, what makes mutants of them, and the call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.bundles import (
    bundle_of,
    bundle_seeds,
    load_bundle,
    load_packed,
    load_recording,
    packed_seeds,
    recording_seeds,
    worker_refusals,
)
from fuzzing.hdf5 import hdf5_of
from fuzzing.models import (
    folder_of,
    folder_seeds,
    h5_seeds,
    importer,
    keras_of,
    netx_seeds,
    nir_seeds,
    onnx_of,
    onnx_seeds,
    read_folder,
    zip_seeds,
)
from fuzzing.seed import TESTS, Content, Seed
from fuzzing.settings import (
    checkpoint_of,
    checkpoint_seeds,
    config_of,
    load_checkpoint,
    load_point,
    load_profile,
    load_report,
    load_space,
    point_seeds,
    profile_seeds,
    report_seeds,
    show_report,
    sweep_seeds,
    text_of,
)

sys.path.append(str(TESTS))


@dataclass(frozen=True, kw_only=True)
class Loader:
    """A function that reads files from anywhere."""

    group: str  # that the issue asks so many inputs of
    inputs: int
    seeds: Callable[[], Iterable[Seed]]
    mutant: Callable[[Any, Random], Content]
    load: Callable[[], Callable[[Path], object]]
    words: tuple[str, ...] = ()  # of the command line, before the path
    refusals: Callable[[], tuple[type[Exception], ...]] = lambda: ()
    """What it may raise besides our own errors."""


LOADERS: dict[str, Loader] = {
    "bundle": Loader(
        group="bundle",
        inputs=150_000,
        seeds=bundle_seeds,
        mutant=bundle_of,
        load=load_bundle,
        words=("import",),
    ),
    "recording": Loader(
        group="bundle",
        inputs=150_000,
        seeds=recording_seeds,
        mutant=bundle_of,
        load=load_recording,
    ),
    "worker": Loader(
        group="bundle",
        inputs=50_000,
        seeds=packed_seeds,
        mutant=bundle_of,
        load=load_packed,
        refusals=worker_refusals,
    ),
    "profile": Loader(
        group="config",
        inputs=100_000,
        seeds=profile_seeds,
        mutant=config_of,
        load=load_profile,
    ),
    "sweep": Loader(
        group="config",
        inputs=50_000,
        seeds=sweep_seeds,
        mutant=config_of,
        load=load_space,
        words=("sweep",),
    ),
    "point": Loader(
        group="config",
        inputs=200_000,
        seeds=point_seeds,
        mutant=text_of,
        load=load_point,
    ),
    "checkpoint": Loader(
        group="config",
        inputs=50_000,
        seeds=checkpoint_seeds,
        mutant=checkpoint_of,
        load=load_checkpoint,
    ),
    "report": Loader(
        group="report",
        inputs=250_000,
        seeds=report_seeds,
        mutant=text_of,
        load=load_report,
        words=("report",),
    ),
    "report-shown": Loader(
        group="report",
        inputs=5_000,
        seeds=report_seeds,
        mutant=text_of,
        load=show_report,
        words=("report",),
    ),
    "keras-h5": Loader(
        group="keras",
        inputs=50_000,
        seeds=h5_seeds,
        mutant=hdf5_of,
        load=importer("keras"),
        words=("import",),
    ),
    "keras-zip": Loader(
        group="keras",
        inputs=50_000,
        seeds=zip_seeds,
        mutant=keras_of,
        load=importer("keras"),
        words=("import",),
    ),
    "keras-folder": Loader(
        group="keras",
        inputs=3_000,
        seeds=folder_seeds,
        mutant=folder_of,
        load=read_folder,
        words=("import",),
    ),
    "onnx": Loader(
        group="onnx",
        inputs=100_000,
        seeds=onnx_seeds,
        mutant=onnx_of,
        load=importer("onnx"),
        words=("import",),
    ),
    "nir": Loader(
        group="nir",
        inputs=100_000,
        seeds=nir_seeds,
        mutant=hdf5_of,
        load=importer("nir"),
        words=("import",),
    ),
    "netx": Loader(
        group="netx",
        inputs=100_000,
        seeds=netx_seeds,
        mutant=hdf5_of,
        load=importer("netx"),
        words=("import",),
    ),
}
"""Name → loader. A new one is an entry."""
