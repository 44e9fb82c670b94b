"""The compiled loops of training's forward pass: spikes in, numbers of spikes out.

**What was known.** The backward pass needs of a population no spikes, only how many
each neuron sent and their mean over the steps that are read. TensorFlow's forward pass
makes a number of four bytes for every neuron, step and sample, and multiplies all of
them with the weights, though 3 to 10 % are spikes.

**How.** A population goes through all its steps before the next one begins, one sample
after the other. A step leaves a list of the neurons that spiked, and each of them adds
its weights to the sums of those that it reaches: a few runs, as many and as long for
every neuron of a connection, so that no branch is taken that a processor could not
foresee (``runs`` lays sums out for this, with room around pictures). Lists are written
eight neurons at a time, by a table of where the ones of a byte are.

Sums may wrap around in 32 bits, since the core keeps 22 of them (``program.step``).
Spikes are counted in float32 in the order of the steps, as TensorFlow counts them, so
that training is the same to the last bit (tests/test_compiled.py).

**What is doubtful.** Bits of a byte are taken in the order that little-endian machines
have.
"""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

DISABLED = bool(numba.config.DISABLE_JIT)
LANES = 8  # numbers that are added at a time

POPULATION = np.dtype(
    [
        ("neurons", np.int64),
        ("first", np.int64),  # where its neurons begin in ``places``, biases, counts
        ("size", np.int64),  # places of its neurons, a multiple of LANES
        ("begin", np.int64),  # the first of them in the sums; before it is room
        ("room", np.int64),  # of the sums
        ("place", np.int64),  # where its places begin in ``thresholds`` and lists
        ("link", np.int64),  # its first incoming link
        ("links", np.int64),
        ("keep_u", np.int32),  # 4095 − δ_u
        ("keep_v", np.int32),  # 4096 − δ_v
        ("rest", np.int32),  # steps of rest after a spike
        ("v_min", np.int32),
        ("v_max", np.int32),
    ],
    align=True,
)

LINK = np.dtype(
    [
        ("source", np.int64),  # population
        ("delay", np.int64),  # steps
        ("entry", np.int64),  # where the source's places begin in ``entries``
        ("rows", np.int64),  # runs of a spike
        ("length", np.int64),  # of a run, a multiple of LANES
        ("stride", np.int64),  # from run to run in the sums
    ],
    align=True,
)

ONES = np.array([bin(byte).count("1") for byte in range(256)], np.int64)
ORDER = np.zeros((256, LANES), np.int32)  # of a byte: its ones, lowest first
for _byte in range(256):
    _ones = [bit for bit in range(LANES) if _byte >> bit & 1]
    ORDER[_byte, : len(_ones)] = _ones
ORDER = ORDER.ravel()


def compiled(function):
    """Machine code on first use, kept on disk wherever there is a place to write."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: no locator available
        return numba.njit(nogil=True)(function)


def _vector(context, builder, kind, array, index):
    data = context.make_array(kind)(context, builder, array).data
    vector = ir.VectorType(ir.IntType(32), LANES).as_pointer()
    return builder.bitcast(builder.gep(data, [index]), vector)


@intrinsic
def add(typingctx, sums, i, weights, k):
    """sums[i : i + 8] += weights[k : k + 8], int32, as one vector operation."""

    def code(context, builder, signature, arguments):
        kinds = signature.args
        into = _vector(context, builder, kinds[0], *arguments[:2])
        what = _vector(context, builder, kinds[2], *arguments[2:])
        total = builder.add(builder.load(into, align=4), builder.load(what, align=4))
        builder.store(total, into, align=4)
        return context.get_dummy_value()

    return types.void(sums, types.intp, weights, types.intp), code


@intrinsic
def put(typingctx, listed, i, order, k, base):
    """listed[i : i + 8] = order[k : k + 8] + base, int32, likewise."""

    def code(context, builder, signature, arguments):
        kinds = signature.args
        into = _vector(context, builder, kinds[0], *arguments[:2])
        what = _vector(context, builder, kinds[2], *arguments[2:4])
        found = builder.load(what, align=4)
        i32 = ir.IntType(32)
        one = builder.insert_element(
            ir.Constant(found.type, ir.Undefined), arguments[4], i32(0)
        )
        spread = builder.shuffle_vector(
            one,
            ir.Constant(found.type, ir.Undefined),
            ir.Constant(ir.VectorType(i32, LANES), [0] * LANES),
        )
        builder.store(builder.add(found, spread), into, align=4)
        return context.get_dummy_value()

    return types.void(listed, types.intp, order, types.intp, types.int32), code


@compiled
def scatter(link, entries, spikes, weights, sums):
    """Add the weights of the neurons that spiked to the sums."""
    first, rows, length, stride = link.entry, link.rows, link.length, link.stride
    for a in range(spikes.size):
        entry = first + spikes[a]
        i, k = np.int64(entries[entry, 0]), np.int64(entries[entry, 1])
        for _ in range(rows):
            for r in range(0, length, LANES):
                add(sums, i + r, weights, k + r)
            i, k = i + stride, k + length


def _stepped(lasting, leaky):
    """``program.step`` of eight neurons, as vector operations of LLVM.

    Args:
        lasting: whether currents last, or neurons rest; else u and rest are left alone.
        leaky: whether potentials decay.
    """

    @intrinsic
    def step(typingctx, p, i, threshold, q, u, v, rest, bias):
        """Step neurons i … i + 7; a byte, a bit for each that spiked. q is cleared."""

        def code(context, builder, signature, arguments):
            kinds, i32 = signature.args, ir.IntType(32)
            vector = ir.VectorType(i32, LANES)

            def spread(x):
                one = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), x, i32(0)
                )
                order = ir.Constant(vector, [0] * LANES)
                return builder.shuffle_vector(one, one, order)

            def number(x):
                return ir.Constant(vector, [x] * LANES)

            def wrap(x, spare):
                return builder.ashr(builder.shl(x, number(spare)), number(spare))

            def decay(x, keep):
                low = number(4095)
                below = builder.icmp_signed("<", x, number(0))
                size = builder.select(below, builder.neg(x), x)
                upper = builder.and_(builder.lshr(size, number(12)), low)
                lower = builder.mul(builder.and_(size, low), keep)
                kept = builder.add(
                    builder.mul(upper, keep), builder.lshr(lower, number(12))
                )
                return builder.select(below, builder.neg(kept), kept)

            constants = cgutils.unpack_tuple(builder, arguments[0])
            keep_u, keep_v, pause, v_min, v_max = map(spread, constants)
            keep_u, keep_v = (builder.and_(x, number(8191)) for x in (keep_u, keep_v))
            above, to_q, to_u, to_v, to_rest, drive = (
                _vector(context, builder, kinds[n], arguments[n], arguments[1])
                for n in range(2, 8)
            )

            def load(place):
                return builder.load(place, align=4)

            current = wrap(load(to_q), 10)
            builder.store(number(0), to_q, align=4)
            if lasting:
                current = builder.add(decay(load(to_u), keep_u), current)
                current = wrap(current, 8)
                builder.store(current, to_u, align=4)
            y = load(to_v)
            y = builder.add(
                decay(y, keep_v) if leaky else y,
                wrap(builder.add(current, load(drive)), 8),
            )
            y = builder.select(builder.icmp_signed("<", y, v_min), v_min, y)
            y = builder.select(builder.icmp_signed(">", y, v_max), v_max, y)
            if lasting:
                left = load(to_rest)
                resting = builder.icmp_signed(">", left, number(0))
                y = builder.select(resting, number(0), y)
            fired = builder.icmp_signed(">", y, load(above))
            builder.store(builder.select(fired, number(0), y), to_v, align=4)
            if lasting:
                left = builder.select(resting, builder.sub(left, number(1)), left)
                builder.store(builder.select(fired, pause, left), to_rest, align=4)
            byte = builder.bitcast(fired, ir.IntType(8))
            return builder.zext(byte, ir.IntType(64))

        arrays = threshold, q, u, v, rest, bias
        return types.intp(p, types.intp, *arrays), code

    return step


step_any = _stepped(lasting=True, leaky=True)
step_leaky = _stepped(lasting=False, leaky=True)
step_whole = _stepped(lasting=False, leaky=False)


@compiled
def update(p, threshold, q, u, v, rest, bias, listed, found):
    """One step of a population; its spikes are listed from listed[found] on.

    Where its currents do not last, no neuron rests, or none leaks, less is done.

    Returns:
        Where the list ends.
    """
    constants = p.keep_u, p.keep_v, p.rest, p.v_min, p.v_max
    if p.keep_u or p.rest:
        for i in range(0, p.size, LANES):
            byte = step_any(constants, i, threshold, q, u, v, rest, bias)
            put(listed, found, ORDER, byte * LANES, np.int32(i))
            found += ONES[byte]
    elif p.keep_v < 4096:
        for i in range(0, p.size, LANES):
            byte = step_leaky(constants, i, threshold, q, u, v, rest, bias)
            put(listed, found, ORDER, byte * LANES, np.int32(i))
            found += ONES[byte]
    else:
        for i in range(0, p.size, LANES):
            byte = step_whole(constants, i, threshold, q, u, v, rest, bias)
            put(listed, found, ORDER, byte * LANES, np.int32(i))
            found += ONES[byte]
    return found


@compiled
def receive(net, p, t, starts, listed, weights, q):
    """Add the spikes that reach a population in step t to its sums."""
    for n in range(p.link, p.link + p.links):
        link = net.links[n]
        if t >= link.delay:
            begin = starts[link.source, t - link.delay]
            end = starts[link.source, t - link.delay + 1]
            scatter(link, net.entries, listed[begin:end], weights, q)


@compiled
def listen(events, sample, steps, starts, listed, found):
    """List the spikes that an Input sends, (steps, samples, neurons); where it ends."""
    for t in range(steps):
        starts[t] = found
        for i in range(events.shape[2]):
            listed[found] = i
            found += events[t, sample, i]
    starts[steps] = found


@compiled
def count(net, number, sample, samples, window, starts, listed, work, mean, total):
    """Mean, weighted with ``window``, and number of spikes of each neuron."""
    p = net.populations[number]
    seen, times = work[0, : p.size], work[1, : p.size]
    seen[:], times[:] = 0, 0
    for t in range(window.size):
        weight = window[t]
        for a in range(starts[t], starts[t + 1]):
            seen[listed[a]] += weight
            times[listed[a]] += np.float32(1)
    into = samples * p.first + sample * p.neurons
    for i in range(p.neurons):
        place = net.places[p.first + i]
        mean[into + i] = seen[place]
        total[into + i] = times[place]


@compiled
def simulate(net, weights, biases, windows, events, mean, total, samples, first, pace):
    """Samples ``first``, ``first`` + ``pace`` …; what is counted goes into the last."""
    steps, most, places = windows.shape[1], net.most, net.thresholds.size
    sums = np.zeros(net.room, np.int32)
    u, v, rest = np.zeros((3, most), np.int32)
    drive = np.zeros(most, np.int32)
    work = np.zeros((2, most), np.float32)
    listed = np.empty(places * steps + LANES * net.populations.size, np.int32)
    starts = np.zeros((net.populations.size, steps + 1), np.int64)
    for sample in range(first, samples, pace):
        if events.shape[2]:  # of the last population, an Input
            number = windows.shape[0]
            found = net.populations[number].place * steps + LANES * number
            listen(events, sample, steps, starts[number], listed, found)
        for number in range(windows.shape[0]):
            p, mine = net.populations[number], starts[number]
            found = p.place * steps + LANES * number
            n = p.size
            q = sums[p.begin : p.begin + n]
            q[:], u[:n], v[:n], rest[:n], drive[:n] = 0, 0, 0, 0, 0
            into = samples * p.first + sample * p.neurons
            for i in range(p.neurons):
                drive[net.places[p.first + i]] = biases[into + i]
            above = net.thresholds[p.place : p.place + n]
            mine[0] = found
            for t in range(steps):
                receive(net, p, t, starts, listed, weights, sums)
                found = update(p, above, q, u, v, rest, drive, listed, found)
                mine[t + 1] = found
            window = windows[number]
            count(net, number, sample, samples, window, mine, listed, work, mean, total)
