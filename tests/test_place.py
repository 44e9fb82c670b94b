"""Placement: every neuron on one core, within the core's limits, no integer touched."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_programs import identity, matrix, programs

from snn_deploy.toolchain.errors import DoesNotFit
from snn_deploy.toolchain.graph.nodes import Shape
from snn_deploy.toolchain.passes.place.cut import Cutter
from snn_deploy.toolchain.passes.place.fan_in import Block, FanIn, atoms, fan_in
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import Placement, place
from snn_deploy.toolchain.passes.place.synapses import weight_format
from snn_deploy.toolchain.passes.place.tiling import Tiling
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

LOIHI1 = CoreLimits(
    compartments=1024, input_axons=4096, output_axons=4096, synapse_bits=2**20
)
SMALL = CoreLimits(
    compartments=24, input_axons=4096, output_axons=4096, synapse_bits=400_000
)


@settings(deadline=None, max_examples=60)
@given(programs(recurrent=True))
def test_every_neuron_has_one_core_within_its_limits(program: Program) -> None:
    placement = place(program, SMALL, cores=1000)
    for population in program.populations:
        neurons = np.concatenate([b.neurons for b in placement.blocks(population.name)])
        assert sorted(neurons) == list(range(population.size)), population.name
    for core in placement.cores:
        assert SMALL.exceeded(core.usage) is None, core
        assert core.usage.compartments == core.block.size
    assert placement.total.compartments == program.neurons
    assert [*placement.utilization] == [p.name for p in program.populations]


@settings(deadline=None, max_examples=60)
@given(programs(recurrent=True))
def test_axons_of_all_cores_are_the_connection(program: Program) -> None:
    placement = place(program, SMALL, cores=1000)
    for connection in program.connections:
        placed = np.zeros_like(matrix(connection))
        for block in placement.blocks(connection.target):
            scatter(fan_in(connection, block), placed)
        np.testing.assert_array_equal(placed, matrix(connection))


@settings(deadline=None, max_examples=20)
@given(programs(recurrent=True))
def test_cutting_changes_no_integer(program: Program) -> None:
    arrays = [p.bias for p in program.populations]
    arrays += [c.weight for c in program.connections]
    before = [a.copy() for a in arrays]
    place(program, SMALL, cores=1000)
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("kind", [ConvConnection, ConvTransposeConnection])
@pytest.mark.parametrize("channels", [1, 3])
def test_first_compartments_stay_within_the_axon_base(kind, channels) -> None:
    """An axon's base is 0 … 255; the rest of a large block is in the indices."""
    weight = np.full((3, 3, channels, 4), 2, np.int16)
    connection = kind(source="in", target="a", weight=weight, shape=(16, 16, channels))
    height, width, filters = connection.target_shape
    block = Block(
        "a", connection.target_shape, (0, 0, 0), (min(height, 14), width, filters)
    )
    fan = fan_in(connection, block)
    assert block.size > 512
    assert 0 <= fan.base.min() and fan.base.max() < 256
    assert len(fan.start) - 1 < len(fan.source)  # pixels share weights


def test_cut_takes_fewest_cores_then_fewest_axons() -> None:
    """48 × 32 × 8 neurons fill 12 cores; boxes of 8 × 16 pixels have short borders."""
    weight = np.full((3, 3, 1, 8), 2, np.int16)
    conv = ConvConnection(
        source="in",
        target="a",
        weight=weight,
        shape=(48, 32, 1),
        padding=((1, 1), (1, 1)),
    )
    placement = place(chain(conv), LOIHI1, cores=128)
    use = placement.utilization["a"]
    assert use.cores == 12
    assert use.worst.compartments == 1024
    assert placement.blocks("a")[0].shape == (8, 16, 8)
    sliced = place(chain(conv), replace(LOIHI1, compartments=1000), cores=128)
    assert len(sliced.cores) > 12


def test_synapse_bits_of_a_dense_layer() -> None:
    """9 bits a synapse: 64 of 8 bits and a header fill nine words of 64 bits."""
    placement = place(chain(dense("in", "a", 100, 64)), LOIHI1, cores=1)
    assert placement.cores[0].usage.synapse_bits == 100 * 576
    assert placement.cores[0].usage.input_axons == 100


def test_output_axons_cut_the_source() -> None:
    """A wide layer behind it: each neuron sends one discrete axon to each core."""
    limits = CoreLimits(
        compartments=100, input_axons=100, output_axons=50, synapse_bits=40 * 64 * 4
    )
    program = chain(dense("in", "a", 2, 40), dense("a", "b", 40, 40))
    placement = place(program, limits, cores=100)
    targets = placement.utilization["b"].cores
    assert targets > 1
    assert placement.utilization["a"].worst.output_axons <= 50
    assert placement.utilization["a"].total.output_axons == 40 * targets
    assert placement.utilization["a"].cores > 1


def test_populations_that_excite_each_other() -> None:
    """Each one's output axons depend on how the other is cut."""
    limits = CoreLimits(
        compartments=20, input_axons=100, output_axons=64, synapse_bits=2**20
    )
    program = chain(
        dense("in", "a", 2, 40), dense("a", "b", 40, 40), dense("b", "a", 40, 40)
    )
    placement = place(program, limits, cores=100)
    assert all(limits.exceeded(core.usage) is None for core in placement.cores)


def test_fan_in_that_no_cut_can_help() -> None:
    weight = np.full((65, 65, 1, 3), 2, np.int16)
    wide = ConvConnection(source="in", target="wide", weight=weight, shape=(65, 65, 1))
    with pytest.raises(DoesNotFit, match=r"'wide'.* 4225 input axons, 4096 .*stride"):
        place(chain(wide), LOIHI1, cores=128)


def test_a_dense_fan_in_beyond_the_axons_shares_them() -> None:
    """28 × 28 × 8 neurons behind a Flatten: an axon a pixel, as the convolution has."""
    flat = dense("in", "wide", 6272, 32)
    picture = replace(flat, shape=(28, 28, 8))
    for connection, axons in ((flat, 3136), (picture, 784)):
        (core,) = {
            c.usage.input_axons for c in place(chain(connection), LOIHI1, 128).cores
        }
        assert core == axons
        placed = np.zeros_like(matrix(connection))
        for block in place(chain(connection), LOIHI1, 128).blocks("wide"):
            scatter(fan_in(connection, block), placed)
        np.testing.assert_array_equal(placed, matrix(connection))


def test_synapses_that_no_cut_can_help() -> None:
    program = chain(dense("in", "a", 30, 3))
    limits = replace(LOIHI1, synapse_bits=1000)
    with pytest.raises(DoesNotFit, match=r"'a'.* 1920 synapse bits, 1000 .*kernel"):
        place(program, limits, cores=128)


def test_more_neurons_than_the_chip_has() -> None:
    weight = np.full((1, 1, 1, 8), 2, np.int16)
    conv = ConvConnection(source="in", target="big", weight=weight, shape=(160, 128, 1))
    with pytest.raises(DoesNotFit, match="neurons alone need 160 .*128; .*'big' 160"):
        place(chain(conv), LOIHI1, cores=128)


def test_more_synapses_than_the_chip_has() -> None:
    program = chain(dense("in", "a", 4096, 4096))
    with pytest.raises(DoesNotFit, match="synapses need 137 cores, the chip has 128"):
        place(program, LOIHI1, cores=128)


def test_convolutions_of_two_shapes_into_one_population() -> None:
    one = ConvConnection(
        source="in",
        target="a",
        weight=np.full((1, 1, 2, 2), 2, np.int16),
        shape=(3, 4, 2),
    )
    other = replace(one, shape=(4, 3, 2))
    with pytest.raises(DoesNotFit, match="one shape is allowed"):
        place(chain(one, other), LOIHI1, cores=128)


def test_a_program_without_populations() -> None:
    program = replace(chain(dense("in", "a", 1, 1)), populations=(), connections=())
    with pytest.raises(DoesNotFit, match="no population"):
        place(program, LOIHI1, cores=128)


def test_placement_is_data() -> None:
    """Equal Programs give equal placements."""
    program = chain(dense("in", "a", 5, 5))
    first, second = (place(program, LOIHI1, cores=2) for _ in range(2))
    assert isinstance(first, Placement)
    assert first == second


def test_weights_of_fewer_bits_take_less_memory() -> None:
    """4 bits hold −14 … 14; on the core they are shifted up, and the exponent down."""
    wide = dense("in", "a", 4096, 1024)
    narrow = replace(wide, weight=np.full((4096, 1024), -14, np.int16), exponent=3)
    assert weight_format(wide) == (8, 0)
    assert weight_format(narrow) == (4, 3 - 4)
    cores = [len(place(chain(c), LOIHI1, 128).cores) for c in (wide, narrow)]
    assert cores[1] <= math.ceil(cores[0] / 2) + 1
    fixed = replace(narrow, exponent=-7, weight=np.full((4096, 1024), 0, np.int16))
    assert weight_format(fixed) == (1, 0)


def test_cores_fill_one_chip_after_another() -> None:
    """In order of flow; what binds is what is used most."""
    program = chain(dense("in", "a", 300, 4096), dense("a", "b", 4096, 1000))
    placement = place(program, LOIHI1, cores=16, chips=None)
    assert placement.chips == math.ceil(len(placement.cores) / 16) > 2
    places = [(core.chip, core.number) for core in placement.cores]
    assert places == [divmod(n, 16) for n in range(len(places))]
    assert str(placement).splitlines()[17].startswith("chip 1 core 1: ")
    resource, share = placement.scarcest
    assert resource == "synapse_bits"
    assert share == placement.total.synapse_bits / (len(places) * 2**20)
    with pytest.raises(DoesNotFit, match="2 chips have 32"):
        place(program, LOIHI1, cores=16, chips=2)
    assert place(program, LOIHI1, cores=16, chips=placement.chips) == placement


@pytest.mark.parametrize("seed", range(20))
def test_no_more_cores_than_cutting_in_order(seed: int) -> None:
    """Twenty random networks, beside runs of neurons of the largest size that fits."""
    program = random_network(np.random.default_rng(seed))
    placement = place(program, LOIHI1, cores=128, chips=None)
    assert all(LOIHI1.exceeded(core.usage) is None for core in placement.cores)
    in_order = cut_in_order(program)
    for name, use in placement.utilization.items():
        assert use.cores <= len(in_order[name].blocks), name


def random_network(rng: np.random.Generator) -> Program:
    """Convolutions, depthwise ones and transposed ones, then dense layers."""
    shape = (*rng.integers(12, 60, 2).tolist(), int(rng.integers(1, 5)))
    connections: list[Connection] = []
    source = "in"
    for n in range(int(rng.integers(2, 6))):
        kind = rng.choice([ConvConnection, ConvConnection, ConvTransposeConnection])
        groups = shape[2] if rng.random() < 0.3 else 1
        kernel = rng.integers(1, 5, 2).tolist()
        filters = groups * int(rng.integers(1, 3 if groups > 1 else 24))
        held = rng.integers(-60, 60, (*kernel, shape[2] // groups, filters)) * 2
        c = kind(
            source=source,
            target=f"p{n}",
            weight=held.astype(np.int16),
            shape=shape,
            stride=tuple(rng.integers(1, 3, 2).tolist()),
            padding=((1, 1), (0, 1)),
            groups=groups,
        )
        if min(c.target_shape) < 2 or math.prod(c.target_shape) > 60_000:
            continue
        connections.append(c)
        shape, source = c.target_shape, c.target
    for n in range(int(rng.integers(1, 3))):
        size = math.prod(shape)
        if size <= 3000 or not connections:
            connections.append(dense(source, f"d{n}", size, int(rng.integers(2, 700))))
            shape, source = connections[-1].target_shape, f"d{n}"
    return chain(*connections)


def cut_in_order(program: Program) -> dict[str, Tiling]:
    """nengo-loihi's way without block shapes: populations in slices of 1024 neurons.

    Of fewer, all the same, where 1024 are over a limit.
    """
    cutter = Cutter(program, LOIHI1)
    for p in reversed(program.populations):
        size = LOIHI1.compartments
        while True:
            cut = Tiling.of(p.name, (1, 1, p.size), (1, 1, size))
            cutter.tilings[p.name] = cut
            if cutter.failure(cut) is None:
                break
            size = min(size - 1, int(0.95 * size))
    return cutter.tilings


def dense(source: str, target: str, inputs: int, outputs: int) -> Connection:
    weight = np.full((inputs, outputs), 254, np.int16)  # all 8 bits
    return DenseConnection(source=source, target=target, weight=weight)


def chain(*connections: Connection) -> Program:
    """A Program of these connections, whose first source is a spike input."""
    shapes: dict[str, Shape] = {}
    for c in connections:
        shapes.setdefault(c.target, c.target_shape)
    populations = tuple(
        Population(
            name=name,
            shape=shape,
            decay_u=4095,
            decay_v=0,
            threshold=64,
            bias=np.zeros(int(np.prod(shape)), np.int32),
        )
        for name, shape in shapes.items()
    )
    last = populations[-1]
    return Program(
        inputs=(SpikeInput(name="in", shape=connections[0].source_shape),),
        populations=populations,
        connections=connections,
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=1.0
        ),
        timing=Timing(dt=0.001, steps=1),
    )


def scatter(fan: FanIn, into: np.ndarray) -> None:
    """Add what the axons of one core do to (source neurons, target neurons)."""
    patterns = list(fan.weights())
    group = atoms(fan.connection)
    for source, base, pattern in zip(fan.source, fan.base, fan.pattern):
        weights, indices = patterns[pattern]
        target = fan.block.neurons[base + indices]
        into[source * group : (source + 1) * group, target] += weights
