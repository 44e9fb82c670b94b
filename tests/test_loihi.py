"""nengo-loihi's emulator with our integers: not one spike may differ."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import pytest
from drawing import drawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import identity, programs, simulate_oracle, stimuli

from snn_deploy.targets.loihi.target import EmulatorSession, LoihiEmulator
from snn_deploy.toolchain.errors import DoesNotFit, TargetUnavailable
from snn_deploy.toolchain.passes.place.limits import CHIP, CoreLimits, Usage
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import BoolArray, Decoder, SpikeEncoder, Stimulus
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

pytest.importorskip("nengo_loihi", reason="needs pip install 'snn-deploy[loihi]'")
pytestmark = pytest.mark.filterwarnings("ignore:Overflow in")  # wrapping is meant


class SmallCores(LoihiEmulator):
    """The same emulator with cores so small that small networks are cut."""

    limits = replace(
        LoihiEmulator.limits,
        core=CoreLimits(
            compartments=24, input_axons=3000, output_axons=3000, synapse_bits=400_000
        ),
        cores=1000,
    )


class FewCores(LoihiEmulator):
    """Chips of ten cores."""

    limits = replace(LoihiEmulator.limits, cores=10)


class TinyChips(SmallCores):
    """Chips of three small cores, as many as it takes."""

    limits = replace(SmallCores.limits, cores=3, chips=None)


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@drawn(st.data(), few=15, many=60)
def test_equals_the_specification(data: st.DataObject) -> None:
    """Every encoder, connection, constant and loop that Programs can have."""
    program = data.draw(programs(recurrent=True))
    check(program, data.draw(stimuli(program)))


@drawn(st.data(), few=10, many=30)
def test_cutting_changes_no_spike(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True))
    check(program, data.draw(stimuli(program)), SmallCores())


@settings(relaxed, max_examples=30)
@given(programs(recurrent=True))
def test_placement_counts_as_nengo_loihi_does(program: Program) -> None:
    from nengo_loihi.builder.validate import validate_model

    for target in (LoihiEmulator(), SmallCores()):
        session = load(program, target)
        validate_model(session.assembly.model)
        blocks = [b for group in session.assembly.blocks.values() for b in group]
        for placed, block in zip(session.placement.cores, blocks, strict=True):
            counted = [used for used, _ in block.utilization().values()]
            usage = [getattr(placed.usage, f.name) for f in fields(Usage)]
            assert counted == usage, placed.block


def test_limits_are_those_of_nengo_loihi() -> None:
    from nengo_loihi import block

    limits = LoihiEmulator.limits.core
    assert limits == CoreLimits(
        compartments=block.MAX_COMPARTMENTS,
        input_axons=block.MAX_IN_AXONS,
        output_axons=block.MAX_OUT_AXONS,
        synapse_bits=block.MAX_SYNAPSE_BITS,
    )


@pytest.mark.parametrize("kind", [ConvConnection, ConvTransposeConnection])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize(
    "padding", [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 1), (2, 0))]
)
def test_every_stride_and_padding(kind, stride, padding) -> None:
    rng = np.random.default_rng(0)
    weight = (rng.integers(-100, 127, (3, 3, 2, 4)) * 2).astype(np.int16)
    conv = kind(
        source="in",
        target="a",
        weight=weight,
        shape=(6, 7, 2),
        stride=stride,
        padding=padding,
    )
    program = network(conv)
    spikes = rng.random((2, 15, 84)) < 0.2
    assert check(program, given_spikes(spikes), SmallCores())["a"].any()


@pytest.mark.parametrize("refractory", [1, 2, 3, 4])
@pytest.mark.parametrize("decay_v", [0, 200, 4095])
@pytest.mark.parametrize("decay_u", [0, 1, 741, 4095])
def test_every_neuron_constant(refractory: int, decay_v: int, decay_u: int) -> None:
    program = network(
        dense(np.full((3, 4), 200)),
        decay_u=decay_u,
        decay_v=decay_v,
        refractory=refractory,
        threshold=20_032,
        v_min=-core.V_LIMIT,
    )
    spikes = np.random.default_rng(1).random((1, 40, 3)) < 0.5
    assert check(program, given_spikes(spikes))["a"].any()


@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_beyond_the_accumulator_wrap(sign: int) -> None:
    weight = np.full((60, 5), sign * core.MAX_MANTISSA)
    bias = np.array([-core.MAX_BIAS, -1, 0, 1, core.MAX_BIAS], np.int32)
    program = network(dense(weight, core.MAX_EXPONENT), bias=bias, decay_u=5)
    spikes = np.random.default_rng(2).random((1, 30, 60)) < 0.5
    assert check(program, given_spikes(spikes))["a"].any()


@pytest.mark.parametrize("exponent", range(-6, 8))  # −7 leaves no even mantissa
def test_every_exponent(exponent: int) -> None:
    grain = 2 << max(-exponent, 0)
    weight = np.array([[254 // grain * grain, grain, -grain, 0]])
    program = network(dense(weight, exponent), threshold=0, decay_u=5, decay_v=0)
    spikes = np.ones((1, 12, 1), bool)
    fired = check(program, given_spikes(spikes))["a"]
    assert fired.any(axis=(0, 1)).tolist() == [bool(254 // grain), True, False, False]


def test_first_and_last_input_spike() -> None:
    """A spike at step t acts at t + 1; one at the last step acts on no later sample."""
    program = network(dense(np.full((1, 1), 254)), threshold=64)
    spikes = np.zeros((3, 6, 1), bool)
    spikes[0, 0] = spikes[1, 5] = spikes[2, 2] = True
    fired = check(program, given_spikes(spikes))["a"]
    assert [np.flatnonzero(sample).tolist() for sample in fired] == [[1], [], [3]]


def test_every_sample_starts_fresh() -> None:
    """Whatever ran before, a sample gives the same spikes."""
    rng = np.random.default_rng(3)
    weight = rng.integers(-120, 127, (6, 6)) * 2
    loop = replace(dense(rng.integers(-60, 127, (6, 6)) * 2), source="a")
    program = network(dense(weight), loop, threshold=12_800, refractory=3)
    spikes = rng.random((4, 20, 6)) < 0.4
    session = load(program)
    forward = session.simulate(given_spikes(spikes))["a"]
    backward = session.simulate(given_spikes(spikes[::-1]))["a"]
    assert forward.any()
    np.testing.assert_array_equal(forward, backward[::-1])


def test_full_cores_are_legal_on_the_board_and_equal() -> None:
    """nengo-loihi's own allocation and validation for hardware, which need no NxSDK."""
    from nengo_loihi.hardware.allocators import Greedy
    from nengo_loihi.hardware.validate import validate_board

    rng = np.random.default_rng(4)
    weight = (rng.integers(-100, 127, (3, 3, 2, 8)) * 2).astype(np.int16)
    conv = ConvConnection(source="in", target="a", weight=weight, shape=(20, 20, 2))
    program = network(conv, threshold=6400)
    session = load(program)
    board = Greedy()(session.assembly.model, n_chips=1)
    validate_board(board)
    assert len(board.chips[0].cores) == len(session.placement.cores) == 3
    assert session.placement.cores[0].block.size > 3 * 256  # beyond an axon's base
    spikes = rng.random((1, 5, 800)) < 0.1
    assert check(program, given_spikes(spikes))["a"].any()


def test_several_chips_are_legal_and_equal() -> None:
    """By nengo-loihi's checks, and its allocator that keeps neighbours together."""
    from nengo_loihi.builder.validate import validate_model
    from nengo_loihi.hardware.allocators import GreedyInterchip
    from nengo_loihi.hardware.validate import validate_board

    rng = np.random.default_rng(5)
    weights = [
        (rng.integers(-100, 127, shape) * 2).astype(np.int16)
        for shape in ((3, 3, 2, 8), (3, 3, 1, 8), (1, 1, 8, 16))
    ]
    first, depthwise, pointwise = (
        ConvConnection(
            source=source,
            target=target,
            weight=weight,
            shape=shape,
            padding=padding,
            groups=groups,
        )
        for source, target, weight, shape, padding, groups in (
            ("in", "a", weights[0], (34, 34, 2), ((0, 0), (0, 0)), 1),
            ("a", "b", weights[1], (32, 32, 8), ((1, 1), (1, 1)), 8),
            ("b", "c", weights[2], (32, 32, 8), ((0, 0), (0, 0)), 1),
        )
    )
    program = chain(first, depthwise, pointwise)
    session = load(program, FewCores())
    placement = session.placement
    assert placement.chips == 4
    model = session.assembly.model
    validate_model(model)
    board = GreedyInterchip(cores_per_chip=10)(model, n_chips=placement.chips)
    validate_board(board)
    assert board.n_chips == placement.chips
    assert sum(board.n_cores_per_chip) == len(placement.cores)
    chip = session.utilization[CHIP]
    assert chip["chips"] == (4, 768) and chip["cores"] == (len(placement.cores), 40)
    spikes = rng.random((1, 4, 34 * 34 * 2)) < 0.1
    fired = check(program, given_spikes(spikes), FewCores())
    assert all(fired[name].any() for name in "abc")


@drawn(st.data(), few=5, many=20)
def test_chips_change_no_spike(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True))
    check(program, data.draw(stimuli(program)), TinyChips())


def test_weights_of_few_bits_change_no_spike() -> None:
    """They are shifted up on the core, and their exponent down."""
    rng = np.random.default_rng(6)
    conv = ConvConnection(
        source="in",
        target="a",
        weight=(rng.integers(-7, 8, (3, 3, 2, 4)) * 2).astype(np.int16),
        shape=(6, 7, 2),
        exponent=3,
    )
    program = network(conv)
    (block, *_) = load(program).assembly.blocks["a"]
    (synapse,) = block.synapses
    assert synapse.synapse_cfg.real_weight_bits == 4
    mantissas = np.concatenate([w.ravel() for w in synapse.weights])
    mantissas = mantissas // synapse.synapse_cfg.scale
    assert np.abs(mantissas).max() == 14 << 4
    assert not (mantissas % (1 << synapse.synapse_cfg.shift_bits)).any()
    spikes = rng.random((1, 15, 84)) < 0.3
    assert check(program, given_spikes(spikes))["a"].any()


def test_utilization_of_populations_and_of_the_chip() -> None:
    """A population's row is its fullest core; the last row is the chip's sum."""
    weight = np.full((3, 40), 254)
    program = network(dense(weight))
    assert load(program, SmallCores()).utilization == {
        "a": {
            "cores": (2, 1000),
            "compartments": (20, 24),
            "input axons": (3, 3000),
            "output axons": (0, 3000),
            "synapse bits": (3 * 192, 400_000),
        },
        CHIP: {
            "cores": (2, 1000),
            "compartments": (40, 24_000),
            "input axons": (6, 3_000_000),
            "output axons": (0, 3_000_000),
            "synapse bits": (6 * 192, 400_000_000),
        },
    }


def test_longer_delays_are_refused() -> None:
    slow = replace(dense(np.full((1, 1), 2)), delay=2)
    with pytest.raises(DoesNotFit, match="delay of 2 steps; allowed is 1"):
        LoihiEmulator().load(network(slow))


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nengo_loihi.emulator", None)
    with pytest.raises(TargetUnavailable, match=r"pip install 'snn-deploy\[loihi\]'"):
        LoihiEmulator().load(network(dense(np.full((1, 1), 2))))


def load(program: Program, target: LoihiEmulator | None = None) -> EmulatorSession:
    session = (target or LoihiEmulator()).load(program)
    assert isinstance(session, EmulatorSession)
    return session


def check(
    program: Program, stimulus: Stimulus, target: LoihiEmulator | None = None
) -> Mapping[str, BoolArray]:
    """Run on both; the first difference is named by population, sample and step."""
    expected = simulate_oracle(program, stimulus)
    fired = load(program, target).simulate(stimulus)
    assert fired.keys() == expected.keys()
    for name, spikes in fired.items():
        differ = np.argwhere(spikes != expected[name])
        assert not differ.size, f"{name}: (sample, step, neuron) {differ[0]}"
    return fired


def given_spikes(spikes: BoolArray) -> Stimulus:
    """A stimulus of these spikes, (samples, steps, neurons)."""
    samples, steps, _ = spikes.shape
    return Stimulus(samples=samples, steps=steps, bias={}, spikes={"in": spikes})


def dense(weight: np.ndarray, exponent: int = 0) -> Connection:
    return DenseConnection(
        source="in", target="a", weight=weight.astype(np.int16), exponent=exponent
    )


def chain(*connections: Connection) -> Program:
    """A spike input and a population behind each connection."""
    first, *others = connections
    program = network(first, threshold=6400)
    (population,) = program.populations
    populations = [population]
    for c in others:
        shape = c.target_shape
        bias = np.zeros(int(np.prod(shape)), np.int32)
        populations += [replace(population, name=c.target, shape=shape, bias=bias)]
    last = populations[-1]
    decoder = replace(program.decoder, graph=identity(last.shape), population=last.name)
    return replace(
        program,
        populations=tuple(populations),
        connections=connections,
        decoder=decoder,
    )


def network(*connections: Connection, **constants: object) -> Program:
    """A spike input and one population, "a"."""
    shape = connections[0].target_shape
    size = int(np.prod(shape))
    population = Population(
        name="a",
        shape=shape,
        **{
            "decay_u": 4095,
            "decay_v": 0,
            "threshold": 25_600,
            "bias": np.zeros(size, np.int32),
            **constants,
        },
    )
    return Program(
        inputs=(SpikeInput(name="in", shape=connections[0].source_shape),),
        populations=(population,),
        connections=connections,
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(graph=identity(shape), population="a", amplitude=1.0),
        timing=Timing(dt=0.001, steps=10),
    )


def test_a_population_may_be_called_total() -> None:
    """Its utilization is its own, and the chip's stands beside it."""
    program = network(dense(np.full((1, 1), 2)))
    (first, *others) = program.populations
    renamed = replace(
        program,
        populations=(replace(first, name="total"), *others),
        connections=tuple(
            replace(
                c,
                source="total" if c.source == first.name else c.source,
                target="total" if c.target == first.name else c.target,
            )
            for c in program.connections
        ),
        decoder=replace(program.decoder, population="total"),
    )
    with LoihiEmulator().load(program) as one, LoihiEmulator().load(renamed) as other:
        assert other.utilization["total"] == one.utilization[first.name]
        assert other.utilization[CHIP] == one.utilization[CHIP]
