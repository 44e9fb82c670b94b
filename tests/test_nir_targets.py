"""A recurrent keyword network from NIR: every integer target agrees on every spike."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_same_spikes

nir = pytest.importorskip("nir", reason="nir is not installed")

from snn_deploy.targets.contract import find_target  # noqa: E402
from snn_deploy.toolchain.frontends.contract import Timing  # noqa: E402
from snn_deploy.toolchain.frontends.formats import read_network  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402
from snn_deploy.toolchain.passes.fold import fold  # noqa: E402
from snn_deploy.toolchain.passes.legalize.legalize import legalize  # noqa: E402
from snn_deploy.toolchain.passes.quantize.quantize import quantize  # noqa: E402

STEPS, BANDS, CELLS, WORDS = 40, 12, 20, 4


def keywords() -> nir.NIRGraph:
    """Bands of sound, two recurrent layers of leaky neurons, a filtered last one."""
    rng = np.random.default_rng(11)

    def matrix(outputs: int, inputs: int, scale: float) -> np.ndarray:
        weight = rng.normal(scale=scale / inputs**0.5, size=(outputs, inputs))
        return weight.astype(np.float32)

    def constants(size: int) -> dict[str, np.ndarray]:
        one = np.ones(size, np.float32)
        threshold = rng.uniform(0.8, 1.2, size).astype(np.float32)
        return {"r": one, "v_leak": 0 * one, "v_threshold": threshold}

    def lif(size: int, tau: float) -> nir.LIF:
        return nir.LIF(tau=np.full(size, tau, np.float32), **constants(size))

    taus = {
        "tau_mem": np.full(WORDS, 0.01, np.float32),
        "tau_syn": np.full(WORDS, 0.004, np.float32),
    }
    nodes = {
        "input": nir.Input(np.array([BANDS])),
        "in": nir.Affine(matrix(CELLS, BANDS, 6), np.full(CELLS, 0.3, np.float32)),
        "first": lif(CELLS, 0.02),
        "again": nir.Linear(matrix(CELLS, CELLS, 12)),
        "on": nir.Affine(matrix(CELLS, CELLS, 25), np.full(CELLS, 0.2, np.float32)),
        "second": lif(CELLS, 0.01),
        "around": nir.Linear(matrix(CELLS, CELLS, 8)),
        "out": nir.Linear(matrix(WORDS, CELLS, 25)),
        "words": nir.CubaLIF(**taus, **constants(WORDS)),
        "output": nir.Output(np.array([WORDS])),
    }
    edges = [
        *(("input", "in"), ("in", "first"), ("first", "again"), ("again", "first")),
        *(("first", "on"), ("on", "second"), ("second", "around")),
        *(("around", "second"), ("second", "out"), ("out", "words")),
        ("words", "output"),
    ]
    return nir.NIRGraph(nodes, edges)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The Graph as read, as a core holds it, its Program, and samples."""
    path = tmp_path_factory.mktemp("nir") / "keywords.nir"
    nir.write(path, keywords())
    graph = read_network(path, None, Timing(dt=0.001)).graph
    legal = legalize(fold(graph))
    x = np.random.default_rng(2).random((6, BANDS))
    return graph, legal, quantize(legal, x, steps=STEPS, dt=0.001), x


def test_it_is_recurrent_and_lively(built):
    graph, legal, program, x = built
    assert graph.loop and legal.loop
    with find_target("reference").load(program) as session:
        spikes = session.run(x).spikes
    assert set(spikes) == {"first", "second", "words"}
    assert all(0.02 < fired.mean() < 0.6 for fired in spikes.values())


def test_the_first_layer_fires_as_the_file_says(built):
    """Its loop takes one step, as NIR's tools have it: no spike of it moves."""
    graph, legal, _, x = built
    wanted, found = (
        interpret(each, x, "spiking", steps=STEPS, record=["first"])["first"]
        for each in (graph, legal)
    )
    assert wanted.any()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("target", "library"), [("loihi-emulator", "nengo_loihi"), ("lava", "lava")]
)
def test_targets_agree_on_every_spike(target, library, built):
    if not find_spec(library):
        pytest.skip(f"{library} is not installed")
    *_, program, x = built
    assert_same_spikes(program, x[:2], [target])
