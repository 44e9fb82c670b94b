"""Event lists, as event cameras record them: t, x, y, p, binned into a network's steps.

A recording is a structured array with these fields: t in µs, rising; x and y in pixels,
origin top left; p the polarity, 0 or −1 (darker) and 1 (brighter). Recordings lie in
.npy files in a folder for each class, or under such names (CLASS/NAME) in one .npz or
HDF5 file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape
from ....toolchain.memory import demand_memory
from ..dataset import Dataset, IndexArray
from ..digest import content_digest
from . import hdf5
from .arrays import NAMES, is_arrays
from .layout import holds, layout_of, list_names
from .npy import npy_header, npz_members, open_npy, sound
from .reading import Reading

FIELDS = ("t", "x", "y", "p")
CHANNELS = 2  # events of p = 0 and of p = 1
MICROSECOND = 1e-6  # s

Load = Callable[[], Array]


def bin_events(
    events: Array, *, steps: int, height: int, width: int, window: float | None = None
) -> Array:
    """Spikes: 1 where there is an event, however many, (steps, height, width, 2).

    Channel 0 is of the polarity 0 or −1, channel 1 of 1. Time is counted from the first
    event.

    Args:
        events: structured, (events,), with the fields t (µs), x, y, p.
        steps: of the network.
        height, width: of the frame, in pixels.
        window: s that a step covers, what lies beyond the last is left out; None: the
            steps cover the whole recording.

    Raises:
        DataError: fields are missing, an event is earlier than the one before it, or
            lies out of the frame; its index is named.
    """
    t, x, y, p = columns(events)
    _demand(
        np.diff(t, prepend=t[0]) >= 0,
        events,
        "is earlier than the one before it",
        "sort the events by t",
    )
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    _demand(
        inside & (x == np.floor(x)) & (y == np.floor(y)),
        events,
        f"is no pixel of the frame of height {height} and width {width}",
        "crop the events, or take a network of their frame",
    )
    _demand(
        (p == 0) | (abs(p) == 1),
        events,
        "has another polarity than 0, 1 or −1",
        "give such",
    )
    age = t - t[0]
    if window is None:
        step = np.floor(age * (steps / (age[-1] + 1)))
    else:
        step = np.floor(age * MICROSECOND / window + 1e-9)  # 3 · 1e-6 / 3e-6 is below 1
    spikes = np.zeros((steps, height, width, CHANNELS), np.float32)
    seen = step < steps
    place = (step, y, x, p > 0)
    spikes[tuple(axis[seen].astype(np.intp) for axis in place)] = 1
    return spikes


def columns(events: Array) -> Array:
    """t, x, y, p as floats, (4, events); t in µs.

    Raises:
        DataError: fields are missing, hold no finite numbers, or there are no events.
    """
    names = events.dtype.names or ()
    if not {*FIELDS} <= {*names} or events.ndim != 1 or not len(events):
        raise DataError(
            f"{events.dtype} of shape {events.shape}; a recording is a structured "
            "array (events,) with the fields t, x, y and p, at least one event"
        )
    found = np.empty((len(FIELDS), len(events)))
    for row, name in zip(found, FIELDS):
        column = events[name]
        if column.dtype.kind not in "fiub" or column.ndim != 1:
            raise DataError(f"field {name!r} is {column.dtype}; numbers are needed")
        row[:] = column
    _demand(np.isfinite(found).all(0), events, "is not finite", "remove it")
    return found


def _demand(good: Array, events: Array, what: str, advice: str) -> None:
    if not good.all():
        bad = int(np.argmin(good))
        shown = ", ".join(f"{name} = {events[name][bad]}" for name in FIELDS)
        raise DataError(f"event {bad} ({shown}) {what}; {advice}")


def is_events(path: Path) -> bool:
    """Whether arrays with fields, or .npy files not named x or y, are there."""
    kind = path.suffix.lower()
    if path.is_dir():
        return holds(path, (".npy",)) and not is_arrays(path)
    if kind == ".npy":
        return npy_header(path).dtype.names is not None
    dtypes = {}
    if kind == ".npz":
        dtypes = {name: m.header.dtype for name, m in npz_members(path).items()}
    elif kind in hdf5.SUFFIXES:
        dtypes = {name: d.dtype for name, d in hdf5.hdf5_datasets(path).items()}
    return not {*NAMES} & {*dtypes} and any(d.names for d in dtypes.values())


def read_events(path: Path, reading: Reading) -> Dataset:
    """Recordings as samples, their folder as class; without folders no labels.

    Raises:
        DataError: a folder holds none, or their names are of different depths.
    """
    loads = _recordings(path)
    names = sorted(loads)
    return event_data(
        path.resolve().name, names, [loads[name] for name in names], reading
    )


def _recordings(path: Path) -> dict[str, Load]:
    """Name → how the recording is read."""
    if path.is_dir():
        return {
            name: partial(open_npy, path / name) for name in list_names(path, (".npy",))
        }
    if path.suffix.lower() == ".npy":
        return {path.name: partial(open_npy, path)}
    if path.suffix.lower() == ".npz":
        return {name: member.load for name, member in npz_members(path).items()}
    return {
        name: partial(_whole, path, name, dataset)
        for name, dataset in hdf5.hdf5_datasets(path).items()
    }


def _whole(path: Path, name: str, dataset: Any) -> Array:
    """An h5py.Dataset in memory."""
    demand_memory(
        f"{path}, {name}", dataset.size * dataset.dtype.itemsize, "shorten it"
    )
    with sound(path):
        return np.asarray(dataset[()])


def event_data(
    source: str, names: Sequence[str], loads: Sequence[Load], reading: Reading
) -> Dataset:
    """Recordings named CLASS/NAME, each read when it is asked for.

    A network that takes (height, width, 2) sees the share of ``reading.bins`` with an
    event; asked for (steps, height, width, 2) the data give the spikes themselves.
    """
    layout = layout_of(source, names)

    def read(indices: IndexArray, shape: Shape) -> Array:
        steps, height, width = _frame(source, shape, reading.bins)
        demand_memory(
            f"{source}: {len(indices)} recordings of {shape}",
            4 * len(indices) * math.prod(shape),
            "use fewer recordings or steps",
        )
        found = np.empty((len(indices), *shape), np.float32)
        for sample, index in zip(found, indices):
            events = loads[index]()
            with _named(source, names[index]):
                spikes = bin_events(
                    events,
                    steps=steps,
                    height=height,
                    width=width,
                    window=reading.window,
                )
            sample[:] = spikes if len(shape) == 4 else spikes.mean(0)
        return found

    def digest(indices: IndexArray) -> tuple[str, ...]:
        found = []
        for index in indices:
            events = loads[index]()
            with _named(source, names[index]):
                found.append(content_digest(columns(events)))
        return tuple(found)

    return Dataset(
        source=source,
        names=tuple(names),
        read=read,
        digest=digest,
        answers=layout.labels,
        classes=layout.classes,
        kind=None if layout.labels is None else "classes",
        part=layout.part,
    )


def _frame(source: str, shape: Shape, steps: int) -> tuple[int, int, int]:
    """Steps, height and width that a network's shape asks for."""
    if len(shape) not in (3, 4) or shape[-1] != CHANNELS:
        raise DataError(
            f"{source}: events fill samples (height, width, {CHANNELS}), a channel for "
            f"each polarity, and the network takes {shape}; give a network of such"
        )
    steps, height, width, _ = (steps, *shape)[-4:]
    return steps, height, width


@contextmanager
def _named(source: str, name: str) -> Iterator[None]:
    """A message on a recording begins with its name."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source}, {name}: {error}") from error
