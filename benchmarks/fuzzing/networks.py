"""Small networks of formats that other tools write: seeds of the fuzzer."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def nir_files(folder: Path) -> list[Path]:
    """A chain, a recurrent network, one of pictures, one of sub-graphs and filters."""
    import nir

    rng = np.random.default_rng(0)

    def floats(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    def lif(*shape: int) -> nir.LIF:
        one = np.ones(shape, np.float32)
        return nir.LIF(tau=one / 50, r=one, v_leak=0 * one, v_threshold=one)

    little = nir.NIRGraph.from_list(
        nir.Input(np.array([2])),
        nir.Affine(floats(2, 2), floats(2)),
        lif(2),
        nir.Output(np.array([2])),
    )
    loop = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])),
            "in": nir.Affine(floats(6, 4), floats(6)),
            "lif": lif(6),
            "again": nir.Linear(floats(6, 6)),
            "late": nir.Delay(np.full(6, 0.002)),
            "output": nir.Output(np.array([6])),
        },
        [
            *(("input", "in"), ("in", "lif"), ("lif", "late"), ("late", "again")),
            *(("again", "lif"), ("lif", "output")),
        ],
    )
    conv = nir.Conv2d((6, 6), floats(3, 2, 3, 3), 1, "same", 1, 1, floats(3))
    two = np.array([2, 2])
    picture = nir.NIRGraph.from_list(
        nir.Input(np.array([2, 6, 6])),
        conv,
        lif(3, 6, 6),
        nir.SumPool2d(two, two, 0 * two),
        nir.Flatten(np.array([3, 3, 3]), 0, -1),
        nir.Affine(floats(4, 27), floats(4)),
        nir.Threshold(np.ones(4, np.float32)),
    )
    one = np.ones(5, np.float32)
    cuba = nir.CubaLIF(one / 100, one / 50, one, 0 * one, one)
    inner = nir.NIRGraph.from_list(nir.Linear(floats(5, 4)), cuba)
    outer = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])),
            "block": inner,
            "read": nir.LI(one / 50, one, 0 * one),
            "output": nir.Output(np.array([5])),
        },
        [("input", "block"), ("block", "read"), ("read", "output")],
    )
    found = []
    for name, graph in (
        *(("little", little), ("little2", little), ("loop", loop)),
        *(("picture", picture), ("blocks", outer)),
    ):
        found.append(folder / f"{name}.nir")
        nir.write(found[-1], graph)
    return found


def netx_files(folder: Path) -> list[Path]:
    """A layer that answers to itself, and a convolution of pictures."""
    from netx_cases import dense, neuron, write

    pair = {name: np.array([1, 1]) for name in ("stride", "dilation")}
    conv = {
        **{"type": "conv", "groups": 1, "weight": np.full((3, 2, 2, 2), 2.0)},
        **{"padding": np.array([0, 0]), "shape": np.array([3, 3, 3])},
        **pair,
        **neuron(),
    }
    picture = {"type": "input", "shape": np.array([2, 4, 4])}
    networks = {
        "two": [dense([[2, 4], [6, 8]]), dense([[2, -2]])],
        "picture": [picture, conv, {"type": "flatten"}, dense(np.ones((2, 27)))],
    }
    for name, layers in networks.items():
        write(folder / f"{name}.net", layers)
    return [folder / f"{name}.net" for name in networks]
