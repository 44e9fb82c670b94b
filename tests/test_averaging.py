"""Averaged weights: a mean over the last epochs, in place only while it is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="training is TensorFlow's")
from bright_spot import RECIPE, network, task  # noqa: E402

from snn_deploy.models.cotraining.finetune import finetune  # noqa: E402
from snn_deploy.models.training.averaging import Averages, averaged  # noqa: E402


def test_a_mean_is_exponential_after_its_warm_up():
    x = tf.Variable(0.0)
    averages = Averages([x], span=1.0)
    seen = 0.0
    for t in range(40):
        x.assign(t % 3)
        averages.update()
        keep = min(np.exp(-1.0), (1 + t) / (10 + t))
        seen = keep * seen + (1 - keep) * (t % 3)
    assert float(averages.means[0]) == pytest.approx(seen, rel=1e-5)


def test_means_stand_in_for_the_variables_and_leave_again():
    x = tf.Variable([1.0, 2.0])
    averages = Averages([x], span=10.0)
    x.assign([5.0, 6.0])
    with averaged(averages):
        np.testing.assert_array_equal(x, [1.0, 2.0])
    np.testing.assert_array_equal(x, [5.0, 6.0])


def test_the_network_that_is_kept_is_the_averaged_one(tmp_path):
    """Its weights are a mean, and a resumed run ends with the same."""
    recipe = replace(RECIPE, averaging=1.0, epochs=2)
    plain, mean, again = network(), network(), network()
    finetune(plain, task(), task(), replace(recipe, averaging=0.0))
    end = finetune(mean, task(), task(), recipe, checkpoint=tmp_path / "c.npz")
    assert end.best_epoch > 0
    assert not np.array_equal(plain.variables[0], mean.variables[0])
    resumed = finetune(
        *(again, task(), task(), recipe),
        checkpoint=tmp_path / "c.npz",
        resume=True,
    )
    assert resumed.best == end.best
    for a, b in zip(mean.trainable_variables, again.trainable_variables):
        np.testing.assert_array_equal(a, b)
