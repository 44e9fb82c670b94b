"""Our counts are NeuroBench's: networks that neurobench itself was run on.

tests/data/neurobench_counts.json holds what it counted, and the command that did.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from snn_deploy.calibration.counts.neurobench import DEFINITIONS
from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.report.measure import Shown, measure
from snn_deploy.calibration.report.report import Report
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.program.arithmetic import V_LIMIT
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import BiasEncoder, Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

ROOT = Path(__file__).parent.parent
COUNTED = json.loads((ROOT / "tests/data/neurobench_counts.json").read_text())
UNIT = 64  # of the core's membrane for one of the networks'


def load(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/neurobench_networks.py, which neurobench was given too."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import neurobench_networks

    return neurobench_networks


def connection(part, weight, shape, source: str, target: str) -> Connection:
    integers = weight.astype(np.int16)
    if not hasattr(part, "kernel"):
        flat = {"source": source, "target": target, "weight": integers}
        return DenseConnection(**flat, shape=shape)
    return ConvConnection(
        source=source,
        target=target,
        weight=integers,
        shape=shape,
        stride=part.stride,
        padding=tuple((p, p) for p in part.padding),
        groups=part.groups,
        dilation=part.dilation,
    )


def on_host(part, weight, shape) -> Graph:
    """A layer that the host computes."""
    zero = np.zeros(weight.shape[-1])
    if not hasattr(part, "kernel"):
        dense = n.Dense("d", ("flat",), weight=weight, bias=zero)
        nodes = (n.Input("x", shape=shape), n.Flatten("flat", ("x",)), dense)
        return Graph((*nodes, n.Output("y", ("d",))))
    conv = n.Conv2D(
        "c",
        ("x",),
        weight=weight,
        bias=zero,
        stride=part.stride,
        padding=tuple((p, p) for p in part.padding),
        groups=part.groups,
        dilation=part.dilation,
    )
    return Graph((n.Input("x", shape=shape), conv, n.Output("y", ("c",))))


def program_of(network, steps: int) -> Program:
    shapes, weights = network.shapes, network.weights()
    names = [f"layer{i}" for i in range(len(network.layers))]
    populations = tuple(
        Population(
            name=name,
            shape=shape,
            decay_u=4095,
            decay_v=0,
            threshold=UNIT * network.threshold,
            bias=np.zeros(math.prod(shape), np.int32),
            v_min=-V_LIMIT,
        )
        for name, shape in zip(names, shapes[1:])
    )
    sources = names if network.graded else ["input", *names]
    first = int(network.graded)
    connections = tuple(
        connection(network.layers[i], weights[i], shapes[i], sources[i - first], name)
        for i, name in enumerate(names)
        if i >= first
    )
    encoder = SpikeEncoder(population="input", coding="events")
    if network.graded:
        graph = on_host(network.layers[0], weights[0], shapes[0])
        encoder = BiasEncoder(graph=graph, population="layer0", scale=float(UNIT))
    last = shapes[len(names)]
    graph = Graph.chain(n.Input("x", shape=last), n.Output("y"))
    if network.decoder:
        graph = on_host(network.parts[-1], weights[-1], last)
    decoder = Decoder(graph=graph, population=names[-1], amplitude=1.0)
    given = () if network.graded else (SpikeInput(name="input", shape=network.shape),)
    program = Program(
        inputs=given,
        populations=populations,
        connections=connections,
        encoder=encoder,
        decoder=decoder,
        timing=Timing(dt=0.001, steps=steps),
    )
    program.check()
    return program


def report_of(program: Program, samples) -> Report:
    with Reference(1).load(program) as session:
        recording = session.run(samples)
    profile = load_profile("loihi1_davies2018")
    shown = Shown.of(samples, recording)
    return measure(program, recording, profile, source="t", shown=shown)


@pytest.mark.parametrize("name", COUNTED["networks"])
def test_operations_and_sparsity_equal_neurobenchs(name, monkeypatch):
    networks = load(monkeypatch)
    (network,) = (each for each in networks.NETWORKS if each.name == name)
    theirs = COUNTED["networks"][name]
    program = program_of(network, networks.STEPS)
    report = report_of(program, network.samples())
    on_core = [layer for layer in report.layers if layer.name != "input"]
    spikes = [layer.spikes * networks.SAMPLES for layer in on_core]
    assert spikes == theirs["spikes"]  # it is the same network
    ours = {metric.name: metric.value for metric in report.neurobench}
    for metric, value in theirs["SynapticOperations"].items():
        assert ours[metric] == value, metric
    operations = theirs["SynapticOperations"]
    effective = report.total.effective_operations + ours["Effective_MACs"]
    assert effective == operations["Effective_ACs"] + operations["Effective_MACs"]
    assert round(ours["ConnectionSparsity"], 4) == theirs["ConnectionSparsity"]
    assert report.total.incoming_operations >= report.total.effective_operations


def test_every_network_was_counted(monkeypatch):
    networks = load(monkeypatch).NETWORKS
    assert [network.name for network in networks] == list(COUNTED["networks"])
    assert len(networks) >= 10
    assert COUNTED["versions"]["neurobench"] == "2.3.0"
    assert COUNTED["command"].startswith("python benchmarks/neurobench_counts.py")
    assert sum(c["SynapticOperations"]["Effective_MACs"] > 0 for c in _counted()) == 3


def _counted() -> list[dict]:
    return list(COUNTED["networks"].values())


def test_metrics_have_neurobenchs_names_and_say_what_was_counted(monkeypatch):
    networks = load(monkeypatch)
    report = report_of(
        program_of(networks.NETWORKS[0], networks.STEPS), networks.NETWORKS[0].samples()
    )
    found = {metric.name: metric for metric in report.neurobench}
    assert {name: m.definition for name, m in found.items()} == DEFINITIONS
    assert {m.mode for m in found.values()} == {"counted"}
    spikes = sum(COUNTED["networks"]["dense"]["spikes"]) / networks.SAMPLES
    share = spikes / (networks.STEPS * (16 + 8))
    assert found["ActivationSparsity"].value == pytest.approx(1 - share)
    assert found["Footprint"].value == sum(each.bits for each in report.memory) / 8
    updates = found["MembraneUpdates"].value
    assert 24 <= updates <= 24 * networks.STEPS


def test_neurobench_is_not_needed():
    assert "neurobench" not in sys.modules and "torch" not in sys.modules
