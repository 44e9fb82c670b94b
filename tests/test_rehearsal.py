"""Files that keep their library for ever, crash it or take all memory: one sentence.

Each was made of a good one by changing a few bytes, and does it to h5py or SciPy.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_heaps import free_space
from tiny_files import CONV, DENSE, FLATTEN, write_model

from snn_deploy.models.data import boxes
from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.toolchain import rehearsal
from snn_deploy.toolchain.errors import DataError


@pytest.fixture
def quick(monkeypatch):
    """Bounds that a tiny file needs."""
    monkeypatch.setattr(rehearsal, "CPU", 0.3)
    monkeypatch.setattr(rehearsal, "MEMORY", 200 << 20)


def labelled(path: Path, labels: list[str], **options) -> Path:
    with h5py.File(path, "w", **options) as file:
        file["x"] = np.zeros((len(labels), 3), np.float32)
        file["y"] = labels
    return path


def hanging(path: Path) -> Path:
    """Behind the heap's free object of size 0 HDF5 stays for ever."""
    content = bytearray(labelled(path, ["a", "b", "a", "b"]).read_bytes())
    at = free_space(content)
    content[at : at + 8] = bytes(8)
    path.write_bytes(content)
    return path


def growing(path: Path) -> Path:
    """A thousand labels that are one and the same megabyte."""
    labelled(path, ["a" * (1 << 20)] + ["b"] * 999)
    with h5py.File(path) as file:
        place = file["y"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[place : place + 16_000] = content[place : place + 16] * 1000
    path.write_bytes(content)
    return path


def annotation(path: Path, **changed: int) -> Path:
    """A MATLAB file of a box, bytes of it changed."""
    from scipy.io import savemat

    contour = np.arange(10.0).reshape(2, 5)
    box = np.array([[1, 2, 3, 4]], np.uint16)
    savemat(path, {"box_coord": box, "obj_contour": contour})
    content = bytearray(path.read_bytes())
    for place, value in changed.items():
        content[int(place[1:])] = value
    path.write_bytes(content)
    return path


def test_a_file_that_hangs_is_a_sentence_every_time(quick, tmp_path):
    path = hanging(tmp_path / "hangs.h5")
    told = r"hangs.h5: it cannot be read as arrays \(reading it was ended after 0 s"
    with pytest.raises(DataError, match=told):
        read_data(path)
    start = time.monotonic()
    with pytest.raises(DataError, match=told):
        read_data(path)
    assert time.monotonic() - start < 0.2  # it is known
    labelled(path, ["a", "b"])
    assert len(read_data(path).names) == 2  # another file of that name


def test_a_file_that_takes_all_memory_is_a_sentence(quick, tmp_path):
    with pytest.raises(DataError, match="cannot be read as arrays .*memory"):
        read_data(growing(tmp_path / "grows.h5"))


@pytest.mark.parametrize("verb", ["check", "import"])
def test_a_model_that_takes_all_memory_is_a_sentence(
    quick, verb, tmp_path, run_cli, capsys
):
    """Its layers' names are one and the same megabyte, four thousand times."""
    path = write_model(tmp_path / "net.h5", CONV, FLATTEN, DENSE)
    with h5py.File(path, "r+") as file:
        names = file["model_weights"].attrs
        del names["layer_names"]
        names.create("layer_names", ["n" * (1 << 20)] + ["b"] * 3999, (4000,))
    content = bytearray(path.read_bytes())
    heaps = [found.start() for found in re.finditer(b"GCOL", content)]
    sized = [struct.pack("<IQ", 1 << 20, heap) for heap in heaps]
    (place,) = (content.index(pointer) for pointer in sized if pointer in content)
    first = content[place : place + 16]
    content[place : place + 64_000] = first * 4000
    path.write_bytes(content)
    words = ["--out", tmp_path / "net.snn"] if verb == "import" else []
    assert run_cli(verb, path, *words) == 2
    told = capsys.readouterr().err
    assert "net.h5" in told and "memory" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "changed",
    [{"b145": 255}, {"b192": 0}, {"b192": 255}, {"b193": 128}, {"b175": 255}],
    ids=str,
)
def test_a_matlab_file_that_ends_scipy_is_a_sentence(quick, changed, tmp_path):
    folder = tmp_path / "Annotations" / "cup"
    folder.mkdir(parents=True)
    (tmp_path / "101_ObjectCategories" / "cup").mkdir(parents=True)
    annotation(folder / "annotation_0001.mat", **changed)
    with pytest.raises(DataError, match="annotation_0001.mat: no readable annotation"):
        boxes.load_caltech101(tmp_path, "cup")


def test_one_child_reads_all_files(tmp_path):
    for i in range(20):
        boxes._box_coord(annotation(tmp_path / f"{i}.mat"))
        if i == 0:
            child = rehearsal._STATE.child
    assert child is not None and rehearsal._STATE.child is child


def test_what_is_whole_is_read_as_ever(tmp_path):
    """Many labels, behind a user block; and packed samples in chunks."""
    labels = [f"a class of a long name {i % 7}" for i in range(20_000)]
    path = labelled(tmp_path / "labels.h5", labels, userblock_size=1024)
    data = read_data(path)
    assert data.answers is not None and len(data.classes) == 7
    x = np.random.default_rng(0).random((50, 6, 5), np.float32)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(7, 6, 5), compression="gzip")
    found = read_data(tmp_path / "packed.h5").read(np.arange(50), (6, 5))
    np.testing.assert_array_equal(found, x)


def children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, owner = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(owner) == parent and state != "Z":
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_who_waits_may_be_ended_and_leaves_no_process(end, tmp_path):
    path = hanging(tmp_path / "hangs.h5")
    code = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from snn_deploy.models.data.formats.formats import read_data\n"
        "from snn_deploy.toolchain import rehearsal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "rehearsal.CPU = 6.0\n"
        "print('reads', flush=True)\n"
        f"read_data(Path({json.dumps(str(path))}))\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=-1, stderr=subprocess.PIPE) as user:
        assert user.stdout is not None and user.stdout.readline() == b"reads\n"
        deadline = time.monotonic() + 60
        while not children(user.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        (child,) = children(user.pid)
        time.sleep(1)  # so that it is in HDF5's library
        user.send_signal(end)
        _, errors = user.communicate(timeout=30)
    assert user.returncode == -end
    assert (b"KeyboardInterrupt" in errors) == (end == signal.SIGINT)
    deadline = time.monotonic() + 60  # where many others run
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not runs(child)


def runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return b"toolchain.child" in Path(f"/proc/{number}/cmdline").read_bytes()


def test_hostile_samples_end_a_command_in_a_sentence(quick, tmp_path, run_cli, capsys):
    model = write_model(tmp_path / "net.h5", CONV, FLATTEN, DENSE)
    path = hanging(tmp_path / "hangs.h5")
    words = (
        "--model",
        model,
        "--data",
        path,
        "--out",
        tmp_path / "out",
        "--target",
        "reference",
    )
    assert run_cli("build", *words) == 2
    told = capsys.readouterr().err
    assert "hangs.h5: it cannot be read as arrays" in told and "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_strides_make_no_kernel_of_gigabytes(tmp_path, run_cli, capsys):
    wide = {**CONV["config"], "strides": [100_000, 1000]}
    layer = {"class_name": "Conv2DTranspose", "config": wide}
    path = write_model(tmp_path / "net.h5", layer, FLATTEN, DENSE)
    assert run_cli("check", path) == 2
    told = capsys.readouterr().err
    assert "with zeros it has 4800000000 bytes; 268435456 are allowed" in told
