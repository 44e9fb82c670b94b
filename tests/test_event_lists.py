"""Event lists as data: binned into steps, from folders, .npz and HDF5."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.models.data.formats.events import bin_events
from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.models.data.generated.moving_shapes import EVENT
from snn_deploy.toolchain.errors import DataError

OTHER = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "i1"), ("t", "<u4"), ("q", "f4")])


def events(*rows, dtype=EVENT):
    """(t, x, y, p) each."""
    found = np.zeros(len(rows), dtype)
    for name, column in zip("txyp", zip(*rows)):
        found[name] = column
    return found


FEW = events((5, 0, 0, 1), (1005, 2, 1, 0), (1005, 2, 1, 0), (3004, 1, 1, 1))


def placed(spikes):
    return sorted(map(tuple, np.argwhere(spikes).tolist()))


def test_events_become_spikes_of_their_step():
    spikes = bin_events(FEW, steps=3, height=2, width=3, window=0.001)
    assert spikes.shape == (3, 2, 3, 2) and spikes.max() == 1
    assert placed(spikes) == [(0, 0, 0, 1), (1, 1, 2, 0), (2, 1, 1, 1)]


def test_without_a_window_the_recording_fills_all_steps():
    spikes = bin_events(FEW, steps=6, height=2, width=3)
    assert placed(spikes) == [(0, 0, 0, 1), (2, 1, 2, 0), (5, 1, 1, 1)]
    alone = bin_events(FEW[:1], steps=4, height=2, width=3)
    assert placed(alone) == [(0, 0, 0, 1)]


def test_what_lies_beyond_the_last_step_is_left_out():
    spikes = bin_events(FEW, steps=2, height=2, width=3, window=0.0015)
    assert placed(spikes) == [(0, 0, 0, 1), (0, 1, 2, 0), (1, 1, 1, 1)]
    assert not bin_events(FEW, steps=1, height=2, width=3, window=0.001)[0, 1].any()


rows = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 2), st.booleans()
    ),
    min_size=1,
    max_size=30,
).map(sorted)


@given(rows, st.integers(1, 9), st.sampled_from([1, 7, 1000, 10**6, 10**7]))
def test_each_event_is_where_integers_have_it(found, steps, window):
    wanted = {
        ((t - found[0][0]) // window, y, x, int(p))
        for t, x, y, p in found
        if (t - found[0][0]) // window < steps
    }
    for dtype in (EVENT, OTHER):
        spikes = bin_events(
            events(*found, dtype=dtype), steps=steps, height=3, width=5,
            window=window / 1e6,
        )  # fmt: skip
        assert placed(spikes) == sorted(wanted)
    span = found[-1][0] - found[0][0] + 1
    filled = {((t - found[0][0]) * steps // span, y, x, int(p)) for t, x, y, p in found}
    assert placed(bin_events(events(*found), steps=steps, height=3, width=5)) == sorted(
        filled
    )


BAD = {
    "unsorted": (
        events((5, 0, 0, 1), (9, 1, 1, 0), (7, 2, 1, 0)),
        r"event 2 \(t = 7, x = 2, y = 1, p = False\) is earlier .* sort the events",
    ),
    "right of it": (
        events((5, 0, 0, 1), (9, 3, 1, 0)),
        "event 1 .* of height 2 and wi",
    ),
    "below it": (events((5, 0, 2, 1)), "event 0 .*frame of height 2 .*crop the events"),
    "left of it": (events((5, -1, 0, 1)), "event 0 .* is no pixel of the frame"),
    "between": (
        events((5, 0.5, 0, 1), dtype=[(n, "f4") for n in "txyp"]),
        "event 0 .* is no pixel of the frame",
    ),
    "polarity": (events((5, 0, 0, 2), dtype=OTHER), "another polarity than 0, 1 or −1"),
    "NaN": (
        events((0, 0, 0, 0), (np.nan, 0, 0, 1), dtype=[(n, "f4") for n in "txyp"]),
        "event 1 .* is not finite; remove it",
    ),
    "none": (FEW[:0], r"of shape \(0,\); a recording is .* at least one event"),
    "fields": (FEW[["t", "x", "y"]], "with the fields t, x, y and p"),
    "plain": (np.zeros((4, 4)), r"float64 of shape \(4, 4\); a recording is a struct"),
    "text": (np.zeros(2, [*EVENT.descr[:3], ("p", "U1")]), "field 'p' is <U1; numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_events_are_named(tmp_path, name):
    bad, words = BAD[name]
    with pytest.raises(DataError, match=words):
        bin_events(bad, steps=3, height=2, width=3)
    for place, array in (("a/1", FEW), ("b/1", bad)):
        (tmp_path / place).parent.mkdir()
        np.save(tmp_path / place, array)
    data = read_data(tmp_path)
    with pytest.raises(DataError, match=f"b/1.npy: .*{words}"):
        data.read(np.array([0, 1]), (2, 3, 2))


RECORDINGS = {
    "train/left/1": FEW,
    "train/right/1": FEW[1:],
    "test/left/2": FEW[:2],
    "test/right/2": events((3, 1, 0, 1)),
}


def write_folder(path, recordings):
    for name, array in recordings.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(path / name, array)
    return path


def write_npz(path, recordings):
    np.savez_compressed(path / "e.npz", **recordings)
    return path / "e.npz"


def write_hdf5(path, recordings):
    with h5py.File(path / "e.h5", "w") as file:
        for name, array in recordings.items():
            file[name] = array
    return path / "e.h5"


WRITERS = (write_folder, write_npz, write_hdf5)


@pytest.mark.parametrize("write", WRITERS)
def test_recordings_in_folders_of_classes_and_parts(tmp_path, write):
    data = read_data(write(tmp_path, RECORDINGS), Reading(window=0.001))
    assert [name.removesuffix(".npy") for name in data.names] == sorted(RECORDINGS)
    assert data.classes == ("left", "right") and data.answers.tolist() == [0, 1, 0, 1]
    assert data.part == ("test", "test", "train", "train") and data.shape is None
    spikes = data.read(np.array([2, 1]), (4, 2, 3, 2))
    assert spikes.dtype == np.float32
    np.testing.assert_array_equal(
        spikes[0], bin_events(FEW, steps=4, height=2, width=3, window=0.001)
    )
    assert placed(spikes[1]) == [(0, 0, 1, 1)]
    first, second = data.digest(np.array([2])), data.digest(np.array([2, 3]))
    assert first[0] == second[0] != second[1]


def test_a_network_without_time_sees_the_share_of_steps(tmp_path):
    path = write_npz(tmp_path, {"a/1": FEW, "b/1": FEW})
    for steps in (2, 3, 16):
        data = read_data(path, Reading(steps=steps))
        spikes = bin_events(FEW, steps=steps, height=2, width=3)
        (share,) = data.read(np.array([1]), (2, 3, 2))
        np.testing.assert_allclose(share, spikes.mean(0))


@pytest.mark.parametrize("write", WRITERS)
def test_recordings_without_folders_have_no_labels(tmp_path, write):
    data = read_data(write(tmp_path, {"one": FEW, "two": FEW}))
    assert data.answers is None and len(data) == 2


def test_one_recording_in_a_file_of_its_own(tmp_path):
    np.save(tmp_path / "one.npy", FEW)
    data = read_data(tmp_path / "one.npy")
    assert data.names == ("one.npy",) and data.answers is None


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (12,), (4, 2, 3, 3)])
def test_a_network_that_takes_no_events(tmp_path, shape):
    data = read_data(write_npz(tmp_path, {"a/1": FEW, "b/1": FEW}))
    with pytest.raises(DataError) as caught:
        data.read(np.array([0]), shape)
    assert f"for each polarity, and the network takes {shape}" in str(caught.value)


@pytest.mark.parametrize("steps", [2, 5])
def test_arrays_with_steps_are_taken_as_they_are(tmp_path, steps):
    x = np.random.default_rng(0).integers(0, 2, (3, steps, 4, 5, 2), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=[0, 1, 0])
    data = read_data(tmp_path / "d.npz")
    assert data.shape == (steps, 4, 5, 2) and data.kind == "classes"
    np.testing.assert_array_equal(data.read(np.arange(3), (steps, 4, 5, 2)), x)
    with pytest.raises(DataError, match=r"and the network takes \(4, 5, 2\)"):
        data.read(np.arange(3), (4, 5, 2))


def test_objects_among_recordings_are_refused(tmp_path):
    write_folder(tmp_path, {"a/1": FEW, "b/1": np.array([FEW, FEW[:2]], object)})
    data = read_data(tmp_path)
    with pytest.raises(
        DataError, match="b/1.npy: it holds objects; .*one array for ea"
    ):
        data.read(np.array([1]), (2, 3, 2))
