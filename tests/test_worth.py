"""Shares of the spikes by what a spike of each population is worth to the loss."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="training is TensorFlow's")

from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.rate_control import share_out  # noqa: E402
from snn_deploy.models.cotraining.sparing.worth import (  # noqa: E402
    LEAST,
    shares_by_worth,
)
from snn_deploy.models.training.losses import mse  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402
from snn_deploy.toolchain.passes.quantize.quantize import scales_of  # noqa: E402


def two(read: tuple[float, float]) -> HybridNetwork:
    """Two alike populations beside each other, read with these weights."""
    one = {"weight": np.eye(4) * 3, "bias": np.zeros(4)}

    def end(weight: float) -> dict[str, np.ndarray]:
        return {"weight": np.full((4, 1), weight), "bias": np.zeros(1)}

    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.Dense("a", ("x",), **one),
            n.LIF("A", ("a",), amplitude=0.01),
            n.Dense("b", ("x",), **one),
            n.LIF("B", ("b",), amplitude=0.01),
            n.Dense("of a", ("A",), **end(read[0])),
            n.Dense("of b", ("B",), **end(read[1])),
            n.Add("sum", ("of a", "of b")),
            n.Output("y", ("sum",)),
        )
    )
    x = np.random.default_rng(0).uniform(0.5, 1, (16, 4))
    return HybridNetwork(graph, scales_of(graph, x))


@pytest.mark.parametrize(
    ("read", "wanted"), [((1.0, 1.0), 1.0), ((3.0, 1.0), 3.0), ((1.0, 0.0), 2 / LEAST)]
)
def test_alike_populations_share_by_their_slopes(read, wanted):
    """√(A · S): equal rates, so as the slopes are; none gets less than a tenth."""
    x = np.random.default_rng(1).uniform(0.5, 1, (16, 4)).astype("f4")
    shares = shares_by_worth(two(read), (x, np.zeros((16, 1), "f4")), mse, 20)
    assert shares["A"] / shares["B"] == pytest.approx(wanted, rel=1e-4)


def test_what_fires_for_nothing_shares_equally():
    x = np.zeros((2, 4), "f4")
    shares = shares_by_worth(two((0.0, 0.0)), (x, np.zeros((2, 1), "f4")), mse, 20)
    assert shares == {"A": 0.5, "B": 0.5}


def test_spikes_are_given_out_by_shares():
    sizes = {"a": 100, "b": 100, "c": 10}
    rates = share_out(sizes, 50.0, {"a": 3.0, "b": 1.0, "c": 4.0}, most=400.0)
    assert rates["c"] == 400.0  # its share would be more
    assert rates["a"] == pytest.approx(3 * rates["b"])
    spent = sum(rates[name] * size for name, size in sizes.items())
    assert spent == pytest.approx(50.0 * 210)
