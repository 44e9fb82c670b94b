"""Generated data: a function, masks of several classes, moving shapes as events."""

from __future__ import annotations

import numpy as np

from snn_deploy.models.data.generated.formulas import formula, formula_data
from snn_deploy.models.data.generated.moving_shapes import (
    DIRECTIONS,
    moving_shape,
    moving_shape_data,
)
from snn_deploy.models.data.generated.shapes import CLASSES, shape_data

SIZE = (12, 16, 1)


def test_the_function_is_the_same_whatever_the_count():
    small, large = formula_data(5, 1), formula_data(50, 1)
    np.testing.assert_array_equal(
        small.read(np.arange(5), (8,)), large.read(np.arange(5), (8,))
    )
    np.testing.assert_array_equal(small.answers, large.answers[:5])
    assert small.digest(np.array([0])) != formula_data(5, 2).digest(np.array([0]))
    assert large.kind == "values" and large.answers.shape == (50, 1)
    assert np.abs(formula_data(4000, 0).answers).max() < 1
    assert formula(np.full((1, 8), 0.5)).tolist() == [
        0.5 * np.sin(np.pi / 4) + 0.125 - 0.25
    ]


def test_pictures_hold_a_disc_and_a_square():
    data = shape_data(6, 0, SIZE)
    assert data.kind == "masks" and data.classes == CLASSES
    assert data.answers.shape == (6, 12, 16)
    x = data.read(np.arange(6), SIZE)
    assert 0 <= x.min() and x.max() <= 1
    for picture, mask in zip(x[..., 0], data.answers):
        assert {*np.unique(mask).tolist()} == {0, 1, 2}
        assert picture[mask == 0].mean() < picture[mask > 0].mean()
    np.testing.assert_array_equal(shape_data(2, 0, SIZE).answers, data.answers[:2])


def test_events_are_of_a_shape_that_moves():
    """The middle of a direction's events travels that way."""
    for name, (x, y) in DIRECTIONS.items():
        for index in range(5):
            events = moving_shape(0, index, name, 16, 16)
            assert (np.diff(events["t"]) >= 0).all()
            half = len(events) // 2
            way = [
                events[axis][half:].mean() - events[axis][:half].mean()
                for axis in ("x", "y")
            ]
            assert np.dot(way, (x, y)) > 1
    again = (moving_shape(0, 3, "up", 9, 9) for _ in range(2))
    np.testing.assert_array_equal(*again)


def test_directions_show_in_the_mean_over_time():
    """Brighter events lie ahead of darker ones: the middles of both tell all three."""
    data = moving_shape_data(60, 1, 16, 16)
    assert data.classes == ("left", "right", "up") and data.kind == "classes"
    assert np.bincount(data.answers).tolist() == [20, 20, 20]
    shares = data.read(np.arange(60), (16, 16, 2))
    place = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1)  # x, y
    weight = shares / shares.sum((1, 2), keepdims=True)
    middle = np.einsum("nhwc,hwd->ncd", weight, place)
    ahead = middle[:, 1] - middle[:, 0]
    ways = np.array([DIRECTIONS[name] for name in data.classes])
    found = (ahead @ ways.T).argmax(1)
    assert (found == data.answers).mean() > 0.95
