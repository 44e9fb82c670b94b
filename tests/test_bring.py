"""Networks that others made, from their file to spikes that agree on two targets."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from agreement import answers, assert_deployed, assert_same_spikes, compiled

from snn_deploy.checking import check
from snn_deploy.model_files import read_model
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.graph.rearranging import Slice

MODELS = Path(__file__).parent / "onnx_models"
pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed")


def agree(
    graph: Graph,
    *others: str,
    steps: int = 24,
    correlation: float = 0.9,
) -> None:
    """The reference and other targets, nengo-loihi's emulator where none is named, give
    the same spikes, and the answer follows the float network's."""
    x = np.random.default_rng(0).random((10, *graph.input.shape))
    program = compiled(graph, x[2:], steps)
    assert_same_spikes(program, x[:2], others or ("loihi-emulator",))
    with find_target("reference").load(program) as session:
        found = session.run(x[:2])
    assert all(spikes.any() for spikes in found.spikes.values())
    assert answers(graph, program, x[:2])[0] > correlation


rng = np.random.default_rng(1)


def conv(name: str, source: str, shape: tuple[int, ...], **fields: object) -> n.Conv2D:
    weight = rng.normal(size=shape) / np.sqrt(np.prod(shape[:3]))
    bias = rng.normal(scale=0.1, size=shape[3])
    return n.Conv2D(name, (source,), weight=weight, bias=bias, **fields)


def norm(name: str, source: str, channels: int) -> n.BatchNorm:
    gamma, beta, mean, variance = rng.uniform(0.1, 0.5, (4, channels))
    return n.BatchNorm(
        *(name, (source,)),
        gamma=gamma,
        beta=beta,
        mean=mean,
        variance=variance,
        epsilon=0.01,
    )


SAME = {"padding": ((1, 1), (1, 1))}
HEAD = (n.Input("x", shape=(6, 6, 2)), conv("c", "x", (3, 3, 2, 4), **SAME))
KINDS = {  # what earlier versions refused
    "two populations that take the input": (
        *(n.ReLU("a", ("c",)), conv("d", "x", (1, 1, 2, 4)), n.ReLU("b", ("d",))),
        *(n.Concat("both", ("a", "b")), conv("e", "both", (3, 3, 8, 3))),
        n.ReLU("last", ("e",)),
    ),
    "one that takes the input and spikes": (
        *(n.ReLU("a", ("c",)), conv("d", "a", (3, 3, 4, 4), **SAME)),
        *(n.Add("sum", ("d", "c")), n.ReLU("last", ("sum",))),
    ),
    "two populations that are read": (
        *(n.ReLU("a", ("c",)), conv("d", "a", (6, 6, 4, 4)), n.ReLU("b", ("d",))),
        *(n.Flatten("flat", ("a",)), n.Flatten("row", ("b",))),
        n.Concat("last", ("flat", "row")),
    ),
    "depthwise, dilated, negative padding": (
        *(n.ReLU("a", ("c",)), conv("d", "a", (3, 3, 1, 8), groups=4, **SAME)),
        *(n.ReLU("b", ("d",)), conv("e", "b", (2, 2, 8, 3), dilation=(2, 3))),
        *(n.ReLU("f", ("e",)), Slice("cut", ("f",), start=(1, 0, 0), stop=(4, 3, 3))),
        *(conv("g", "cut", (2, 2, 3, 2)), n.ReLU("last", ("g",))),
    ),
    "a norm before a padded convolution, and a ceiling": (
        *(n.ReLU("a", ("c",), ceiling=0.3), norm("norm", "a", 4)),
        *(conv("d", "norm", (3, 3, 4, 3), **SAME), n.ReLU("last", ("d",))),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_target_runs_it(kind):
    others = ["loihi-emulator"]
    if find_spec("lava"):
        others.append("lava")
    last = KINDS[kind][-1].name
    graph = Graph((*HEAD, *KINDS[kind], n.Output("y", (last,))))
    graph.check()
    agree(graph, *others, correlation=0.8)


NETWORKS = ("resnet8", "mobilenet", "unet", "keywords", "mlp")


@pytest.mark.parametrize("name", NETWORKS)
def test_pytorchs_networks_are_built(name):
    """From both files that PyTorch writes of it, which are the same function."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    old, new = (
        read_model(MODELS / f"{name}.{kind}").graph for kind in ("onnx", "dynamo.onnx")
    )
    x = np.random.default_rng(0).random((4, *old.input.shape))
    np.testing.assert_allclose(evaluate(new, x), evaluate(old, x), atol=1e-8)
    agree(new)


@pytest.mark.parametrize(
    "path", sorted(MODELS.glob("*net8.onnx")), ids=lambda p: p.name
)
def test_they_are_checked_without_data(path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    found = check(path, ["loihi-emulator", "lava", "reference"])
    assert found.deployable
    assert found.needs[0].cores and found.needs[0].chips == 1
    assert {use.status for use in found.layers} <= {"native", "rewritten", "host"}


@pytest.mark.parametrize("name", NETWORKS)
def test_their_keras_twins_are_read_and_built(name):
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    import keras_networks
    from cases import trained
    from keras_models import assert_same

    model = trained(getattr(keras_networks, name)())
    graph = from_keras(model)
    assert_same(model, graph)
    x = np.random.default_rng(0).random((4, *graph.input.shape))
    assert_deployed(graph, x)


def test_a_keras_mobilenet_is_checked_layer_by_layer(tmp_path):
    """Norms and bounded ReLUs too are on the core, and nothing stands in the way."""
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    from cases import trained
    from keras_networks import mobilenet

    tf.keras.backend.clear_session()
    trained(mobilenet()).save(tmp_path / "net.h5")
    found = check(tmp_path / "net.h5", ["loihi-emulator", "lava", "reference"])
    assert found.deployable
    assert not [each for each in found.advice if each.severity != "note"]
    status = {use.layer: use.status for use in found.layers}
    layers = list(status)
    first, last = layers.index("re_lu"), layers.index("re_lu_8")
    assert [status[name] for name in layers[first : last + 1]].count("native") == 8
    assert {status[name] for name in layers[first : last + 1]} == {
        "native",
        "rewritten",
    }
    assert {status[name] for name in layers[:first] + layers[last + 1 :]} == {"host"}
