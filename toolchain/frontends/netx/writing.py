"""NetX blocks → the bytes of a file, laid out as slayer's ``export_hdf5`` does."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from .blocks import Block
from .registers import Registers


def packed(blocks: Iterable[Block]) -> bytes:
    """The file of these layers."""
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for block in blocks:
            group = file.create_group(f"layer/{block.layer}")
            kind = [block.kind.encode()]
            group.create_dataset("type", (1,), f"S{max(10, len(kind[0]))}", kind)
            for name, value in _fields(block):
                group.create_dataset(name, data=value)
    return content.getvalue()


def _fields(block: Block) -> Iterable[tuple[str, Any]]:
    yield "shape", np.array(block.shape)
    if block.kind == "input":
        if block.registers and block.bias is not None:
            yield "weight", block.weight.ravel().astype(np.float32)
            yield "bias", block.bias.astype(np.float32)
    elif block.weight.size:
        yield from _synapses(block)
    if block.registers is not None:
        yield from _neuron(block.registers)


def _synapses(block: Block) -> Iterable[tuple[str, Any]]:
    outputs, inputs, *kernel = block.weight.shape
    if kernel:
        yield "kernelSize", np.array(kernel)
        for name in ("stride", "padding", "dilation"):
            yield name, np.array(getattr(block, name))
    if block.kind == "conv":
        yield "inChannels", inputs * block.groups
        yield "outChannels", outputs
        yield "groups", block.groups
    if not kernel:
        yield "inFeatures", inputs
        yield "outFeatures", outputs
    yield "weight", block.weight.astype(np.float32)
    if block.back is not None:
        yield "weight_rec", block.back.astype(np.float32)
    if block.bias is not None:
        yield "bias", block.bias.astype(np.float32)
    if block.delay is not None:
        yield "delay", block.delay.astype(np.float32)


def _neuron(registers: Registers) -> Iterable[tuple[str, Any]]:
    yield "neuron/type", "CUBA"
    yield "neuron/iDecay", registers.i_decay
    yield "neuron/vDecay", registers.v_decay
    yield "neuron/vThMant", registers.threshold
    yield "neuron/refDelay", registers.refractory
    yield "neuron/gradedSpike", False
