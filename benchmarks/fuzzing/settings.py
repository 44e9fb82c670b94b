"""Device profiles, sweeps, points, reports and checkpoints: seeds, mutants, loaders."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzzing.mutants import (
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
from fuzzing.seed import TESTS, Seed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


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


def load_profile() -> Callable[[Path], object]:
    from snn_deploy.calibration.energy.profile import load_profile

    return load_profile


def load_space() -> Callable[[Path], object]:
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


def load_point() -> Callable[[Path], object]:
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


def load_report() -> Callable[[Path], object]:
    from snn_deploy.calibration.report.report import Report

    return Report.from_json


def show_report() -> Callable[[Path], object]:
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


def load_checkpoint() -> Callable[[Path], object]:
    from snn_deploy.models.training.checkpoint import load_checkpoint

    return lambda path: load_checkpoint(path, RECIPE)
