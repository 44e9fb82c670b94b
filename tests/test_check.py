"""check: what becomes of each layer, all obstacles at once, and advice that works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from jsonschema import validate

from snn_deploy.checking import check
from snn_deploy.commands.cli import cli
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import UnsupportedLayer
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.functions import FUNCTIONS, Elementwise, LeakyReLU
from snn_deploy.toolchain.graph.functions import MaxPool2D as MaxPool
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.preparation import ChannelsLast, Rescale
from snn_deploy.toolchain.graph.rearranging import Pad2D, Permute, Slice
from snn_deploy.toolchain.passes.legalize.explained import OPERATIONS, UNSUPPORTED
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.rewrite import rewrite

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "docs" / "check.schema.json").read_text()
)
rng = np.random.default_rng(0)


def conv(name: str, channels: int, **fields: object) -> n.Conv2D:
    weight = rng.normal(size=(3, 3, channels, channels))
    return n.Conv2D(name, weight=weight, bias=np.zeros(channels), **fields)


def dense(name: str, inputs: int, outputs: int) -> n.Dense:
    weight = rng.normal(size=(inputs, outputs))
    return n.Dense(name, weight=weight, bias=np.zeros(outputs))


def network(*middle: n.Node, size: int = 6) -> Graph:
    """Image → population → the nodes → population → answers."""
    return Graph.chain(
        n.Input("x", shape=(size, size, 2)),
        n.ReLU("first"),
        *middle,
        n.ReLU("last"),
        n.Output("y"),
    )


ones = {"scale": np.ones(2), "offset": np.ones(2)}
EXAMPLES = {  # an operation of each class, on (6, 6, 2)
    n.Dense: (n.Flatten("f"), dense("o", 72, 4)),
    n.Conv2D: (conv("o", 2),),
    n.ConvTranspose2D: (
        n.ConvTranspose2D("o", weight=np.ones((2, 2, 2, 2)), bias=np.zeros(2)),
    ),
    n.IF: (n.IF("o"),),
    n.LIF: (n.LIF("o"),),
    n.ReLU: (n.ReLU("o", ceiling=6.0),),
    n.SoftLIF: (n.SoftLIF("o"),),
    n.Lowpass: (n.Lowpass("o", tau_syn=0.01),),
    n.AvgPool2D: (n.AvgPool2D("o", pool=(2, 2), stride=(2, 2)),),
    n.Upsample2D: (n.Upsample2D("o", factor=(2, 2)),),
    n.BatchNorm: (
        n.BatchNorm(
            "o",
            gamma=np.ones(2),
            beta=np.ones(2),
            mean=np.ones(2),
            variance=np.ones(2),
            epsilon=0.01,
        ),
    ),
    Rescale: (Rescale("o", **ones),),
    n.Membrane: (
        n.Membrane(
            "o",
            resistance=np.ones(2),
            rest=np.zeros(2),
            threshold=np.full(2, 2.0),
            reset_to=np.zeros(2),
        ),
    ),
    Pad2D: (Pad2D("o", padding=((1, 1), (0, 2))),),
    Slice: (Slice("o", start=(1, 0, 0), stop=(6, 6, 1)),),
    Permute: (Permute("o", axes=(2, 0, 1)),),
    n.Flatten: (n.Flatten("o"),),
    n.Reshape: (n.Reshape("o", shape=(2, 36)),),
    n.Add: (n.Add("o", ("first", "first")),),
    n.Concat: (n.Concat("o", ("first", "first")),),
    n.Sigmoid: (n.Sigmoid("o"),),
    n.Tanh: (n.Tanh("o"),),
    n.Softmax: (n.Softmax("o"),),
    n.LogSoftmax: (n.LogSoftmax("o"),),
    n.Argmax: (n.Argmax("o"),),
    n.Delay: (n.Delay("o", delay=3),),
    n.Threshold: (n.Threshold("o"),),
    n.LI: (n.LI("o", tau_rc=0.02),),
    Elementwise: (Elementwise("o", function="silu"),),
    LeakyReLU: (LeakyReLU("o", slope=np.full(1, 0.1)),),
    MaxPool: (MaxPool("o", pool=(2, 2), stride=(2, 2)),),
}


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_the_table_of_operations_says_what_legalize_does(kind):
    status, _ = OPERATIONS[kind]
    if kind is ChannelsLast:  # behind the Input alone, as the test of obstacles has it
        return
    graph = network(*EXAMPLES[kind])
    if status == UNSUPPORTED:
        with pytest.raises(UnsupportedLayer) as found:
            legalize(graph)
        assert [each.layer for each in found.value.obstacles] == ["o"]
    else:
        legalize(graph).check()


def test_every_operation_is_in_the_table():
    kinds = {kind for kind in EXAMPLES} | {ChannelsLast}
    assert set(OPERATIONS) == kinds


@pytest.fixture
def saved(tmp_path):
    def save(graph: Graph) -> Path:
        graph.check()
        path = tmp_path / "net.snn"
        save_bundle(path, Bundle(graph=graph))
        return path

    return save


def run(*words: object):
    return CliRunner().invoke(cli, ["check", *map(str, words)])


PROBLEMS = (
    MaxPool("max", pool=(2, 2), stride=(2, 2)),
    Elementwise("swish", function="silu"),
    conv("c", 2),
    LeakyReLU("leaky", slope=np.full(1, 0.1)),
)


def test_all_obstacles_are_named_at_once_and_their_fixes_work(saved):
    path = saved(network(*PROBLEMS))
    found = run(path, "--json")
    assert found.exit_code == 1
    told = json.loads(found.output)
    validate(told, SCHEMA)
    errors = [each for each in told["advice"] if each["severity"] == "error"]
    assert [(each["id"], each["where"]) for each in errors] == [
        *(("max-pooling", "max"), ("smooth-activation", "swish")),
        ("leaky-relu", "leaky"),
    ]
    assert not told["deployable"] and told["needs"][0]["cores"] is None
    assert told["needs"][0]["unavailable"]
    changes = "maxpool=average,silu=relu,leaky_relu=relu"
    for change in changes.split(","):
        assert any(change in each["fix"] for each in errors), change
    mended = run(path, "--rewrite", changes)
    assert mended.exit_code == 0, mended.output
    assert "can be deployed" in mended.output


def test_a_network_that_fits_is_told_layer_by_layer(saved):
    pool = n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2))
    graph = network(pool, conv("c", 2))
    told = check(saved(graph), ["loihi-emulator", "reference"]).to_json()
    validate(json.loads(json.dumps(told)), SCHEMA)
    uses = {use["layer"]: (use["status"], use["how"]) for use in told["layers"]}
    assert uses == {
        "first": ("rewritten", "an IF population; a ceiling is its highest rate"),
        "pool": ("rewritten", "one connection with 'c'"),
        "c": ("rewritten", "one connection with 'pool'"),
        "last": ("rewritten", "an IF population; a ceiling is its highest rate"),
    }
    emulator, reference = told["needs"]
    assert emulator["cores"] == 2 and emulator["synapse_bytes"] > 0
    assert reference["unavailable"] == "this target has no cores"
    assert told["neurons"] == 72 + 2 and told["core_macs"] == 3 * 3 * 2 * 2


def test_what_does_not_fit_a_target_is_an_error_of_that_target(saved):
    """A kernel of 65 × 65 pixels, where a core has 4096 axons."""
    wide = n.Conv2D("wide", weight=np.ones((65, 65, 2, 1)), bias=np.zeros(1))
    path = saved(network(wide, size=66))
    assert check(path, ["reference"]).deployable
    found = check(path, ["reference", "loihi-emulator"])
    assert not found.deployable
    assert [each.id for each in found.advice] == ["does-not-fit"]
    assert "4225 input axons, 4096" in found.advice[0].message


def test_help_has_an_example_and_bad_input_is_one_sentence(tmp_path):
    assert "Example: snn-deploy check" in run("--help").output
    for words, what in (
        ((tmp_path / "gone.onnx",), "no such file"),
        (("--target", "no"), "Target 'no' is unknown"),
        (("--rewrite", "maxpool"), "old=new"),
    ):
        found = run(*words)
        assert found.exit_code in (1, 2) and "Traceback" not in found.output
        assert what in found.output or what in str(found.exception)


@pytest.mark.parametrize("function", [*FUNCTIONS, "tanh", "sigmoid"])
def test_every_function_can_be_rewritten(function):
    middle = {"tanh": n.Tanh("f"), "sigmoid": n.Sigmoid("f")}.get(
        function, Elementwise("f", function=function)
    )
    graph = rewrite(network(middle), {function: "relu"})
    assert isinstance(graph["f"], n.ReLU)
    legalize(graph).check()


@pytest.mark.parametrize("size", [6, 7, 9])
@pytest.mark.parametrize("new", ["average", "stride"])
def test_max_pooling_keeps_its_shape(size, new):
    pool = MaxPool("m", pool=(3, 3), stride=(2, 2), padding=((0, 1), (1, 0)))
    graph = network(pool, size=size)
    assert rewrite(graph, {"maxpool": new}).shapes["m"] == graph.shapes["m"]


def test_the_page_of_operations_is_what_the_tables_say():
    pytest.importorskip("onnx", reason="onnx is not installed")
    page = Path(__file__).parent.parent / "docs" / "operations.md"
    found = CliRunner().invoke(cli, ["targets", "--operations"])
    assert found.exit_code == 0 and page.read_text() == found.output


def test_obstacles_behind_layers_that_are_not_read_are_named_too(tmp_path):
    """By the layer's name, in the table too; all of them gone, it is deployable."""
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    layers = tf.keras.layers

    def saved(*first, pool=layers.MaxPooling1D, last="tanh"):
        rest = (
            *(layers.Conv1D(4, 3, activation="relu", name="c"), pool(2, name="pool")),
            *(layers.Conv1D(4, 3, name="d"), layers.Activation(last, name="bend")),
            *(layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(2, "softmax")),
        )
        path = tmp_path / "net.h5"
        tf.keras.Sequential([*first, *rest]).save(path)
        return path

    words = layers.Embedding(50, 8, name="words")
    state = layers.LSTM(6, return_sequences=True, name="state")
    path = saved(tf.keras.Input((20,)), words, state)
    told = json.loads(run(path, "--json").output)
    validate(told, SCHEMA)
    stands = ["words", "state", "pool", "bend"]
    assert [each["where"] for each in told["advice"]] == stands
    uses = {use["layer"]: use["status"] for use in told["layers"]}
    assert [name for name in uses if uses[name] == "unsupported"] == stands
    assert uses["c"] == uses["d"] == "native"
    shown = run(path, "--rewrite", "maxpool=average,tanh=relu")
    assert shown.exit_code == 1 and "state: LSTM: it keeps a state" in shown.output
    assert "bend" not in [line.split(":")[1].strip() for line in errors(shown.output)]
    first = tf.keras.Input((20, 8)), layers.Conv1D(6, 3, activation="relu")
    path = saved(*first, pool=layers.AveragePooling1D, last="relu")
    assert run(path).exit_code == 0


def errors(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("error:")]


def test_a_damaged_file_is_one_sentence(tmp_path, run_cli, capsys):
    path = tmp_path / "net.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(300))
    assert run_cli("check", path) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert "it is damaged" in said.err
