"""Bad data of each form on the command line: one sentence, exit code 2, no files."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from small_networks import fitted, save

from snn_deploy.commands.cli import cli
from snn_deploy.models.data.generated.moving_shapes import EVENT, moving_shape
from snn_deploy.toolchain import memory
from snn_deploy.toolchain.errors import DataError

X = np.random.default_rng(0).random((40, 4))
Y = np.arange(40) % 3


def network(path, *shape):
    """A classifier of three classes."""
    x = np.random.default_rng(0).random((40, *shape))
    return save(path, fitted(x, np.eye(3)[Y]))


def arrays(folder, **held):
    np.savez_compressed(folder / "d.npz", **held)
    return folder / "d.npz"


def table(folder, text):
    (folder / "d.csv").write_text("a,b,c,d,y\n" + "1,2,3,4,0\n" * 9 + text)
    return folder / "d.csv"


def recordings(folder, change):
    for i in range(12):
        name = ("left", "right", "up")[i % 3]
        (folder / "d" / name).mkdir(parents=True, exist_ok=True)
        events = moving_shape(0, i, name, 8, 8)
        np.save(folder / "d" / name / f"{i}.npy", change(events))
    return folder / "d"


def pictures(folder):
    for name in "ab":
        (folder / "d" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "d" / name / "1.png")
    (folder / "d" / "c").mkdir()
    return folder / "d"


def moved(events):
    """One event out of the frame."""
    events["x"][5] = 8
    return events


NAN = X.copy()
NAN[:, 2] = np.nan
BAD = {
    "missing": (4, lambda f: f / "d.npz", "no such file or folder"),
    "names": (4, lambda f: arrays(f, samples=X), "it holds samples; x and y, or x_tra"),
    "lengths": (
        4,
        lambda f: arrays(f, x=X, y=Y[1:]),
        "x has 40 samples and y is",
    ),
    "classes": (
        4,
        lambda f: arrays(f, x=X, y=Y + 2),
        "its answers are 5 classes",
    ),
    "negative": (
        4,
        lambda f: arrays(f, x=X, y=Y - 1),
        "row 0 is the label -1;",
    ),
    "NaN": (4, lambda f: arrays(f, x=NAN, y=Y), "is not finite as a 32-bit float"),
    "NaN in y": (4, lambda f: arrays(f, x=X, y=Y * np.nan), "row 0 is not finite"),
    "objects": (4, lambda f: arrays(f, x=X.astype(object)), "objects are never read"),
    "empty": (4, lambda f: arrays(f, x=X[:0], y=Y[:0]), "at least one sample"),
    "shape": (5, lambda f: arrays(f, x=X, y=Y), "(4,) and the network takes (5,)"),
    "memory": (4, lambda f: arrays(f, x=X, y=Y), "save the array as an .npy file"),
    "text": (4, lambda f: table(f, "1,2,x,4,0\n"), "line 11, column 'c': 'x' is no fi"),
    "no pictures": (8, pictures, "c: this folder holds no .png"),
    "unsorted": (
        8,
        lambda f: recordings(f, lambda events: events[::-1]),
        "is earlier than the one before it; sort the events by t",
    ),
    "out of the frame": (8, lambda f: recordings(f, moved), "event 5 (t = "),
    "no events": (
        8,
        lambda f: recordings(f, lambda events: np.zeros(0, EVENT)),
        "at least one event",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_one_sentence_and_writes_nothing(tmp_path, name, monkeypatch):
    size, write, words = BAD[name]
    shape = (size,) if size < 8 else (8, 8, 1 if name == "no pictures" else 2)
    model, data = network(tmp_path / "m.snn", *shape), write(tmp_path)
    if name == "memory":
        monkeypatch.setattr(memory, "memory", lambda: 1000)
    before = sorted(tmp_path.rglob("*"))
    words_ = ("--model", model, "--data", data, "--out", tmp_path / "out")
    done = CliRunner().invoke(
        cli, ["build", "--target", "reference", *map(str, words_)]
    )
    assert isinstance(done.exception, DataError), done.exc_info
    assert words in str(done.exception) and "\n" not in str(done.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_good_ones_of_these_are_built(tmp_path):
    """What the cases above change is all that is wrong with them."""
    for size, data in (
        ((4,), arrays(tmp_path, x=X, y=Y)),
        ((4,), table(tmp_path, "1,2,3,5,1\n1,2,3,6,2\n1,2,4,4,2\n")),
        ((8, 8, 2), recordings(tmp_path, lambda events: events)),
    ):
        model = network(tmp_path / "m.snn", *size)
        words = ("--model", model, "--data", data, "--out", tmp_path / "out", "--force")
        done = CliRunner().invoke(
            cli, ["build", "--target", "reference", *map(str, words)]
        )
        assert done.exit_code == 0, done.exception
        assert (tmp_path / "out" / "report.json").is_file()
