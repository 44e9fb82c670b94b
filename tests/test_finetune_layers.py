"""Fine-tuning networks of every layer, end to end: what is trained is deployed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from test_hybrid import assert_same_spikes

from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.functions import Elementwise, LeakyReLU, MaxPool2D
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.preparation import Rescale
from snn_deploy.toolchain.graph.rearranging import Pad2D, Permute, Slice
from snn_deploy.toolchain.passes.quantize.quantize import scales_of
from snn_deploy.tuning import Choices, prepare

tf = pytest.importorskip("tensorflow", reason="fine-tuning is TensorFlow's")
from snn_deploy.models.cotraining.finetune import finetune  # noqa: E402
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.recipe import Recipe  # noqa: E402

rng = np.random.default_rng(4)


def weights(*shape: int) -> dict[str, np.ndarray]:
    weight = rng.normal(size=shape) * 2 / math.sqrt(math.prod(shape[:-1]))
    return {"weight": weight, "bias": rng.uniform(0, 0.5, shape[-1])}


def norm(name: str, source: str, channels: int) -> n.BatchNorm:
    gamma, beta = rng.uniform(0.5, 1.5, (2, channels))
    mean, variance = rng.uniform(0.1, 1, (2, channels))
    parts = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    return n.BatchNorm(name, (source,), epsilon=1e-3, **parts)


SAME = ((1, 1), (1, 1))


def mobile() -> Graph:
    """Depthwise and grouped layers, a residual Add, a norm behind a ReLU, a ReLU6."""
    return Graph(
        (
            n.Input("x", shape=(6, 6, 3)),
            Pad2D("pad", ("x",), padding=((0, 1), (1, 0))),
            n.Conv2D(
                "stem", ("pad",), stride=(2, 2), padding=SAME, **weights(3, 3, 3, 4)
            ),
            n.ReLU("a", ("stem",)),
            norm("norm", "a", 4),
            n.Conv2D("each", ("norm",), padding=SAME, groups=4, **weights(3, 3, 1, 4)),
            n.ReLU("b", ("each",), ceiling=6.0),
            n.Conv2D("pairs", ("b",), groups=2, **weights(1, 1, 2, 4)),
            n.Add("sum", ("pairs", "norm")),
            n.ReLU("c", ("sum",)),
            n.ConvTranspose2D(
                "up", ("c",), stride=(2, 2), groups=4, **weights(2, 2, 1, 4)
            ),
            n.ReLU("d", ("up",)),
            n.AvgPool2D("pool", ("d",), pool=(2, 2), stride=(2, 2)),
            n.Conv2D("wide", ("pool",), dilation=(2, 2), **weights(2, 2, 4, 4)),
            n.ReLU("e", ("wide",)),
            n.Flatten("flat", ("e",)),
            n.Dense("read", ("flat",), **weights(16, 2)),
            n.Output("y", ("read",)),
        )
    )


def hosted() -> Graph:
    """What the host computes, before the first population and after the last ones."""
    scale = rng.uniform(1, 2, (4, 4, 4))
    return Graph(
        (
            n.Input("x", shape=(6, 6, 3)),
            Permute("turned", ("x",), axes=(1, 0, 2)),
            n.Conv2D("stem", ("turned",), **weights(3, 3, 3, 4)),
            Rescale("scale", ("stem",), scale=scale, offset=np.ones(4)),
            n.ReLU("a", ("scale",)),
            n.Conv2D("next", ("a",), padding=SAME, **weights(3, 3, 4, 4)),
            n.ReLU("b", ("next",)),
            n.Add("both", ("a", "b")),
            MaxPool2D("max", ("both",), pool=(2, 2), stride=(2, 2)),
            Slice("slice", ("max",), start=(0, 0, 0), stop=(2, 2, 3)),
            LeakyReLU("leaky", ("slice",), slope=np.full(1, 0.1)),
            n.Flatten("flat", ("leaky",)),
            n.Dense("read", ("flat",), **weights(12, 2)),
            Elementwise("silu", ("read",), function="silu"),
            n.Output("y", ("silu",)),
        )
    )


@pytest.mark.parametrize("make", [pytest.param(mobile, marks=pytest.mark.slow), hosted])
def test_two_steps_of_training_deploy_spike_for_spike(make):
    x = np.random.default_rng(1).random((8, 6, 6, 3)).astype(np.float32)
    wanted = np.random.default_rng(2).normal(size=(8, 2)).astype(np.float32)
    graph = prepare(make(), x, Choices(steps=24))
    net = HybridNetwork(graph, scales_of(graph, x, moving=True), compiled=False)
    before = [variable.numpy() for variable in net.trainable_variables]
    recipe = Recipe(steps=24, epochs=1, batch=4)
    later = itertools.count()  # the last epoch is the best
    judge = "later", lambda *_: float(next(later))
    finetune(net, (x, wanted), (x, wanted), recipe, judge=judge)
    for variable, old in zip(net.trainable_variables, before):
        assert (variable.numpy() != old).any(), variable.name
    assert assert_same_spikes(net, x, 24) > 100
