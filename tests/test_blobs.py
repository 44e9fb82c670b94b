"""Generated volumes: reproducible, marked exactly, and no task for a constant mask."""

from __future__ import annotations

import numpy as np

from snn_deploy.models.data.generated.blobs import SLICES, blob_data
from snn_deploy.models.data.masks import dice, mean_mask, split_subjects

SIZE = (24, 32, 1)


def test_a_volume_is_the_same_whatever_the_count():
    few, many = blob_data(2, 0, SIZE), blob_data(5, 0, SIZE)
    np.testing.assert_array_equal(few.images, many.images[: 2 * SLICES])
    np.testing.assert_array_equal(few.masks, many.masks[: 2 * SLICES])
    assert few.names == many.names[:2] and few.subjects == few.names
    assert (blob_data(2, 1, SIZE).masks != few.masks).any()


def test_every_volume_holds_one_bright_blob_among_others():
    data = blob_data(12, 0, SIZE)
    assert data.images.shape == data.masks.shape == (12 * SLICES, *SIZE)
    assert data.images.min() >= 0 and data.images.max() <= 1
    for i in range(len(data)):
        images, masks = (a[data.volume == i] for a in (data.images, data.masks))
        assert 0.005 < masks.mean() < 0.2
        assert images[masks].mean() > images[~masks].mean() + 0.1
        assert dice(images > np.percentile(images, 97), masks) < 0.9


def test_a_colour_network_sees_them_too():
    assert blob_data(1, 0, (8, 8, 3)).images.shape == (SLICES, 8, 8, 3)


def test_a_constant_mask_does_not_do():
    data = blob_data(60, 0, SIZE)
    parts = split_subjects(data, 0)
    train, test = data.take(parts.train), data.take(parts.test)
    trivial = np.broadcast_to(mean_mask(train.masks), test.masks.shape)
    assert dice(trivial, test.masks) < 0.4
