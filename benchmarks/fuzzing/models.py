"""Networks of other tools: seeds, mutants, importers."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.hdf5 import OUTSIDE, Hdf5Seed, hdf5_of
from fuzzing.mutants import bytes_of, json_of, tree_of, zipped
from fuzzing.protobuf import encoded, message_of, parsed
from fuzzing.seed import TESTS, Seed


def importer(name: str) -> Callable[[], Callable[[Path], object]]:
    """A format's reader; of every eighth file also what tells formats apart, and
    metadata, which opens an HDF5 file five times."""

    def load() -> Callable[[Path], object]:
        from snn_deploy.model_files import read_model
        from snn_deploy.toolchain.frontends.contract import Timing
        from snn_deploy.toolchain.frontends.formats import formats

        read, timing = formats()[name].read, Timing()

        def imported(path: Path) -> object:
            if path.is_file() and zlib.crc32(path.read_bytes()) % 8 == 0:
                return read_model(path)
            return read(path, None, timing)

        return imported

    return load


def _hdf5(path: Path) -> Seed:
    content = path.read_bytes()
    return Seed(path.name, Hdf5Seed(content), content)


def h5_seeds() -> Iterable[Seed]:
    """What Keras 2 and 3 wrote, and a small one."""
    from tiny_files import CONV, DENSE, FLATTEN, write_model

    tiny = write_model(Path("made.h5"), CONV, FLATTEN, DENSE)
    yield from [_hdf5(tiny)] * 40  # small, so quick
    tiny.unlink()
    for folder in ("keras2", "keras3"):
        yield from map(_hdf5, sorted((TESTS / folder).glob("*.h5")))


def zip_seeds() -> Iterable[Seed]:
    """What Keras 3 writes."""
    for path in sorted((TESTS / "keras3").glob("*.keras")):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        tree = json.loads(members.pop("config.json"))
        weights = Hdf5Seed(members.pop("model.weights.h5"))
        yield Seed(path.name, (tree, weights, members), path.read_bytes())


def keras_of(held: tuple[Any, Hdf5Seed, dict[str, bytes]], rng: Random) -> bytes:
    """Another description, other weights, or another zip."""
    tree, weights, members = held
    kind = rng.random()
    text = json_of(tree_of(tree, rng) if kind < 0.6 else tree)
    if kind < 0.03:
        text = bytes_of(text, rng)
    stored = hdf5_of(weights, rng) if 0.55 < kind < 0.9 else weights.content
    whole = {**members, "config.json": text, "model.weights.h5": stored}
    content = zipped(whole, rng if kind > 0.85 else None)
    return bytes_of(content, rng) if kind > 0.95 else content


SAVED = ("keras_metadata.pb", "variables/variables.index")
SAVED_DATA = "variables/variables.data-00000-of-00001"


def folder_seeds() -> Iterable[Seed]:
    """SavedModel folders of Keras 2."""
    for path in sorted((TESTS / "keras2").glob("*/")):
        names = [n for n in (*SAVED, SAVED_DATA) if (path / n).is_file()]
        files = {name: (path / name).read_bytes() for name in names}
        if len(files) == 3:
            layers = parsed(files[SAVED[0]], "metadata", _metadata)
            yield Seed(path.name, (layers, files), files)


def _metadata(kind: str, number: int) -> str | None:
    return "node" if kind == "metadata" and number == 1 else None


def folder_of(held: tuple[list, dict[str, bytes]], rng: Random) -> dict[str, bytes]:
    """Another description of a layer, other fields, other bytes of the variables."""
    layers, files = held[0], dict(held[1])
    kind = rng.random()
    if kind < 0.6:
        layers = [list(field) for field in layers]
        place = rng.choice(layers)
        node = [list(field) for field in place[2]]
        text = next(field for field in node if field[0] == 5)
        text[2] = json_of(tree_of(json.loads(text[2]), rng))
        place[2] = node
        files[SAVED[0]] = encoded(layers)
    elif kind < 0.8:
        words = [b"root.layer-0", b"{}", b"root", b"", b"root.layer_with_weights-9"]
        files[SAVED[0]] = encoded(message_of(layers, rng, words))
    else:
        name = rng.choice(list(files))
        files[name] = bytes_of(files[name], rng)
    return files


def read_folder() -> Callable[[Path], object]:
    import tensorflow  # noqa: F401

    return importer("keras")()


def onnx_seeds() -> Iterable[Seed]:
    """Of onnx' own cases those that are read, and what PyTorch exported."""
    import onnx

    from snn_deploy.model_files import read_model
    from snn_deploy.toolchain.errors import SnnDeployError

    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    cases = sorted(root.glob("*/*/model.onnx"))
    exported = [TESTS / "onnx_models" / f"{n}.onnx" for n in ("mlp", "keywords")]
    for path in (*cases, *exported * 9):
        content = path.read_bytes()
        if path in cases and len(content) > 2_000:
            continue
        try:
            read_model(path)
        except SnnDeployError:
            continue
        message = parsed(content, onnx.ModelProto.DESCRIPTOR, _of_onnx)
        yield Seed("net.onnx", (content, message), content)


def _of_onnx(kind: Any, number: int) -> Any:
    field = kind.fields_by_number.get(number)
    return field.message_type if field is not None else None


def onnx_words() -> list[bytes]:
    """Names that stand in its files, and places outside."""
    from snn_deploy.toolchain.frontends.onnx.reading import CONVERTERS

    names = ("x", "y", "axis", "axes", "alpha", "perm", "pads", "to", "value", "ceil")
    hostile = (b"", b"\xff\xfe", b"\0", b"x" * 5_000, OUTSIDE.encode(), b"/nowhere")
    kinds = sorted(str(kind) for kind in CONVERTERS)
    return [*(word.encode() for word in (*names, *kinds)), *hostile, b"location"]


def onnx_of(held: tuple[bytes, list], rng: Random) -> bytes:
    """Other fields, or other bytes."""
    content, message = held
    if rng.random() < 0.25:
        return bytes_of(content, rng)
    if not WORDS:
        WORDS.extend(onnx_words())
    return encoded(message_of(message, rng, WORDS))


WORDS: list[bytes] = []


def nir_seeds() -> Iterable[Seed]:
    """What four tools export, and small ones of sub-graphs, filters, pictures."""
    from fuzzing.networks import nir_files

    for path in nir_files(Path()):
        yield from [_hdf5(path)] * 12  # small, so quick
        path.unlink()
    yield from map(_hdf5, sorted((TESTS / "nir_tools").glob("*.nir")))


def netx_seeds() -> Iterable[Seed]:
    """What lava-dl exports, and small ones."""
    from fuzzing.networks import netx_files

    for path in netx_files(Path()):
        yield from [_hdf5(path)] * 30  # small, so quick
        path.unlink()
    yield from map(_hdf5, sorted((TESTS / "netx_files").glob("*.net")))
