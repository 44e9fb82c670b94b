"""A Graph goes out as NIR, and what came as NIR comes back with every number."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st

nir = pytest.importorskip("nir", reason="nir is not installed")

from drawn_nir import DT, Drawn, Plainly, graphs  # noqa: E402
from random_graphs import graphs as random_graphs  # noqa: E402
from random_graphs import samples_for  # noqa: E402

from snn_deploy.toolchain.errors import UnsupportedLayer  # noqa: E402
from snn_deploy.toolchain.frontends.contract import Timing  # noqa: E402
from snn_deploy.toolchain.frontends.formats import (  # noqa: E402
    read_network,
    written,
)
from snn_deploy.toolchain.frontends.nir.export.laying import laid_out  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402

relaxed = settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("nir")


def graph_in(path: Path, **timing) -> Graph:
    return read_network(path, None, Timing(**timing)).graph


def exported(graph: Graph, type_check: bool = True) -> nir.NIRGraph:
    content = written(graph, "nir").content
    return nir.read(io.BytesIO(content), type_check=type_check)


def numbers(node: nir.NIRNode) -> dict[str, np.ndarray]:
    """A node's fields; a matrix without a bias has one of 0, padding is two numbers."""
    fields = {
        name: value
        for name, value in node.to_dict().items()
        if name not in ("type", "metadata") and value is not None
    }
    if isinstance(node, nir.Linear):
        fields["bias"] = np.zeros(len(node.weight))
    if isinstance(node, nir.Conv1d | nir.Conv2d | nir.AvgPool2d | nir.SumPool2d):
        kernel = node.weight.shape[2:] if hasattr(node, "weight") else (1, 1)
        words = {"same": [(k - 1) // 2 for k in kernel], "valid": [0 for _ in kernel]}
        for name in ("padding", "stride", "dilation"):
            if name in fields:
                value = fields[name]
                value = words[value] if isinstance(value, str) else value
                fields[name] = np.broadcast_to(value, len(kernel))
    return {name: np.asarray(value, np.float64) for name, value in fields.items()}


def kind(node: nir.NIRNode) -> type:
    return nir.Affine if isinstance(node, nir.Linear) else type(node)


def assert_same(found: nir.NIRGraph, wanted: nir.NIRGraph) -> None:
    """Every node, edge and number."""
    assert found.nodes.keys() == wanted.nodes.keys()
    assert sorted(found.edges) == sorted(wanted.edges)
    for name, node in wanted.nodes.items():
        assert kind(found.nodes[name]) is kind(node)
        got, held = numbers(found.nodes[name]), numbers(node)
        assert got.keys() == held.keys(), name
        for part, values in held.items():
            tolerance = 1e-7 if part == "delay" else 0  # whole steps
            assert got[part].shape == values.shape, (name, part)
            np.testing.assert_allclose(
                got[part], values, rtol=tolerance, err_msg=f"{name}.{part}"
            )


@relaxed
@given(drawn=graphs(), seed=st.integers(0, 2**32 - 1))
def test_what_came_goes_out_with_every_number(drawn, seed, folder):
    nir.write(folder / "net.nir", drawn.graph)
    graph = graph_in(folder / "net.nir", dt=DT)
    again = exported(graph, type_check=False)
    assert_same(again, nir.read(folder / "net.nir", type_check=False))
    x = np.random.default_rng(seed).uniform(-0.5, 1.5, (8, *drawn.shapes["input"]))
    wanted = Plainly(drawn).run(x)
    found = Plainly(Drawn(again, drawn.shapes)).run(x)
    for name in drawn.populations:
        np.testing.assert_array_equal(found[name], wanted[name])
    (folder / "again.nir").write_bytes(written(graph, "nir").content)
    assert str(graph_in(folder / "again.nir", dt=DT)) == str(graph)


def as_lif(graph: Graph) -> Graph:
    """With the refractory period that NIR cannot hold."""
    nodes = (
        replace(node, tau_ref=0.002) if isinstance(node, n.LIF) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def as_spiking(node: n.Node) -> n.Node:
    if isinstance(node, n.SoftLIF):
        return n.LIF(node.name, node.inputs, amplitude=node.amplitude)
    return node


@settings(relaxed, max_examples=40)
@given(graph=random_graphs(), seed=st.integers(0, 99))
def test_a_network_of_rates_goes_out_with_its_rates(graph, seed, folder):
    """Whatever is linear is weights there, a matrix where NIR has no such window."""
    try:
        found = written(graph, "nir")
    except UnsupportedLayer as error:
        event(error.obstacles[0].why)
        assume(False)
    (folder / "rates.nir").write_bytes(found.content)
    again = as_lif(graph_in(folder / "rates.nir"))
    x = samples_for(graph, seed, count=2)
    turned = np.moveaxis(x, -1, 1) if x.ndim == 4 else x
    nodes = tuple(map(as_spiking, graph.nodes))
    wanted = interpret(replace(graph, nodes=nodes), x)[graph.output.name]
    got = interpret(again, turned)[again.output.name]
    if got.ndim > 2:
        got = np.moveaxis(got, 1, -1)
    elif "a result in the order (H, W, C)" in found.notes[0]:
        image = laid_out(graph, {})[0][graph.output.name].form.image
        got = np.moveaxis(got.reshape(len(x), *image), 1, -1)
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)


def test_a_flattened_result_is_said_to_be_in_another_order():
    """NIR flattens (C, H, W), so a result's values lie in another order there."""
    graph = Graph.chain(
        n.Input("x", shape=(3, 3, 2)), n.Flatten("flat"), n.IF("a"), n.Output("y")
    )
    assert (
        "a result in the order (H, W, C), which is (C, H, W) there (y)"
        in written(graph, "nir").notes[0]
    )
