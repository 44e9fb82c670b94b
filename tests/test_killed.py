"""A process killed while it writes: the old or the new is there, and nothing else soon.

``benchmarks/kills.py`` does the same to whole commands.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snn_deploy.models.training.output import write_atomically
from snn_deploy.toolchain.bundle import beside
from snn_deploy.toolchain.bundle.archive import (
    read_directory,
    read_zip,
    write_directory,
    write_together,
    write_zip,
)
from snn_deploy.toolchain.bundle.beside import exchange, file_beside, folder_beside

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
OLD, NEW = ({"manifest.json": text, "arrays/0.npy": text} for text in (b"old", b"new"))
BUNDLES = {
    "zip": (write_zip, read_zip),
    "directory": (write_directory, read_directory),
}


def every_kill(folder: Path, write: Callable[[], object]) -> Iterator[int]:
    """Kill a child that writes, just before its first change of files in a folder, then
    before its second, and so on until it ends unharmed."""
    change = 0
    while _killed_before(change, folder, write):
        yield change
        change += 1


def _killed_before(change: int, folder: Path, write: Callable[[], object]) -> bool:
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    left = change

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in CHANGES and str(folder) in str(arguments[0]):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)
    try:
        write()
    except BaseException:
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize("kind", BUNDLES)
def test_over_an_old_bundle_is_the_old_or_the_new(kind, tmp_path):
    write, read = BUNDLES[kind]
    path = tmp_path / "b"
    write(path, OLD)
    found = []
    for _ in every_kill(tmp_path, lambda: write(path, NEW)):
        found.append(read(path))
        write(path, OLD)
        assert os.listdir(tmp_path) == ["b"], "who writes next clears up"
    assert len(found) > 2 and all(each in (OLD, NEW) for each in found)


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_first_bundle_is_whole_or_not_there(kind, tmp_path):
    write, read = BUNDLES[kind]
    path, kills = tmp_path / "b", 0
    for kills in every_kill(tmp_path, lambda: write(path, NEW)):  # noqa: B007
        assert not path.exists() or read(path) == NEW
        write(path, NEW)
        assert os.listdir(tmp_path) == ["b"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert kills >= 1


def test_of_several_files_each_is_whole(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    states = set()
    for path in paths:
        path.write_bytes(b"old")
    for _ in every_kill(tmp_path, lambda: write_together(dict.fromkeys(paths, b"new"))):
        states.add(tuple(path.read_bytes() for path in paths))
        write_together(dict.fromkeys(paths, b"old"))
        assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]
    assert {state for path in states for state in path} == {b"old", b"new"}


def test_a_network_of_a_library_leaves_nothing_either(tmp_path):
    """Such as an .h5, which the library itself opens by name."""
    path = tmp_path / "net.h5"
    path.write_bytes(b"old")
    for _ in every_kill(
        tmp_path, lambda: write_atomically(path, lambda p: p.write_bytes(b"new"))
    ):
        assert path.read_bytes() in (b"old", b"new")
        write_atomically(path, lambda temporary: temporary.write_bytes(b"old"))
        assert os.listdir(tmp_path) == ["net.h5"]


def test_what_another_process_still_writes_is_not_removed(tmp_path):
    path = tmp_path / "a"
    with file_beside(path) as (one, file), folder_beside(path) as other:
        file.write(b"half")
        write_together({path: b"new"})
        assert one.exists() and other.exists()
    assert os.listdir(tmp_path) == ["a"] and path.read_bytes() == b"new"


def test_other_files_of_a_like_name_are_the_users(tmp_path):
    names = {".a.bak", ".a.7", ".ab.123456789012", ".a.1234567890123", "a.123456789012"}
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".a.000000000000").symlink_to(tmp_path / "a.123456789012")
    write_together({tmp_path / "a": b"new"})
    assert {*os.listdir(tmp_path)} == names | {"a", ".a.000000000000"}


def test_a_name_that_is_removed_in_between_is_made_again(tmp_path, monkeypatch):
    """Between its making and its lock another process may take it for left."""
    made = []

    def lost(handle: int, path: Path) -> bool:
        made.append(path)
        if len(made) == 1:
            path.rmdir() if path.is_dir() else path.unlink()
        return real(handle, path)

    real = beside._held
    monkeypatch.setattr(beside, "_held", lost)
    for waits in (file_beside, folder_beside):
        made.clear()
        with waits(tmp_path / "a"):
            assert len(made) == 2 and made[1].exists()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("at_once", [True, False])
def test_two_folders_change_places(at_once, tmp_path, monkeypatch):
    if not at_once:
        monkeypatch.setattr(beside.ctypes, "CDLL", lambda name: object())
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["b"] and os.listdir(tmp_path / "b") == ["a"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
