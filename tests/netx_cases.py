"""NetX files written with h5py alone, lava-dl's arithmetic in NumPy, drawn networks.

A layer is a dict of what its group holds: ``{"type": "dense", "neuron/iDecay": …}``.
Nothing here is the frontend's: layouts are those of slayer's ``export_hdf5``, steps
those of Lava's PyLifModelBitAcc, PyDenseModelBitAcc, PyDelayDenseModelBitAcc and
PyConvModelFixed, which lava-dl's ``netx.hdf5.Network`` runs.
"""

from __future__ import annotations

import math

import h5py
import numpy as np
from hypothesis import strategies as st

from snn_deploy.toolchain.frontends.netx.netx import imported
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import SpikeEncoder

NEURON = {"iDecay": 1024, "vDecay": 123, "vThMant": 80, "refDelay": 1}
LIMIT = 1 << 23


def write(path, layers):
    """A file of these layers."""
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(layers):
            group = file.create_group(f"layer/{number}")
            for name, value in layer.items():
                if name == "type":
                    group.create_dataset("type", (1,), "S10", [value.encode()])
                else:
                    group.create_dataset(name, data=value)


def neuron(kind="CUBA", **registers):
    """Datasets of a neuron."""
    known = {**NEURON, "gradedSpike": False, "type": kind, **registers}
    return {f"neuron/{name}": value for name, value in known.items()}


def dense(weight, *, spiking=True, **more):
    """A dense layer; ``weight`` is (outputs, inputs)."""
    weight = np.asarray(weight, np.float32)
    return {
        "type": "dense",
        "shape": np.array([len(weight)]),
        "weight": weight,
        **(neuron() if spiking else {}),
        **more,
    }


def program_of(path, steps):
    """The Program of a file, and what was read."""
    found = imported(path)
    start = found.graph.prepared.name
    sends = any(
        n.inputs == (start,) and hasattr(n, "tau_syn") for n in found.graph.nodes
    )
    coding = {"coding": "events", "max_rate": 1 / found.graph.dt}
    program = quantize(
        legalize(found.graph, input_spikes=sends),
        np.zeros((1, *found.graph.input.shape)),
        steps=steps,
        dt=found.graph.dt,
        encoder=SpikeEncoder(population=start, **coding) if sends else None,
        scales=found.scales,
    )
    return program, found


def in_order(program, name, spikes):
    """(steps, neurons) of a population in the file's order: channels first."""
    shape = program[name].shape
    if len(shape) == 3:
        spikes = spikes.reshape(len(spikes), *shape).transpose(0, 3, 1, 2)
    return spikes.reshape(len(spikes), -1)


def decayed(x, decay):
    """Towards zero."""
    product = x * (4096 - decay)
    return np.sign(product) * (np.abs(product) >> 12)


def fires(layer, current, bias):
    """Spikes (steps, neurons) of Lava's LIF, of what arrives in each step, unscaled."""
    u, v = np.zeros((2, current.shape[1]), np.int64)
    sent = np.zeros(current.shape, bool)
    for t, arrived in enumerate(current):
        u = decayed(u, layer["neuron/iDecay"]) + (arrived << 6)
        u = np.where(u > LIMIT, u - 2 * LIMIT, u)
        u = np.where(u <= -LIMIT, u + 2 * LIMIT, u)
        v = decayed(v, layer["neuron/vDecay"]) + u + (bias << 6)
        v = np.clip(v, -LIMIT + 1, LIMIT - 1)
        sent[t] = v > layer["neuron/vThMant"] << 6
        v[sent[t]] = 0
    return sent


def arriving(matrix, delay, spikes, steps):
    """What spikes (steps, inputs) bring, (steps, outputs): a step later and more."""
    current = np.zeros((steps + 64, len(matrix)), np.int64)
    delay = np.broadcast_to(delay, matrix.shape)
    for t in range(steps):
        for late in np.unique(delay):
            current[t + 1 + late] += (matrix * (delay == late)) @ spikes[t]
    return current[:steps]


def unfolded(layer, shape):
    """The matrix (outputs, inputs) of a convolution or pool on (channels, h, w)."""
    weight = np.asarray(layer["weight"], np.int64).reshape(layer["weight"].shape[:4])
    pool, channels = layer["type"] == "pool", shape[0]
    groups = channels if pool else int(layer["groups"])
    out = tuple(layer["shape"])
    matrix = np.zeros((math.prod(out), math.prod(shape)), np.int64)
    (sy, sx), (py, px), (dy, dx) = (
        layer[name] for name in ("stride", "padding", "dilation")
    )
    for o, y, x in np.ndindex(*out):
        group = o // (out[0] // groups)
        for c, m, n in np.ndindex(*weight.shape[1:]):
            at = y * sy + m * dy - py, x * sx + n * dx - px
            if 0 <= at[0] < shape[1] and 0 <= at[1] < shape[2]:
                row = np.ravel_multi_index((o, y, x), out)
                column = (group * weight.shape[1] + c, *at)
                column = np.ravel_multi_index(column, shape)
                matrix[row, column] += weight[0 if pool else o, c, m, n]
    return matrix


def matrix_of(layer, shape):
    """The matrix and the delays of a layer, against it."""
    delay = np.asarray(layer.get("delay", 0), np.int64)
    if layer["type"] in ("conv", "pool"):
        matrix = unfolded(layer, shape)
        spread = len(matrix) // layer["shape"][0]
        return matrix, np.repeat(np.resize(delay, layer["shape"][0]), spread)[:, None]
    matrix = np.asarray(layer["weight"], np.int64)
    if delay.ndim == 1 and delay.size == len(matrix):
        delay = delay[:, None]
    return matrix, delay


def lava_spikes(layers, x, steps):
    """Layer's number → spikes (steps, neurons), as lava-dl computes them.

    Args:
        layers: of the file.
        x: spikes (steps, neurons), or the still sample of an input layer with neurons.
        steps: how many.
    """
    found, spikes, shape = {}, x, None
    for number, layer in enumerate(layers):
        kind = layer["type"]
        if kind == "input":
            shape = tuple(layer["shape"])
            if "neuron/iDecay" not in layer:
                continue
            bias = (int(layer["weight"][0]) * x + int(layer["bias"][0])).ravel()
            current = np.zeros((steps, bias.size), np.int64)
            spikes = fires(layer, current, bias.astype(np.int64))
        elif kind in ("flatten", "average") or "neuron/iDecay" not in layer:
            continue
        else:
            matrix, delay = matrix_of(layer, shape)
            bias = np.asarray(layer.get("bias", [0]), np.int64)
            bias = np.repeat(bias, len(matrix) // bias.size)
            current = arriving(matrix, delay, spikes, steps)
            if kind == "dense_rec":
                spikes = looped(layer, current, bias)
            else:
                spikes = fires(layer, current, bias)
            shape = tuple(layer["shape"])
        found[number] = spikes
    return found


def looped(layer, current, bias):
    """Step by step, since what a recurrent layer sends comes back."""
    back, total = np.asarray(layer["weight_rec"], np.int64), current.copy()
    for t in range(len(current) - 1):
        sent = fires(layer, total[: t + 1], bias)[t]
        total[t + 1] = current[t + 1] + back @ sent
    return fires(layer, total, bias)


@st.composite
def registers(draw):
    """A neuron that spikes now and then."""
    held = {
        "iDecay": draw(st.sampled_from([1, 2, 410, 1024, 4094, 4095, 4096])),
        "vDecay": draw(st.sampled_from([0, 1, 123, 2047, 4094, 4095, 4096])),
        "vThMant": draw(st.integers(1, 200)),
    }
    if held["vDecay"] == 4096:
        held["vThMant"] = min(held["vThMant"], 63)
    if held["vDecay"] and draw(st.booleans()):
        held["iDecay"] = draw(st.integers(1, 4096))
    return neuron(draw(st.sampled_from(["CUBA", "LOIHI"])), **held)


def weights(draw, *shape):
    """Even ones, some of them 0."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    size = draw(st.sampled_from([20, 60, 127]))
    drawn = 2 * rng.integers(-size, size + 1, shape) * (rng.random(shape) < 0.8)
    return drawn.astype(np.float32)


def delays(draw, outputs, inputs):
    """In each form that a file may have; none in half of the cases."""
    forms = [None, None, None, None, (), (outputs,), (inputs,), (outputs, inputs)]
    form = draw(st.sampled_from(forms))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    most = draw(st.sampled_from([1, 3, 62]))
    return {} if form is None else {"delay": rng.integers(0, most + 1, form)}


def biases(draw, channels):
    size = draw(st.sampled_from([0, 1, channels]))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    return {"bias": rng.integers(-40, 41, size)} if size else {}


@st.composite
def windowed(draw, shape):
    """A convolution or pool on (channels, height, width)."""
    pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
    stride, dilation = draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    kernel = tuple(
        draw(st.integers(1, 2 if n + 2 * p > d else 1))
        for n, p, d in zip(shape[1:], padding, dilation)
    )
    size = [
        (n + 2 * p - (k - 1) * d - 1) // s + 1
        for n, p, k, d, s in zip(shape[1:], padding, kernel, dilation, stride)
    ]
    moves = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = {name: np.array(value) for name, value in moves.items()}
    if draw(st.booleans()):
        value = np.full((1, 1, *kernel), 2.0 * draw(st.integers(1, 40)), np.float32)
        layer |= {"type": "pool", "weight": value}
        filters = shape[0]
    else:
        groups = draw(st.sampled_from([g for g in (1, 2) if shape[0] % g == 0]))
        filters = groups * draw(st.integers(1, 2))
        weight = weights(draw, filters, shape[0] // groups, *kernel)
        if draw(st.booleans()):
            weight = weight[..., None]
        layer |= {"type": "conv", "weight": weight, "groups": groups}
        layer |= biases(draw, filters)
    if draw(st.integers(0, 3)) == 0:
        late = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 4, filters)
        layer["delay"] = late
    return {**layer, "shape": np.array([filters, *size]), **draw(registers())}


@st.composite
def networks(draw):
    """Layers of a file that lava-dl could have written."""
    picture = draw(st.booleans())
    shape = (draw(st.integers(1, 2)), 4, 5) if picture else (draw(st.integers(1, 6)),)
    layers = [{"type": "input", "shape": np.array(shape)}]
    if draw(st.booleans()):
        driven = draw(registers()) | {"neuron/iDecay": 4096}
        factor = np.array([2.0 * draw(st.integers(-40, 40))], np.float32)
        offset = np.array([2.0 * draw(st.integers(-20, 20))], np.float32)
        layers[0] |= {"weight": factor, "bias": offset, **driven}
    elif not picture and draw(st.booleans()):
        layers = []  # the first dense layer says how many inputs it has
    for _ in range(draw(st.integers(0, 2)) if picture else 0):
        layers.append(draw(windowed(shape)))
        shape = tuple(layers[-1]["shape"])
    size = math.prod(shape)
    if picture:
        layers.append({"type": "flatten", "shape": np.array([size, 1, 1])})
    for _ in range(draw(st.integers(1, 2))):
        layers.append(draw(connected(size)))
        size = len(layers[-1]["weight"])
    return layers


@st.composite
def connected(draw, inputs):
    """A dense layer, recurrent or with delays or neither."""
    outputs = draw(st.integers(1, 5))
    layer = {"shape": np.array([outputs]), "weight": weights(draw, outputs, inputs)}
    layer |= {**biases(draw, outputs), **draw(registers())}
    if draw(st.integers(0, 2)) == 0:
        back = weights(draw, outputs, outputs)
        return {"type": "dense_rec", "weight_rec": back, **layer}
    return {"type": "dense", **delays(draw, outputs, inputs), **layer}


def sample_for(layers, steps, seed=0):
    """What enters: (steps, neurons) spikes, or a still sample; as the network takes it
    and as ``lava_spikes`` does."""
    rng = np.random.default_rng(seed)
    first = layers[0]
    given = first["type"] == "input"
    shape = tuple(first["shape"]) if given else first["weight"].shape[1:]
    if "weight" in first and given:
        still = rng.integers(-2, 5, shape)
        return still.astype(float), still
    spikes = rng.random((steps, *shape)) < 0.4
    return spikes.astype(float), spikes.reshape(steps, -1)


def datasets(file):
    """Path → value of every dataset of a file."""
    found = {}
    with h5py.File(file) as opened:
        opened.visititems(
            lambda name, each: found.update(
                {name: each[()]} if isinstance(each, h5py.Dataset) else {}
            )
        )
    return found


def changed(one, other):
    """Paths whose numbers differ, axes of length 1 and texts' types aside."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if name not in one
        or name not in other
        or not np.array_equal(np.squeeze(one[name]), np.squeeze(other[name]))
    ]


def names(layers):
    """Number of each layer with neurons → its population's name."""
    return {
        number: f"{layer['type'].removesuffix('_rec')}{number}"
        for number, layer in enumerate(layers)
        if "neuron/iDecay" in layer
    }
