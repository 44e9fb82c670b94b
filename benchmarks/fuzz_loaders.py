"""What is fuzzed: each loader's seeds, what makes mutants of them, and the call."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzz_hdf5 import OUTSIDE, Hdf5Seed, hdf5_of
from fuzz_mutants import (
    LEAVES,
    TOML_RAW,
    YAML_RAW,
    array_of,
    bytes_of,
    json_of,
    npy,
    npy_of,
    toml_of,
    tree_of,
    zipped,
)
from fuzz_protobuf import encoded, message_of, parsed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TESTS = Path(__file__).parent.parent / "tests"
SEAL = b"sha256 "
Content = bytes | Mapping[str, bytes]
"""Of a file, or of the files of a folder."""


@dataclass(frozen=True)
class Seed:
    """A file or folder that is in order."""

    name: str
    held: Any  # parsed, as the mutants' maker takes it
    content: Content  # as it is laid on disk


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


# Bundles.


def bundle_seeds() -> Iterable[Seed]:
    """A Graph of every node, Programs, a packed one, and those of an older version."""
    from test_bundle import every_node, small_bundle, small_program

    from snn_deploy.machine.trial import bare_program, tiny_program
    from snn_deploy.toolchain.bundle.bundle import Bundle, packed

    bundles = {
        "graph": Bundle(graph=every_node()),
        "small": small_bundle(),
        "tiny": Bundle(program=tiny_program()),
        "bare": Bundle(program=bare_program()),
        "packed": _packed(small_program()),
    }
    for name, bundle in bundles.items():
        yield _bundle(name, packed(Path("x.snn"), bundle))
    for path in sorted((TESTS / "bundles").glob("*.snn")):
        yield _bundle(path.name, path.read_bytes())


def _packed(program: Any) -> Any:
    from snn_deploy.toolchain.bundle.acceptance import Acceptance, worker_text
    from snn_deploy.toolchain.bundle.bundle import Bundle

    golden = {"p": np.ones((2, 4, 2), bool), "events": np.ones((2, 4, 3), bool)}
    return Bundle(
        program=program,
        samples=np.ones((2, 4, 3)),
        golden=golden,
        acceptance=Acceptance(
            bias={"p": np.ones((2, 2), np.int32)},
            rate=None,
            output=0.5,
            worker=worker_text(),
        ),
    )


def packed_seeds() -> Iterable[Seed]:
    """One that another machine runs."""
    return [seed for seed in bundle_seeds() if seed.name == "packed.snn"]


def recording_seeds() -> Iterable[Seed]:
    """Recordings, of integers and of floats."""
    from snn_deploy.toolchain.bundle.recorded import Recorded, save_recorded

    spikes = {"p": np.ones((2, 4, 2), bool), "events": np.zeros((2, 4, 3), bool)}
    ran = {"samples": 2, "seconds": 1.5, "joules": None, "source": "board"}
    for kind, measured in (("integer emulation", {}), ("hardware", ran)):
        path = Path("made.recording")
        made = Recorded(
            bundle=PACKED_SHA,
            target="x",
            kind=kind,
            spikes=spikes,
            wall_time=0.5,
            date="2026-01-01T00:00:00Z",
            system="Linux x86_64",
            versions={"python": "3.10"},
            measured=measured,
        )
        save_recorded(path, made)
        yield _bundle(kind, path.read_bytes())
        path.unlink()


PACKED_SHA = hashlib.sha256(b"packed").hexdigest()


def _bundle(name: str, content: bytes) -> Seed:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    del members["manifest.sha256"]
    return Seed(f"{name.partition('.')[0]}.snn", (manifest, members), content)


def bundle_of(held: tuple[dict, dict[str, bytes]], rng: Random) -> bytes:
    """A change in the manifest, an array or the zip; hashes and seal are right."""
    manifest, members = held[0], dict(held[1])
    arrays = [name for name in members if name.startswith("arrays/")]
    kind = rng.random()
    if kind < 0.35 and arrays:
        manifest = json.loads(json.dumps(manifest))
        for name in rng.sample(arrays, min(len(arrays), rng.choice((1, 1, 2)))):
            _array(manifest, members, name, rng)
    if kind > 0.25:
        manifest = tree_of(manifest, rng)
    if kind > 0.97 and members:
        name = rng.choice(list(members))
        members[rng.choice((name, f"arrays/{len(members)}.npy", "../x"))] = bytes_of(
            members[name], rng
        )
    if rng.random() < 0.95:
        _sign(manifest, members)
    text = json_of(manifest)
    if rng.random() < 0.03:
        text = bytes_of(text, rng)
    digest = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode()
    members |= {"manifest.json": text, "manifest.sha256": digest}
    content = zipped(members, rng if kind > 0.9 else None)
    return content if rng.random() < 0.01 else _sealed(content)


def _array(manifest: dict, members: dict[str, bytes], name: str, rng: Random) -> None:
    entry = manifest["arrays"][name]
    if rng.random() < 0.25:
        members[name] = npy_of(members[name], rng)
        return
    stored = np.load(io.BytesIO(members[name]))
    bits = entry["dtype"] == "bool"
    array = np.unpackbits(stored)[: int(np.prod(entry["shape"]))] if bits else stored
    array = array_of(array.reshape(entry["shape"]), rng)
    told = array.dtype.name
    if told == "float32" and entry["dtype"] == "float64":
        told = "float64"
    members[name] = npy(np.packbits(array) if array.dtype == bool else array)
    if rng.random() < 0.9:
        entry |= {"shape": list(array.shape), "dtype": told}


def _sign(manifest: Any, members: Mapping[str, bytes]) -> None:
    listed = manifest.get("arrays") if isinstance(manifest, dict) else None
    for name, entry in listed.items() if isinstance(listed, dict) else ():
        if isinstance(entry, dict) and "sha256" in entry and name in members:
            entry["sha256"] = hashlib.sha256(members[name]).hexdigest()


def _sealed(content: bytes) -> bytes:
    """With a comment that is the hash of all before it; zip's last record has 22 B."""
    end = content.rfind(b"PK\5\6")
    body = content[: end + 20] + (71).to_bytes(2, "little") + SEAL
    return body + hashlib.sha256(body).hexdigest().encode()


def _load_bundle() -> Callable[[Path], object]:
    from snn_deploy.toolchain.bundle.bundle import load_bundle

    return load_bundle


def _load_recording() -> Callable[[Path], object]:
    from snn_deploy.toolchain.bundle import recorded

    return lambda path: recorded._restore(recorded.read_zip(path))


def _load_packed() -> Callable[[Path], object]:
    from snn_deploy.toolchain.bundle.worker import Packed

    return lambda path: Packed(str(path))


def _worker_refusals() -> tuple[type[Exception], ...]:
    """What its ``main`` says in a sentence."""
    from snn_deploy.toolchain.bundle.worker import DAMAGED, Refused

    return Refused, *DAMAGED


# Files of settings, and reports.


def profile_seeds() -> Iterable[Seed]:
    """Those that ship."""
    import snn_deploy.calibration

    folder = Path(snn_deploy.calibration.__file__).parent / "devices"
    for path in sorted(folder.glob("*.toml")):
        text = path.read_bytes()
        yield Seed(path.name, tomllib.loads(text.decode()), text)


SPACES = (
    'model = "net.snn"\ntask = "classes"\nscale = [0.5, 0.25]\nseed = 3\n'
    'objectives = ["score", "energy"]\n[space]\nsteps = [16, "auto"]\n'
    'weight-bits = { low = 3, high = 5 }\nmax-rate = ["default", 100]\n',
    'model = "net.snn"\ndata = "xy.npz"\nsearch = "random"\npoints = 5\nsamples = 9\n'
    "[space]\nmax-rate = { low = 10.0, high = 500.0, log = true }\n"
    "steps = { low = 8, high = 64, count = 4, log = true }\n",
)
LEVELS = (f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
          for a, b in zip("abcdefgh", "bcdefghi"))  # fmt: skip
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(LEVELS) + "space: {steps: *i}\n"
YAML = "model: net.snn\nspace: &s\n  steps: [16, auto]\n  max-rate: {low: 1, high: 9}\n"


def sweep_seeds() -> Iterable[Seed]:
    """TOML and YAML, one of which is small and says much."""
    for i, text in enumerate(SPACES):
        yield Seed(f"space{i}.toml", tomllib.loads(text), text.encode())
        flow = json_of(tomllib.loads(text))
        yield Seed(f"space{i}.yaml", flow, flow)
    yield Seed("bomb.yaml", BOMB.encode(), BOMB.encode())
    yield Seed("block.yaml", YAML.encode(), YAML.encode())


def config_of(held: Any, rng: Random) -> bytes:
    """Of a table TOML; of text other bytes, or what YAML takes of a JSON tree."""
    if isinstance(held, bytes):
        if held.startswith(b"{") and rng.random() < 0.7:
            return json_of(tree_of(json.loads(held), rng), YAML_RAW)
        return bytes_of(held, rng)
    text = toml_of(tree_of(held, rng, [*LEAVES, *TOML_RAW]))
    return bytes_of(text, rng) if rng.random() < 0.25 else text


def _load_profile() -> Callable[[Path], object]:
    from snn_deploy.calibration.energy.profile import load_profile

    return load_profile


def _load_space() -> Callable[[Path], object]:
    from snn_deploy.commands.sweep import ONCE, checks
    from snn_deploy.sweeps.reading import read_space

    return lambda path: read_space(path, checks(path.parent), ONCE)


def point_seeds() -> Iterable[Seed]:
    """A point of a sweep that is finished, and one that failed."""
    figures = {
        **{"metric": "accuracy", "better": 1, "score": 0.5, "spikes": 10.0},
        **{"synaptic_operations": 20.0, "energy": 1e-9, "latency": 0.016, "cores": 1},
        **{"trivial": 0.1, "samples": 8, "part": "validation"},
    }
    good = {"number": 3, "options": {"steps": "16"}, "figures": figures, "error": ""}
    failed = {**good, "figures": None, "error": "no"}
    for point in (good, failed):
        tree = {**point, "seconds": 1.5}
        yield Seed("0003.json", tree, json.dumps(tree).encode())


def _load_point() -> Callable[[Path], object]:
    from snn_deploy.sweeps.journal import read_outcome

    return read_outcome


def report_seeds() -> Iterable[Seed]:
    """Of every schema, and one of today with all of its parts."""
    for path in sorted((TESTS / "data").glob("report-*.json")):
        yield Seed(path.name, json.loads(path.read_bytes()), path.read_bytes())
    from snn_deploy.calibration.report.report import Report

    newest = json.loads(Report.from_json(path).encoded())
    yield Seed("report-now.json", newest, json.dumps(newest).encode())


def text_of(tree: Any, rng: Random) -> bytes:
    """JSON, seldom with other bytes."""
    text = json_of(tree_of(tree, rng))
    return bytes_of(text, rng) if rng.random() < 0.1 else text


def _load_report() -> Callable[[Path], object]:
    from snn_deploy.calibration.report.report import Report

    return Report.from_json


def _show_report() -> Callable[[Path], object]:
    """As ``diff``, ``report --format html`` and the terminal have it."""
    from snn_deploy.calibration.difference.difference import difference
    from snn_deploy.calibration.difference.figures import read_side
    from snn_deploy.calibration.difference.shown import WRITERS
    from snn_deploy.calibration.report.report import Report
    from snn_deploy.commands.report import _content

    other = read_side(TESTS / "data" / "report-3.json")

    def show(path: Path) -> None:
        found = Report.from_json(path)
        for form in ("html", "markdown", "json", "terminal"):
            _content(found, form, True)
        told = difference(other, read_side(path), [])
        for writer in WRITERS.values():
            writer(told)

    return show


def checkpoint_seeds() -> Iterable[Seed]:
    """One of training with Adam."""
    one = np.ones((2, 3), np.float32)
    numbers = {"recipe": RECIPE, "epoch": 3, "best_epoch": 2, "best_score": 0.5}
    kinds = ("weights", "best_weights", "optimizer")
    arrays = {f"{kind}/{i:03d}": one * i for kind in kinds for i in range(2)}
    file = io.BytesIO()
    np.savez(file, json=np.frombuffer(json.dumps(numbers).encode(), np.uint8), **arrays)
    yield Seed("checkpoint.npz", (numbers, arrays), file.getvalue())


RECIPE = {"epochs": 9, "seed": 1, "sizes": [1, 2], "data": "abc"}


def checkpoint_of(held: tuple[dict, dict[str, np.ndarray]], rng: Random) -> bytes:
    """Other numbers, other arrays, another zip."""
    numbers, arrays = held
    text = json_of(tree_of(numbers, rng) if rng.random() < 0.6 else numbers)
    if rng.random() < 0.05:
        text = bytes_of(text, rng)
    whole = {"json": np.frombuffer(text, np.uint8), **arrays}
    files = {f"{name}.npy": npy(array) for name, array in whole.items()}
    if rng.random() < 0.4:
        name = rng.choice(list(files))
        files[name] = npy_of(files[name], rng)
    elif rng.random() < 0.3:
        name = rng.choice(list(arrays))
        files[f"{name}.npy"] = npy(array_of(arrays[name], rng))
    elif rng.random() < 0.2:
        del files[rng.choice(list(files))]
    content = zipped(files, rng)
    return bytes_of(content, rng) if rng.random() < 0.2 else content


def _load_checkpoint() -> Callable[[Path], object]:
    from snn_deploy.models.training.checkpoint import load_checkpoint

    return lambda path: load_checkpoint(path, RECIPE)


# Networks of other tools.


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


def _read_folder() -> Callable[[Path], object]:
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
    from fuzz_networks import nir_files

    for path in nir_files(Path()):
        yield from [_hdf5(path)] * 12  # small, so quick
        path.unlink()
    yield from map(_hdf5, sorted((TESTS / "nir_tools").glob("*.nir")))


def netx_seeds() -> Iterable[Seed]:
    """What lava-dl exports, and small ones."""
    from fuzz_networks import netx_files

    for path in netx_files(Path()):
        yield from [_hdf5(path)] * 30  # small, so quick
        path.unlink()
    yield from map(_hdf5, sorted((TESTS / "netx_files").glob("*.net")))


LOADERS: dict[str, Loader] = {
    "bundle": Loader(
        group="bundle",
        inputs=150_000,
        seeds=bundle_seeds,
        mutant=bundle_of,
        load=_load_bundle,
        words=("import",),
    ),
    "recording": Loader(
        group="bundle",
        inputs=150_000,
        seeds=recording_seeds,
        mutant=bundle_of,
        load=_load_recording,
    ),
    "worker": Loader(
        group="bundle",
        inputs=50_000,
        seeds=packed_seeds,
        mutant=bundle_of,
        load=_load_packed,
        refusals=_worker_refusals,
    ),
    "profile": Loader(
        group="config",
        inputs=100_000,
        seeds=profile_seeds,
        mutant=config_of,
        load=_load_profile,
    ),
    "sweep": Loader(
        group="config",
        inputs=50_000,
        seeds=sweep_seeds,
        mutant=config_of,
        load=_load_space,
        words=("sweep",),
    ),
    "point": Loader(
        group="config",
        inputs=200_000,
        seeds=point_seeds,
        mutant=text_of,
        load=_load_point,
    ),
    "checkpoint": Loader(
        group="config",
        inputs=50_000,
        seeds=checkpoint_seeds,
        mutant=checkpoint_of,
        load=_load_checkpoint,
    ),
    "report": Loader(
        group="report",
        inputs=250_000,
        seeds=report_seeds,
        mutant=text_of,
        load=_load_report,
        words=("report",),
    ),
    "report-shown": Loader(
        group="report",
        inputs=5_000,
        seeds=report_seeds,
        mutant=text_of,
        load=_show_report,
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
        load=_read_folder,
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
