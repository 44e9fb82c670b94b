"""The compiled loops of the reference target: all steps of one sample in one call.

**What was known.** ``program.step`` says in 64 bits what must come out. Of q only the
lowest 22 bits are used, so sums may wrap around at 32, and nothing here is wider. Spike
by spike, 8 additions of 32 bits at a time, a synaptic operation took 0.25 to 0.3 ns,
and a neuron's step 1.5 ns (Zen 3). But mantissas are even and their halves signed
bytes, spikes are bytes too, and processors multiply 32 or 64 such pairs and add them in
one instruction (``kernels_products``): then a synapse costs 0.007 ns, spike or not, and
few spikes by themselves are cheaper only below some 1 to 3 %.

**Two ways to one sum.** For few spikes each adds its weights, run by run (``scatter``).
For many, the steps' spikes and the kernel are multiplied as matrices (``multiply``).
The spikes of a link are counted first, and ``busy`` says from how many on the second is
taken (``tiles`` estimates it). It is the same integer either way, and tests draw
networks at random for which it must be (tests/test_reference.py).

**How.** ROWS steps at a time, since without a loop all spikes that reach a tile are
there before its first step: their words are interleaved (``fill``), so that one load of
weights serves all steps, and sums stay in registers over a whole window. Then ROWS
steps of the neurons follow, their state in registers (``kernels_neurons``), while the
sums are still in the nearest cache: chunk by chunk. In a loop as many steps are taken
at a time as its shortest delay allows, mostly one; the product is then of one row.
There is no allocation in the loop over steps, and no Python, so that threads run
samples side by side. A call ends after work of about ``most`` and is taken up again,
so that Python can be interrupted.

What compiled code calls is compiled once and joined with it by LLVM, which optimises
every layer of calls anew: hence two layers, and few arguments that are many arrays.

**What was measured** (benchmarks/README.md, ``profile_reference.py``; AMD EPYC, Zen 3,
AVX2, a busy machine). 140 to 155 · 10⁹ multiplications a second by vpmaddubsw in
registers, 60 to 125 in layers: a target pixel costs some 25 ns of ROWS steps beside its
words, which are 33 ns in a 3×3 kernel from 8 to 8 channels. Compiled to pmullw and
shuffles LLVM's own operations reached 15, by masks 45 to 54 (``Pairs``): no less than
16-bit pairs had. A step of a neuron takes 0.24 ns without, 0.35 with memory of its
current, 32 neurons at a time; 16 at a time 0.28 and 0.35; before that decays in two
32-bit products, and state through the cache at every step, 1.5. Spikes written row by
row of a chunk, not 16 neurons by 8 rows, saved a third of the first layer: rows whose
distance is a multiple of 4 KiB share a set of the cache.

**What is doubtful.** All times are of one processor; elsewhere the switch may be wrong,
which costs time and no spike. vpdpbusd and sdot ran in emulators alone, which count no
time (tests/test_reference_elsewhere.py): no such processor was at hand.
With one or two channels out most lanes multiply zeros (8 → 1 channels: 10 · 10⁹ a
second); several target pixels in one vector would help. ``find`` reads bytes as words:
little-endian machines only.
"""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

import os

import numpy as np

from .kernels_compiled import compiled, inlined
from .kernels_memory import add, clear, copy, interleave, lowest, ones
from .kernels_neurons import LANES, steps_of
from .kernels_products import MOST_WORDS, ROWS, WORD, product, ways

WAYS = ways()  # the instructions that are in the code: the best, and the next best
BEST, NEXT = WAYS[0], WAYS[-1]
best_rows, next_rows = (
    ROWS if way.registers > 16 else ROWS // 2 for way in (BEST, NEXT)
)


def chosen_way() -> int:
    """Of WAYS: the best, unless SNN_DEPLOY_VNNI=0 says the next best."""
    return 1 if os.environ.get("SNN_DEPLOY_VNNI") == "0" else 0


best_wide, best_narrow = product(BEST, best_rows, 16), product(BEST, ROWS, 8)
next_wide, next_narrow = product(NEXT, next_rows, 16), product(NEXT, ROWS, 8)
best_single, next_single = product(BEST, 1, 16), product(NEXT, 1, 16)
best_last, next_last = product(BEST, 1, 8), product(NEXT, 1, 8)


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
def scatter_listed(starts, synapses, link, active, found, q, at):
    """Add what is listed for the neurons that spiked to q[at:], synapse by synapse."""
    for a in range(found):
        row = link.row + active[a]
        for s in range(starts[row], starts[row + 1]):
            q[at + synapses[s, 0]] += synapses[s, 1]


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
                # fmt: off
                for m in range(0, rows, step if wide else ROWS):
                    to, j = i + m * stride, origin + m * WORD
                    if rows == 1 and wide and way == 0:
                        best_single(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    elif rows == 1 and wide:
                        next_single(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    elif rows == 1 and way == 0:
                        best_last(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    elif rows == 1:
                        next_last(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    elif wide and way == 0:
                        best_wide(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    elif wide:
                        next_wide(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    elif way == 0:
                        best_narrow(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                    else:
                        next_narrow(q, to, stride, panel, j, w, s, e, b, k, shift, held)
                # fmt: on
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
    the number of groups, or work of about ``most`` is done. Chunk by chunk: sums
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
                        at, starts = m * stride, net.starts
                        if link.fan == 0:
                            scatter_listed(starts, net.synapses, link, to, found, q, at)
                            continue
                        scatter(starts, net.runs, net.weights, link, to, found, q, at)
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
