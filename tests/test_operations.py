"""MACs of the network as read: whatever a pass folds, they stay what they are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for
from tiny_files import write_pictures

from snn_deploy.calibration.operations import core_macs, macs, with_macs
from snn_deploy.calibration.statistics import host_statistics
from snn_deploy.model_files import Model, read_model
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import DoesNotFit
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.fold import fold
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.program import Program


def weights(*shape: int) -> dict[str, n.FloatArray]:
    rng = np.random.default_rng(len(shape))
    weight = rng.normal(size=shape) / math.sqrt(math.prod(shape[:-1]))
    return {"weight": weight, "bias": np.zeros(shape[-1])}


def pooled() -> Graph:
    """Convolution, ReLU, 2 × 2 pooling, then the same again, and a read-out."""
    return Graph(
        (
            n.Input("x", shape=(12, 12, 1)),
            n.Conv2D("conv1", ("x",), **weights(3, 3, 1, 4)),
            n.ReLU("relu1", ("conv1",), amplitude=0.01),
            n.AvgPool2D("pool1", ("relu1",), pool=(2, 2), stride=(2, 2)),
            n.Conv2D("conv2", ("pool1",), **weights(3, 3, 4, 8)),
            n.ReLU("relu2", ("conv2",), amplitude=0.01),
            n.AvgPool2D("pool2", ("relu2",), pool=(3, 3), stride=(3, 3)),
            n.Flatten("flat", ("pool2",)),
            n.Dense("hidden", ("flat",), **weights(8, 6)),
            n.ReLU("relu3", ("hidden",), amplitude=0.01),
            n.Dense("out", ("relu3",), **weights(6, 4)),
            n.Output("y", ("out",)),
        )
    )


def compiled(graph: Graph) -> Program:
    samples = samples_for(graph, 0)
    program = quantize(legalize(fold(graph)), samples, steps=8)
    return with_macs(program, core_macs(graph))


def test_pooling_that_is_folded_into_weights_makes_no_more_macs():
    graph = pooled()
    by_hand = {"conv1": 100 * 9 * 4, "conv2": 9 * 36 * 8, "hidden": 8 * 6, "out": 6 * 4}
    assert {name: count for name, count in macs(graph).items() if count} == by_hand
    program = compiled(graph)
    assert {p.name: p.macs for p in program.populations} == {
        "relu1": 0,  # the host sets its bias
        "relu2": by_hand["conv2"],
        "relu3": by_hand["hidden"],
    }
    host = host_statistics(program)
    assert (host.encoder_macs, host.decoder_macs) == (by_hand["conv1"], by_hand["out"])
    # the synapses of the core are more: a window's every pixel
    synapses = [int(c.fan_out.sum()) for c in program.connections]
    assert synapses == [4 * by_hand["conv2"], 9 * by_hand["hidden"]]


def test_sent_as_spikes_the_first_layer_runs_on_the_core():
    graph = pooled()
    counted = core_macs(graph, input_spikes=True)
    assert counted["relu1"] == macs(graph)["conv1"]
    assert sum(counted.values()) == sum(macs(graph).values()) - macs(graph)["out"]


def test_a_layer_that_two_populations_take_is_counted_once():
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.ReLU("first", ("x",), amplitude=0.01),
            n.Dense("shared", ("first",), **weights(4, 5)),
            n.ReLU("a", ("shared",), amplitude=0.01),
            n.ReLU("b", ("shared",), amplitude=0.01),
            n.Add("sum", ("a", "b")),
            n.Dense("more", ("sum",), **weights(5, 2)),
            n.ReLU("last", ("more",), amplitude=0.01),
            n.Output("y", ("last",)),
        )
    )
    assert core_macs(graph) == {"first": 0, "a": 20, "b": 0, "last": 10}


def products(graph: Graph, node: n.Node) -> int:
    """Weights of 1 over an input of 1 without bias: each product adds 1 to the sum."""
    shape = graph.shapes[node.inputs[0]]
    ones = replace(
        node,
        name="w",
        inputs=("x",),
        weight=np.ones_like(node.weight),
        bias=np.zeros_like(node.bias),
    )
    alone = Graph((n.Input("x", shape=shape), ones, n.Output("y", ("w",))))
    return int(interpret(alone, np.ones((1, *shape)))["y"].sum())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_count_is_that_of_products_with_a_pixel(data):
    graph = data.draw(graphs())
    for node in graph.nodes:
        expected = products(graph, node) if isinstance(node, n.Linear) else 0
        assert macs(graph)[node.name] == expected, node.name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_core_and_host_share_all_macs_out(data):
    graph = data.draw(graphs())
    sources: dict[str, set[str]] = {}
    for node in graph.nodes:
        if isinstance(node, n.Input | n.Neurons):
            sources[node.name] = {node.name}
        else:
            sources[node.name] = set().union(*(sources[i] for i in node.inputs))
    taken: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node, n.Neurons) or node.name in taken:
            taken |= set(node.inputs)
    on_core = [
        count
        for name, count in macs(graph).items()
        if name in taken and sources[name] != {graph.input.name}
    ]
    assert sum(core_macs(graph).values()) == sum(on_core)


def test_a_program_with_less_than_no_macs_is_refused():
    program = with_macs(compiled(pooled()), {"relu2": -1})
    with pytest.raises(DoesNotFit, match="'relu2': macs is -1"):
        program.check()


def told(capsys) -> dict[str, int | None]:
    """Layer → MACs, of the report printed as JSON."""
    report = json.loads(capsys.readouterr().out)
    rows = (*report["layers"], report["total"])
    return {row["name"]: row["macs"] for row in rows}


def test_build_run_and_report_show_the_same_macs(tmp_path, run_cli, capsys):
    """They travel in the Program; the spikes a MAC are those of the network as read."""
    model, data = tmp_path / "net.snn", write_pictures(tmp_path / "pictures")
    save_bundle(model, Bundle(graph=pooled()))
    out = tmp_path / "out"
    words = ("--target", "reference", "--model", model, "--data", data, "--out", out)
    steps = ("--steps", 16, "--samples", 2, "--force", "--json")
    assert run_cli("build", *words, *steps) == 0
    expected = {"relu1": 0, "relu2": 2592, "relu3": 48, "total": 2640}
    assert told(capsys) == expected
    words = (out / "program.snn", "--target", "reference", "--samples", 2, "--json")
    assert run_cli("run", *words, "--force") == 0
    assert told(capsys) == expected
    assert run_cli("report", out, "--json") == 0
    assert told(capsys) == expected


def test_what_an_older_bundle_does_not_know_is_shown_as_unknown(run_cli, capsys):
    old = Path(__file__).parent / "bundles" / "program-0.1.0.snn"
    words = ("run", old, "--target", "reference", "--samples", 2)
    assert run_cli(*words, "--json") == 0
    assert set(told(capsys).values()) == {None}
    assert run_cli(*words) == 0
    assert "the ANN's MACs are not known" in capsys.readouterr().out


def test_a_fine_tuned_network_was_told_the_macs_of_its_ann():
    graph = legalize(fold(pooled()))  # pooling is in its weights now
    tuned = {"scales": {}, "choices": {}, "macs": core_macs(pooled())}
    model = Model(graph, {"finetuned": tuned})
    assert model.macs(input_spikes=False) == core_macs(pooled())
    for macs_ in (None, 3, {"relu2": "many"}, {"relu2": -1}):
        model = Model(graph, {"finetuned": {**tuned, "macs": macs_}})
        assert model.macs(input_spikes=False) is None


def test_the_network_that_ships_knows_its_macs():
    shipped = read_model(None)
    counted = shipped.macs(input_spikes=False)
    assert counted == core_macs(shipped.graph)  # nothing in LocNet is folded
