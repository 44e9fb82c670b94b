"""Trained networks and built Programs, read from the files a user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from .calibration.operations import core_macs
from .calibration.report.report import Score, revive
from .models.training.metadata import find_metadata
from .toolchain.bundle.archive import write_together
from .toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from .toolchain.errors import ModelError
from .toolchain.files import sha256_of
from .toolchain.frontends.contract import Timing
from .toolchain.frontends.formats import (
    closed,
    holds_integers,
    read_network,
    written,
)
from .toolchain.graph.graph import Graph
from .toolchain.graph.nodes import Synapse
from .toolchain.passes.fold import fold
from .toolchain.passes.legalize.legalize import legalize
from .toolchain.passes.quantize.quantize import quantize
from .toolchain.passes.rewrite import rewrite
from .toolchain.program.host import spike_encoder
from .toolchain.program.program import Program
from .toolchain.program.scales import Scales

Metadata = Mapping[str, Any]
SHIPPED = "locnet.snn"
METRICS = {"ann_iou": "mean IoU", "ann_dice": "Dice"}  # as training notes scores


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What of a fine-tuned network's choices its build must know."""

    dt: float  # s
    steps: int  # per sample
    encoder: str = "bias"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and where it comes from."""

    graph: Graph
    metadata: Metadata  # "split" → part → names, scores, …
    remarks: tuple[str, ...] = ()  # of the reading of its file
    original: Graph | None = None  # before what was rewritten on request
    name: str = ""  # of its file
    sha256: str = ""  # of what the file holds

    @property
    def scales(self) -> dict[str, Scales] | None:
        """Population → the scales it was fine-tuned with, or its file's integers have;
        None for other networks."""
        for name in ("finetuned", "integers"):
            found = self.metadata.get(name)
            if isinstance(found, dict):
                scales: dict[str, Scales] = _scales(found["scales"])
                return scales
        return None

    @property
    def choices(self) -> Metadata | None:
        """What it was fine-tuned with (``cotraining.Choices``); None otherwise."""
        found = self.metadata.get("finetuned")
        return found["choices"] if isinstance(found, dict) else None

    def macs(self, *, input_spikes: bool) -> Mapping[str, int] | None:
        """Population → MACs of the ANN that its synapses take the place of.

        A fine-tuned network, in whose weights pooling is folded, was told them; None
        where it was not.

        Args:
            input_spikes: whether the first layers run on the core.
        """
        found = self.metadata.get("finetuned")
        if not isinstance(found, dict):
            return core_macs(self.graph, input_spikes=input_spikes)
        told = found.get("macs")
        whole = isinstance(told, dict) and all(
            type(count) is int and count >= 0 for count in told.values()
        )
        return told if whole else None

    @property
    def recipe(self) -> Metadata:
        """How it was trained as an ANN, where it was trained here; empty otherwise."""
        found = self.metadata.get("recipe")
        return found if isinstance(found, dict) else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of its file, and that fine-tuning kept no budget."""
        found: Any = self.metadata
        for name in ("finetuned", "validation", "spikes", "over_budget"):
            found = found.get(name) if isinstance(found, Mapping) else None
        return (*self.remarks, *((found,) if isinstance(found, str) else ()))

    @property
    def before(self) -> tuple[Score, ...]:
        """How well the ANN did from which it was fine-tuned, on all test samples."""
        finetuned = self.metadata.get("finetuned")
        if isinstance(finetuned, dict) and "ann" in finetuned:
            return tuple(Score(**score) for score in finetuned["ann"])
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


def read_model(
    path: Path | None,
    output: str | None = None,
    rewrites: Mapping[str, str] | None = None,
    timing: Timing | None = None,
) -> Model:
    """A network of any format, a .snn of a Graph, or the LocNet that ships.

    Args:
        path: of the file or folder; None: the LocNet that ships.
        output: name of the one of several outputs to read, "all" of them one after
            the other, or None: the only one.
        rewrites: what to rewrite as what, of ``rewrite.CHOICES``.
        timing: of a format that leaves it open; None: the user says nothing of it.

    Raises:
        ModelError: it is missing, damaged, or no network; or leaves no timing open and
            one is given.
        BundleError: the bundle is not in order.
        DataError: there is nothing to rewrite so.
    """
    model = _read(path, output, timing)
    if not rewrites:
        return model
    names = ", ".join(f"{old} as {new}" for old, new in rewrites.items())
    remark = f"rewritten on request: {names}; fine-tune it to make up for that"
    return replace(
        model,
        graph=rewrite(model.graph, rewrites),
        remarks=(*model.remarks, remark),
        original=model.graph,
    )


def is_bundle(path: Path) -> bool:
    """Whether a file or folder is a bundle, by its name or its manifest."""
    return path.suffix == ".snn" or (path / "manifest.json").is_file()


def keep(model: Model, path: Path) -> None:
    """Write a network as a bundle, with what is known of it.

    Raises:
        ModelError: the path is not that of a .snn.
        BundleError: it cannot be written.
    """
    if path.suffix != ".snn":
        raise ModelError(f"Bundle {str(path)!r}: its name has to end in .snn")
    metadata = {**model.metadata, "remarks": list(model.remarks)}
    save_bundle(path, Bundle(graph=model.graph, metadata=metadata))


def export(source: Model | Program, name: str, path: Path) -> tuple[str, ...]:
    """Write a network as a file of the format of this name; what that cannot hold.

    A format of integers takes a Program, or what a network's own scales make of it.

    Raises:
        ModelError: no such format is written, or not of this, or the file cannot be.
        DoesNotFit: the format cannot hold a number.
    """
    network = source if isinstance(source, Program) else source.graph
    if isinstance(source, Model) and holds_integers(name):
        network = program_of(source)
    found = written(network, name)
    try:
        write_together({path: found.content})
    except OSError as error:
        raise ModelError(
            f"Model {str(path)!r} cannot be written: {error.strerror}; choose a folder "
            "that exists and can be written to"
        ) from error
    return found.notes


def sends_spikes(graph: Graph) -> bool:
    """Whether it takes spikes: a synapse stands right behind what is prepared."""
    return any(isinstance(x, Synapse) for x in graph.consumers(graph.prepared.name))


def program_of(model: Model, steps: int = 1) -> Program:
    """The integers of a network that has its scales, to run so many steps a sample.

    Raises:
        ModelError: it has none, or is not in order.
        DoesNotFit: a number is beyond what a core holds.
    """
    if model.scales is None:
        raise ModelError(
            f"Model {model.name!r}: it holds floats, and the format integers; build "
            "it, and export its program.snn"
        )
    choices, sends = model.choices or {}, sends_spikes(model.graph)
    dt = model.graph.dt or choices.get("dt", 0.001)
    legal = legalize(fold(model.graph), input_spikes=sends)
    name = choices.get("encoder", "events") if sends else None
    return quantize(
        legal,
        np.zeros((1, *legal.input.shape)),
        steps=steps,
        dt=dt,
        encoder=spike_encoder(name, model.graph.prepared.name, dt),
        scales=model.scales,
    )


def _read(path: Path | None, output: str | None, timing: Timing | None) -> Model:
    """``read_model`` of what the file holds."""
    if path is None:
        with as_file(files("snn_deploy.models.networks") / SHIPPED) as shipped:
            return _read(shipped, output, timing)
    if not path.exists():
        raise ModelError(
            f"Model {str(path)!r}: no such file; a Keras .keras or .h5, a SavedModel "
            "folder, an ONNX .onnx, a NIR .nir, a NetX .net or a .snn bundle is allowed"
        )
    what = f"Model {str(path)!r}"
    if not is_bundle(path):
        found = read_network(path, output, timing)
        known = dict(find_metadata(path) or {})
        if found.scales is not None:
            known["integers"] = {"scales": noted(found.scales)}
        return checked(_named(Model(found.graph, known, found.notes), path), what)
    if timing is not None:
        raise closed(path)
    bundle = load_bundle(path)
    if bundle.graph is None:
        raise ModelError(
            f"Model {str(path)!r}: it holds a Program, which is built already; run it "
            "with `snn-deploy run`"
        )
    kept = checked(_named(Model(bundle.graph, bundle.metadata), path), what)
    return replace(kept, remarks=tuple(kept.metadata.get("remarks", ())))


def _named(model: Model, path: Path) -> Model:
    """With the name and hash of what it was read from."""
    return replace(model, name=path.absolute().name, sha256=sha256_of(path))


def checked(model: Model, what: str) -> Model:
    """The model, where what is read of its metadata is of the right form.

    Raises:
        ModelError: it is not, in what is called ``what``.
    """
    try:
        revive(tuple[str, ...], model.metadata.get("remarks", []), "remarks")
        for name, kind in (
            ("finetuned", _tuned),
            ("integers", _integers),
            ("scores", _known),
        ):
            if name in model.metadata:
                kind(_table(model.metadata[name], name))
        revive(float, model.recipe.get("crops", 1.0), "recipe.crops")
    except ValueError as error:
        raise ModelError(
            f"{what}: its metadata are damaged ({error}); train it again"
        ) from error
    return model


def _tuned(found: Metadata) -> None:
    choices = _table(found.get("choices"), "finetuned.choices")
    known = {field.name for field in fields(Tuned)} & set(choices)
    revive(Tuned, {name: choices[name] for name in known}, "finetuned.choices")
    _scales(found.get("scales"))
    revive(tuple[Score, ...], found.get("ann", []), "finetuned.ann")


def _integers(found: Metadata) -> None:
    _scales(found.get("scales"))


def noted(scales: Mapping[str, Scales]) -> Metadata:
    """Scales as metadata hold them."""
    return {
        name: {**asdict(each), "channels": list(each.channels)}
        for name, each in scales.items()
    }


def _scales(found: object) -> Any:
    return revive(Mapping[str, Scales], found, "finetuned.scales")


def _known(found: Metadata) -> None:
    test = _table(found.get("test", {}), "scores.test")
    for name in METRICS.keys() & test.keys():
        revive(float, test[name], f"scores.test.{name}")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {str(value)[:40]!r}")
    return value
