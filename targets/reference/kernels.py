"""The compiled loops of the reference target: all steps of one sample in one call.

**What was known.** ``program.step`` says in 64 bits what must come out. Of q only the
lowest 22 bits are used, so sums may wrap around at 32; |u| and |v| stay below 2^23, so
a decay needs 32 bits if its factor is applied to the upper and lower 12 bits apart
(``decay``). So nothing here is wider than 32 bits, and a vector holds twice as many. A
first prototype in Numba, spike by spike, was exact and 85 times as fast as
nengo-loihi's emulator at batch 1, 168 times at 32 on two threads.

**Two ways to one sum.** A step's q is Σ weights of the neurons that spiked. For few
spikes each adds its weights, run by run (``scatter``). For many it is a product of a
matrix with zeros and ones (``multiply_all``): mantissas are even, their halves fit in
7 bits and a sign, and processors multiply and add pairs of 16-bit numbers in one
instruction. The spikes of the step are counted first, and ``busy`` of the link says
from how many on the second is taken (``tiles`` estimates it). It is the same integer
either way, and a test draws networks at random for which it must be
(tests/test_reference.py).

**How.** ``add`` and ``multiply`` are vector operations of LLVM. ``find`` looks at 64
neurons at a time: a multiplication gathers the lowest bits of eight bytes. There is no
allocation in the loop over steps, and no Python, so that threads run samples side by
side.

**What was measured** (benchmarks/README.md, ``profile_reference.py``). Two thirds of
the time are additions of weights, 0.25 to 0.3 ns each, three to four times the
yardstick: a spike of a 3×3 convolution with 8 filters reaches runs of only 8 to 24
neighbours, and how many and how long is a branch that a processor cannot foresee. The
update of neurons takes twice its floor: arithmetic, not memory. Fresh pages for the
spikes took 10 µs a step and sample at batch 32 until they were asked for without zeros
in them.

**What is doubtful.** All times are of one processor, an AMD EPYC (Zen 4); elsewhere
the switch may lie wrong, which costs time and no spike. ``multiply`` is laid out for
x86's pmaddwd, and not timed where LLVM must do without. ``find`` reads bytes as words:
little-endian machines only.
"""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.caching import NullCache
from numba.extending import intrinsic

DISABLED = bool(numba.config.DISABLE_JIT)

INPUTS, LANES = 8, 16  # spikes and neurons that ``multiply`` takes at a time

TILE = np.dtype(
    [
        ("population", np.int64),
        ("first", np.int64),  # its first neuron in the population
        ("size", np.int64),  # neurons
        ("state", np.int64),  # where its state begins
        ("link", np.int64),  # its first incoming link
        ("links", np.int64),  # how many it has
        ("threshold", np.int64),  # where its thresholds begin
        ("keep_u", np.int32),  # 4095 − δ_u
        ("keep_v", np.int32),  # 4096 − δ_v
        ("rest", np.int32),  # steps of rest after a spike, r − 1
        ("v_min", np.int32),
        ("v_max", np.int32),
    ],
    align=True,
)
"""Neurons of one population that are stepped together."""

LINK = np.dtype(
    [
        ("source", np.int64),  # population
        ("delay", np.int64),  # steps
        ("first", np.int64),  # first neuron of the source that reaches the tile
        ("channels", np.int64),  # of the source
        ("pixels", np.int64),  # of the source, from ``first`` on
        ("row", np.int64),  # where its pixels begin in ``starts``
        ("weights", np.int64),  # where its weights begin
        ("fan", np.int64),  # weights of one channel of the source
        ("busy", np.int64),  # spikes a step from which the dense way is faster
        ("outs", np.int64),  # neurons of the tile in one target pixel
        ("positions", np.int64),  # of the kernel
        ("windows", np.int64),  # where its target pixels begin in ``windows``
        ("blocks", np.int64),  # where its weights begin in ``blocks``
        ("scale", np.int64),  # of the weights in ``blocks``
    ],
    align=True,
)
"""One connection into one tile."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code on first use, kept on disk wherever there is a place to write."""
    try:
        kernel = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: no locator available
        return numba.njit(nogil=True)(function)
    CACHED.append(kernel)
    return kernel


CACHED: list[Any] = []
CACHE_FAILURES = (OSError, EOFError, pickle.UnpicklingError, ValueError, ImportError)
"""What Numba raises where the files of its cache are damaged, or their disk is full."""


def without_cache() -> None:
    """Compile all anew on next use, and keep nothing."""
    for kernel in CACHED:
        kernel._cache = NullCache()


@intrinsic
def lowest(typingctx, mask):
    """Number of the lowest bit that is set in a uint64."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), code


def _place(context, builder, kind, array, index):
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def add(typingctx, q, i, weights, k):
    """q[i : i + 8] += weights[k : k + 8], int32, as one vector operation."""

    def code(context, builder, signature, arguments):
        vector = ir.VectorType(ir.IntType(32), 8).as_pointer()
        kinds = signature.args
        into = _place(context, builder, kinds[0], *arguments[:2])
        what = _place(context, builder, kinds[2], *arguments[2:])
        into, what = (builder.bitcast(place, vector) for place in (into, what))
        total = builder.add(builder.load(into, align=4), builder.load(what, align=4))
        builder.store(total, into, align=4)
        return context.get_dummy_value()

    return types.void(q, types.intp, weights, types.intp), code


@intrinsic
def multiply(typingctx, q, i, spikes, j, blocks, k):
    """q[i : i + 16] += spikes[j : j + 8] · blocks[k : k + 128]; int32, int16, int16.

    A block holds, for each pair of spikes, the two weights of each of the 16 neurons:
    the layout of the instruction that multiplies 16-bit pairs and adds them (x86
    pmaddwd), which LLVM finds in the plain operations below.
    """

    def code(context, builder, signature, arguments):
        i16, i32 = ir.IntType(16), ir.IntType(32)
        sums, pairs = ir.VectorType(i32, LANES), ir.VectorType(i16, 2 * LANES)
        wide = ir.VectorType(i32, 2 * LANES)

        def pick(vector, order):
            mask = ir.Constant(ir.VectorType(i32, LANES), order)
            return builder.shuffle_vector(
                vector, ir.Constant(vector.type, ir.Undefined), mask
            )

        def product(pair, weights):
            one = builder.insert_element(ir.Constant(sums, ir.Undefined), pair, i32(0))
            spread = builder.bitcast(pick(one, [0] * LANES), pairs)
            both = builder.mul(builder.sext(spread, wide), builder.sext(weights, wide))
            even, odd = list(range(0, 2 * LANES, 2)), list(range(1, 2 * LANES, 2))
            return builder.add(pick(both, even), pick(both, odd))

        kinds = signature.args
        into, spike, block = (
            builder.bitcast(
                _place(context, builder, kinds[n], arguments[n], arguments[n + 1]), to
            )
            for n, to in zip(
                (0, 2, 4), (sums.as_pointer(), i32.as_pointer(), pairs.as_pointer())
            )
        )
        products = [
            product(
                builder.load(builder.gep(spike, [i32(n)]), align=2),
                builder.load(builder.gep(block, [i32(n)]), align=2),
            )
            for n in range(INPUTS // 2)
        ]
        halves = [builder.add(*products[:2]), builder.add(*products[2:])]
        total = builder.add(builder.load(into, align=4), builder.add(*halves))
        builder.store(total, into, align=4)
        return context.get_dummy_value()

    return types.void(q, types.intp, spikes, types.intp, blocks, types.intp), code


@compiled
def find(raster, words, begin, end, active):
    """Write the spikes in raster[begin:end], counted from ``begin``; how many."""
    found = 0
    i = begin
    while i < end and i & 7:
        active[found] = i - begin
        found += raster[i]
        i += 1
    while i + 64 <= end:
        mask = np.uint64(0)  # one bit a neuron
        for j in range(8):
            bits = words[(i >> 3) + j] * np.uint64(0x0102040810204080)
            mask |= (bits >> np.uint64(56)) << np.uint64(8 * j)
        while mask:
            active[found] = i - begin + lowest(mask)
            found += 1
            mask &= mask - np.uint64(1)
        i += 64
    while i < end:
        active[found] = i - begin
        found += raster[i]
        i += 1
    return found


@compiled
def scatter(net, link, active, found, q):
    """Add the weights of the neurons that spiked to q, run by run."""
    channels = np.uint32(link.channels)
    for a in range(found):
        pixel = np.int64(np.uint32(active[a]) // channels)
        channel = active[a] - pixel * link.channels
        base = link.weights + channel * link.fan
        row = link.row + pixel
        for r in range(net.starts[row], net.starts[row + 1]):
            i, k = np.int64(net.runs[r, 0]), base + net.runs[r, 1]
            end = i + net.runs[r, 2]
            while i + 16 <= end:
                add(q, i, net.weights, k)
                add(q, i + 8, net.weights, k + 8)
                i, k = i + 16, k + 16
            if i + 8 <= end:
                add(q, i, net.weights, k)
                i, k = i + 8, k + 8
            while i < end:
                q[i] += net.weights[k]
                i, k = i + 1, k + 1


@compiled
def widen(spikes, channels, padded, wide):
    """Spikes as int16, every pixel padded to whole groups of INPUTS."""
    if channels == padded:
        for i in range(spikes.size):
            wide[i] = spikes[i]
        return
    for pixel in range(spikes.size // channels):
        for c in range(channels):
            wide[pixel * padded + c] = spikes[pixel * channels + c]
        for c in range(channels, padded):
            wide[pixel * padded + c] = 0


@compiled
def multiply_all(net, link, spikes, wide, total, q):
    """Add weights · spikes to q, pixel by pixel, whether there are spikes or not."""
    padded = -(-link.channels // INPUTS) * INPUTS
    lanes = -(-link.outs // LANES) * LANES
    scale = np.int32(link.scale)
    widen(spikes, link.channels, padded, wide)
    for pixel in range(q.size // link.outs):
        for o in range(lanes):
            total[o] = 0
        window = link.windows + pixel * link.positions
        for position in range(link.positions):
            source = net.windows[window + position]
            if source < 0:
                continue
            k = link.blocks + position * padded * lanes
            for j in range(source * padded, (source + 1) * padded, INPUTS):
                for o in range(0, lanes, LANES):
                    multiply(total, o, wide, j, net.blocks, k)
                    k += INPUTS * LANES
        into = q[pixel * link.outs : (pixel + 1) * link.outs]
        for o in range(into.size):
            into[o] += np.int32(total[o] * scale)


@compiled
def decay(x, keep):
    """sgn(x) · ⌊|x| · keep / 4096⌋ without leaving 32 bits; |x| ≤ 2^23, keep ≤ 2^12."""
    size = np.int32(abs(x))
    high = np.int32(np.int32(size >> 12) * keep)
    low = np.int32(np.int32(size & 4095) * keep)
    kept = np.int32(high + np.int32(low >> 12))
    return np.int32(-kept) if x < 0 else kept


@compiled
def wrap(x, spare):
    """x as a signed number of 32 − ``spare`` bits."""
    return np.int32(np.int32(x << spare) >> spare)


@compiled
def update(tile, threshold, q, u, v, rest, bias, fired):
    """One step of ``program.step`` for a tile; q is cleared for the next."""
    keep_u, keep_v, after = tile.keep_u, tile.keep_v, np.int8(tile.rest)
    v_min, v_max = tile.v_min, tile.v_max
    for i in range(fired.size):
        current = wrap(np.int32(decay(u[i], keep_u) + wrap(q[i], 10)), 8)
        q[i] = 0
        u[i] = current
        j = wrap(np.int32(current + bias[i]), 8)
        y = np.int32(decay(v[i], keep_v) + j)
        y = min(max(y, v_min), v_max)
        y = np.int32(0) if rest[i] > 0 else y
        spike = y > threshold[i]
        v[i] = np.int32(0) if spike else y
        rest[i] = after if spike else max(np.int8(rest[i] - 1), np.int8(0))
        fired[i] = spike


@compiled
def receive(net, batch, sample, t, tile, active, wide, total, q):
    """Add the spikes that reach a tile in step t to its q."""
    for n in range(tile.link, tile.link + tile.links):
        link = net.links[n]
        if t < link.delay:
            continue
        row = sample * batch.steps + t - link.delay
        begin = batch.base[link.source] + row * batch.sizes[link.source] + link.first
        end = begin + link.pixels * link.channels
        found = find(batch.raster, batch.words, begin, end, active)
        if found < link.busy:
            scatter(net, link, active, found, q)
        else:
            multiply_all(net, link, batch.raster[begin:end], wide, total, q)


@compiled
def allocate(size):
    """int32 array that begins with a cache line, so that vectors cross none."""
    memory = np.empty(size + 16, np.int32)
    begin = (-memory.ctypes.data & 63) >> 2
    return memory[begin : begin + size]


@compiled
def simulate(net, batch, sample):
    """All steps of one sample: group after group of tiles, see ``tiles.Network``."""
    q = allocate(net.room[0])
    u = np.empty(net.room[0], np.int32)
    v = np.empty(net.room[0], np.int32)
    rest = np.empty(net.room[0], np.int8)
    active = np.empty(net.room[1], np.int32)
    wide = np.empty(net.room[2], np.int16)
    total = allocate(net.room[3])
    for g in range(net.groups.size - 1):
        q[:], u[:], v[:], rest[:] = 0, 0, 0, 0
        for t in range(batch.steps):
            for k in range(net.groups[g], net.groups[g + 1]):
                tile = net.tiles[k]
                p, s, e = tile.population, tile.state, tile.state + tile.size
                begin = batch.bias_base[p] + sample * batch.bias_stride[p] + tile.first
                bias = batch.bias[begin : begin + tile.size]
                row = sample * batch.steps + t
                begin = batch.base[p] + row * batch.sizes[p] + tile.first
                fired = batch.raster[begin : begin + tile.size]
                receive(net, batch, sample, t, tile, active, wide, total, q[s:e])
                above = net.thresholds[tile.threshold : tile.threshold + tile.size]
                update(tile, above, q[s:e], u[s:e], v[s:e], rest[s:e], bias, fired)
