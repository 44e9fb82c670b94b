"""A threshold for each channel: not one spike differs between integer targets."""

from __future__ import annotations

import zlib
from dataclasses import asdict, replace
from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_same_spikes
from hypothesis import given, settings
from hypothesis import strategies as st
from moved_weights import move_weights
from random_programs import identity, simulate_oracle
from small_networks import save
from uneven_networks import pictures, uneven

from snn_deploy.model_files import read_model
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import DoesNotFit, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import ConvConnection, DenseConnection
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder, Stimulus, encode
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

DT, STEPS = 0.001, 24


def emulators() -> list[str]:
    """The integer targets beside the reference that are installed here."""
    found = {"loihi-emulator": "nengo_loihi", "lava": "lava"}
    return [name for name, library in found.items() if find_spec(library)]


def test_neurons_that_share_weights_have_one_scale():
    """Behind a convolution that is flattened, a channel is a neuron, a filter many."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 3, 2, 4)) * np.array([1, 3, 9, 27])
    graph = Graph(
        (
            n.Input("x", shape=(5, 5, 2)),
            n.LIF("a", ("x",), amplitude=0.01),
            n.Conv2D("conv", ("a",), weight=weight, bias=np.ones(4)),
            n.Flatten("flat", ("conv",)),
            n.LIF("b", ("flat",), amplitude=0.01),
            n.Output("y", ("b",)),
        )
    )
    x = rng.random((2, 5, 5, 2)) * 2
    program = quantize(legalize(graph), x, steps=STEPS)
    last = program["b"]
    assert isinstance(last, Population)
    assert last.shape == (36,) and np.unique(last.threshold).size == 4
    assert (last.thresholds.reshape(9, 4) == last.thresholds[:4]).all()
    assert_same_spikes(program, x, emulators())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [n.LIF, n.IF])
def test_all_integer_targets_give_the_spikes_of_the_specification(kind, seed):
    graph, x = uneven(kind, seed, floor=-float(seed)), pictures(seed)
    program = quantize(graph, x, steps=STEPS, weight_bits=8 - 2 * seed)
    assert sum(np.unique(p.threshold).size for p in program.populations) > 15
    wanted = simulate_oracle(program, encode(program.encoder, x, STEPS, DT))
    with find_target("reference").load(program) as session:
        found = session.run(x).spikes
    for name, spikes in wanted.items():
        assert spikes.any(), name
        np.testing.assert_array_equal(found[name], spikes)
    assert_same_spikes(program, x, emulators())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gradient", ["rate", "time"])
def test_the_trainer_gives_them_too(gradient, seed):
    """Where it trains a network whose channels have scales of their own."""
    pytest.importorskip("tensorflow", reason="hybrid networks are TensorFlow's")
    from snn_deploy.models.cotraining.hybrid import HybridNetwork
    from snn_deploy.models.cotraining.semantics import forward

    graph, x = uneven(n.LIF, seed, -1.0), pictures(seed)
    net = HybridNetwork(graph, scales_of(graph, x), gradient=gradient)
    move_weights(net, seed=seed, share=0.2)
    program = quantize(net.to_graph(), x, steps=STEPS, scales=net.scales)
    assert np.unique(program["B"].threshold).size > 3
    wanted = simulate_oracle(program, encode(program.encoder, x, STEPS, DT))
    activity = forward(net, x, STEPS, record=True)
    for name, spikes in wanted.items():
        trained = activity.spikes[name].numpy().transpose(1, 0, 2)
        np.testing.assert_array_equal(trained, spikes)


def lossless(rng: np.random.Generator, size: int) -> tuple[Program, Stimulus]:
    """Two populations whose decays round nothing, and spikes for them."""
    weight = rng.integers(-18, 18, (size, 14)) * 2
    kernel = rng.integers(-9, 18, (14, 14)) * 2
    populations = tuple(
        Population(
            name=name,
            shape=(2, 1, 7),
            decay_u=4095,
            decay_v=0,
            threshold=int(rng.integers(20, 200)) << 6,
            bias=rng.integers(-60, 90, 14).astype(np.int32),
            v_min=-core.V_LIMIT,
        )
        for name in ("a", "b")
    )
    program = Program(
        inputs=(SpikeInput(name="in", shape=(size,)),),
        populations=populations,
        connections=tuple(
            DenseConnection(source=s, target=t, weight=w.astype(np.int16))
            for s, t, w in (("in", "a", weight), ("a", "b", kernel))
        ),
        encoder=SpikeEncoder(population="in", coding="events"),
        decoder=Decoder(graph=identity((2, 1, 7)), population="b", amplitude=1.0),
        timing=Timing(dt=DT, steps=40),
    )
    sent = rng.random((2, 40, size)) < 0.3
    return program, Stimulus(samples=2, steps=40, bias={}, spikes={"in": sent})


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 7), min_size=7, max_size=7))
def test_a_channel_scaled_as_a_whole_spikes_as_before(seed, factors):
    program, stimulus = lossless(np.random.default_rng(seed), 9)
    factor = np.resize(factors, 14)
    scaled = replace(
        program,
        populations=tuple(
            replace(
                p,
                threshold=(p.threshold * factor[:7]).astype(np.int32),
                bias=(p.bias * factor).astype(np.int32),
            )
            for p in program.populations
        ),
        connections=tuple(
            replace(c, weight=(c.weight * factor).astype(np.int16))
            for c in program.connections
        ),
    )
    scaled.check()
    wanted = simulate_oracle(program, stimulus)
    with find_target("reference").load(scaled) as session:
        found = session.simulate(stimulus)
    assert wanted["a"].any()
    for name, spikes in wanted.items():
        np.testing.assert_array_equal(found[name], spikes)


def test_no_core_has_more_than_seven_thresholds_however_it_is_cut():
    """By nengo-loihi's own count of its configurations, for hardware."""
    pytest.importorskip("nengo_loihi", reason="needs pip install 'snn-deploy[loihi]'")
    from nengo_loihi.hardware.allocators import Greedy
    from nengo_loihi.hardware.nxsdk_objects import MAX_VTH_CFGS
    from nengo_loihi.hardware.validate import validate_board

    rng = np.random.default_rng(0)
    weight = (rng.integers(-100, 127, (3, 3, 2, 24)) * 2).astype(np.int16)
    conv = ConvConnection(source="in", target="a", weight=weight, shape=(20, 20, 2))
    program = Program(
        inputs=(SpikeInput(name="in", shape=(20, 20, 2)),),
        populations=(
            Population(
                name="a",
                shape=(18, 18, 24),
                decay_u=4095,
                decay_v=100,
                threshold=rng.permutation(np.resize(np.arange(1, 8) << 12, 24)).astype(
                    np.int32
                ),
                bias=np.zeros(18 * 18 * 24, np.int32),
            ),
        ),
        connections=(conv,),
        encoder=SpikeEncoder(population="in", coding="events"),
        decoder=Decoder(graph=identity((18, 18, 24)), population="a", amplitude=1.0),
        timing=Timing(dt=DT, steps=5),
    )
    session = find_target("loihi-emulator").load(program)
    board = Greedy()(session.assembly.model, n_chips=1)
    validate_board(board)
    counts = [len(used.vth_cfgs) for used in board.chips[0].cores]
    assert len(counts) > 7 and 1 < max(counts) < MAX_VTH_CFGS


# --- what is refused, and what is kept -----------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": np.arange(8, dtype=np.int32) << 6}, "8; allowed is 7 a core"),
        ({"threshold": np.full(4, 64, np.int32)}, r"threshold, shape is \(4,\)"),
        ({"threshold": np.full(8, 65, np.int32)}, "threshold is .*65.* of 64"),
        ({"threshold": np.full(8, 64.0)}, "threshold is"),
        ({"scale": np.ones(3)}, r"scale, shape is \(3,\)"),
    ],
)
def test_thresholds_that_no_core_holds_are_refused(change, message):
    shape, bias = (2, 8), np.zeros(16, np.int32)
    how = dict(name="p", shape=shape, decay_u=1, decay_v=1, bias=bias, threshold=64)
    program = Program(
        inputs=(SpikeInput(name="in", shape=shape),),
        populations=(Population(**{**how, **change}),),
        connections=(),
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(graph=identity(shape), population="p", amplitude=1.0),
        timing=Timing(dt=DT, steps=5),
    )
    with pytest.raises(DoesNotFit, match=message):
        program.check()


def integers(program: Program) -> int:
    """A checksum of all integers of the core."""
    found = 0
    for p in program.populations:
        constants = [p.v_min, p.decay_u, p.decay_v, p.refractory]
        every = np.concatenate([p.thresholds, p.bias, constants])
        found = zlib.crc32(every.astype("<i4").tobytes(), found)
    for c in program.connections:
        every = np.append(c.weight.ravel(), c.exponent)
        found = zlib.crc32(every.astype("<i4").tobytes(), found)
    return found


def test_a_network_that_was_fine_tuned_before_has_the_integers_it_learnt():
    """Its scales know of no channels; the checksum is that of version 0.1.0's."""
    shipped = read_model(None)
    none = np.zeros((0, *shipped.graph.input.shape))
    program = quantize(shipped.graph, none, steps=32, scales=shipped.scales)
    assert integers(program) == 0x0AEA2A93


def test_scales_of_channels_are_stored_and_read(tmp_path):
    graph, x = uneven(n.LIF, 0), pictures()
    scales = scales_of(graph, x)
    tuned = {
        "choices": {"dt": DT, "steps": STEPS, "encoder": "bias"},
        "scales": {name: asdict(s) for name, s in scales.items()},
    }
    found = read_model(save(tmp_path / "net.snn", graph, finetuned=tuned))
    assert found.scales == scales
    again = quantize(found.graph, x, steps=STEPS, scales=found.scales)
    once = quantize(graph, x, steps=STEPS)
    assert integers(again) == integers(once)
    wrong = {**scales, "B": replace(scales["B"], channels=(1.0, 2.0))}
    with pytest.raises(ModelError, match="'B'.*of 2 channels, it has 9"):
        quantize(graph, x, steps=STEPS, scales=wrong)
