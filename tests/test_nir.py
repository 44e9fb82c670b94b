"""NIR graphs are read as their equations say, and refused by name where they cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

nir = pytest.importorskip("nir", reason="nir is not installed")

from drawn_nir import DT, Drawn, Plainly, graphs  # noqa: E402

from snn_deploy.toolchain.frontends.contract import Timing  # noqa: E402
from snn_deploy.toolchain.frontends.formats import read_network  # noqa: E402
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402

STEPS = 12
relaxed = settings(
    max_examples=60,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("nir")


def imported(graph: nir.NIRGraph, folder: Path, **timing) -> Graph:
    nir.write(folder / "net.nir", graph)
    return read_network(folder / "net.nir", None, Timing(**timing)).graph


def samples(graph: Graph, seed: int, steps: int = STEPS) -> np.ndarray:
    """A sample that moves, (1, steps, *shape), channels first."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 1.5, (1, steps, *graph.input.shape))


def ran(graph: Graph, x: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Node → its values, (steps, …), channels first as NIR's are."""
    before = graph[graph.output.name].inputs[0]
    sent = {graph.input.name: x}
    found = interpret(
        *(graph, x[:, 0], "spiking"),
        steps=x.shape[1],
        record=[*names, before],
        sent=sent,
    )
    return {name: found[name][0] for name in names} | {"output": found[before][0]}


def assert_equal(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """Whatever the axes: pictures have channels last here, rows are pictures of one."""
    if found.ndim == 4:
        found = np.moveaxis(found, -1, 1)
    np.testing.assert_array_equal(
        np.rint(found.reshape(wanted.shape)), wanted, err_msg=name
    )


def in_nirs_order(drawn: Drawn, name: str, values: np.ndarray) -> np.ndarray:
    """Spikes of a flattened population, (steps, …), in the order of NIR."""
    if values.ndim > 2:
        return values
    place = list(drawn.shapes).index(name)
    flats = [x for x in list(drawn.shapes)[:place] if x.endswith(".flat")]
    after = [
        x
        for x in flats
        if not any(
            isinstance(drawn.graph.nodes[y], nir.Affine | nir.Linear)
            for y in list(drawn.shapes)[list(drawn.shapes).index(x) : place]
        )
    ]
    if not after:
        return values
    names = list(drawn.shapes)
    image = drawn.shapes[names[names.index(after[-1]) - 1]]
    axes = (len(values), *image[1:], image[0])
    return np.moveaxis(values.reshape(axes), -1, 1).reshape(values.shape)


@relaxed
@given(
    drawn=graphs(),
    seed=st.integers(0, 2**32 - 1),
    reset=st.sampled_from(("zero", "subtract")),
    grid=st.sampled_from(("exponential", "euler")),
)
def test_nodes_do_what_their_equations_say(drawn, seed, reset, grid, folder):
    graph = imported(drawn.graph, folder, dt=DT, reset=reset, grid=grid)
    assert graph.dt == DT and graph.is_spiking
    x = samples(graph, seed)
    wanted = Plainly(drawn, reset=reset, grid=grid).run(x[0])
    found = ran(graph, x, drawn.populations)
    for name in drawn.populations:
        got = in_nirs_order(drawn, name, found[name])
        assert_equal(got, wanted[name], name)
    event(f"fires: {any((wanted[name] > 0).any() for name in drawn.populations)}")
    event(f"loop: {bool(graph.loop)}")
    np.testing.assert_allclose(
        found["output"].reshape(wanted["output"].shape),
        wanted["output"],
        rtol=1e-5,
        atol=1e-7,
    )
