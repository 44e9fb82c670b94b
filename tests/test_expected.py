"""A float simulation is held to its own neurons, sent the spikes that it recorded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.calibration.balance import balance
from snn_deploy.calibration.readout import fit_readout, wanted_of
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.recording import Recording
from snn_deploy.toolchain.verdict.compare import Verdict, compare
from snn_deploy.toolchain.verdict.expected import expected_counts

SAMPLES = 6
STEPS = 64
KINDS = {"relu": (n.ReLU, 1.0, 0.1), "lif": (n.SoftLIF, 0.01, 1.2)}  # amplitude, bias


def network(kind: str, seed: int, depth: int = 2, images: bool = True) -> Graph:
    """Convolution and pooling or a vector, ``depth`` hidden layers, four classes."""
    rng = np.random.default_rng(seed)
    neurons, amplitude, lift = KINDS[kind]

    def weights(*shape: int) -> dict[str, n.FloatArray]:
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        bias = rng.normal(lift if kind == "lif" else 0, 0.1, shape[-1])
        return {"weight": rng.normal(scale=scale, size=shape), "bias": bias}

    if images:
        nodes: list[n.Node] = [
            n.Input("x", shape=(6, 6, 1)),
            n.Conv2D("conv", ("x",), **weights(3, 3, 1, 4)),
            neurons("first", ("conv",), amplitude=amplitude),
            n.AvgPool2D("pool", ("first",), pool=(2, 2), stride=(2, 2)),
            n.Flatten("flat", ("pool",)),
        ]
    else:
        nodes = [n.Input("x", shape=(16,))]
    size = 16
    for i in range(depth):
        nodes.append(n.Dense(f"dense{i}", (nodes[-1].name,), **weights(size, 20)))
        nodes.append(neurons(f"hidden{i}", (f"dense{i}",), amplitude=amplitude))
        size = 20
    nodes.append(n.Dense("scores", (nodes[-1].name,), **weights(size, 4)))
    return Graph((*nodes, n.Output("y", ("scores",))))


def built(graph: Graph, tau_syn: float = 0.005) -> tuple[Program, n.FloatArray]:
    """The Program, as ``build`` makes it, and samples."""
    samples = np.random.default_rng(1).random((SAMPLES, *graph.input.shape))
    legal = balance(legalize(graph, tau_syn), samples)
    program = quantize(legal, samples, steps=STEPS)
    with find_target("reference").load(program) as session:
        spikes = session.run(samples).spikes
    dt = program.timing.dt
    found = fit_readout(program.decoder, spikes, dt, wanted_of(graph, samples))
    return replace(program, decoder=found.decoder), samples


def simulated(program: Program, samples: n.FloatArray) -> Recording:
    """The Program's float network, by the definition of what it means."""
    assert program.graph is not None
    dt = program.timing.dt
    names = [p.name for p in program.populations]
    found = interpret(
        program.graph, samples, "spiking", steps=STEPS, dt=dt, record=names
    )
    spikes = {
        p.name: np.rint(found[p.name] * (dt / p.amplitude))
        .reshape(len(samples), STEPS, -1)
        .astype(np.uint8)
        for p in program.populations
    }
    return Recording(
        target="float",
        kind="float simulation",
        dt=dt,
        steps=STEPS,
        counts={name: s.sum(axis=1, dtype=np.int64) for name, s in spikes.items()},
        spikes=spikes,
        output=found["y"],
        wall_time=0.0,
    )


def verdict(program: Program, samples: n.FloatArray, other: Recording) -> Verdict:
    """The Program's integers on ``reference``, and a float simulation held to them."""
    with find_target("reference").load(program) as session:
        first = session.run(samples)
    expected = {"float": expected_counts(program, samples, other)}
    names = [p.name for p in program.members]
    return compare([first, other], names, expected=expected, classes=True)


def wrong(program: Program, how: str) -> Program:
    """The Program with one thing wrong in its last population."""
    (*before, last), (*others, into) = program.populations, program.connections
    if how == "sign of the largest weight":
        weight = into.weight.copy()
        place = np.unravel_index(np.abs(weight).argmax(), weight.shape)
        weight[place] *= -1
        into = replace(into, weight=weight)
    elif how == "bias left out":
        last = replace(last, bias=np.zeros_like(last.bias))
    elif how == "threshold":
        last = replace(last, threshold=last.threshold * 5 // 4 // 64 * 64)
    changed = replace(program, populations=(*before, last), connections=(*others, into))
    changed.check()
    return changed


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 999),
    depth=st.integers(1, 3),
    images=st.booleans(),
    tau_syn=st.sampled_from((0.0, 0.005)),
)
def test_no_spike_of_a_right_simulation_is_beyond_what_its_neurons_allow(
    kind, seed, depth, images, tau_syn
):
    program, samples = built(network(kind, seed, depth, images), tau_syn)
    found = verdict(program, samples, simulated(program, samples))
    assert all(row.agrees for row in found.populations)
    assert sum(row.stray or 0 for row in found.populations) <= 2


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "how", ["sign of the largest weight", "bias left out", "threshold"]
)
def test_one_wrong_number_in_the_integers_is_found_in_its_population(kind, how):
    program, samples = built(network(kind, 3))
    right = simulated(program, samples)
    assert verdict(program, samples, right).agrees
    found = verdict(wrong(program, how), samples, right)
    assert [row.agrees for row in found.populations] == [True, True, False]


def test_a_wrong_threshold_of_the_first_population_is_found(kind="relu"):
    program, samples = built(network(kind, 3))
    right = simulated(program, samples)
    first = program.populations[0]
    slower = replace(first, threshold=first.threshold * 5 // 4 // 64 * 64)
    changed = replace(program, populations=(slower, *program.populations[1:]))
    found = verdict(changed, samples, right)
    assert [row.agrees for row in found.populations] == [False, True, True]


def test_a_program_without_its_float_network_is_refused():
    program, samples = built(network("lif", 0))
    right = simulated(program, samples)
    with pytest.raises(DataError, match="'float'.*float graph.*--rate-tolerance"):
        expected_counts(replace(program, graph=None), samples, right)


# --- the command line ----------------------------------------------------------------


@pytest.fixture
def nengo_dl() -> Iterator[None]:
    pytest.importorskip("nengo_dl", reason="needs pip install 'snn-deploy[nengo]'")
    with np.errstate(all="ignore"):
        yield


@pytest.mark.usefixtures("nengo_dl")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind",
    [
        min(KINDS),
        *(pytest.param(x, marks=pytest.mark.slow) for x in sorted(KINDS)[1:]),
    ],
)
def test_compare_with_nengo_dl_ends_with_0_for_a_right_network_and_1_for_a_wrong_one(
    kind, tmp_path, run_cli, capsys
):
    program, samples = built(network(kind, 3))
    bundle = tmp_path / "program.snn"
    save_bundle(bundle, Bundle(program=program, samples=samples))
    words = ("--targets", "reference,nengo-dl,nengo-dl-rounded", "--samples", SAMPLES)
    assert run_cli("compare", bundle, *words) == 0
    assert "all populations fire as float neurons do" in capsys.readouterr().out
    save_bundle(
        bundle, Bundle(program=wrong(program, "bias left out"), samples=samples)
    )
    assert run_cli("compare", bundle, *words) == 1
    shown = capsys.readouterr().out
    assert "reference ~ nengo-dl: hidden1 should fire as float neurons do" in shown
    wide = ("--rate-tolerance", 999, "--output-tolerance", 999)
    assert run_cli("compare", bundle, *words, *wide) == 0
    assert "mean rates are held to 999 of reference's" in capsys.readouterr().out
