"""A NetX file as lava-dl's blocks: its layers in order, each with its integers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ...errors import UnsupportedLayer
from ...graph.node import Pair, Shape
from ..keras.hdf5 import Hdf5
from .fields import SHOWN, Fields, Integers
from .registers import NEVER, Registers, demand_held, registers_of
from .weights import delays, demand_bias, demand_weights, dense, shape_of, windowed

SYNAPTIC = ("dense", "dense_rec", "conv", "pool")
KINDS = ("input", "flatten", "average", *SYNAPTIC)
"""Types of layers that are read."""
ELSE = {
    "dense_comp": "complex weights, for resonate-and-fire neurons",
    "concat": "a layer that takes several others",
    "convT": "a transposed convolution",
    "unpool": "a transposed convolution of ones",
}
"""Other types, and what they are. lava-dl's own Network reads the first alone."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """One layer. Shapes are the file's: (neurons,), or (channels, height, width)."""

    layer: str  # its number
    kind: str  # of KINDS
    shape: Shape
    registers: Registers | None = None  # None: no neurons, or such as are only read
    weight: Integers = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(outputs, inputs); of conv (filters, channels / groups, rows, columns), of pool
    (1, 1, rows, columns); of an input its one factor, (1, 1)."""
    back: Integers | None = None  # dense_rec's (outputs, outputs)
    bias: Integers | None = None  # (1,), (outputs,) or (filters,)
    delay: Integers | None = None  # steps; broadcast against weight's first axes
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def name(self) -> str:
        """Of its population: "dense2"."""
        return f"{self.kind.removesuffix('_rec')}{self.layer}"


def read_blocks(file: Hdf5) -> tuple[Block, ...]:
    """The layers of a file, each fitting the one before.

    Raises:
        UnsupportedLayer: layers have no equivalent here; all of them at once.
        ModelError: layers are missing or damaged, or do not fit each other.
    """
    count, found, obstacles = len(file.members("layer")), [], []
    before: Shape | None = None
    for number in range(count):
        fields = Fields(file, str(number))
        block = _block(fields, before, last=number == count - 1)
        obstacles += fields.obstacles
        if block is None:
            break  # what follows is of a shape that is not known
        found.append(block)
        before = block.shape
    if obstacles:
        raise UnsupportedLayer.of(obstacles)
    return tuple(found)


def _block(fields: Fields, before: Shape | None, *, last: bool) -> Block | None:
    """One layer; None where it is none, or refused. ``before``: what it takes."""
    kind = fields.word("type")
    if kind not in KINDS:
        what = ELSE.get(kind, "no layer that is known")
        fields.refuse(
            "type",
            f"its type is {kind[:SHOWN]!r}, {what}; {', '.join(KINDS)} are read",
            "build it of these",
        )
        return None
    fields.kind = kind
    if kind in SYNAPTIC:
        return _synaptic(fields, before, last=last)
    if (kind == "input") != (before is None):
        raise fields.error(f"it is {kind!r}, and an input is the first layer")
    shape = shape_of(fields)
    if kind == "input":
        return _input(fields, shape)
    size = math.prod(before or ())
    if kind == "flatten":
        return Block(layer=fields.layer, kind=kind, shape=(size,))
    if not last or not shape or size % shape[0]:
        raise fields.error(
            f"it averages {size} neurons to {shape[:1]} and is layer {fields.layer}; "
            "equal groups of the last layer's are allowed"
        )
    return Block(layer=fields.layer, kind=kind, shape=shape[:1])


def _input(fields: Fields, shape: Shape) -> Block:
    if len(shape) not in (1, 3):
        raise fields.error(
            f"its shape is {shape}; (neurons,) or (channels, height, width) is allowed"
        )
    if "neuron" not in fields:
        return Block(layer=fields.layer, kind="input", shape=shape)
    registers = registers_of(fields)
    if registers is not None:
        demand_held(fields, registers)
        if registers.i_decay != 4096:
            fields.refuse(
                "iDecay",
                f"its iDecay is {registers.i_decay}, which filters the input; the host "
                "adds a sample as a bias behind the filter, the same at 4096 alone",
                "train the input block with current_decay=1",
            )
    return Block(
        layer=fields.layer,
        kind="input",
        shape=shape,
        registers=registers,
        weight=np.full((1, 1), fields.integer("weight", 64)),
        bias=np.full(1, fields.integer("bias", 0)),
    )


def _synaptic(fields: Fields, before: Shape | None, *, last: bool) -> Block:
    kind = fields.kind
    make = dense if kind.startswith("dense") else windowed
    registers = _neurons(fields, last=last)
    if "weight/imag" in fields:
        fields.refuse("weight", "its weights are complex", "train it with real ones")
        return Block(layer=fields.layer, kind=kind, shape=shape_of(fields))
    how = make(fields, before)
    demand_weights(fields, how["weight"])
    if "bias" in fields:
        how["bias"] = fields.integers("bias").ravel()
        demand_bias(fields, how["bias"], how["shape"][0])
    if "delay" in fields:
        how["delay"] = delays(fields, how["weight"], how["shape"][0])
    if how.get("back") is not None and "delay" in how and how["delay"].any():
        fields.refuse(
            "delay",
            "it is recurrent and has delays: lava-dl trains them behind the loop and "
            "its Network puts them into it",
            "train it with delay=False",
        )
    if registers is None and not fields.obstacles and "delay" in how:
        fields.refuse(
            "delay",
            "its potentials are read and it has delays",
            "train it with delay=False",
        )
    return Block(layer=fields.layer, kind=kind, registers=registers, **how)


def _neurons(fields: Fields, *, last: bool) -> Registers | None:
    """The layer's registers; None where refused, or where its potentials are read."""
    if "neuron" not in fields:
        held = Registers(i_decay=4096, v_decay=0, threshold=NEVER)
    else:
        found = registers_of(fields)
        if found is None:
            return None
        held = found
    if held.threshold < NEVER:
        demand_held(fields, held)
        return held
    if not last or fields.kind != "dense":
        fields.refuse(
            "neuron",
            f"it has no neurons that spike (vThMant {held.threshold}), and is not the "
            "last layer, a dense one, whose potentials the host computes",
            "give it neurons",
        )
    elif (held.i_decay, held.v_decay) != (4096, 0):
        fields.refuse(
            "neuron",
            f"its potentials are read, with iDecay {held.i_decay} and vDecay "
            f"{held.v_decay}; the host computes their mean without memory, 4096 and 0",
            "use slayer's Affine block with dynamics=False",
        )
    return None
