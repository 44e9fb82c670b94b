"""The worker: one file, an old Python and NumPy give the specification's spikes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from old_pythons import bare, with_numpy
from packed_programs import packed, packed_programs, saved
from test_bundle import small_bundle
from test_bundle_damage import npy

from snn_deploy.toolchain.bundle import worker
from snn_deploy.toolchain.bundle.acceptance import worker_text
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.bundle.recorded import load_recorded

WORKER = Path(worker.__file__)


def run(python: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *map(str, words)], capture_output=True, text=True, env={}
    )


def demand_golden(path: Path, recording: Path, bundle: Bundle) -> None:
    """A Recording of these golden spikes, and of no others."""
    spikes = load_recorded(recording, path).spikes
    assert set(spikes) == set(bundle.golden)
    for name, golden in bundle.golden.items():
        np.testing.assert_array_equal(spikes[name], golden)


@settings(max_examples=60, deadline=None)
@given(bundle=packed_programs())
def test_every_program_runs_as_specified(bundle):
    with tempfile.TemporaryDirectory() as folder:
        path = saved(Path(folder), bundle)
        worker.main(str(path), f"{path}.recording")
        demand_golden(path, Path(f"{path}.recording"), bundle)


def test_batches_are_samples_one_by_one(tmp_path, monkeypatch, capsys):
    """Samples that do not fit in memory at once run one after the other."""
    monkeypatch.setattr(worker, "BATCH_BYTES", 1)
    bundle = packed_events()
    path = saved(tmp_path, bundle)
    worker.main(str(path), str(tmp_path / "r"))
    assert capsys.readouterr().err == "sample 1 of 2\nsample 2 of 2\n"
    demand_golden(path, tmp_path / "r", bundle)


def packed_events() -> Bundle:
    """A small packed bundle of events."""
    bundle = small_bundle()
    return packed(bundle.program, np.round(bundle.samples), 4)


@pytest.mark.parametrize(
    "version", ["3.8", pytest.param("3.9", marks=pytest.mark.slow)]
)
def test_old_pythons_run_the_worker_in_the_bundle(version, tmp_path):
    """As it is unpacked from the bundle; each Program in one process."""
    python = with_numpy(version)

    @settings(max_examples=2, deadline=None, database=None)
    @given(bundles=st.lists(packed_programs(), min_size=8, max_size=8))
    def check(bundles):
        with tempfile.TemporaryDirectory() as folder:
            paths = [
                saved(Path(folder), bundle, f"{i}.snn")
                for i, bundle in enumerate(bundles)
            ]
            run(python, "-m", "zipfile", "-e", paths[0], folder)
            assert (Path(folder) / "worker.py").read_bytes() == WORKER.read_bytes()
            code = "import sys; sys.path.insert(0, sys.argv[1]); import worker; "
            code += "[worker.main(path, path + '.r') for path in sys.argv[2:]]"
            done = run(python, "-c", code, folder, *paths)
            assert done.returncode == 0, done.stderr
            for path, bundle in zip(paths, bundles):
                demand_golden(path, Path(f"{path}.r"), bundle)

    check()


def test_it_is_the_packages_own_text():
    assert worker_text() == WORKER.read_text()


def test_too_old_a_python_is_a_sentence():
    done = run(bare("3.6"), WORKER, "a", "b")
    assert done.returncode == 2
    assert done.stderr.startswith("worker: Python 3.6.")
    assert done.stderr.endswith(" is too old; use 3.8 or newer\n")


def test_a_missing_numpy_is_a_sentence():
    done = run(bare("3.9"), "-I", "-S", WORKER, "a", "b")
    assert (done.returncode, done.stderr) == (
        2,
        "worker: this Python has no NumPy; pip install numpy\n",
    )


def test_what_is_wrong_is_a_sentence(tmp_path):
    python = with_numpy("3.8")
    whole = saved(tmp_path, packed_events()).read_bytes()
    save_bundle(tmp_path / "unpacked.snn", small_bundle())
    (tmp_path / "cut.snn").write_bytes(whole[:-100])
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    (tmp_path / "changed.snn").write_bytes(changed)
    for name, words in {
        "none.snn": "No such file or directory",
        "unpacked.snn": "it is not packed",
        "cut.snn": "it is no bundle, truncated or changed",
        "changed.snn": "it is no bundle, truncated or changed",
    }.items():
        done = run(python, WORKER, tmp_path / name, tmp_path / "r")
        assert done.returncode == 2 and words in done.stderr, name
        assert done.stderr.count("\n") == 1 and not (tmp_path / "r").exists()


def test_an_array_is_held_to_what_is_there():
    file = npy(np.zeros(2)).replace(b"(2,), }" + b" " * 12, b"(1099511627776,), }")
    with pytest.raises(TypeError, match="buffer is too small"):  # told by ``main``
        worker.numbers(file)
    with pytest.raises(worker.Refused, match="objects"):
        worker.numbers(npy(np.array([None]), allow_pickle=True))
    with pytest.raises(ValueError, match="no array: TokenError"):
        worker.numbers(npy(np.zeros(2)).replace(b"(2,), }", b"((((((("))
    order = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(worker.numbers(npy(order)), order)


def resealed(path: Path, change) -> Path:
    """A bundle whose manifest's text is changed, with the hashes that it then has."""
    members = worker.members_of(path.read_bytes())
    text = change(members["manifest.json"].decode()).encode()
    line = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n"
    members |= {"manifest.json": text, "manifest.sha256": line.encode()}
    path.write_bytes(worker.sealed(members))
    return path


def first_shape(value):
    """The first population has this shape."""

    def change(text: str) -> str:
        manifest = json.loads(text)
        manifest["tree"]["populations"][0]["shape"] = value
        return json.dumps(manifest)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first_shape([1 << 20, 1 << 20]), "it has 1.09951e.12 neurons"),
        (first_shape([-1]), "it has -1 neurons"),
        (first_shape([float("nan")]), "it has nan neurons"),
        (first_shape([10**400]), "it is damaged .OverflowError"),
        (lambda text: "[" * 10**6, "it is damaged .RecursionError"),
    ],
)
def test_a_manifest_is_held_to_bounds(tmp_path, change, words):
    """Before memory is taken; whoever changes a bundle can make its hashes fit."""
    path = resealed(saved(tmp_path, packed_events()), change)
    with pytest.raises(worker.Refused, match=words):
        worker.main(str(path), str(tmp_path / "r"))
    assert [p.name for p in tmp_path.iterdir()] == ["x.snn"]


def test_reading_takes_as_much_memory_as_the_file(tmp_path):
    path = saved(tmp_path, packed_events())
    tracemalloc.start()
    worker.Packed(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 + 20 * path.stat().st_size


def test_a_full_disk_leaves_nothing(tmp_path):
    path = saved(tmp_path, packed_events())
    line = f"ulimit -f 1; exec {with_numpy('3.8')} {WORKER} {path} {tmp_path}/r"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert done.returncode == 2 and "File too large" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["x.snn"]


def test_a_recording_names_no_one(tmp_path):
    """Its manifest says system and versions; no path, no host, no user."""
    path = saved(tmp_path, packed_events())
    worker.main(str(path), str(tmp_path / "r"))
    with zipfile.ZipFile(tmp_path / "r") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert set(manifest["versions"]) == {"python", "numpy", "worker"}
    assert str(tmp_path) not in json.dumps(manifest)
