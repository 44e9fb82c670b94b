"""The compiled loops of the reference target: all steps of one sample in one call."""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import NullCache
from numba.extending import intrinsic

from .kernels_neurons import LANES, steps_of
from .kernels_products import (
    I8,
    I32,
    I64,
    MOST_WORDS,
    ROWS,
    WORD,
    call,
    place,
    product,
    vector,
    ways,
)

DISABLED = bool(numba.config.DISABLE_JIT)
WAYS = ways()  # the instructions that are in the code: the best, and the next best
BEST, NEXT = WAYS[0], WAYS[-1]
best_rows, next_rows = (
    ROWS if way.registers > 16 else ROWS // 2 for way in (BEST, NEXT)
)


def chosen_way() -> int:
    """Of WAYS: the best, unless SNN_DEPLOY_VNNI=0 says the next best."""
    return 1 if os.environ.get("SNN_DEPLOY_VNNI") == "0" else 0


TILE = np.dtype(
    [
        ("population", np.int64),
        ("first", np.int64),  # its first neuron in the population
        ("size", np.int64),  # neurons
        ("state", np.int64),  # where its state begins
        ("link", np.int64),  # its first incoming link
        ("links", np.int64),  # how many it has
        ("threshold", np.int64),  # where its thresholds begin
        ("work", np.int64),  # operations of a step, roughly
        ("chunk", np.int64),  # neurons whose sums are taken on at once, see ``block``
        ("sort", np.int64),  # of its neurons, see ``sort_of``
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
        ("busy", np.int64),  # spikes of ROWS steps from which the dense way is faster
        ("work", np.int64),  # operations of a step, roughly
        ("outs", np.int64),  # neurons of the tile in one target pixel
        ("words", np.int64),  # of one source pixel
        ("skipped", np.int64),  # words of the source before ``first``
        ("target", np.int64),  # where its target pixels begin in ``edges``
        ("matrix", np.int64),  # words of the whole kernel
        ("blocks", np.int64),  # where its weights begin in ``blocks``
        ("shift", np.int64),  # of the weights in ``blocks``
        ("panel", np.int64),  # where its panel begins
    ],
    align=True,
)
"""One connection into one tile."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code on first use, kept on disk wherever there is a place to write.

    Numba takes what it kept for as old as the file of ``function``; what that calls is
    in other files too, so that the key is the text of all.
    """
    try:
        kernel = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: no locator available
        return numba.njit(nogil=True)(function)
    files = sorted(Path(__file__).parent.glob("kernels*.py"))
    text = b"".join(file.read_bytes() for file in files)
    kernel._cache._cache_file._source_stamp = sha256(text).hexdigest()
    CACHED.append(kernel)
    return kernel


inlined = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Machine code that compiled code calls, and Python cannot."""

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


@intrinsic
def ones(typingctx, raster, i):
    """How many of raster[i : i + 8] are 1."""

    def code(context, builder, signature, arguments):
        at = place(context, builder, signature.args[0], *arguments)
        word = builder.load(builder.bitcast(at, I64.as_pointer()), align=1)
        return call(builder, "llvm.ctpop.i64", I64, word)

    return types.int64(raster, types.intp), code


@intrinsic
def copy(typingctx, target, i, source, k, size):
    """target[i : i + size] = source[k : k + size], bytes."""

    def code(context, builder, signature, arguments):
        kinds = signature.args
        to = place(context, builder, kinds[0], *arguments[:2])
        what = place(context, builder, kinds[2], *arguments[2:4])
        cgutils.raw_memcpy(builder, to, what, arguments[4], 1)
        return context.get_dummy_value()

    p = types.intp
    return types.void(target, p, source, p, p), code


@intrinsic
def clear(typingctx, array, size):
    """array[:size] = 0."""

    def code(context, builder, signature, arguments):
        array, size = arguments
        to = place(context, builder, signature.args[0], array, I64(0))
        width = context.get_abi_sizeof(to.type.pointee)
        to = builder.bitcast(to, I8.as_pointer())
        cgutils.memset(builder, to, builder.mul(size, I64(width)), 0)
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@intrinsic
def interleave(typingctx, source, begins, i, panel, k):
    """panel[k + 32 n + 4 m] = source[begins[m] + i + 4 n], words, n and m < ROWS."""

    def code(context, builder, signature, arguments):
        kinds = signature.args
        source, begins, i, panel, k = arguments
        row = vector(I32, ROWS)
        begins = place(context, builder, kinds[1], begins, I64(0))
        held = []
        for m in range(ROWS):
            begin = builder.load(builder.gep(begins, [I64(m)]))
            at = place(context, builder, kinds[0], source, builder.add(begin, i))
            at = builder.bitcast(at, row.as_pointer())
            held.append(builder.load(at, align=1))
        for width in (1, 2, 4):  # of a square matrix's blocks that change places
            turned = list(held)
            for m in (m for m in range(ROWS) if not m & width):
                for part in (0, 1):
                    order = [
                        n - width * (1 - part) + ROWS if n & width else n + width * part
                        for n in range(ROWS)
                    ]
                    mask = ir.Constant(vector(I32, ROWS), order)
                    both = held[m], held[m + width]
                    turned[m + width * part] = builder.shuffle_vector(*both, mask)
            held = turned
        into = place(context, builder, kinds[3], panel, k)
        into = builder.bitcast(into, row.as_pointer())
        for n, column in enumerate(held):
            builder.store(column, builder.gep(into, [I64(n)]), align=1)
        return context.get_dummy_value()

    p = types.intp
    return types.void(source, begins, p, panel, p), code


best_wide, best_narrow = product(BEST, best_rows, 16), product(BEST, ROWS, 8)
next_wide, next_narrow = product(NEXT, next_rows, 16), product(NEXT, ROWS, 8)
best_single, next_single = product(BEST, 1, 16), product(NEXT, 1, 16)
best_last, next_last = product(BEST, 1, 8), product(NEXT, 1, 8)


@intrinsic
def add(typingctx, q, i, weights, k):
    """q[i : i + 8] += weights[k : k + 8], int32, as one vector operation."""

    def code(context, builder, signature, arguments):
        vector = ir.VectorType(I32, 8).as_pointer()
        kinds = signature.args
        into = place(context, builder, kinds[0], *arguments[:2])
        what = place(context, builder, kinds[2], *arguments[2:])
        into, what = (builder.bitcast(place, vector) for place in (into, what))
        total = builder.add(builder.load(into, align=4), builder.load(what, align=4))
        builder.store(total, into, align=4)
        return context.get_dummy_value()

    return types.void(q, types.intp, weights, types.intp), code


@inlined
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


@inlined
def scatter(starts, runs, weights, link, active, found, q, at):
    """Add the weights of the neurons that spiked to q[at:], run by run."""
    channels = np.uint32(link.channels)
    for a in range(found):
        pixel = np.int64(np.uint32(active[a]) // channels)
        channel = active[a] - pixel * link.channels
        base = link.weights + channel * link.fan
        row = link.row + pixel
        for r in range(starts[row], starts[row + 1]):
            i, k = at + runs[r, 0], base + runs[r, 1]
            end = i + runs[r, 2]
            while i + 16 <= end:
                add(q, i, weights, k)
                add(q, i + 8, weights, k + 8)
                i, k = i + 16, k + 16
            if i + 8 <= end:
                add(q, i, weights, k)
                i, k = i + 8, k + 8
            while i < end:
                q[i] += weights[k]
                i, k = i + 1, k + 1


@inlined
def count(raster, begins, rows, size):
    """Spikes in the first ``rows`` rows of ``size`` neurons that begin there."""
    found = 0
    for m in range(rows):
        i, end = begins[m], begins[m] + size
        while i + 8 <= end:
            found += ones(raster, i)
            i += 8
        while i < end:
            found += raster[i]
            i += 1
    return found


@inlined
def fill(link, raster, begins, rows, panel, stage):
    """Write a link's panel: word after word, in it row after row.

    Pixels that are no whole words are padded first, from ``stage`` on.
    """
    channels, padded = link.channels, link.words * WORD
    size = link.pixels * padded
    source = raster
    if rows == 1 or padded != channels:
        source = panel
        for m in range(1 if rows == 1 else ROWS):
            to = link.panel if rows == 1 else stage + m * (size + ROWS * WORD)
            begin, begins[m] = begins[m], to
            if padded == channels:
                copy(panel, to, raster, begin, size)
                continue
            for i in range(0, size, padded):
                for c in range(padded):
                    panel[to + i + c] = raster[begin + c] if c < channels else 0
                begin += channels
    if rows > 1:
        for i in range(0, size, ROWS * WORD):
            interleave(source, begins, i, panel, link.panel + i * ROWS)


@inlined
def multiply(way, link, rows, edges, w, b, panel, first, last, q, at, stride, kept):
    """Sums of the target pixels first … last − 1: q = (q & kept) + weights · spikes."""
    shift = np.int32(link.shift)
    origin = link.panel - link.skipped * WORD * (1 if rows == 1 else ROWS)
    for pixel in range(first, last):
        e, held = edges[link.target + pixel], np.int32(kept)
        end = edges[link.target + pixel + 1]
        while True:
            s, words = e, 0
            if link.matrix <= MOST_WORDS:
                e = end
            while e < end and words + w[e, 2] <= MOST_WORDS:
                words += w[e, 2]
                e += 1
            k, i = link.blocks, at + (pixel - first) * link.outs
            for o in range(0, link.outs, 16):
                wide = link.outs - o > 8
                step = 1 if rows == 1 else best_rows if way == 0 else next_rows
                step = step if wide else ROWS
                for m in range(0, rows, step):
                    to, j = i + m * stride, origin + m * WORD
                    if rows == 1:
                        if wide:
                            if way == 0:
                                best_single(
                                    q, to, stride, panel, j, w, s, e, b, k, shift, held
                                )
                            else:
                                next_single(
                                    q, to, stride, panel, j, w, s, e, b, k, shift, held
                                )
                        elif way == 0:
                            best_last(
                                q, to, stride, panel, j, w, s, e, b, k, shift, held
                            )
                        else:
                            next_last(
                                q, to, stride, panel, j, w, s, e, b, k, shift, held
                            )
                    elif wide:
                        if way == 0:
                            best_wide(
                                q, to, stride, panel, j, w, s, e, b, k, shift, held
                            )
                        else:
                            next_wide(
                                q, to, stride, panel, j, w, s, e, b, k, shift, held
                            )
                    elif way == 0:
                        best_narrow(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    else:
                        next_narrow(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                i, k = i + 16, k + link.matrix * WORD * 16
            held = np.int32(-1)
            if e >= end:
                break


PLAIN, CURRENT, RESTING, ANY = range(4)
plain, with_current = steps_of(), steps_of(current=True)
with_rest = steps_of(resting=True)
of_any_sort = steps_of(current=True, resting=True, other=True)


def sort_of(decay_u: int, decay_v: int, refractory: int, bounded: bool) -> int:
    """The loop that neurons need; ``bounded``: some cannot reach their threshold."""
    current, resting = decay_u < 4095, refractory > 1
    if decay_v == 0 or bounded or (current and resting):
        return ANY
    return CURRENT if current else RESTING if resting else PLAIN


@inlined
def update(tile, rows, u, v, rest, s, n, q, at, stride, bias, b, theta, h, fired):
    """``rows`` steps of ``n`` neurons, whose state begins at s; their q at ``at``.

    Their spikes go to ``fired``, row after row.
    """
    ku, kv, r, low, top = tile.keep_u, tile.keep_v, tile.rest, tile.v_min, tile.v_max
    pitch, sort = -(-n // LANES) * LANES, tile.sort
    for f in range(0, n, LANES):
        k, i, c, e = s + f, at + f, b + f, h + f
        # fmt: off
        if sort == PLAIN:
            plain(u, v, rest, k, q, i, stride, bias, c, theta, e, fired, f, pitch, rows,
                  ku, kv, r, low, top)
        elif sort == CURRENT:
            with_current(u, v, rest, k, q, i, stride, bias, c, theta, e, fired, f,
                         pitch, rows, ku, kv, r, low, top)
        elif sort == RESTING:
            with_rest(u, v, rest, k, q, i, stride, bias, c, theta, e, fired, f, pitch,
                      rows, ku, kv, r, low, top)
        else:
            of_any_sort(u, v, rest, k, q, i, stride, bias, c, theta, e, fired, f, pitch,
                        rows, ku, kv, r, low, top)
        # fmt: on


@inlined
def where(batch, sample, t, rows, link, begins):
    """Note where the spikes lie that reach a link in steps t … t + rows − 1."""
    for m in range(ROWS):
        begins[m] = batch.zeros
        row = t + m - link.delay
        if m < rows and row >= 0:
            row = (sample * batch.steps + row) * batch.sizes[link.source]
            begins[m] = batch.base[link.source] + row + link.first


@compiled
def simulate(net, batch, memory, sample, g, t, most):
    """Steps of one sample, from step t of group g on: the next group and step.

    Group after group of tiles, see ``tiles.Network``, until the sample has ended, g is
    the number of groups, or about ``most`` operations are done. Chunk by chunk: sums
    that were just made are taken on while they are in the nearest cache.
    """
    q, u, v, rest, dense = memory.q, memory.u, memory.v, memory.rest, memory.dense
    begins, panel, fired = memory.begins, memory.panel, memory.fired
    done = 0
    while g < net.groups.size - 1 and done <= most:
        if t == 0:
            clear(u, u.size)
            clear(v, v.size)
            clear(rest, rest.size)
        rows = min(net.rows[g], batch.steps - t)
        for number in range(net.groups[g], net.groups[g + 1]):
            tile = net.tiles[number]
            done += tile.work * rows
            stride, chunk, summed, some = tile.size + LANES, tile.chunk, False, False
            for n in range(tile.links):
                link = net.links[tile.link + n]
                dense[n] = 0
                if t + rows <= link.delay:
                    continue
                where(batch, sample, t, rows, link, begins)
                size = link.pixels * link.channels
                found = link.busy
                if link.busy > 0:
                    found = count(batch.raster, begins, rows, size)
                if found * ROWS < link.busy * rows:
                    if not summed:
                        clear(q, rows * stride)
                        summed = True
                    for m in range(rows):
                        begin, to = begins[m], memory.active
                        found = find(batch.raster, batch.words, begin, begin + size, to)
                        scatter(
                            net.starts,
                            net.runs,
                            net.weights,
                            link,
                            to,
                            found,
                            q,
                            m * stride,
                        )
                else:
                    dense[n], some = 1, True
                    fill(link, batch.raster, begins, rows, panel, memory.stage)
            if not summed and not some:
                clear(q, stride)
            p = tile.population
            b = batch.bias_base[p] + sample * batch.bias_stride[p] + tile.first
            f = batch.base[p] + (sample * batch.steps + t) * batch.sizes[p] + tile.first
            for c in range(0, tile.size, chunk):
                neurons = min(chunk, tile.size - c)
                at, pitch, kept = c, stride, -1
                if not summed:
                    at, pitch, kept = 0, chunk + LANES, 0
                for n in range(tile.links):
                    if dense[n]:
                        link = net.links[tile.link + n]
                        first, last = c // link.outs, (c + neurons) // link.outs
                        multiply(
                            net.way,
                            link,
                            rows,
                            net.edges,
                            net.windows,
                            net.blocks,
                            panel,
                            first,
                            last,
                            q,
                            at,
                            pitch,
                            kept,
                        )
                        kept = -1
                if not summed and not some:
                    pitch = 0
                update(
                    tile,
                    rows,
                    u,
                    v,
                    rest,
                    tile.state + c,
                    neurons,
                    q,
                    at,
                    pitch,
                    batch.bias,
                    b + c,
                    net.thresholds,
                    tile.threshold + c,
                    fired,
                )
                for m in range(rows):
                    to, at = (
                        f + c + m * batch.sizes[p],
                        m * (-(-neurons // LANES) * LANES),
                    )
                    copy(batch.raster, to, fired, at, neurons)
        t += rows
        if t == batch.steps:
            g, t = g + 1, 0
    return g, t
