"""A checkpoint that is damaged or hostile: one sentence."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from snn_deploy.models.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from snn_deploy.toolchain.errors import ModelError

RECIPE = {"epochs": 9, "sizes": [1, 2]}
ONES = [np.ones((2, 3), np.float32)]
NUMBERS = {"recipe": RECIPE, "epoch": 3, "best_epoch": 2, "best_score": None}


def written(path, numbers):
    """A checkpoint that says this of itself; bytes as they are, else as JSON."""
    save_checkpoint(
        path,
        Checkpoint(**NUMBERS, weights=ONES, best_weights=ONES, optimizer=ONES * 2),
    )
    arrays = dict(np.load(path))
    text = numbers if isinstance(numbers, bytes) else json.dumps(numbers).encode()
    arrays["json"] = np.frombuffer(text, np.uint8)
    np.savez(path, **arrays)
    return path


def test_it_comes_back(tmp_path):
    found = load_checkpoint(written(tmp_path / "c.npz", NUMBERS), RECIPE)
    assert (found.epoch, found.best_score, len(found.optimizer)) == (3, None, 2)
    np.testing.assert_array_equal(found.weights[0], ONES[0])


@pytest.mark.parametrize(
    "numbers",
    [
        *([], {}, 3, {**NUMBERS, "recipe": []}, {**NUMBERS, "epoch": "3"}),
        *({**NUMBERS, "best_score": "much"}, {**NUMBERS, "more": 1}),
        *(b"[" * 5000, b"9" * 5000, b"{", b"\xff"),
    ],
    ids=lambda numbers: str(numbers)[:20],
)
def test_what_it_says_of_itself_is_checked(numbers, tmp_path):
    path = written(tmp_path / "c.npz", numbers)
    with pytest.raises(ModelError, match="damaged checkpoint"):
        load_checkpoint(path, RECIPE)


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    ("shape", "method"),
    [
        *(("(1 << 40,)", 0), ("(1099511627776,)", 0), ("(1099511627776,)", 8)),
        *(("(((", 0), ("(2,)", 12), ("(2,)", 14)),
    ],
)
def test_an_array_is_held_to_what_is_there(shape, method, tmp_path):
    path = written(tmp_path / "c.npz", NUMBERS)
    content, header = io.BytesIO(), (HEADER % shape).ljust(117).encode() + b"\n"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        lies = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header
        new.writestr("weights/001.npy", lies + bytes(4))
    path.write_bytes(content.getvalue())
    with pytest.raises(ModelError, match="damaged checkpoint"):
        load_checkpoint(path, RECIPE)
