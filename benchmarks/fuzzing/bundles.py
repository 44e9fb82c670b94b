"""Bundles, packed ones and Recordings: seeds, mutants that are signed, loaders."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzzing.mutants import array_of, bytes_of, json_of, npy, npy_of, tree_of, zipped
from fuzzing.seed import TESTS, Seed

SEAL = b"sha256 "


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


def load_bundle() -> Callable[[Path], object]:
    from snn_deploy.toolchain.bundle.bundle import load_bundle

    return load_bundle


def load_recording() -> Callable[[Path], object]:
    from snn_deploy.toolchain.bundle import recorded

    return lambda path: recorded._restore(recorded.read_zip(path))


def load_packed() -> Callable[[Path], object]:
    from snn_deploy.toolchain.bundle.worker import Packed

    return lambda path: Packed(str(path))


def worker_refusals() -> tuple[type[Exception], ...]:
    """What its ``main`` says in a sentence."""
    from snn_deploy.toolchain.bundle.worker import DAMAGED, Refused

    return Refused, *DAMAGED
