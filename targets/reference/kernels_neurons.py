"""Steps of neurons as vector instructions, their state in registers.

**What was known.** ``program.step`` says what must come out, in 64 bits. |u| ≤ 2^23 and
keep ≤ 2^12, so that a decay, ⌊|x| · keep / 4096⌋, is the upper half of 2|x| times
8 · keep, a number of 16 bits: with the two halves of 2|x| that is one high and one low
product of 16-bit numbers, a shift and a sum, all of them single instructions on every
processor, which a 32-bit product is not. Of q only the lowest 22 bits are used. Where
δ_u = 4095 nothing of a current lives on, and u need not be kept; then |u + bias| stays
below 2^22, and does not wrap. Where r = 1 there is no counter. Where v_max is above θ,
what is above v_max spikes, and is 0 afterwards, whether it was clipped or not.

**How.** ``advance`` takes LANES neurons through up to a panel's steps at once: u, v
and the counter are read and written once, a step reads q and writes spikes. There is no
branch. All operations are LLVM's own, and it finds the instructions of any processor.
"""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .kernels_products import I8, I16, I32, I64, call, features, place, spread, vector

LANES = 32  # neurons at a time
UPPER_HALVES = (
    ("avx512bw", 32, "avx512.pmulhu.w.512"),
    ("avx2", 16, "avx2.pmulhu.w"),
    ("sse2", 8, "sse2.pmulhu.w"),
)
SIGNS = (
    ("avx512f", 0, ""),
    ("avx2", 8, "avx2.psign.d"),
    ("ssse3", 4, "ssse3.psign.d.128"),
)
"""Feature of the processor, numbers at a time, instruction; the first that it has."""


def decayed(builder, x, keep, doubled):
    """sgn(x) · ⌊|x| · keep / 4096⌋.

    ``keep`` holds 16 · keep in 16-bit numbers, or 8 · keep where 16 might not fit, and
    x is to be ``doubled`` for it.
    """
    kind, halves = x.type, keep.type
    zero, sixteen = ir.Constant(kind, None), ir.Constant(kind, [16] * kind.count)
    size = builder.select(builder.icmp_signed("<", x, zero), builder.sub(zero, x), x)
    size = builder.add(size, size) if doubled else size
    size = builder.bitcast(size, halves)
    high = builder.bitcast(upper_half(builder, size, keep), kind)
    low = builder.bitcast(builder.mul(size, keep), kind)
    return signed(builder, builder.add(high, builder.lshr(low, sixteen)), x)


def upper_half(builder, a, b):
    """⌊a · b / 2^16⌋ of numbers of 16 bits.

    Of plain operations LLVM makes the one instruction that x86 has for it only where it
    sees both numbers widened, which it does not once b's is done before a loop.
    """
    found = instruction(builder, UPPER_HALVES, a, b)
    if found:
        return found
    wide = vector(I32, a.type.count)
    product = builder.mul(builder.zext(a, wide), builder.zext(b, wide))
    sixteen = ir.Constant(wide, [16] * a.type.count)
    return builder.trunc(builder.lshr(product, sixteen), a.type)


def signed(builder, size, x):
    """sgn(x) · size, where x = 0 only if size is."""
    found = instruction(builder, SIGNS, size, x)
    zero = ir.Constant(x.type, None)
    below = builder.icmp_signed("<", x, zero)
    return found or builder.select(below, builder.sub(zero, size), size)


def instruction(builder, known, a, b):
    """What the first of these instructions that the processor has makes of a and b."""
    _, width, name = next((k for k in known if k[0] in features()), ("", 0, ""))
    if not width:
        return None
    kind = vector(a.type.element, width)
    firsts = range(0, a.type.count, width)
    both = ([part(builder, x, n, width) for x in (a, b)] for n in firsts)
    return joined(
        builder, [call(builder, f"llvm.x86.{name}", kind, *ab) for ab in both]
    )


def part(builder, x, first, count):
    """Elements first … first + count − 1 of a vector."""
    order = ir.Constant(vector(I32, count), list(range(first, first + count)))
    return builder.shuffle_vector(x, ir.Constant(x.type, ir.Undefined), order)


def joined(builder, parts):
    """Vectors of one length, a power of two of them, as one."""
    while len(parts) > 1:
        order = list(range(2 * parts[0].type.count))
        mask = ir.Constant(vector(I32, len(order)), order)
        parts = [
            builder.shuffle_vector(a, b, mask) for a, b in zip(parts[::2], parts[1::2])
        ]
    return parts[0]


def wrapped(builder, x, spare):
    """x as a signed number of 32 − ``spare`` bits."""
    by = ir.Constant(x.type, [spare] * x.type.count)
    return builder.ashr(builder.shl(x, by), by)


def steps_of(current: bool = False, resting: bool = False, other: bool = False):
    """The intrinsic ``advance`` for neurons with memory of their current, with steps of
    rest, and (``other``) with δ_v = 0, or a v_max that keeps some from spiking.

    It takes u, v, rest and where the neurons' state begins in them; q, and where it
    begins, and its stride from step to step; biases and thresholds, each with where
    they begin; the raster, where the spikes of the first step go, and its stride; how
    many steps; keep_u, keep_v, steps of rest, v_min and v_max.
    """

    def code(context, builder, signature, arguments):
        kinds = signature.args
        u, v, rest, s, q, i, stride, bias, b, theta, h = arguments[:11]
        fired, f, pitch, rows, *numbers = arguments[11:]
        lane32, lane8 = vector(I32, LANES), vector(I8, LANES)

        def at(array, kind, index, lanes):
            address = place(context, builder, kind, array, index)
            return builder.bitcast(address, lanes.as_pointer())

        def load(address, align=4):
            return builder.load(address, align=align)

        u, v = (at(x, kinds[n], s, lane32) for n, x in ((0, u), (1, v)))
        rest = at(rest, kinds[2], s, lane8)
        bias = load(at(bias, kinds[7], b, lane32))
        theta = load(at(theta, kinds[9], h, lane32))
        keep_u, keep_v = (
            spread(builder, builder.trunc(builder.mul(x, I32(by)), I16), 2 * LANES)
            for x, by in zip(numbers, (16, 8 if other else 16))
        )
        after, v_min, v_max = (spread(builder, x, LANES) for x in numbers[2:])
        zero, one = ir.Constant(lane32, None), ir.Constant(lane32, [1] * LANES)
        state = {"v": cgutils.alloca_once_value(builder, zero)}
        builder.store(load(v), state["v"])
        if current:
            state["u"] = cgutils.alloca_once_value(builder, zero)
            builder.store(load(u), state["u"])
        if resting:
            state["rest"] = cgutils.alloca_once_value(builder, zero)
            builder.store(builder.zext(load(rest, 1), lane32), state["rest"])
        row = place(context, builder, kinds[4], q, i)
        out = place(context, builder, kinds[11], fired, f)
        with cgutils.for_range(builder, rows, intp=I64) as loop:
            into = builder.gep(row, [builder.mul(loop.index, stride)])
            into = builder.bitcast(into, lane32.as_pointer())
            j = wrapped(builder, load(into), 10)
            if current:
                old = builder.load(state["u"])
                j = wrapped(
                    builder, builder.add(decayed(builder, old, keep_u, False), j), 8
                )
                builder.store(j, state["u"])
            j = builder.add(j, bias)
            j = wrapped(builder, j, 8) if current else j
            old = builder.load(state["v"])
            y = builder.add(decayed(builder, old, keep_v, other), j)
            y = builder.select(builder.icmp_signed("<", y, v_min), v_min, y)
            if other:
                y = builder.select(builder.icmp_signed(">", y, v_max), v_max, y)
            if resting:
                left = builder.load(state["rest"])
                idle = builder.icmp_signed(">", left, zero)
                y = builder.select(idle, zero, y)
            spike = builder.icmp_signed(">", y, theta)
            builder.store(builder.select(spike, zero, y), state["v"])
            if resting:
                left = builder.select(idle, builder.sub(left, one), zero)
                builder.store(builder.select(spike, after, left), state["rest"])
            to = builder.gep(out, [builder.mul(loop.index, pitch)])
            to = builder.bitcast(to, lane8.as_pointer())
            builder.store(builder.zext(spike, lane8), to, align=1)
        builder.store(builder.load(state["v"]), v, align=4)
        if current:
            builder.store(builder.load(state["u"]), u, align=4)
        if resting:
            left = builder.trunc(builder.load(state["rest"]), lane8)
            builder.store(left, rest, align=1)
        return context.get_dummy_value()

    @intrinsic
    def advance(
        typingctx,
        u,
        v,
        rest,
        s,
        q,
        i,
        stride,
        bias,
        b,
        threshold,
        h,
        fired,
        f,
        pitch,
        rows,
        keep_u,
        keep_v,
        after,
        v_min,
        v_max,
    ):
        p, n = types.intp, types.int32
        what = (u, v, rest, p, q, p, p, bias, p, threshold, p)
        what += (fired, p, p, p, n, n, n, n, n)
        return types.void(*what), code

    return advance
