"""What does not fit into memory is refused before it is tried, in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from small_networks import fitted, save, stripes

from snn_deploy import deploy, starting
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.toolchain import memory
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import BundleError, DataError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.program.connections import ConvConnection


def convolution(**fields: object) -> Graph:
    """One of a kernel on pictures of 8 × 8, rectified."""
    kind = fields.pop("kind", n.Conv2D)
    weight, bias = np.ones((3, 3, 1, 2)), np.zeros(2)
    return Graph.chain(
        n.Input("x", shape=(8, 8, 1)),
        kind("conv", weight=weight, bias=bias, **fields),
        n.ReLU("a"),
        n.Output("y"),
    )


HUGE = {
    "padding": convolution(padding=((10**9, 0), (10**9, 0))),
    "stride": convolution(kind=n.ConvTranspose2D, stride=(10**5, 10**5)),
    "factor": Graph.chain(
        n.Input("x", shape=(8, 8, 1)),
        n.Upsample2D("conv", factor=(10**4, 10**4)),
        n.Output("y"),
    ),
    "shape": Graph.chain(n.Input("conv", shape=(10**6, 10**6)), n.Output("y")),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_layer_of_which_no_sample_fits_is_refused_as_it_is_read(name, tmp_path):
    with pytest.raises(DataError, match="'conv': a sample of shape .* GiB are needed"):
        HUGE[name].check()
    path = tmp_path / "net.snn"
    with pytest.raises((BundleError, DataError)):
        save_bundle(path, Bundle(graph=HUGE[name]))
        load_bundle(path)


@pytest.fixture
def asked(tmp_path):
    """Target, model and data of a build that works."""
    x, y = stripes(40)
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    model = save(tmp_path / "net.snn", fitted(x, np.eye(3)[y]))
    return "reference", model, tmp_path / "xy.npz"


def build(asked, steps: int) -> deploy.Build:
    quiet = deploy.Steps(lambda name, seconds: None)
    return deploy.build(*asked, settings=Settings(steps=steps), steps=quiet)


def test_more_steps_than_there_is_memory_for_and_the_advice_helps(asked):
    with pytest.raises(DataError, match="1 samples × 10{12} steps .*fewer steps"):
        build(asked, 10**12)
    build(asked, 10)


def test_of_a_network_of_many_neurons_fewer_samples_calibrate(asked, monkeypatch):
    """48 neurons × 50 steps: five samples have the room that all 28 would take."""
    monkeypatch.setattr(starting, "RASTER_BYTES", 5 * 48 * 50)
    few = build(asked, 50)
    monkeypatch.undo()
    many = build(asked, 50)
    assert few.shown.samples == 5 and many.shown.samples == 6  # all of the test part
    assert few.report.samples == many.report.samples
    assert few.bundle.program.decoder.population == "neurons"


def test_samples_that_do_not_fit_beside_each_other(monkeypatch):
    graph = convolution()
    graph.check()
    monkeypatch.setattr(memory, "memory", lambda: 8 * 10 * (64 + 4 * 72))
    assert interpret(graph, np.zeros((5, 8, 8, 1)))["y"].shape == (5, 6, 6, 2)
    with pytest.raises(DataError, match="50 samples through a network .*fewer samples"):
        interpret(graph, np.zeros((50, 8, 8, 1)))


def test_a_program_s_kernel_at_too_many_places():
    connection = ConvConnection(
        source="a",
        target="b",
        weight=np.full((3, 3, 1, 1), 2, np.int16),
        shape=(10**6, 10**6, 1),
    )
    with pytest.raises(DataError, match=r"a \(3, 3\) kernel at .* smaller picture"):
        connection.taps  # noqa: B018
