"""Energies that keras-spiking 0.3.0 gave, by the profile made for comparing with it.

tests/data/keras_spiking_energy.json holds what keras-spiking said, and the command.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.calibration.energy.profile import DeviceProfile, load_profile
from snn_deploy.calibration.energy.terms import EnergyProxy, energy_proxy
from snn_deploy.calibration.statistics import LayerStatistics, layer_statistics
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import Input, Output
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.recording import Recording

FILE = Path(__file__).parent / "data/keras_spiking_energy.json"
THEIRS = json.loads(FILE.read_text())
STEPS = THEIRS["steps"]
IMAGE, ENDS = (8, 8, 3), {"source": "input", "target": "layer"}
KERNEL = np.full((3, 3, 3, 4), 2, np.int16)
LAYERS: dict[str, Connection] = {
    "dense": DenseConnection(**ENDS, weight=np.full((784, 128), 2, np.int16)),
    "convolution": ConvConnection(**ENDS, weight=KERNEL, shape=IMAGE),
    "same padding": ConvConnection(
        **ENDS, weight=KERNEL, shape=IMAGE, padding=((1, 1), (1, 1))
    ),
    "transposed": ConvTransposeConnection(**ENDS, weight=KERNEL, shape=IMAGE),
}
CPU = """
name = "cpu"
device = "Intel i7-4960X, as keras-spiking estimates it"
excluded = ["all but multiply-accumulates"]
"""
EVENT = """
[{}]
value = 8.6
low = 8.6
high = 8.6
unit = "nJ"
tag = "DERIVED"
basis = "average"
date = "2016"
source = "keras-spiking 0.3.0, from Degnan, Marr & Hasler, IEEE TVLSI 24(1)"
"""


def spikes(name: str) -> np.ndarray:
    """Of each input in an inference; benchmarks/keras_spiking_energy.py."""
    shape = tuple(THEIRS["layers"][name]["shape"])
    rng = np.random.RandomState(0)  # noqa: NPY002  a frozen stream
    return rng.randint(0, STEPS + 1, (1, math.prod(shape)))


def counted(name: str, sent: np.ndarray, steps: int) -> tuple[LayerStatistics, ...]:
    """A layer that is sent spikes, and sends none."""
    c = LAYERS[name]
    shape, size = c.target_shape, math.prod(c.target_shape)
    population = Population(
        name="layer",
        shape=shape,
        decay_u=4095,
        decay_v=0,
        threshold=64,
        bias=np.zeros(size, np.int32),
    )
    graph = Graph.chain(Input("x", shape=shape), Output("y"))
    program = Program(
        inputs=(SpikeInput(name="input", shape=c.source_shape),),
        populations=(population,),
        connections=(c,),
        encoder=SpikeEncoder(population="input"),
        decoder=Decoder(graph=graph, population="layer", amplitude=1.0),
        timing=Timing(dt=0.001, steps=steps),
    )
    program.check()
    recording = Recording(
        target="t",
        kind="integer emulation",
        dt=0.001,
        steps=steps,
        counts={"input": sent, "layer": np.zeros((1, size), np.int64)},
        spikes={},
        output=np.zeros((1, size)),
        wall_time=0.0,
    )
    return layer_statistics(program, recording)


def on_loihi(name: str) -> EnergyProxy:
    layers = counted(name, spikes(name), STEPS)
    return energy_proxy(layers, load_profile("loihi1_keras_spiking"))


@pytest.fixture
def cpu(tmp_path) -> DeviceProfile:
    """A processor is no spiking device: keras-spiking takes one step of all inputs."""
    file = tmp_path / "cpu.toml"
    events = ("synaptic_operation", "active_update", "inactive_update")
    file.write_text(CPU + "".join(map(EVENT.format, events)))
    return load_profile(file)


def test_the_documented_example(cpu):
    every = np.ones((1, 784), np.int64)
    energy = energy_proxy(counted("dense", every, 1), cpu).total.total.value
    assert energy == pytest.approx(THEIRS["layers"]["dense"]["cpu"], rel=1e-12)
    assert energy == pytest.approx((784 * 128 + 128) * 8.6e-9, rel=1e-12)
    assert f"{energy:.2e}" == "8.64e-04"  # as its documentation prints it


def test_a_dense_layer_on_loihi_takes_what_keras_spiking_says():
    ours = on_loihi("dense").total.total.value
    assert ours == pytest.approx(THEIRS["layers"]["dense"]["loihi"], rel=1e-9)


@pytest.mark.parametrize("name", LAYERS)
def test_neuron_updates_on_loihi_are_what_keras_spiking_says(name):
    theirs = THEIRS["layers"][name]
    found = on_loihi(name).total
    updates = found.active_updates.value + found.inactive_updates.value
    assert updates == pytest.approx(81e-12 * theirs["neurons"] * STEPS)
    operations = theirs["connections"] * spikes(name).mean()
    assert theirs["loihi"] == pytest.approx(27.1e-12 * operations + updates, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "exact", "by_keras_spiking"),
    [
        ("convolution", 3_888, 3_888),
        ("same padding", 5_808, 6_912),  # padding is counted
        ("transposed", 6_912, 14_400),  # a kernel's outputs are taken for its inputs
    ],
)
def test_where_keras_spiking_counts_more(name, exact, by_keras_spiking, cpu):
    theirs = THEIRS["layers"][name]
    assert theirs["connections"] == by_keras_spiking
    every = np.ones((1, math.prod(IMAGE)), np.int64)
    layers = counted(name, every, 1)
    assert layers[1].incoming_synapses == layers[1].incoming_operations == exact
    ours = energy_proxy(layers, cpu).total.total.value
    more = (by_keras_spiking - exact) * 8.6e-9
    assert theirs["cpu"] == pytest.approx(ours + more, rel=1e-12)
