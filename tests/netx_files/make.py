"""Writes the files beside it: networks of lava-dl's own blocks, and what they do.

Run once, in an environment of its own, with lava-dl 0.6.0 (Python 3.10):

    pip install lava-nc==0.10.0 lava-dl==0.6.0 && python make.py

Each NAME.net is written by slayer's export_hdf5. NAME.npz has the samples ``x`` and the
spikes of each layer, (steps, neurons) in the file's order: from lava-dl's Network on
Lava's fixed-point CPU models ("lava1", "lava2" …), or, where that runs no such layer
(pool, average), from slayer's own forward pass ("slayer1" …), whose blocks send a step
later.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc import io

HERE = Path(__file__).parent
STEPS = 40
NEURON = {
    "threshold": 1.25,
    "current_decay": 0.25,
    "voltage_decay": 0.03,
    "requires_grad": False,
}
cuba = slayer.block.cuba


def lively(block, gain):
    """The block's weights, ``gain`` times as large as slayer draws them."""
    for name in ("synapse", "input_synapse", "recurrent_synapse"):
        if hasattr(block, name):
            getattr(block, name).weight.data *= gain
    return block


def export(name, blocks, x):
    """Write the blocks, after a forward pass that tells them their shapes."""
    value, sent = torch.tensor(x[None], dtype=torch.float), {}
    for number, block in enumerate(blocks):
        value = block(value)
        sent[f"slayer{number}"] = value.detach().numpy()[0]
    with h5py.File(HERE / f"{name}.net", "w") as file:
        for number, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{number}"))
    return sent


def run(name, given, layers):
    """Spikes of each layer, (steps, neurons) in the file's order, of lava-dl's Network.

    Args:
        given: spikes that enter, (…, steps) in Lava's order (x, y, channel); without
            steps the bias of an input layer's neurons.
        layers: numbers of layers that have neurons.
    """
    found = {}
    for number in layers:
        path = str(HERE / f"{name}.net")
        net = hdf5.Network(net_config=path, num_layers=number + 1)
        sink = io.sink.RingBuffer(shape=net.out.shape, buffer=STEPS)
        net.out_layer.out.connect(sink.a_in)
        if given.shape == net.in_layer.shape:
            net.in_layer.neuron.bias_mant.init = given.astype(int)
        else:
            source = io.source.RingBuffer(data=given.astype(int))
            source.s_out.connect(net.in_layer.inp)
        net.run(condition=RunSteps(STEPS), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
        spikes = sink.data.get()
        net.stop()
        spikes = spikes.transpose(*reversed(range(spikes.ndim)))  # steps, c, y, x
        found[f"lava{number}"] = spikes.reshape(STEPS, -1) > 0
    return found


def keep(name, x, found):
    kept = {key: np.asarray(value) > 0 for key, value in found.items()}
    np.savez_compressed(HERE / f"{name}.npz", x=x, **kept)
    print(name, {key: round(float(value.mean()), 3) for key, value in kept.items()})


def slayers(sent, layers):
    """Of slayer's forward pass, (channels, …, steps) → (steps, neurons)."""
    return {f"slayer{n}": np.moveaxis(sent[f"slayer{n}"], -1, 0).reshape(STEPS, -1)
            for n in layers}  # fmt: skip


def delays():
    """Three dense layers, with delays that differ from neuron to neuron."""
    x = (rng.random((12, STEPS)) < 0.3).astype(float)
    blocks = [
        lively(cuba.Dense(NEURON, 12, 16, delay=True), 4),
        lively(cuba.Dense(NEURON, 16, 10, delay=True), 4),
        lively(cuba.Dense(NEURON, 10, 4), 4),
    ]
    export("delays", blocks, x)
    for block in blocks[:2]:
        block.delay.delay.data = torch.tensor(
            rng.integers(0, 12, block.delay.delay.shape), dtype=torch.float
        )
    sent = export("delays", blocks, x)
    keep("delays", x, {**run("delays", x, (0, 1, 2)), **slayers(sent, (0, 1, 2))})


def pictures():
    """Convolutions with strides, padding and groups, then dense ones, on events."""
    x = (rng.random((2, 9, 7, STEPS)) < 0.2).astype(float)
    blocks = [
        cuba.Input({**NEURON, "current_decay": 1.0}, weight=1.0, bias=0.25),
        lively(cuba.Conv(NEURON, 2, 6, (3, 2), stride=(2, 1), padding=(1, 0)), 4),
        lively(cuba.Conv(NEURON, 6, 4, 3, padding=1, groups=2), 4),
        cuba.Flatten(),
        lively(cuba.Dense(NEURON, 4 * 5 * 6, 8), 4),
    ]
    export("pictures", blocks, x)
    with h5py.File(HERE / "pictures.net") as file:
        weight, bias = (int(file[f"layer/0/{n}"][0]) for n in ("weight", "bias"))
    still = rng.integers(0, 3, (2, 9, 7)).astype(float)
    given = (weight * still + bias).T
    keep("pictures", still, run("pictures", given, (0, 1, 2, 4)))


def pools():
    """A pool and an average, which lava-dl's Network does not run: slayer's forward."""
    x = (rng.random((3, 8, 8, STEPS)) < 0.3).astype(float)
    blocks = [
        cuba.Input(None),
        cuba.Pool(NEURON, 2, weight_scale=0.75),
        lively(cuba.Conv(NEURON, 3, 4, 3), 4),
        cuba.Flatten(),
        lively(cuba.Dense(NEURON, 16, 12), 4),
    ]
    blocks[0].delay_shift = False
    sent = export("pools", blocks, x)
    with h5py.File(HERE / "pools.net", "a") as file:  # its export_hdf5 fails
        file["layer/5/type"] = np.array([b"average"])
        file["layer/5/shape"] = np.array([4, 1, 1])
    keep("pools", x, slayers(sent, (1, 2, 4)))


def loops():
    """A recurrent layer between dense ones."""
    x = (rng.random((8, STEPS)) < 0.3).astype(float)
    blocks = [
        lively(cuba.Dense(NEURON, 8, 10), 4),
        lively(cuba.Recurrent(dict(NEURON), 10, 12), 4),
        lively(cuba.Dense(NEURON, 12, 4), 4),
        cuba.Affine(NEURON, 4, 3, dynamics=False),
    ]
    export("loops", blocks, x)
    keep("loops", x, run("loops", x, (0, 1, 2)))


if __name__ == "__main__":
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for make in (delays, pictures, pools, loops):
            make()
