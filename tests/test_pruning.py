"""Pruned synapses: so many weights are 0, stay 0, and cost nothing on the core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="training is TensorFlow's")
from bright_spot import RECIPE, network, task  # noqa: E402

from snn_deploy.models.cotraining.finetune import finetune  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402
from snn_deploy.models.cotraining.sparing.pruning import Pruning  # noqa: E402
from snn_deploy.targets.contract import find_target  # noqa: E402
from snn_deploy.toolchain.errors import DataError  # noqa: E402
from snn_deploy.toolchain.passes.quantize.quantize import quantize  # noqa: E402
from snn_deploy.toolchain.program.connections import SparseConnection  # noqa: E402


def test_the_smallest_weights_go_most_of_them_early():
    kernel = tf.Variable(np.random.default_rng(0).normal(size=(10, 10)).astype("f4"))
    pruning, before = Pruning({"k": kernel}, 0.5, epochs=8), kernel.numpy()
    shares = []
    for epoch in range(8):
        pruning.choose(epoch)
        pruning.apply()
        shares.append(float(np.mean(kernel.numpy() == 0)))
        assert pruning.done(epoch + 1) == (epoch >= 3)
    assert shares == pytest.approx([0.28, 0.43, 0.49, 0.5, 0.5, 0.5, 0.5, 0.5])
    kept = np.abs(before)[kernel.numpy() != 0]
    assert kept.min() >= np.abs(before)[kernel.numpy() == 0].max()


def test_what_is_0_stays_0():
    kernel = tf.Variable(np.array([0, 0, 1, 2, 3, 4], "f4"))
    pruning = Pruning({"k": kernel}, 0.5, epochs=4)
    kernel.assign([9, 9, 1, 2, 3, 4])
    pruning.choose(3)
    pruning.apply()
    np.testing.assert_array_equal(kernel, [0, 0, 0, 0, 0, 4])


@pytest.mark.parametrize("averaging", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_pruned_network_is_kept_and_a_resumed_run_ends_with_it(tmp_path, averaging):
    recipe = replace(RECIPE, sparsity=0.8, averaging=averaging)
    net, again = network(), network()
    file = tmp_path / "c.npz"
    end = finetune(net, task(), task(), recipe, checkpoint=file)
    assert end.best_epoch >= 2  # before, fewer were 0
    graph = net.to_graph()
    assert np.mean(graph["b"].weight == 0) == pytest.approx(0.8, abs=0.01)
    for host in ("a", "read"):  # of no synapses
        assert graph[host].weight.all()
    finetune(again, task(), task(), recipe, checkpoint=file, resume=True)
    np.testing.assert_array_equal(graph["b"].weight, again.to_graph()["b"].weight)


def test_pruned_integers_are_the_trained_ones_on_the_emulator_too():
    pytest.importorskip("nengo_loihi", reason="the emulator is nengo-loihi's")
    net, (x, _) = network(), task()
    finetune(net, task(), task(), replace(RECIPE, sparsity=0.8, epochs=1))
    program = quantize(net.to_graph(), x, steps=24, scales=net.scales)
    (pruned,) = program.connections
    assert isinstance(pruned, SparseConnection) and pruned.weight.all()
    assert pruned.fan_out.sum() <= 0.21 * 144 * 16
    trained = forward(net, x[:2], 24, record=True).spikes
    for name in ("reference", "loihi-emulator"):
        with find_target(name).load(program) as session:
            seen = session.run(x[:2]).spikes
        assert any(spikes.any() for spikes in seen.values())
        for population, spikes in seen.items():
            ours = trained[population].numpy().swapaxes(0, 1)
            np.testing.assert_array_equal(spikes, ours.astype(bool))


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match="sparsity is 1.0; 0 or more and less than 1"):
        replace(RECIPE, sparsity=1.0).check()
