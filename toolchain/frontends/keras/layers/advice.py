"""What stands in the way in a Keras model: layers that have no equivalent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....graph.node import Shape

Given = Sequence[Shape]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Why layers have no equivalent, and what to do."""

    id: str
    why: str
    fix: str
    shape: Callable[[Mapping[str, Any], Given], Shape] | None = None
    """Of what it gives, from config and inputs, so that what follows is looked at."""


def _recurrent(config: Mapping[str, Any], shapes: Given) -> Shape:
    inner = config.get("layer", {}).get("config", config)  # of a Bidirectional
    twice = inner is not config and config.get("merge_mode") == "concat"
    units = int(inner["units"]) * (2 if twice else 1)
    return (shapes[0][0], units) if inner.get("return_sequences") else (units,)


def _embedded(config: Mapping[str, Any], shapes: Given) -> Shape:
    return (*shapes[0], int(config["output_dim"]))


def _same(config: Mapping[str, Any], shapes: Given) -> Shape:
    return shapes[0]


CONVOLVE = "put Conv1D layers, or Flatten and Dense, in its place and train again"
GATED = Advice(
    id="recurrent-layer",
    why=(
        "it keeps a state from place to place of a sequence, in gates that multiply "
        "signals by each other, and a neuron only adds its inputs"
    ),
    fix=CONVOLVE,
    shape=_recurrent,
)
RECURRENT = Advice(
    id="recurrent-layer",
    why=(
        "it goes through a sequence place by place and feeds its output back, and a "
        "population here is handed a whole sample at once"
    ),
    fix=CONVOLVE,
    shape=_recurrent,
)
EMBEDDING = Advice(
    id="embedding",
    why="it looks its input up in a table, and a neuron only adds its inputs",
    fix=(
        "begin the network behind it, with keras.Input of its output's shape, and give "
        "the rows it finds as data"
    ),
    shape=_embedded,
)
ATTENTION = Advice(
    id="attention",
    why="it multiplies signals by each other, and a neuron only adds its inputs",
    fix="put Conv1D or Dense layers in its place and train again",
    shape=_same,
)
NORMALIZED = Advice(
    id="sample-normalization",
    why=(
        "it divides by what it measures in each sample, and weights are the same for "
        "all samples"
    ),
    fix="put BatchNormalization in its place and train again",
    shape=_same,
)
LAMBDA = Advice(
    id="lambda-layer",
    why="it holds code, which is not read and never run",
    fix="put layers in its place",
    shape=_same,
)
LARGEST = Advice(
    id="largest-of-tensors",
    why="it takes the larger or smaller of signals, and a neuron only adds its inputs",
    fix="put Add, Average or Concatenate in its place and train again",
    shape=_same,
)
PRODUCT = Advice(
    id="product",
    why="it multiplies signals by each other, and a neuron only adds its inputs",
    fix=(
        "multiply by constants, or put Add or Concatenate in its place and train again"
    ),
)
VOLUME = Advice(
    id="volumes",
    why="it works on volumes, and pictures and sequences are read",
    fix="make the depth a part of the channels, with a 2D layer, and train again",
)
PREPARATION = Advice(
    id="data-preparation",
    why="it prepares data, and of that only numbers are rescaled here",
    fix="leave it out, and give data that it has prepared",
)

ADVICE: Mapping[str, Advice] = {
    **dict.fromkeys(("LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), GATED),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU"), GATED),
    **dict.fromkeys(("SimpleRNN", "RNN", "Bidirectional"), RECURRENT),
    "Embedding": EMBEDDING,
    **dict.fromkeys(("Attention", "AdditiveAttention"), ATTENTION),
    **dict.fromkeys(("MultiHeadAttention", "GroupQueryAttention"), ATTENTION),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), NORMALIZED),
    **dict.fromkeys(("UnitNormalization", "RMSNormalization"), NORMALIZED),
    "Lambda": LAMBDA,
    **dict.fromkeys(("Maximum", "Minimum", "ops.Maximum", "ops.Minimum"), LARGEST),
    **dict.fromkeys(("tf.math.maximum", "tf.math.minimum"), LARGEST),
    **dict.fromkeys(("Multiply", "Dot", "ops.Matmul", "tf.linalg.matmul"), PRODUCT),
    **dict.fromkeys(("Conv3D", "Conv3DTranspose", "AveragePooling3D"), VOLUME),
    **dict.fromkeys(("MaxPooling3D", "UpSampling3D", "ZeroPadding3D"), VOLUME),
    **dict.fromkeys(("Cropping3D", "GlobalAveragePooling3D"), VOLUME),
    **dict.fromkeys(("Resizing", "CenterCrop", "RandomCrop", "Hashing"), PREPARATION),
    **dict.fromkeys(("CategoryEncoding", "Discretization"), PREPARATION),
    **dict.fromkeys(("StringLookup", "IntegerLookup"), PREPARATION),
    **dict.fromkeys(("TextVectorization", "HashedCrossing"), PREPARATION),
}
"""Layer class → what to say of it."""

CUSTOM = Advice(
    id="custom-layer",
    why="it is a class of your own, whose code is not read and never run",
    fix="build it of Keras' layers and save the model again",
)


def unknown(allowed: str) -> Advice:
    """What to say of any other class."""
    return Advice(
        id="unknown-layer",
        why=f"it has no equivalent; allowed are {allowed}",
        fix="build the network of these and train it again",
    )
