"""What a NIR graph may be made of: sub-graphs, ways back, several ends, old files."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="nir is not installed")

from drawn_nir import DT, Drawn, Plainly  # noqa: E402
from test_nir_export import assert_same, exported  # noqa: E402
from test_nir_files import affine, lif, line  # noqa: E402

from snn_deploy.toolchain.errors import ModelError  # noqa: E402
from snn_deploy.toolchain.frontends.contract import Imported, Timing  # noqa: E402
from snn_deploy.toolchain.frontends.formats import read_network  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402

RNG = np.random.default_rng(3)
ONE = np.ones(3, np.float32)


@pytest.fixture
def read(tmp_path):
    """``read(graph, output=…, dt=…)``: what is imported."""

    def imported(graph, output=None, **timing) -> Imported:
        nir.write(tmp_path / "net.nir", graph)
        return read_network(tmp_path / "net.nir", output, Timing(**timing))

    return imported


def graph_of(nodes: dict, *edges: str) -> nir.NIRGraph:
    """Edges are written as in "a b"."""
    pairs = [tuple(edge.split()) for edge in edges]
    return nir.NIRGraph(nodes, pairs, type_check=False)


def ends(size: int = 3, inputs: int = 4) -> dict:
    return {"in": nir.Input(np.array([inputs])), "out": nir.Output(np.array([size]))}


def linear(inputs: int = 3, outputs: int = 3, scale: float = 12.0) -> nir.Linear:
    weight = RNG.normal(scale / 2, scale, (outputs, inputs)) / np.sqrt(inputs)
    return nir.Linear(weight.astype(np.float32))


def assert_fires_alike(graph: Graph, wanted: nir.NIRGraph, *names: str) -> None:
    """Named populations, as the equations say; all of one row of 3 neurons."""
    x = np.random.default_rng(0).uniform(0, 2, (20, *graph.input.shape))
    shapes = dict.fromkeys(wanted.nodes, (3,))
    told = Plainly(Drawn(wanted, shapes)).run(x)
    found = interpret(
        *(graph, x[:1], "spiking"),
        steps=20,
        record=names,
        sent={graph.input.name: x[None]},
    )
    for name in names:
        assert told[name].any()
        np.testing.assert_array_equal(np.rint(found[name][0]), told[name], name)


def test_sub_graphs_are_nodes_with_their_names(read):
    block = {"in": nir.Input(np.array([3])), "out": nir.Output(np.array([3]))}
    cells = {"w": linear(), "cell": lif(), "again": linear()}
    edges = ("in w", "w cell", "cell again", "again cell", "cell out")
    inner = graph_of({**block, **cells}, *edges)
    outer = graph_of(
        {**ends(), "first": linear(4), "block": inner, "last": nir.Threshold(ONE / 2)},
        *("in first", "first block", "block last", "last out"),
    )
    found = read(outer, dt=DT).graph
    flat = graph_of(
        {
            **{**ends(), **{name: outer.nodes[name] for name in ("first", "last")}},
            **{f"block.{name}": node for name, node in cells.items()},
        },
        *("in first", "first block.w", "block.w block.cell", "block.cell block.again"),
        *("block.again block.cell", "block.cell last", "last out"),
    )
    assert_same(exported(found), flat)
    assert_fires_alike(found, flat, "block.cell", "last")


def test_a_sub_graph_of_two_inputs_is_refused(read):
    inner = graph_of({"a": nir.Input(np.array([3])), "b": nir.Input(np.array([3]))})
    outer = graph_of({**ends(), "block": inner}, "in block", "block out")
    with pytest.raises(ModelError, match="sub-graph 'block' has 0 outputs|2 inputs"):
        read(outer)


def test_two_populations_that_lead_to_each_other(read):
    """The way back takes one step, as one step of the whole graph in NIR's tools."""
    nodes = {"w": linear(4), "a": lif(), "on": linear(), "b": lif(), "back": linear()}
    edges = ("in w", "w a", "a on", "on b", "b back", "back a", "b out")
    graph = graph_of({**ends(), **nodes}, *edges)
    found = read(graph, dt=DT)
    assert_fires_alike(found.graph, graph, "a", "b")
    (way,) = [x for x in found.graph.nodes if isinstance(x, n.Lowpass)]
    assert way.inputs == ("b",) and way.delay == 1 and way.tau_syn == 0
    assert any("a way back takes one step" in note for note in found.notes)
    assert_same(exported(found.graph), graph)
    shuffled = graph_of({**ends(), **nodes}, *edges[::-1])
    assert str(read(shuffled, dt=DT).graph) == str(found.graph)


def test_a_loop_with_a_delay_of_its_own_takes_no_other_step(read):
    late = nir.Delay(2 * DT * np.ones(3, np.float32))
    nodes = {"w": linear(4), "a": lif(), "late": late, "again": linear()}
    edges = ("in w", "w a", "a late", "late again", "again a", "a out")
    graph = graph_of({**ends(), **nodes}, *edges)
    found = read(graph, dt=DT)
    assert_fires_alike(found.graph, graph, "a")
    assert not any(isinstance(x, n.Lowpass) for x in found.graph.nodes)
    assert not any("way back" in note for note in found.notes)


def test_delays_that_differ_are_one_each(read):
    delay = DT * np.array([1, 3, 1], np.float32)
    nodes = {"w": linear(4), "a": lif(), "late": nir.Delay(delay), "on": linear()}
    edges = ("in w", "w a", "a late", "late on", "on b", "b out")
    graph = graph_of({**ends(), **nodes, "b": lif()}, *edges)
    found = read(graph, dt=DT).graph
    x = np.random.default_rng(0).uniform(0, 2, (1, 20, 4))
    how = {"steps": 20, "record": ["a", "late"], "sent": {"in": x}}
    ran = interpret(found, x[:, 0], "spiking", **how)
    a, late = ran["a"][0], ran["late"][0]
    assert a.any()
    for neuron, steps in enumerate((1, 3, 1)):
        np.testing.assert_array_equal(late[steps:, neuron], a[:-steps, neuron])


def test_a_delay_of_no_step_is_left_out(read):
    graph = line(affine(), lif(), nir.Delay(0 * ONE))
    found = read(graph)
    assert "n2" not in found.graph.shapes
    assert any("a delay of 0 steps is left out: n2" in note for note in found.notes)


def test_one_of_several_outputs_is_read(read):
    two = {"r": ONE[:2], "v_leak": 0 * ONE[:2], "v_threshold": ONE[:2]}
    nodes = {"w": affine(), "a": lif(), "v": linear(3, 2)}
    nodes["b"] = nir.LIF(tau=ONE[:2] / 30, **two)
    every = {**ends(), **nodes, "more": nir.Output(np.array([2]))}
    edges = ("in w", "w a", "a out", "a v", "v b", "b more")
    graph = graph_of(every, *edges)
    with pytest.raises(ModelError, match=r"2 Output nodes \('more', 'out'\); name"):
        read(graph)
    assert "b" not in read(graph, "out").graph.shapes
    assert read(graph, "more").graph.output.name == "more"
    both = read(graph, "all").graph
    assert both.shapes[both.output.name] == (5,)
    with pytest.raises(ModelError, match="2 Output nodes"):
        read(graph, "none")


def test_two_inputs_are_refused(read):
    nodes = {**ends(), "two": nir.Input(np.array([4])), "w": affine(), "a": lif()}
    graph = graph_of(nodes, "in w", "two w", "w a", "a out")
    with pytest.raises(ModelError, match=r"2 Input nodes \('in', 'two'\); one is all"):
        read(graph)


def test_what_leads_nowhere_is_not_read(read):
    nodes = {"w": affine(), "a": lif(), "unread": nir.Threshold(ONE)}
    graph = graph_of({**ends(), **nodes}, "in w", "w a", "a out", "a unread")
    assert "unread" not in read(graph).graph.shapes


def test_an_old_file_says_no_v_reset(tmp_path):
    """As files of nir before 1.0 do: it is 0."""
    path = tmp_path / "old.nir"
    nir.write(path, line(affine(), lif()))
    new = read_network(path).graph
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n1/v_reset"]
    assert str(read_network(path).graph) == str(new)


def test_constants_that_are_numbers_stay_numbers(read):
    scalars = {"tau": 0.02, "r": 2.0, "v_leak": 0.1, "v_threshold": 1.5, "v_reset": 0.2}
    held = {name: np.float32(value) for name, value in scalars.items()}
    found = read(line(affine(), nir.LIF(**held))).graph
    membrane = found["n1.current"]
    assert membrane.resistance.shape == membrane.threshold.shape == ()
    again = exported(found, type_check=False).nodes["n1"]
    for name, value in held.items():
        assert np.shape(getattr(again, name)) == () and getattr(again, name) == value


def test_a_refractory_period_is_of_leaky_neurons_alone(read):
    assert read(line(affine(), lif()), tau_ref=0.003).graph["n1"].tau_ref == 0.003
    graph = line(affine(), nir.IF(r=ONE, v_threshold=ONE))
    with pytest.raises(ModelError, match="IF 'n1': it has no refractory period here"):
        read(graph, tau_ref=0.003)


def test_a_step_longer_than_a_time_constant_is_no_step_of_euler(read):
    graph = line(affine(), lif(tau=ONE / 2000))
    with pytest.raises(ModelError, match="its tau is 0.0005 s, shorter than a step of"):
        read(graph, grid="euler")
    assert read(graph).graph["n1"].tau_rc == pytest.approx(0.0005)
    step = read(line(affine(), lif(tau=ONE / 1000)), grid="euler").graph["n1"]
    assert np.exp(-0.001 / step.tau_rc) == 0  # forgets in a step


def test_pytorchs_count_of_axes_is_understood(read):
    """Flatten(1), with the axis of samples, before weights that take all of it."""
    conv = nir.Conv2d((3, 3), np.ones((2, 1, 1, 1)), 1, 0, 1, 1, np.zeros(2))
    flat = nir.Flatten(np.array([2, 3, 3]), start_dim=1, end_dim=-1)
    graph = line(conv, flat, affine(18), lif(), shape=(1, 3, 3))
    assert read(graph).graph.shapes["n1"] == (18,)
    wrong = line(conv, flat, nir.Linear(np.ones((3, 17))), shape=(1, 3, 3))
    with pytest.raises(ModelError, match=r"takes \(17,\), its input is \(2, 9\)"):
        read(wrong)


def test_a_filtered_bias_is_told(read):
    cuba = nir.CubaLIF(ONE / 100, ONE / 50, ONE, 0 * ONE, ONE)
    biased = nir.Affine(np.ones((3, 4), np.float32), ONE)
    notes = read(line(biased, cuba)).notes
    assert any("a bias rises with tau_syn in the file" in note for note in notes)
    assert not any("a bias rises" in note for note in read(line(affine(), cuba)).notes)


def test_metadata_of_a_node_are_left_alone(tmp_path):
    nir.write(tmp_path / "net.nir", line(affine(), lif()))
    with h5py.File(tmp_path / "net.nir", "r+") as file:
        file["node/nodes/n1/metadata/anything"] = np.arange(3)
    assert read_network(tmp_path / "net.nir").graph["n1"]


def test_constants_that_are_the_same_are_kept_once(read):
    """A small file may claim many values: they take what the graph takes of them."""
    size = 1 << 21
    one = {name: np.ones(1) for name in ("tau", "r", "v_threshold")}
    nodes = {**ends(size, size), "lif": nir.LIF(**one, v_leak=np.zeros(1))}
    tracemalloc.start()
    try:
        read(graph_of(nodes, "in lif", "lif out"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * size
