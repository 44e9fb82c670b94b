"""Networks as people bring them, which no neurons compute: why, and what is advised."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.model_files import read_model
from snn_deploy.toolchain.errors import DoesNotFit, ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.passes.legalize.legalize import legalize

pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from agreement import STEPS, assert_deployed, compiled  # noqa: E402
from cases import (  # noqa: E402
    Input,
    Model,
    conv,
    dense,
    layers,
    norm,
    pictures,
    stack,
    through,
    trained,
)


def plain(channels):
    """A convolution without an activation."""
    return conv(channels, padding="valid", activation=None)


def largest_of_a_window():
    first = conv(6, padding="valid")
    rest = (layers.MaxPooling2D(2), conv(6, padding="valid"), *dense(4))
    return stack((10, 10, 1), first, *rest)


def clipped_signal():
    """1-D, its activations between 0 and 1."""
    blocks = layers.Conv1D(6, 5), norm(), layers.ReLU(max_value=1.0)
    ends = layers.Conv1D(6, 5), layers.ReLU(max_value=1.0), *dense(2)
    return stack((40, 4), *blocks, layers.MaxPooling1D(2), *ends)


def learnt_slopes():
    first = plain(6), layers.PReLU()
    return stack((8, 8, 1), *first, plain(6), layers.PReLU(), *dense(4))


def bounded_inside():
    return stack((8,), layers.Dense(16, "tanh"), layers.Dense(8, "relu"), *dense(2))


def two_heads():
    """A detector: coarse boxes from one depth, fine ones from another."""
    first = conv(6, 3, 2, activation=None, use_bias=False), norm()
    x = through(image := Input((12, 12, 3)), *first, layers.LeakyReLU(0.1))
    y = through(x, conv(6, 3, 2, activation=None), layers.LeakyReLU(0.1))
    coarse = layers.Conv2D(4, 1, name="coarse")(y)
    return Model(image, [coarse, layers.Conv2D(4, 1, name="fine")(x)])


def sequence(*middle):
    return stack((12, 4), *middle, layers.Dense(2))


def saved(model, folder: Path) -> Path:
    model.save(folder / "net.h5")
    return folder / "net.h5"


REWRITTEN = {  # model → the reason, the choice that it names, a seed
    largest_of_a_window: ("neurons computes a maximum", "maxpool=average", 1),
    clipped_signal: ("neurons computes a maximum", "maxpool=average", 1),
    learnt_slopes: (r"slope below 0 is -?[\d.]+ … [\d.]+", "leaky_relu=relu", 1),
    bounded_inside: ("it stands before a population", "tanh=relu", 0),
}


@pytest.mark.parametrize("make", REWRITTEN, ids=lambda make: make.__name__)
def test_what_no_neuron_computes_is_rewritten_on_request(make, tmp_path, run_cli):
    """And the report holds the score before and after."""
    reason, choice, seed = REWRITTEN[make]
    model = saved(trained(make(), seed), tmp_path)
    with pytest.raises(UnsupportedLayer, match=reason) as found:
        legalize(read_model(model).graph)
    assert choice in str(found.value)
    graph = read_model(model).graph
    x = pictures(graph.input.shape, samples=40)
    np.savez(tmp_path / "xy.npz", x=x, y=evaluate(graph, x))
    words = ("--target", "reference", "--model", model, "--data", tmp_path / "xy.npz")
    words += ("--out", tmp_path / "out", "--steps", STEPS)
    assert run_cli("build", *words) == 2
    assert not (tmp_path / "out").exists()
    assert run_cli("build", *words, "--rewrite", choice, "--force") == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    scores = {
        (score["metric"], score["name"]): score["value"] for score in report["scores"]
    }
    before = scores["R²", "float ANN before --rewrite"]
    assert before == pytest.approx(1) and scores["R²", "float ANN"] < before
    assert any("rewritten on request" in note for note in report["notes"])
    rewritten = read_model(model, None, dict([choice.split("=")])).graph
    assert_deployed(rewritten, x)


def test_slopes_of_zero_are_a_relu():
    """As PReLU begins."""
    model = trained(learnt_slopes())
    for layer in model.layers:
        if "re_lu" in layer.name:
            layer.set_weights([0 * weight for weight in layer.get_weights()])
    graph = from_keras(model)
    x = pictures(graph.input.shape).astype("f4")
    np.testing.assert_allclose(evaluate(graph, x), model(x), rtol=1e-5, atol=1e-5)
    assert_deployed(graph, x)


def test_a_detector_of_two_heads_is_chosen_rewritten_and_built(tmp_path):
    model = saved(trained(two_heads()), tmp_path)
    with pytest.raises(ModelError, match="outputs 'coarse', 'fine'; name the one"):
        read_model(model)
    for output in ("coarse", "fine", "all"):
        with pytest.raises(UnsupportedLayer, match="below 0 is 0.1.*leaky_relu=relu"):
            legalize(read_model(model, output).graph)
        graph = read_model(model, output, {"leaky_relu": "relu"}).graph
        assert_deployed(graph, pictures(graph.input.shape))


@pytest.mark.parametrize("kind", [layers.LSTM, layers.SimpleRNN])
def test_a_recurrent_layer_becomes_a_convolution(kind):
    with pytest.raises(UnsupportedLayer, match="put Conv1D layers, or Flatten") as told:
        from_keras(sequence(kind(8)))
    assert [each.id for each in told.value.obstacles] == ["recurrent-layer"]
    instead = sequence(layers.Conv1D(8, 3, activation="relu"), layers.Flatten())
    graph = from_keras(trained(instead))
    assert_deployed(graph, pictures(graph.input.shape))


def test_an_embeddings_rows_become_the_data():
    table = layers.Embedding(50, 6)
    whole = trained(stack((8,), table, *dense(12, 2)))
    with pytest.raises(UnsupportedLayer, match="give the rows it finds as data"):
        from_keras(whole)
    behind = stack((8, 6), *whole.layers[1:])
    graph = from_keras(behind)
    words = np.random.default_rng(0).integers(0, 50, (24, 8))
    rows = np.asarray(table(words))
    np.testing.assert_allclose(
        evaluate(graph, rows), whole(words), rtol=1e-5, atol=1e-5
    )
    assert_deployed(graph, rows)


def test_one_huge_weight_is_named_with_its_layer():
    """From a neuron that never fires, so that the ANN does not mind it."""
    model = trained(stack((6, 6, 1), conv(4, padding="valid"), *dense(8, 3)))
    first, hidden = model.layers[0], model.layers[2]
    kernel, bias = first.get_weights()
    first.set_weights([kernel, bias - [9, 0, 0, 0]])
    weight, bias = hidden.get_weights()
    wrong = weight.copy()
    wrong[0, 0] = 1e30
    hidden.set_weights([wrong, bias])
    x = pictures((6, 6, 1))
    with pytest.raises(
        DoesNotFit, match=rf"The weight \[.*0, 0\] of '.*{hidden.name}.*as small as"
    ):
        compiled(from_keras(model), x, STEPS)
    hidden.set_weights([weight, bias])
    assert_deployed(from_keras(model), x)
