"""What a killed command may leave, and what it must after it ran again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from snn_deploy.calibration.report.report import Report
from snn_deploy.sweeps.journal import read_outcome
from snn_deploy.toolchain.bundle.beside import LEFT
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.bundle.recorded import load_recorded
from snn_deploy.toolchain.files import sha256_of


@dataclass
class Found:
    """What became of a command's kills."""

    killed: Counter[str] = field(default_factory=Counter)  # how
    ended_first: int = 0
    mixed: int = 0  # a report of another program, which says so
    left: int = 0  # kills that left a temporary file
    resume_refused: int = 0  # an older run's checkpoints, since nothing had begun
    wrong: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)  # file → how it is held equal


def temporary(path: Path) -> bool:
    """Whether it is a file or folder that waits beside its place, or in one."""
    return any(part[:1] == "." and LEFT.search(part) for part in path.parts)


def artefacts(folder: Path) -> dict[str, Path]:
    """Name → file."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def judge(folder: Path, found: Found) -> None:
    """Read everything that is there; raise where something does not load."""
    files = artefacts(folder)
    left = [name for name in files if temporary(Path(name))]
    found.left += bool(left)
    for name, path in files.items():
        if name not in left:
            read(path)
    for name in ("net/report.json", "built/report.json"):
        if name in files and (files[name].parent / "program.snn").exists():
            report, program = Report.from_json(files[name]), folder / name
            beside = program.parent / "program.snn"
            same = report.provenance.program_sha256 == sha256_of(beside)  # type: ignore
            assert same != report.of_another(beside), name
            found.mixed += not same


def read(path: Path) -> None:
    """A whole artefact, by the loader of its kind."""
    content = path.read_bytes()
    match path.suffix:
        case ".snn":
            load_bundle(path)
        case ".recording":
            load_recorded(path, path.with_name("packed.snn"))
        case ".npz":
            with np.load(path) as arrays:
                assert all(arrays[name] is not None for name in arrays.files)
        case ".html":
            assert content.rstrip().endswith(b"</html>"), path
        case ".png":
            with Image.open(path) as picture:
                picture.load()
        case ".json" if path.name == "report.json":
            Report.from_json(path)
        case ".json" if path.parent.name == "points":
            read_outcome(path)
        case ".json":
            json.loads(content)
        case ".toml":
            assert content
        case _:
            assert path.name == ".lock", f"{path} is no artefact"


def plain(path: Path) -> Any:
    """What is the same in every run: without times and the date."""
    if path.suffix == ".json":
        table = json.loads(path.read_text())
        for name in ("seconds", "timings", "wall_time"):
            table.pop(name, None)
        if isinstance(table.get("provenance"), dict):
            table["provenance"].pop("date", None)
        return table
    if path.suffix == ".recording":
        held = load_recorded(path, path.with_name("packed.snn"))
        return {name: spikes.tobytes() for name, spikes in held.spikes.items()}
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files}
    return path.suffix  # a page, which shows times: whole, as ``read`` found


def how_held(one: Path, other: Path) -> dict[str, str]:
    """File → how two undisturbed runs agree."""
    a, b = artefacts(one), artefacts(other)
    assert a.keys() == b.keys()
    held = {}
    for name in a:
        same = a[name].read_bytes() == b[name].read_bytes()
        assert same or plain(a[name]) == plain(b[name]), name
        held[name] = "byte for byte"
        if not same:
            pages = "whole; it shows times"
            rest = "all but times and the date"
            held[name] = pages if a[name].suffix in (".html", ".png") else rest
    return held


def demand_same(folder: Path, wanted: Path, held: Mapping[str, str]) -> None:
    """Raise where a folder does not hold what an undisturbed run leaves."""
    here, there = artefacts(folder), artefacts(wanted)
    assert here.keys() == there.keys(), sorted(here.keys() ^ there.keys())
    folders = [p for p in folder.rglob("*") if p.is_dir() and temporary(p)]
    assert not folders, folders
    for name, path in here.items():
        read(path)
        if held[name] == "byte for byte":
            assert path.read_bytes() == there[name].read_bytes(), name
        else:
            assert plain(path) == plain(there[name]), name
