"""Mutants of HDF5 files: what lies in them, changed through h5py in memory."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import h5py
import numpy as np
from fuzzing.mutants import LEAVES, NUMBERS, SIZES, array_of, bytes_of, json_of, tree_of

OUTSIDE = "../outside/canary.bin"  # from the folder of the file
"""The only place out of a file that mutants name: h5py writes there while making them,
and no file of the machine's may lie in the way."""
MOST = 1 << 17  # numbers of a dataset that is changed
FAILURES = LookupError, ValueError, TypeError, OSError, RuntimeError, AttributeError
WORDS = ("", "dense", "conv", "input", "LIF", "Affine", "NIRGraph", "0", "x" * 2_000)


class Hdf5Seed:
    """A file, the names of all that lies in it, and its descriptions in JSON."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.groups, self.datasets = [""], []
        self.attributes: list[tuple[str, str, Any]] = []
        with h5py.File.in_memory(content) as file:
            file.visititems(self._keep)
            self._keep("", file)
        self.objects = [name for name in (*self.groups, *self.datasets) if name]

    def _keep(self, name: str, found: Any) -> None:
        (self.datasets if isinstance(found, h5py.Dataset) else self.groups).append(name)
        for key, value in found.attrs.items():
            text = value.decode() if isinstance(value, bytes) else value
            tree = None
            if isinstance(text, str) and text.startswith("{"):
                tree = json.loads(text)
            self.attributes.append((name, key, tree))


def hdf5_of(seed: Hdf5Seed, rng: Random) -> bytes:
    """A change or three of what lies in the file, or some of its bytes."""
    if rng.random() < 0.25:
        return bytes_of(seed.content, rng)
    with h5py.File.in_memory(seed.content) as file:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            try:
                _change(file, seed, rng)
            except FAILURES:
                continue  # of what an earlier change took away, or h5py won't write
        file.flush()
        content = file.id.get_file_image()
    return bytes_of(content, rng) if rng.random() < 0.05 else content


def _change(file: Any, seed: Hdf5Seed, rng: Random) -> None:
    kind = rng.randrange(10)
    trees = [a for a in seed.attributes if a[2] is not None]
    if trees and kind < 5:
        name, key, tree = rng.choice(trees)
        file[name or "/"].attrs[key] = json_of(tree_of(tree, rng))
    elif kind < 7 and seed.datasets:
        _dataset(file, rng.choice(seed.datasets), rng)
    elif kind < 8 and seed.attributes:
        _attribute(file, rng.choice(seed.attributes), rng)
    elif seed.objects:
        _link(file, seed, rng)


def _dataset(file: Any, name: str, rng: Random) -> None:
    old = file[name]
    if old.size is not None and old.size > MOST:
        raise ValueError("an earlier change promised more than there is")
    kind = rng.randrange(8)
    if kind <= 2 and old.dtype.kind in "fiub":
        array = array_of(old[()] if old.shape else np.array(old[()]), rng)
        if array.shape == old.shape and array.dtype == old.dtype:
            old[...] = array
            return
        del file[name]
        file[name] = array
        return
    words = old.dtype.kind in "SO" and old.shape is not None
    if words and rng.random() < 0.7:
        _words(file, name, rng)
        return
    shape = tuple(rng.choice(SIZES) for _ in range(rng.randrange(1, 4)))
    dtype = rng.choice(("f4", "f8", "i4", "i8", "u1", "f2", ">f4", "S4", "c8", "b1"))
    del file[name]
    if kind == 3:  # a promise, stored in pieces that are not there
        chunks = tuple(max(1, min(size, 8)) for size in shape)
        file.create_dataset(name, shape, dtype, chunks=chunks)
    elif kind == 4:
        where = OUTSIDE
        file.create_dataset(name, (4,), "u1", external=[(where, 0, 4)])
    elif kind == 5:
        layout = h5py.VirtualLayout((4,), "u1")
        layout[:] = h5py.VirtualSource(rng.choice((OUTSIDE, ".")), "x", (4,))
        file.create_virtual_dataset(name, layout)
    elif kind == 6:
        file[name] = rng.choice((h5py.Empty("f4"), "text", np.array([b"a", b"bc"])))
    else:
        one = rng.choice(NUMBERS)
        file[name] = np.full(rng.choice(((), (1,), (2, 2), (0,))), one, dtype)


def _words(file: Any, name: str, rng: Random) -> None:
    old = file[name]
    kept = np.array(old[()], object).copy()
    flat = kept.reshape(-1)
    if not flat.size:
        return
    place = rng.randrange(flat.size)
    elsewhere = flat[rng.randrange(flat.size)]
    flat[place] = rng.choice((*WORDS, elsewhere, bytes_of(b"layer", rng)))
    cut = rng.choice((flat.size, flat.size, place))
    shape = kept.shape if cut == flat.size else (cut,)
    del file[name]
    text = [w.decode("latin-1") if isinstance(w, bytes) else str(w) for w in flat[:cut]]
    dtype = rng.choice((h5py.string_dtype(), "S10"))
    array = np.array(text, object).reshape(shape)
    file.create_dataset(name, data=array, dtype=dtype)


def _attribute(file: Any, which: tuple[str, str, Any], rng: Random) -> None:
    name, key, _ = which
    attrs = file[name or "/"].attrs
    kind = rng.randrange(4)
    if kind == 0:
        del attrs[key]
    elif kind == 1:
        attrs[key] = rng.choice((1, b"x", "y", [1.5], h5py.Empty("i4"), np.arange(3)))
    elif kind == 2 and isinstance(attrs[key], np.ndarray):
        names = list(attrs[key])
        rng.shuffle(names)
        names = rng.choice((names[1:], names * 2, [*names, names[0][:-1]], names))
        attrs[key] = names
    else:
        leaf = rng.choice([x for x in LEAVES if isinstance(x, (str, int, float))])
        attrs[key] = leaf if not isinstance(leaf, str) else leaf[:20_000]


def _link(file: Any, seed: Hdf5Seed, rng: Random) -> None:
    name, other = rng.choice(seed.objects), rng.choice(seed.objects)
    kind = rng.randrange(7)
    if kind == 0:
        del file[name]
    elif kind == 1:
        file.move(name, f"{other}x")
    elif kind == 2:  # the same thing twice, or a group within itself
        file[f"{rng.choice(seed.groups)}/again"] = file[name]
    elif kind == 3:
        thing = file[other]
        del file[name]
        file[name] = thing
    elif kind == 4:
        del file[name]
        file[name] = h5py.SoftLink(rng.choice((f"/{other}", f"/{name}", "/no", "..")))
    elif kind == 5:
        del file[name]
        file[name] = h5py.ExternalLink(OUTSIDE, "/x")
    else:
        del file[name]
        file.create_group(name) if rng.random() < 0.5 else file.create_dataset(
            name, data=np.zeros(2)
        )
