"""A Graph is built without questions; ``check`` says what is wrong with it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph, arrays

PICTURE = (6, 5, 2)
EYE = np.eye(2)
CONV = n.Conv2D("conv", ("in",), weight=np.ones((3, 3, 2, 4)), bias=np.zeros(4))
NORM = n.BatchNorm(
    *("norm", ("in",)),
    gamma=np.ones(2),
    beta=np.zeros(2),
    mean=np.zeros(2),
    variance=np.ones(2),
    epsilon=0.001,
)


def chain(*nodes, shape=PICTURE):
    """In, the nodes, out; each takes the one before."""
    last = nodes[-1].name if nodes else "in"
    return Graph((n.Input("in", (), shape), *nodes, n.Output("out", (last,))))


def test_shapes_follow_the_flow():
    graph = chain(
        replace(CONV, padding=((1, 0), (2, 1)), stride=(2, 1)),
        n.SoftLIF("neurons", ("conv",)),
        n.AvgPool2D("pool", ("neurons",), pool=(2, 3), stride=(1, 2)),
        n.Upsample2D("up", ("pool",), factor=(3, 2)),
        n.ConvTranspose2D(
            *("back", ("up",)),
            weight=np.ones((3, 2, 4, 2)),
            bias=np.zeros(2),
            stride=(2, 1),
            padding=((0, 1), (1, 0)),
        ),
        n.Flatten("flat", ("back",)),
        n.Dense("dense", ("flat",), weight=np.ones((96, 3)), bias=np.zeros(3)),
        n.Reshape("tall", ("dense",), shape=(3, 1)),
    )
    graph.check()
    assert graph.shapes == {
        "in": (6, 5, 2),
        "conv": (3, 6, 4),
        "neurons": (3, 6, 4),
        "pool": (2, 2, 4),
        "up": (6, 4, 4),
        "back": (12, 4, 2),
        "flat": (96,),
        "dense": (3,),
        "tall": (3, 1),
        "out": (3, 1),
    }


def test_a_graph_finds_its_nodes():
    graph = chain(CONV, n.ReLU("relu", ("conv",)))
    assert graph["conv"] is CONV
    assert graph.input.name == "in" and graph.output.name == "out"
    assert [node.name for node in graph.consumers("conv")] == ["relu"]
    assert [name for name, _ in arrays(CONV)] == ["weight", "bias"]
    with pytest.raises(KeyError):
        graph["gone"]


def test_nodes_are_frozen():
    with pytest.raises(FrozenInstanceError):
        CONV.stride = (2, 2)


def test_batch_norm_is_a_scale_and_an_offset():
    norm = replace(
        NORM,
        gamma=np.array([4.0, 1.0]),
        beta=np.array([1.0, 0.0]),
        mean=np.array([3.0, 1.0]),
        variance=np.array([3.999, 0.249]),
    )
    np.testing.assert_allclose(norm.scale, [2.0, 2.0])
    np.testing.assert_allclose(norm.offset, [-5.0, -2.0])


DENSE = n.Dense("dense", ("in",), weight=np.ones((3, 2)), bias=np.zeros(2))
WRONG = {
    "name twice": (
        chain(n.ReLU("x", ("in",)), n.ReLU("x", ("x",))),
        r"node names must differ; twice: \['x'\]",
    ),
    "no input": (Graph((n.Output("out"),)), "it has 0 Input nodes; one is allowed"),
    "two outputs": (
        Graph(
            (n.Input("in", (), (2,)), n.Output("a", ("in",)), n.Output("b", ("in",)))
        ),
        "it has 2 Output nodes; one is allowed",
    ),
    "dead end": (
        Graph((*chain().nodes, n.ReLU("dead", ("in",)))),
        "ReLU 'dead': nothing takes its output; remove it",
    ),
    "loop": (
        chain(n.Add("a", ("in", "b")), n.ReLU("b", ("a",))),
        "Add 'a': it stands in a loop without a step of delay, a → b → a",
    ),
    "unknown input": (
        Graph((n.Input("in", (), (2,)), n.Output("out", ("in", "gone")))),
        "Output 'out': its input 'gone' is no node of the Graph",
    ),
    "NaN": (
        chain(replace(DENSE, weight=np.full((3, 2), np.nan)), shape=(3,)),
        "Dense 'dense': weight holds 6 NaN or infinite value",
    ),
    "infinity": (
        chain(replace(DENSE, bias=np.array([0, np.inf])), shape=(3,)),
        "Dense 'dense': bias holds 1 NaN or infinite value",
    ),
    "too many inputs": (
        chain(n.Flatten("flat", ("in", "in"))),
        r"Flatten 'flat': takes 1 input\(s\) and has 2",
    ),
    "dense on a picture": (
        chain(DENSE),
        r"'dense': takes \(3,\), its input is \(6, 5, 2",
    ),
    "conv of other channels": (
        chain(CONV, shape=(6, 5, 3)),
        r"'conv': takes \(height, width, channels=2\), its input is \(6, 5, 3\)",
    ),
    "pool of a vector": (
        chain(n.AvgPool2D("pool", ("in",), pool=(2, 2), stride=(2, 2)), shape=(4,)),
        r"'pool': takes \(height, width, channels=any\), its input is \(4,\)",
    ),
    "window too large": (
        chain(CONV, shape=(2, 5, 2)),
        "'conv': its window is larger than its padded input",
    ),
    "bias of other size": (
        chain(replace(CONV, bias=np.zeros(3))),
        r"'conv': weight is \(3, 3, 2, 4\) and bias \(3,\); weight has 4 axes",
    ),
    "weight of two axes": (
        chain(replace(CONV, weight=EYE, bias=np.zeros(2))),
        r"'conv': weight is \(2, 2\) and bias \(2,\); weight has 4 axes",
    ),
    "norm of other channels": (
        chain(replace(NORM, mean=np.zeros(3))),
        r"'norm': mean is \(3,\), its input is \(6, 5, 2\)",
    ),
    "reshape": (
        chain(n.Reshape("shape", ("in",), shape=(7, 9))),
        r"Reshape 'shape': cannot make \(7, 9\) of \(6, 5, 2\)",
    ),
    "add of two shapes": (
        chain(n.Flatten("flat", ("in",)), n.Add("sum", ("in", "flat"))),
        r"Add 'sum': takes inputs of one shape, they are \(\(6, 5, 2\), \(60,\)\)",
    ),
    "concat of two heights": (
        chain(CONV, n.Concat("both", ("in", "conv"))),
        "Concat 'both': inputs differ before their last axis",
    ),
}
NUMBERS = {
    "stride of 0": (replace(CONV, stride=(0, 1)), r"stride is \(0, 1\); at least 1"),
    "pool of 0": (
        n.AvgPool2D("pool", ("in",), pool=(0, 2), stride=(1, 1)),
        r"pool is \(0, 2\); at least 1",
    ),
    "factor of 0": (
        n.Upsample2D("up", ("in",), factor=(1, 0)),
        r"factor is \(1, 0\); at least 1",
    ),
    "open shape": (n.Reshape("r", ("in",), shape=(-1,)), r"shape is \(-1,\); at least"),
    "no time constant": (
        n.LIF("lif", ("in",), tau_rc=0.0),
        "tau_rc is 0.0; more than 0",
    ),
    "refractory debt": (
        n.LIF("lif", ("in",), tau_ref=-0.1),
        "tau_ref is -0.1; at least",
    ),
    "no smoothing": (n.SoftLIF("s", ("in",), sigma=0.0), "sigma is 0.0; more than 0"),
    "no output": (n.IF("if", ("in",), amplitude=0.0), "amplitude is 0.0; more than 0"),
    "NaN amplitude": (n.ReLU("r", ("in",), amplitude=np.nan), "amplitude is nan; more"),
    "no filter": (n.Lowpass("f", ("in",), tau_syn=-1.0), "tau_syn is -1.0; at least 0"),
    "variance": (
        replace(NORM, variance=np.array([1.0, -2.0])),
        r"variance is \[ 1. -2.\]; at least 0",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_check_names_the_node_and_what_is_wrong(what):
    graph, message = WRONG[what]
    with pytest.raises(ModelError, match=message):
        graph.check()


@pytest.mark.parametrize("what", NUMBERS)
def test_check_names_the_number_and_what_is_allowed(what):
    node, message = NUMBERS[what]
    with pytest.raises(ModelError, match=f"{type(node).__name__} .*: {message}"):
        chain(node).check()


def test_output_may_not_settle_before_the_start():
    graph = Graph((n.Input("in", (), (2,)), n.Output("out", ("in",), settle=-0.1)))
    with pytest.raises(ModelError, match="settle is -0.1; at least 0"):
        graph.check()


def test_every_node_says_what_it_is():
    kinds = [
        k for k in vars(n).values() if isinstance(k, type) and issubclass(k, n.Node)
    ]
    assert len(kinds) > 15
    for kind in kinds:
        assert kind.__doc__ and not kind.__doc__.startswith(kind.__name__ + "(")
        assert [field.name for field in fields(kind)][:2] == ["name", "inputs"]
