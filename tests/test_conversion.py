"""Conversion without training: the core's neurons fire as the ANN means them to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from drawing import drawn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for
from small_networks import fitted, save, stripes

from snn_deploy.calibration.conversion.candidate import Candidate, tried
from snn_deploy.calibration.conversion.choose import affordable, choose
from snn_deploy.calibration.conversion.correct import slopes, steady_gain
from snn_deploy.calibration.conversion.descent import Fixed
from snn_deploy.calibration.conversion.fewest_steps import (
    LAST,
    STEPS,
    WITHIN,
    Scored,
    fewest_steps,
)
from snn_deploy.calibration.conversion.layerwise import Layerwise, Presentation
from snn_deploy.calibration.conversion.search import search
from snn_deploy.calibration.equalize import channel_factors, equalize
from snn_deploy.calibration.membrane import quicken
from snn_deploy.calibration.readout import wanted_of
from snn_deploy.calibration.report.report import Report
from snn_deploy.deploy import CONVERTED, passes_for
from snn_deploy.pipeline.compilation import Compilation, Settings, compiled
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import spike_encoder
from snn_deploy.toolchain.program.program import Program

DT = 0.001  # s
SLOW = pytest.mark.slow
SAMPLES = np.random.default_rng(1).random((48, 12))


def simulated(program, stimulus):
    with find_target("reference").open(program) as session:
        return session.simulate(stimulus)


def presented(x, steps=32, encoder=None):
    return Presentation(
        samples=x, still=x, steps=steps, dt=DT, simulate=simulated, encoder=encoder
    )


def stacked(populations: int, neurons: type = n.ReLU, **constants: float) -> Graph:
    """So many populations of 40 neurons, and a linear answer of both signs."""
    rng, nodes = np.random.default_rng(0), [n.Input("x", shape=(12,))]
    for i in range(populations):
        size = 40 if i else 12
        weight = rng.normal(0, np.sqrt(2 / size), (size, 40))
        bias = np.full(40, 0.1)
        if neurons is not n.ReLU:  # LIF neurons fire beyond 1
            weight, bias = weight * 3, bias + 1.5
        nodes.append(n.Dense(f"d{i}", (nodes[-1].name,), weight=weight, bias=bias))
        nodes.append(neurons(f"n{i}", (f"d{i}",), **constants))
    last = n.Dense(
        "d", (nodes[-1].name,), weight=rng.normal(size=(40, 3)), bias=np.zeros(3)
    )
    return Graph((*nodes, last, n.Output("y", ("d",))))


def converted(graph: Graph, **chosen: object) -> Program:
    start = Compilation(
        graph=graph, samples=SAMPLES, settings=Settings(**{"steps": 64, **chosen})
    )
    done = compiled(start, passes_for(None)).program
    assert done is not None
    return done


def answers(program: Program) -> np.ndarray:
    with find_target("reference").load(program) as session:
        return session.run(SAMPLES, record="counts").output


def slope(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.polyfit(wanted.ravel(), found.ravel(), 1)[0])


@drawn(
    *(graphs(), st.integers(0, 99), st.sampled_from([0.0, 0.002]), st.booleans()),
    few=5,
    many=25,
)
def test_layers_run_alone_fire_as_in_the_whole_program(graph, seed, tau_syn, sends):
    try:
        legal = legalize(graph, tau_syn, input_spikes=sends)
        encoder = spike_encoder("spikes", legal.prepared.name, DT) if sends else None
        x = np.clip(samples_for(legal, seed), 0, 1 if sends else None)
        shown = presented(x, 20, encoder)
        network = Layerwise(legal, shown)
        trial = tried(
            Candidate(tau_syn=tau_syn, max_rate=400.0),
            legal,
            shown,
            wanted_of(legal, x),
        )
    except SnnDeployError:
        assume(False)
    network = Layerwise(trial.graph, shown)
    for layer in network.layers:
        name = layer.population.name
        network.spikes[name] = network.run(layer, trial.corrections[name])
    program = quantize(
        trial.graph, x, steps=20, encoder=encoder, corrections=trial.corrections
    )
    with find_target("reference").load(program) as session:
        whole = session.run(x).spikes
    for name in whole:
        np.testing.assert_array_equal(network.spikes[name], whole[name], err_msg=name)


@drawn(graphs(), st.integers(0, 99), few=5, many=25)
def test_a_correction_is_the_cores_and_not_the_float_networks(graph, seed):
    try:
        legal = legalize(graph)
        x = samples_for(legal, seed)
        found = tried(
            Candidate(tau_syn=0.0, max_rate=400.0),
            legal,
            presented(x, 20),
            wanted_of(legal, x),
        )
    except SnnDeployError:
        assume(False)
    program = quantize(found.graph, x, steps=20, corrections=found.corrections)
    meant, back = (evaluate(g, x) for g in (found.graph, dequantize(program)))
    bound = 0.1 * np.abs(meant).max() + 1e-6  # eight bits, layer after layer
    assert np.abs(back - meant).max() <= bound


@pytest.mark.parametrize("neurons", [n.ReLU, n.SoftLIF])
@pytest.mark.parametrize(
    "populations", [1, 3, pytest.param(4, marks=SLOW), pytest.param(8, marks=SLOW)]
)
def test_real_values_come_back_whole_through_any_depth(populations, neurons):
    graph = stacked(populations, neurons, amplitude=1.0 if neurons is n.ReLU else 0.01)
    wanted = evaluate(graph, SAMPLES)
    plain = answers(converted(graph, calibrate="none"))
    found = answers(converted(graph))
    assert slope(found, wanted) == pytest.approx(1, abs=0.05)
    errors = [float(np.square(output - wanted).mean()) for output in (plain, found)]
    assert errors[1] < (1.5 if populations == 1 else 0.7) * errors[0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(1, 300), min_size=1, max_size=20),
    st.sampled_from([0.0005, 0.001, 0.002]),
)
def test_the_closed_form_brings_a_steady_input_back(meant, dt):
    rates = np.array(meant)[:, None]
    fired = rates / (1 + rates * dt / 2)
    gain = steady_gain(rates, dt)
    error = lambda k: float(np.square(k * fired - rates).sum())  # noqa: E731
    assert 1 <= gain <= 1 + rates.max() * dt / 2 + 1e-9
    assert all(error(gain) <= error(gain * f) + 1e-9 for f in (0.99, 1.01))


def test_a_slope_is_a_channels_own_and_of_a_weak_one_the_populations():
    meant = np.array([[100.0, 0.1], [200.0, 0.2]])
    found = slopes(meant * [0.8, 0.1], meant)
    np.testing.assert_allclose(found[0], 0.8, atol=0.01)
    np.testing.assert_allclose(found[1], 0.8, atol=0.01)
    assert (slopes(meant, 0 * meant) == 1).all()


@pytest.mark.parametrize("tau_ref", [0.0, 0.001, 0.002, 0.003])
@pytest.mark.parametrize("rate", [100.0, 400.0, 1000.0])
def test_quicker_neurons_compute_the_same(tau_ref, rate):
    graph = legalize(stacked(2, n.LIF, tau_ref=tau_ref, amplitude=0.01))
    changed = quicken(graph, SAMPLES, max_rate={"n0": rate, "n1": rate})
    np.testing.assert_allclose(evaluate(changed, SAMPLES), evaluate(graph, SAMPLES))
    for name in ("n0", "n1"):
        before, after = graph[name], changed[name]
        k = before.tau_rc / after.tau_rc
        np.testing.assert_allclose(before.amplitude / after.amplitude, k)
        if tau_ref:  # half a step more than a whole number of them
            steps = after.tau_ref / DT
            assert steps == pytest.approx(np.floor(steps) + 0.5, abs=1e-6)
            assert round(steps) == np.floor(steps)


@pytest.mark.parametrize("populations", [2, pytest.param(4, marks=SLOW)])
def test_the_best_of_what_was_tried_is_kept_and_told(populations):
    steps = 16 * populations
    graph, shown = legalize(stacked(populations), 0.0), presented(SAMPLES, steps)
    wanted = lambda these: wanted_of(graph, these.still)  # noqa: E731
    found, choices = choose(graph, shown, wanted, Fixed())
    for tau, rate in ((0.0, 500.0), (0.005, 500.0), (0.0, 1000.0)):
        other = Candidate(tau_syn=tau, max_rate=rate)
        assert found.error <= tried(other, graph, shown, wanted(shown)).error
    assert [choice.name for choice in choices] == [
        "synaptic time constant",
        "highest rate",
    ]
    assert f"{found.candidate.max_rate:g} Hz (error {found.error:.3f}" in str(
        choices[1]
    )


def test_what_the_user_fixed_is_not_chosen():
    graph, shown = legalize(stacked(3), 0.0), presented(SAMPLES)
    wanted = lambda these: wanted_of(graph, these.still)  # noqa: E731
    fixed = Fixed(tau_syn=0.003, max_rate=321.0, min_potential=-2.0)
    found, choices = choose(graph, shown, wanted, fixed)
    assert vars(found.candidate) == {**vars(fixed), "shares": ()}
    assert choices == ()


def test_a_large_network_is_tried_on_fewer_samples_and_the_largest_in_one_way():
    graph = legalize(stacked(2), 0.0)
    assert affordable(graph, presented(SAMPLES, 16)) == (len(SAMPLES), 20)
    assert affordable(graph, presented(SAMPLES, 10**5))[0] < len(SAMPLES)
    assert affordable(graph, presented(SAMPLES, 10**8)) == (4, 1)


@pytest.mark.parametrize("populations", [1, pytest.param(3, marks=SLOW)])
def test_a_search_never_ends_worse_and_is_the_same_again(populations):
    graph, shown = legalize(stacked(populations), 0.0), presented(SAMPLES[:6], 12)
    wanted = wanted_of(graph, shown.still)
    start = tried(Candidate(tau_syn=0.005, max_rate=250.0), graph, shown, wanted)
    told: list[str] = []
    ask = (graph, shown, wanted, Fixed(), start)
    found = search(*ask, budget=600.0, progress=told.append)
    again = search(*ask, budget=600.0)
    assert found.whole and found.trial.error < 0.5 * start.error
    assert found.trial.candidate == again.trial.candidate
    assert found.trial.error == again.trial.error
    assert f"least error {found.trial.error:.4f}" in told[-1]
    none = search(*ask, budget=0.0)
    assert none.trial is start and not none.whole


@given(
    st.lists(st.floats(0, 1), min_size=len(STEPS), max_size=len(STEPS)),
    st.floats(0, 1),
    st.integers(0, 40),
)
def test_fewest_steps_are_those_from_which_the_score_stays(scores, limit, latency):
    at = dict(zip(STEPS, scores))
    found, curve = fewest_steps(
        lambda steps: Scored(at[steps], np.zeros(0)), latency, limit
    )

    def since(wanted):
        """Steps at which, and at all more of which, the score is near enough."""
        allowed, tried = WITHIN * wanted, sorted(curve)
        for steps in tried:
            beyond = {s: [curve[t] for t in tried if t > s] for s in tried}
            if all(
                curve[s] >= wanted - allowed
                and np.mean(beyond[s] or [curve[s]]) - curve[s] <= allowed
                for s in tried
                if s >= steps
            ):
                return steps
        return None

    last = np.mean([curve[s] for s in sorted(curve)[-LAST:]])
    assert found == (since(limit) or since(last) or max(curve))
    tried_until = max(curve)
    assert tried_until == STEPS[-1] or tried_until > 2 * found


def test_a_score_of_few_samples_is_counted_as_short_by_a_standard_error():
    """The jackknife's error of a mean is its standard error, with parts of one."""
    rng = np.random.default_rng(0)
    right, others = (rng.random((16, 1)) < share for share in (0.7, 0.9))

    def mean(values):
        counted = np.hstack([values, np.ones((16, 1))])
        return Scored.of(counted, lambda sums: sums[..., 0] / sums[..., 1])

    difference = others.astype(float) - right
    error = difference.std(ddof=1) / 4
    short = mean(right).short_of([mean(others)])
    assert short == pytest.approx(difference.mean() + error)
    assert mean(right).short_of([mean(right)]) == 0


def test_the_same_build_gives_the_same_program_again():
    one, other = (converted(stacked(3), steps=24) for _ in range(2))
    assert str(one) == str(other)


@pytest.mark.parametrize(
    ("neurons", "method", "golden"),
    [
        (n.ReLU, "fast", "3e5d3007706965ed"),
        (n.SoftLIF, "fast", "555b26856f03948f"),
        pytest.param(n.ReLU, "thorough", "d2874170bb7a236a", marks=SLOW),
    ],
)
def test_every_python_and_numpy_make_the_same_integers(neurons, method, golden):
    """The digest is of a run on Python 3.10 with NumPy 1.26."""
    program = converted(stacked(2, neurons), steps=16, calibrate=method, budget=1e4)
    found = hashlib.sha256()
    for p in program.populations:
        words = (p.name, p.decay_u, p.decay_v, p.refractory, p.v_min, p.shape)
        found.update(repr(words).encode())
        found.update(np.asarray(p.threshold, "<i8").tobytes())
        found.update(p.bias.astype("<i8").tobytes())
    for c in program.connections:
        found.update(f"{c.source} {c.target} {c.exponent} {c.delay}".encode())
        found.update(np.asarray(c.weight, "<i8").tobytes())
    assert found.hexdigest()[:16] == golden


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(0, 99))
def test_channels_of_like_rates_compute_the_same(graph, seed):
    x = samples_for(graph, seed)
    changed = equalize(graph, x)
    changed.check()
    meant = evaluate(graph, x)
    bound = 1e-9 * (1 + np.abs(meant).max())
    np.testing.assert_allclose(evaluate(changed, x), meant, atol=bound)


def test_a_channel_far_beyond_the_others_is_drawn_to_them():
    values = np.ones((64, 5)) * [1.0, 1.0, 0.25, 400.0, 0.0]
    np.testing.assert_allclose(channel_factors(values), [1, 1, 2, 0.005, 1])


def test_nothing_is_corrected_where_nothing_is_calibrated():
    program = converted(stacked(2), calibrate="none")
    assert all(p.correction is None and p.v_min == 0 for p in program.populations)
    assert all(p.decay_u != 4095 for p in program.populations[1:])
    assert "calibrate" in CONVERTED


def test_steps_are_chosen_where_they_are_asked_for():
    start = Compilation(
        graph=stacked(1), samples=SAMPLES[:8], settings=Settings(auto_steps=True)
    )
    done = compiled(replace(start), passes_for(None))
    assert done.program is not None
    assert done.program.timing.steps in STEPS
    assert done.choices[0].name == "steps"
    assert str(done.program.timing.steps) == done.choices[0].value


def test_one_weight_far_beyond_the_others_costs_its_own_channel_alone():
    graph = stacked(3)
    node = graph["d1"]
    weight = node.weight.copy()
    weight[3, 5] *= 400
    damaged = Graph(
        tuple(replace(node, weight=weight) if x is node else x for x in graph.nodes)
    )
    last = damaged["d2"]  # what the neuron sends is as small as it was
    calm = last.weight.copy()
    calm[5] /= 400
    damaged = Graph(
        tuple(replace(last, weight=calm) if x is last else x for x in damaged.nodes)
    )
    errors = [
        float(np.square(answers(converted(g)) - evaluate(g, SAMPLES)).mean())
        / float(evaluate(g, SAMPLES).var())
        for g in (graph, damaged)
    ]
    assert errors[1] < 2 * errors[0] + 0.02


def test_a_thorough_build_tells_how_it_stands_and_what_it_chose(
    run_cli, tmp_path, capsys
):
    x, y = stripes(40)
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    model = save(tmp_path / "net.snn", fitted(x, np.eye(3)[y]))
    words = ("--model", model, "--data", tmp_path / "xy.npz", "--target", "reference")
    extra = ("--steps", "auto", "--calibrate", "thorough", "--budget", 1)
    assert run_cli("build", *words, *extra, "--out", tmp_path / "out") == 0
    told = capsys.readouterr()
    assert "conversions tried, least error" in told.err
    assert "steps: score" in told.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    names = [choice["name"] for choice in report["calibration"]]
    assert names == ["steps", "synaptic time constant", "highest rate", "search"]
    assert report["steps"] == int(report["calibration"][0]["value"])
    again = Report.from_json(tmp_path / "out" / "report.json")
    assert [choice.name for choice in again.calibration] == names
