"""Which variables a layer has, and where Keras' files hold those of models inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...graph.nodes import Array
from .hdf5 import Hdf5

Entry = Mapping[str, Any]
Path = tuple[str, ...]
"""Names of the models that a layer lies in, and its own."""
Weights = Mapping[Path, Mapping[str, Array]]

KERNEL = {"kernel": "", "bias": "use_bias"}
VARIABLES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D"), KERNEL),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), KERNEL),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), KERNEL),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"),
        {"depthwise_kernel": "", "pointwise_kernel": "", "bias": "use_bias"},
    ),
    "BatchNormalization": {
        "gamma": "scale",
        "beta": "center",
        "moving_mean": "",
        "moving_variance": "",
    },
    "PReLU": {"alpha": ""},
    "Normalization": {"mean": "", "variance": "", "count": ""},
}
"""Layer class → its variables in Keras' order, each with the option it hangs on."""

UNTRAINED = frozenset(("moving_mean", "moving_variance", "mean", "variance", "count"))


def short_name(variable: str) -> str:
    """'conv/kernel:0' → 'kernel'."""
    return variable.rsplit("/", 1)[-1].split(":", 1)[0]


def name_of(entry: Entry) -> str:
    """Name of a layer in a model's config."""
    return str(entry.get("name") or entry["config"]["name"])


def inner_layers(entry: Entry) -> Sequence[Entry] | None:
    """The layers of a model inside a model; None of a layer."""
    found = entry["config"].get("layers")
    return found if isinstance(found, list) else None


def listed_weights(
    entry: Entry, names: Iterable[str], arrays: Iterable[Array]
) -> Weights:
    """Weights of a layer of the outermost model, as its .h5 lists them.

    Those of a model inside are those of its layers, what is trained before the rest;
    names in the list say nothing of the layer they belong to. Where variables are not
    as they should be, none are given.

    Source: keras/src/legacy/saving/legacy_h5_format.py, _legacy_weights.
    """
    held = [(short_name(name), array) for name, array in zip(names, arrays)]
    if inner_layers(entry) is None:
        return {(name_of(entry),): dict(held)}
    wanted = list(_variables(entry, ()))
    order = [each for each in wanted if each[2]] + [
        each for each in wanted if not each[2]
    ]
    if len(order) != len(held):
        return {}
    found: dict[Path, dict[str, Array]] = {}
    for (path, variable, _), (name, array) in zip(order, held):
        if not name.endswith(variable):
            return {}
        found.setdefault(path, {})[variable] = array
    return found


def _variables(entry: Entry, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Path, name and whether it is trained, of each variable of a layer or model."""
    path, inside = (*path, name_of(entry)), inner_layers(entry)
    for layer in inside or ():
        yield from _variables(layer, path)
    if inside is None:
        trained = bool(entry["config"].get("trainable", True))
        for name in _names(entry):
            yield path, name, trained and name not in UNTRAINED


def _names(entry: Entry) -> list[str]:
    """Names of a layer's variables, in Keras' order; a wrapper's are its layer's."""
    config = entry["config"]
    if isinstance(config.get("layer"), Mapping):
        return _names(config["layer"])
    kind = str(entry["class_name"]).rpartition(">")[2]
    if kind == "Normalization" and config.get("mean") is not None:
        return []
    return [
        name
        for name, option in VARIABLES.get(kind, {}).items()
        if not option or config[option]
    ]


def numbered_weights(layers: Iterable[Entry], file: Hdf5) -> Weights:
    """Weights of a .keras: layers/CLASS, CLASS_1 …/vars/0, 1 …, in the model's order.

    Source: keras/src/saving/saving_lib.py, _save_container_state; Keras 2.13 has
    another name for ``layers`` (H5IOStore.get).
    """
    root = "layers" if "layers" in file else "_layer_checkpoint_dependencies"
    return dict(_numbered(layers, file, root, root, ()))


def _numbered(
    layers: Iterable[Entry], file: Hdf5, root: str, place: str, path: Path
) -> Iterator[tuple[Path, Mapping[str, Array]]]:
    used: Counter[str] = Counter()
    for layer in layers:
        group = _snake_case(str(layer["class_name"]).rpartition(">")[2])
        used[group] += 1
        if used[group] > 1:
            group = f"{group}_{used[group] - 1}"
        group, name = f"{place}/{group}", (*path, name_of(layer))
        inside = inner_layers(layer)
        if inside is not None:
            yield from _numbered(inside, file, root, f"{group}/{root}", name)
            continue
        if isinstance(layer["config"].get("layer"), Mapping):
            group += "/layer"
        paths = ((each, f"{group}/vars/{i}") for i, each in enumerate(_names(layer)))
        yield name, {each: file.array(at) for each, at in paths if at in file}


def _snake_case(name: str) -> str:
    """'Conv2DTranspose' → 'conv2d_transpose'. Source: keras/src/utils/naming.py."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
