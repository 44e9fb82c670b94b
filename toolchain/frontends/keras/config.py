"""The config of a Keras 2 or 3 model: its layers in order of flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ModelError, UnsupportedLayer
from .advice import problem

Config = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Step:
    """A layer as the config lists it."""

    kind: str  # class name; a custom class with its package, "package>Class"
    name: str
    config: Config
    sources: tuple[str, ...]  # names of layers


def flow(config: Config) -> tuple[list[Step], str]:
    """The layers in order of flow, and the name of the one that is read.

    Raises:
        UnsupportedLayer: a layer, or how it is called, has no equivalent.
        ModelError: the model is no functional or sequential one.
    """
    if "input_layers" in config:
        return _functional(config)
    if isinstance(config.get("layers"), list):
        return _sequential(config)
    raise ModelError(
        "Keras model: it lists no layers; functional and sequential models are "
        "allowed, a subclassed one has to be rewritten as one of them"
    )


def _functional(config: Config) -> tuple[list[Step], str]:
    inputs, outputs = (
        list(_tensors(config[ends])) for ends in ("input_layers", "output_layers")
    )
    if len(inputs) != 1:
        raise ModelError(
            f"Keras model: it has the inputs {inputs}; one is allowed, make one of "
            "them and train again"
        )
    if len(outputs) != 1:
        raise ModelError(
            f"Keras model: it has the outputs {outputs}; one is allowed, save "
            "keras.Model(model.input, model.get_layer(NAME).output)"
        )
    steps = [_called(entry) for entry in config["layers"]]
    return steps, outputs[0]


def _tensors(tree: Any) -> Iterator[str]:
    """Names of the layers in [name, node, tensor], or in lists or a dict of such."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if tree and isinstance(tree[0], str):
        yield tree[0]
    else:
        for branch in tree:
            yield from _tensors(branch)


def _called(entry: Config) -> Step:
    """A layer of a functional model, with what it is called on."""
    kind, name, config = _kind(entry), entry["name"], entry["config"]
    _demand_supported(kind, name)
    calls = entry["inbound_nodes"]
    if len(calls) > 1:
        raise UnsupportedLayer(
            f"Layer {name!r} ({kind}): it is used {len(calls)} times; a layer that "
            "is used once is allowed, make one for each use, with a copy of its weights"
        )
    sources: list[str] = []
    for call in calls:
        found, options = _call(call)
        sources += found
        if kind.startswith("tf."):
            config = config | options
        elif any(options.values()):
            raise UnsupportedLayer(
                f"Layer {name!r} ({kind}): it is called with {options}; calls "
                "without options are allowed"
            )
    return Step(kind, name, config, tuple(sources))


def _call(call: Any) -> tuple[list[str], dict[str, Any]]:
    """The layers that a layer is called on, and its other arguments."""
    if isinstance(call, Mapping):  # Keras 3: {"args": […], "kwargs": {…}}
        found: list[str] = []
        options = dict(call["kwargs"])
        for branch in call["args"]:
            for tensor in branch if isinstance(branch, list | tuple) else (branch,):
                try:
                    found.append(tensor["config"]["keras_history"][0])
                except (TypeError, KeyError):  # no tensor
                    options["a constant"] = tensor
        return found, options
    if call and isinstance(call[0], str):  # Keras 2, of a function: no list around it
        call = [call]
    merged: dict[str, Any] = {}
    for _, _, _, options in call:  # Keras 2: [[name, node, tensor, {…}], …]
        merged |= options
    return [str(source[0]) for source in call], merged


def _kind(entry: Config) -> str:
    """Class name; of a custom class "package>Class", of a function "tf.function"."""
    kind = str(entry["class_name"])
    if kind == "TFOpLambda":
        return f"tf.{entry['config']['function']}"
    registered = str(entry.get("registered_name"))
    if ">" in registered:
        return registered
    package = str(entry.get("module") or "keras").split(".")[0]
    return kind if package in ("keras", "tf_keras") else f"{package}>{kind}"


def _sequential(config: Config) -> tuple[list[Step], str]:
    steps: list[Step] = []
    entries = config["layers"]
    if not entries or entries[0]["class_name"] != "InputLayer":
        first = entries[0]["config"] if entries else {}
        shape = first.get("batch_input_shape") or config.get("build_input_shape")
        if not shape:
            raise ModelError(
                "Keras model: it was never built and has no input shape; begin it with "
                "keras.Input(shape)"
            )
        steps.append(Step("InputLayer", "input", {"batch_shape": shape}, ()))
    for entry in entries:
        kind, name = _kind(entry), entry["config"]["name"]
        _demand_supported(kind, name)
        sources = (steps[-1].name,) if steps else ()
        steps.append(Step(kind, name, entry["config"], sources))
    return steps, steps[-1].name


def _demand_supported(kind: str, name: str) -> None:
    found = problem(kind)
    if found:
        raise UnsupportedLayer(f"Layer {name!r} ({kind}): {found}")
