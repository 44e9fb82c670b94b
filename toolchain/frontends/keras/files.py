"""Keras' files: the description of a model's layers, and their weights."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...files import demand_regular
from ...rehearsal import rehearsed
from .hdf5 import MAGIC, MAX_BYTES, MAX_JSON, Hdf5, open_hdf5, parse
from .weights import Path as LayerPath
from .weights import Weights, listed_weights, name_of, numbered_weights

ALLOWED = "a Keras .keras or .h5, or a SavedModel folder, is allowed"
FAILURES = (
    *(OSError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(RuntimeError, NotImplementedError, MemoryError, EOFError, OverflowError),
)
"""What h5py and zipfile raise on a damaged file."""


@dataclass(frozen=True, eq=False)
class KerasModel:
    """What ``model.get_config()`` says, and the weights by layer's path and name."""

    config: Mapping[str, Any]
    weights: Weights


def read_file(path: Path) -> KerasModel:
    """A .keras or .h5 file, told apart by their first bytes.

    Raises:
        ModelError: it is damaged, or no whole model.
    """
    try:
        demand_regular(path)
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if start == MAGIC:
            return _read_h5(path)
        if start.startswith(b"PK"):
            return _read_zip(path)
    except (*FAILURES, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error
    raise ModelError(
        f"Model {str(path)!r}: it is neither HDF5 nor a zip; {ALLOWED}, written by "
        "model.save('name.keras') or model.save('name.h5')"
    )


def damaged(path: Path, error: Exception) -> ModelError:
    """The error of a file that cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError(
        f"Model {str(path)!r}: it is damaged ({reason}); save the model again"
    )


@rehearsed
def _read_h5(path: Path) -> KerasModel:
    """What ``model.save("….h5")`` wrote, under Keras 2 or 3."""
    with open_hdf5(path, f"Model {str(path)!r}") as file:
        description = file.text("model_config")
        if not description:
            partly = file.text("layer_names") or "layers" in file
            what = "weights only" if partly else "no Keras model"
            raise ModelError(
                f"{file.title}: it holds {what}; a whole model is allowed, save it "
                "with model.save, not save_weights"
            )
        config = parse(description)["config"]
        return KerasModel(config, _listed(config, file))


def _listed(config: Mapping[str, Any], file: Hdf5) -> Weights:
    """A layer, or model inside, after the other, as the file lists them."""
    found: dict[LayerPath, Mapping[str, Any]] = {}
    layers = config["layers"] if isinstance(config.get("layers"), list) else ()
    entries = {name_of(entry): entry for entry in layers}
    for layer in file.names("model_weights", "layer_names"):
        if layer in entries:
            names = file.names(f"model_weights/{layer}", "weight_names")
            arrays = (file.array(f"model_weights/{layer}/{name}") for name in names)
            found |= listed_weights(entries[layer], names, arrays)
    return found


@rehearsed
def _read_zip(path: Path) -> KerasModel:
    """What ``model.save("….keras")`` wrote: two of its members; others are not read."""
    with zipfile.ZipFile(path) as archive:
        tree = parse(member(path, archive, "config.json", MAX_JSON))
        weights = member(path, archive, "model.weights.h5", MAX_BYTES)
    config = tree["config"]
    layers = config["layers"] if "layers" in config else ()
    with open_hdf5(io.BytesIO(weights), f"Model {str(path)!r}") as file:
        return KerasModel(config, numbered_weights(layers, file))


def member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One member, of at most ``limit`` bytes.

    Raises:
        ModelError: there are none or several, or it is larger.
        EOFError: it says that it is larger than the file.
    """
    found = [member for member in archive.infolist() if member.filename == name]
    if len(found) != 1:
        raise ModelError(
            f"Model {str(path)!r}: it holds {len(found)} members {name!r}; one is "
            "allowed, as model.save('name.keras') writes it"
        )
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(
            f"Model {str(path)!r}: {name} is compressed by method "
            f"{found[0].compress_type}; stored or deflated is allowed, as Keras does"
        )
    if found[0].file_size > limit:
        raise ModelError(
            f"Model {str(path)!r}: {name} has {found[0].file_size} bytes; {limit} are "
            "allowed"
        )
    if found[0].compress_size > path.stat().st_size:  # zipfile makes room for them
        raise EOFError(f"{name} ends beyond the file")
    with archive.open(found[0]) as file:  # it gives no more than the tables say
        return file.read(limit)
