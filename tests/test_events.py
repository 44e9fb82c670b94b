"""Events: samples of 0 and 1 in time, sent step by step, alike everywhere."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from drawing import drawn
from hypothesis import strategies as st
from moved_weights import move_weights
from random_graphs import graphs
from random_programs import simulate_oracle

from snn_deploy.calibration.balance import balance
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import (
    DataError,
    DoesNotFit,
    ModelError,
    SnnDeployError,
    TargetUnavailable,
)
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.preprocess import Preprocessing, with_preprocessing
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.program.host import (
    decode,
    encode,
    mean_over_steps,
    spike_encoder,
)
from snn_deploy.toolchain.program.program import Program

DT, STEPS = 0.001, 16
SHAPE = (6, 6, 2)


def events(
    count: int = 3, shape: n.Shape = SHAPE, seed: int = 0, steps: int = STEPS
) -> np.ndarray:
    """Random events, (count, steps, *shape) bool."""
    return np.random.default_rng(seed).random((count, steps, *shape)) < 0.3


def network(seed: int = 0, **fields: float) -> Graph:
    """conv → strided conv → dense → linear read-out."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> dict[str, n.FloatArray]:
        weight = rng.normal(0.3, 1, shape) * 4 / math.sqrt(math.prod(shape[:-1]))
        return {"weight": weight, "bias": rng.normal(0.8, 0.5, shape[-1])}

    def lif(*names: str) -> n.LIF:
        return n.LIF(names[0], names[1:], amplitude=0.01, tau_ref=0.0, **fields)

    same = ((1, 1), (1, 1))
    return Graph(
        (
            n.Input("x", shape=SHAPE),
            n.Conv2D("a", ("x",), padding=same, **weights(3, 3, 2, 3)),
            lif("A", "a"),
            n.Conv2D("b", ("A",), stride=(2, 2), padding=same, **weights(3, 3, 3, 4)),
            lif("B", "b"),
            n.Flatten("flat", ("B",)),
            n.Dense("c", ("flat",), **weights(36, 5)),
            lif("C", "c"),
            n.Dense("read", ("C",), **weights(5, 3)),
            n.Output("y", ("read",), settle=0.006),
        )
    )


def built(graph: Graph, x: np.ndarray, steps: int = STEPS) -> Program:
    legal = legalize(graph, 0.005, input_spikes=True)
    sends = spike_encoder("events", legal.prepared.name, DT)
    return quantize(legal, mean_over_steps(x), steps=steps, dt=DT, encoder=sends)


# --- the host ----------------------------------------------------------------------


def test_a_step_of_the_sample_is_a_step_of_the_core():
    x = events()
    program = built(network(), x)
    sent = encode(program.encoder, x, STEPS, DT).spikes["x"]
    np.testing.assert_array_equal(sent.reshape(x.shape), x)
    np.testing.assert_array_equal(
        encode(program.encoder, x.astype(np.uint8), 9, DT).spikes["x"], sent[:, :9]
    )


def test_channels_first_turns_every_step():
    x = events()
    turned = np.moveaxis(x, -1, 2)
    first = with_preprocessing(network(), Preprocessing(channels_first=True))
    program = built(first, turned)
    (sent,) = encode(program.encoder, turned, STEPS, DT).spikes.values()
    np.testing.assert_array_equal(sent.reshape(x.shape), x)


def test_nothing_rescales_events():
    scaled = with_preprocessing(network(), Preprocessing(scale=(0.5,)))
    with pytest.raises(ModelError, match="0 or 1, and 'x.rescaled'.*leave out --scale"):
        built(scaled, events())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (2 * events(2), "sample 0: it holds 2 events of a neuron in one step.*0 or 1"),
        (events(2) * 0.5, r"sample 0: it holds 0.5 events"),
        (-events(2).astype(int), "sample 0: it holds -1 events"),
        (events(2, steps=9), "9 steps of events, 16 are to be run; run fewer steps"),
        (events(2, (6, 6, 1)), r"\(16, 6, 6, 1\), the network takes \(16, 6, 6, 2\)"),
    ],
)
def test_what_are_no_events_is_refused(x, message):
    program = built(network(), events())
    with pytest.raises(DataError, match=message):
        encode(program.encoder, x, STEPS, DT)


def test_events_are_worth_their_mean_to_a_network_of_rates():
    """Which the mean current of the first population shows."""
    legal = legalize(network(), 0.005, input_spikes=True)
    x = np.repeat(events(4, steps=1), 400, axis=1)  # the same in every step
    still = interpret(legal, mean_over_steps(x), record=("a",))["a"]
    moving = interpret(
        legal, mean_over_steps(x), "spiking", steps=400, dt=DT, record=("a",)
    )["a"][:, 200:].mean(1)
    np.testing.assert_allclose(moving, still, rtol=1e-6)


def test_they_travel_in_a_bundle_as_bits(tmp_path):
    x, path = events(), tmp_path / "program.snn"
    program = built(network(), x)
    save_bundle(path, Bundle(program=program, samples=x))
    again = load_bundle(path)
    assert again.samples.dtype == bool
    np.testing.assert_array_equal(again.samples, x)
    assert again.program is not None and again.program.encoder.coding == "events"


# --- targets -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reference", "loihi-emulator", "lava"])
def test_targets_are_sent_the_same_spikes(name):
    x = events()
    program = built(network(), x)
    wanted = simulate_oracle(program, encode(program.encoder, x, STEPS, DT))
    assert sum(spikes.sum() for spikes in wanted.values()) > 100
    try:
        session = find_target(name).load(program)
    except TargetUnavailable as error:
        pytest.skip(str(error))
    with session:
        recording = session.run(x)
    for population, spikes in wanted.items():
        np.testing.assert_array_equal(recording.spikes[population], spikes)
    np.testing.assert_array_equal(recording.spikes["x"].reshape(x.shape), x)


# --- hybrid networks ---------------------------------------------------------------

tf = pytest.importorskip("tensorflow", reason="hybrid networks are TensorFlow's")
from snn_deploy.models.cotraining.finetune import finetune  # noqa: E402
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.rate_control import (  # noqa: E402
    Band,
    mean_rate,
    synops,
)
from snn_deploy.models.cotraining.recipe import Recipe  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402


def hybrid(legal: Graph, x: np.ndarray, **options: object) -> HybridNetwork:
    sends = spike_encoder("events", legal.prepared.name, DT)
    scales = scales_of(legal, mean_over_steps(x), dt=DT, encoder=sends, moving=True)
    return HybridNetwork(legal, scales, dt=DT, **options)


def deployed(net: HybridNetwork, x: np.ndarray, steps: int = STEPS) -> Program:
    sends = spike_encoder("events", net.start, DT)
    graph, scales = net.to_graph(), net.scales
    return quantize(graph, x, steps=steps, dt=DT, encoder=sends, scales=scales)


def assert_same_spikes(net: HybridNetwork, x: np.ndarray, steps: int = STEPS) -> int:
    """The forward pass against the core's specification; how many spikes there were."""
    program = deployed(net, x, steps)
    wanted = simulate_oracle(program, encode(program.encoder, x, steps, DT))
    seen = forward(net, tf.constant(x), steps, record=True)
    for name, spikes in wanted.items():
        found = seen.spikes[name].numpy().transpose(1, 0, 2)
        np.testing.assert_array_equal(found, spikes, err_msg=name)
    read = decode(program.decoder, wanted, DT)
    np.testing.assert_allclose(seen.output, read, rtol=1e-5, atol=1e-5)
    return sum(int(spikes.sum()) for spikes in wanted.values())


@pytest.mark.parametrize("gradient", ["rate", "time"])
@pytest.mark.parametrize("tau_syn", [0.0, 0.005])
def test_forward_pass_gives_the_spikes_of_the_deployed_integers(tau_syn, gradient):
    """Before weights move, and after: rounded anew, within what the core holds."""
    x = events()
    legal = legalize(network(min_voltage=-1.0), tau_syn, input_spikes=True)
    net = hybrid(legal, x, gradient=gradient)
    assert assert_same_spikes(net, x) > 100
    move_weights(net, seed=2, share=0.3)
    assert assert_same_spikes(net, x) > 100


@drawn(
    graph=graphs(),
    seed=st.integers(0, 99),
    tau_syn=st.sampled_from((0.0, 0.005)),
    few=3,
    many=12,
)
def test_forward_pass_of_any_graph(graph, seed, tau_syn):
    x = events(2, graph.input.shape, seed)
    try:
        legal = legalize(graph, tau_syn, input_spikes=True)
        legal = balance(legal, mean_over_steps(x))
        net = hybrid(legal, x, compiled=False)
        deployed(net, x)
    except SnnDeployError:
        return  # no core holds it
    assert_same_spikes(net, x)


def test_channels_first_is_turned_in_training_too():
    x = events()
    first = with_preprocessing(network(), Preprocessing(channels_first=True))
    net = hybrid(legalize(first, 0.0, input_spikes=True), np.moveaxis(x, -1, 2))
    same = hybrid(legalize(network(), 0.0, input_spikes=True), x)
    assert assert_same_spikes(net, np.moveaxis(x, -1, 2)) == assert_same_spikes(same, x)


def test_float_semantics_give_the_spikes_of_interpret():
    """Of a sample that is the same in every step, which interpret can hold still."""
    x = np.repeat(events(3, steps=1), 24, axis=1)
    legal = legalize(network(), 0.005, input_spikes=True)
    seen = forward(hybrid(legal, x), tf.constant(x), 24, "float", record=True)
    names = ["A", "B", "C"]
    wanted = interpret(
        legal, mean_over_steps(x), "spiking", steps=24, dt=DT, record=names
    )
    for name in names:
        series = wanted[name].reshape(3, 24, -1) * DT / 0.01
        found = seen.spikes[name].numpy().transpose(1, 0, 2)
        assert np.mean(np.abs(found - series) > 0.5) < 1e-3, name


def test_rate_semantics_see_the_share_of_steps_with_an_event():
    """Steps are weighed as the read-out reads what they lead to, the last not."""
    x = events()
    net = hybrid(legalize(network(), 0.0, input_spikes=True), x)
    late = x.copy()
    late[:, -3:] = ~late[:, -3:]  # three connections away from the read population
    answers = []
    for shown in (x, late):
        net.noise.reset_from_seed(0)  # of the whole spikes that rates are counted as
        answers.append(forward(net, tf.constant(shown), STEPS, "rate").output)
    np.testing.assert_array_equal(*answers)


def test_budgets_count_what_reports_count():
    """Synaptic operations with the input's spikes, rates of the core alone."""
    from snn_deploy.calibration.statistics import total_statistics

    x = events()
    net = hybrid(legalize(network(), 0.005, input_spikes=True), x)
    program = deployed(net, x)
    with find_target("reference").load(program) as session:
        total = total_statistics(program, session.run(x))
    rates = forward(net, tf.constant(x), STEPS).rates
    found = synops(net, STEPS)(rates).numpy().mean()
    assert found == pytest.approx(total.synaptic_operations, rel=1e-5)
    found = mean_rate(net, STEPS)(rates).numpy().mean()
    assert found == pytest.approx(total.mean_rate.hz, rel=1e-5)


def moving(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A dot that moves left or right: only the order of the steps tells which."""
    rng = np.random.default_rng(seed)
    x, y = np.zeros((count, STEPS, 8, 1), bool), rng.integers(0, 2, count)
    for sample, right in zip(x, y):
        path = (np.arange(STEPS) // 2 + rng.integers(8)) % 8
        sample[np.arange(STEPS), path if right else path[::-1]] = True
        sample |= rng.random(sample.shape) < 0.02
    return x, np.eye(2, dtype=np.float32)[y]


@pytest.mark.slow
def test_finetuning_learns_from_the_order_of_events_and_deploys_what_it_learned():
    """Synapses of 3 ms remember; gradients flow through every step."""
    rng = np.random.default_rng(0)

    def dense(name: str, x: str, *shape: int, spread: float, bias: float) -> n.Dense:
        weight = rng.normal(0, spread, shape)
        return n.Dense(name, (x,), weight=weight, bias=np.full(shape[1], bias))

    core = {"amplitude": 0.01, "tau_rc": 0.01, "tau_ref": 0.0, "min_voltage": -1.0}
    graph = Graph(
        (
            n.Input("x", shape=(8, 1)),
            n.Flatten("flat", ("x",)),
            dense("a", "flat", 8, 64, spread=6.0, bias=0.5),
            n.LIF("A", ("a",), **core),
            dense("b", "A", 64, 32, spread=0.6, bias=0.5),
            n.LIF("B", ("b",), **core),
            dense("read", "B", 32, 2, spread=0.1, bias=0.0),
            n.Output("y", ("read",), settle=0.004),
        )
    )
    train, held = moving(512, 1), moving(64, 2)
    net = hybrid(legalize(graph, 0.003, input_spikes=True), train[0], gradient="time")
    recipe = Recipe(steps=STEPS, epochs=12, learning_rate=0.03, batch=32)
    finetune(net, train, held, replace(recipe, band=Band(weight=0.0)))
    program = deployed(net, held[0])
    with find_target("reference").load(program) as session:
        answers = session.run(held[0]).output
    assert np.mean(answers.argmax(1) == held[1].argmax(1)) > 0.8  # 0.92 when written
    np.testing.assert_allclose(
        answers, forward(net, tf.constant(held[0]), STEPS).output, atol=1e-4
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (2 * events(4), "it holds 2 events of a neuron"),
        (events(4, steps=9), r"\(9, 6, 6, 2\), and 16 steps of events"),
    ],
)
def test_finetuning_refuses_what_could_not_be_sent(x, message):
    net = hybrid(legalize(network(), 0.0, input_spikes=True), events())
    y = np.zeros((4, 3), np.float32)
    with pytest.raises(DataError, match=message):
        finetune(net, (x, y), (x, y), Recipe(steps=STEPS, epochs=1))


def test_an_input_too_far_from_the_read_out_is_said():
    net = hybrid(legalize(network(), 0.0, input_spikes=True), events())
    end = replace(net.graph.output, settle=0.0)
    net.graph = Graph((*net.graph.nodes[:-1], end))
    with pytest.raises(DoesNotFit, match="3 steps are run and the network is 4 steps"):
        forward(net, tf.constant(events()), 3)
