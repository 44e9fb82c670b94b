"""Exact products of spikes and weights, 8 bits each, as vector instructions.

**What was known.** Mantissas are even and at most 254, so their halves are signed
bytes, and spikes are bytes of 0 or 1: the operands of the instructions that were made
for quantised networks. Each multiplies four neighbouring bytes with four and adds:
into 32 bits ``vpdpbusd`` (AVX-512 VNNI, AVX-VNNI) and ``sdot`` (ARM), in one step;
into 16 bits ``vpmaddubsw`` (AVX2), pair by pair, with one more for the sum. Two
products are at most 254, so that 129 of their sums fit 16 bits before they must go on
into 32: MOST_WORDS is a round number below.

**How.** Everything is counted in *words*: four spikes of one pixel and step, four
weights of one target channel. A block of the kernel holds for one word of the source
the words of 8 or 16 channels side by side; a *panel* (``kernels.fill``) holds for one
word of the source those of up to ROWS steps. So one load of weights serves all steps,
one word of spikes is broadcast over all channels, and sums stay in registers from the
first word of a target pixel to its last.

**Which instruction** follows from the features for which Numba compiles, which are part
of the key of its cache. The best one and the next best are both in the code, and a flag
chooses at run time (SNN_DEPLOY_VNNI=0: the next best), so that a test can compare them.

**What is doubtful.** ``vpdpbusd`` and ``sdot`` ran in emulators of such processors
(tests/test_reference_elsewhere.py), where every sum was right; how fast they are is not
known (kernels.py).
"""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

WORD = 4  # spikes that are multiplied at a time
ROWS = 8  # steps of a panel
MOST_WORDS = 128  # of a sum that may be kept in 16 bits

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def vector(kind: ir.Type, count: int) -> ir.VectorType:
    return ir.VectorType(kind, count)


def call(builder, name, result, *arguments):
    """An intrinsic of LLVM."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, arguments)


def spread(builder, value, count):
    """A vector of ``count`` times this number."""
    empty = ir.Constant(vector(value.type, count), ir.Undefined)
    one = builder.insert_element(empty, value, I32(0))
    order = ir.Constant(vector(I32, count), [0] * count)
    return builder.shuffle_vector(one, empty, order)


def every_other(builder, value, first):
    """Elements first, first + 2, … of a vector."""
    count = value.type.count // 2
    order = ir.Constant(vector(I32, count), [2 * n + first for n in range(count)])
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), order)


@dataclass(frozen=True)
class Way:
    """An instruction that multiplies bytes: how it adds to a sum."""

    name: str
    needs: tuple[str, ...]  # features of the processor
    channels: int  # of one instruction
    registers: int = 16

    def zero(self) -> ir.Constant:
        """The sum of nothing."""
        return ir.Constant(vector(I32, self.channels), None)

    def add(self, builder, total, spikes, weights):
        """Total + spikes · weights, (channels · 4 bytes) each."""
        raise NotImplementedError

    def wide(self, builder, total):
        """The sum in 32 bits."""
        return total


class Vpdpbusd(Way):
    def add(self, builder, total, spikes, weights):
        name = f"llvm.x86.avx512.vpdpbusd.{32 * self.channels}"
        spikes, weights = (builder.bitcast(x, total.type) for x in (spikes, weights))
        return call(builder, name, total.type, total, spikes, weights)


class Sdot(Way):
    def add(self, builder, total, spikes, weights):
        name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
        return call(builder, name, total.type, total, spikes, weights)


class Pairs(Way):
    """Sums of pairs in 16 bits: plain operations, from which LLVM chooses."""

    def zero(self):
        return ir.Constant(vector(I16, 2 * self.channels), None)

    def add(self, builder, total, spikes, weights):
        none = ir.Constant(spikes.type, None)
        product = builder.and_(builder.sub(none, spikes), weights)  # spikes are 0 or 1
        pair = builder.bitcast(product, total.type)
        eight = ir.Constant(total.type, [8] * total.type.count)
        low = builder.ashr(builder.shl(pair, eight), eight)
        return builder.add(total, builder.add(low, builder.ashr(pair, eight)))

    def wide(self, builder, total):
        wide = builder.sext(total, vector(I32, 2 * self.channels))
        return builder.add(*(every_other(builder, wide, n) for n in (0, 1)))


class Vpmaddubsw(Pairs):
    def add(self, builder, total, spikes, weights):
        name = "llvm.x86.avx2.pmadd.ub.sw"
        return builder.add(total, call(builder, name, total.type, spikes, weights))

    def wide(self, builder, total):
        ones = ir.Constant(total.type, [1] * total.type.count)
        kind = vector(I32, self.channels)
        return call(builder, "llvm.x86.avx2.pmadd.wd", kind, total, ones)


KNOWN = (
    Vpdpbusd("vpdpbusd.512", ("avx512vnni", "avx512vl"), 16, 32),
    Vpdpbusd("vpdpbusd.256", ("avxvnni",), 8),
    Sdot("sdot", ("dotprod",), 4, 32),
    Vpmaddubsw("vpmaddubsw", ("avx2",), 8),
    Pairs("plain", (), 8),
)
"""Best first."""


@cache
def features() -> frozenset[str]:
    """What the processor has for which Numba compiles; its caches know of it."""
    flags = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return frozenset(flag[1:] for flag in flags if flag.startswith("+"))


def ways() -> list[Way]:
    """The best that Numba compiles for here, and the next best."""
    return [way for way in KNOWN if features().issuperset(way.needs)][:2]


def place(context, builder, kind, array, index):
    """Address of an element of a flat array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


def product(way: Way, rows: int, lanes: int):
    """q[i + m · stride + c] = (q & kept) + (Σ spikes · weights) << shift.

    Args:
        way: the instruction.
        rows: of these m = 0 … rows − 1: steps of a panel, or one step of the raster.
        lanes: channels c = 0 … lanes − 1.

    The intrinsic takes q and i, stride; the spikes and where they begin, in bytes;
    windows[first:last], each a first word of the source, a first word of the kernel,
    and how many words; the blocks of the kernel and where they begin; shift; kept, −1
    or 0.
    """
    half = Vpdpbusd("", (), 8, 32) if way.channels > lanes else way
    parts = lanes // half.channels
    pitch = WORD * (1 if rows == 1 else ROWS)
    size = WORD * half.channels

    def accumulate(builder, source, weights, sums):
        held = []
        for part in range(parts):
            at = builder.gep(weights, [I64(part * size)])
            at = builder.bitcast(at, vector(I8, size).as_pointer())
            held.append(builder.load(at, align=1))
        for m in range(rows):
            at = builder.gep(source, [I64(WORD * m)])
            word = builder.load(builder.bitcast(at, I32.as_pointer()), align=1)
            spikes = spread(builder, word, half.channels)
            spikes = builder.bitcast(spikes, vector(I8, size))
            for part in range(parts):
                total = sums[m * parts + part]
                after = half.add(builder, builder.load(total), spikes, held[part])
                builder.store(after, total)

    def finish(builder, q, stride, shift, kept, sums):
        kind = vector(I32, half.channels)
        shifts, masks = (spread(builder, x, half.channels) for x in (shift, kept))
        for m in range(rows):
            row = builder.gep(q, [builder.mul(stride, I64(m))])
            for part in range(parts):
                at = builder.gep(row, [I64(part * half.channels)])
                at = builder.bitcast(at, kind.as_pointer())
                total = half.wide(builder, builder.load(sums[m * parts + part]))
                old = builder.and_(builder.load(at, align=4), masks)
                new = builder.add(old, builder.shl(total, shifts))
                builder.store(new, at, align=4)

    @intrinsic
    def multiply(
        typingctx,
        q,
        i,
        stride,
        spikes,
        j,
        windows,
        first,
        last,
        blocks,
        k,
        shift,
        kept,
    ):
        def code(context, builder, signature, arguments):
            kinds = signature.args
            q, i, stride, spikes, j, windows, first, last, blocks, k = arguments[:10]
            into = place(context, builder, kinds[0], q, i)
            spikes = place(context, builder, kinds[3], spikes, j)
            table = place(context, builder, kinds[5], windows, I64(0))
            blocks = place(context, builder, kinds[8], blocks, k)
            zero = half.zero()
            sums = [
                cgutils.alloca_once_value(builder, zero) for _ in range(rows * parts)
            ]
            for total in sums:
                builder.store(zero, total)
            with cgutils.for_range_slice(builder, first, last, I64(1), I64) as (s, _):
                word, weight, count = (
                    builder.sext(builder.load(builder.gep(table, [at])), I64)
                    for at in (
                        builder.add(builder.mul(s, I64(3)), I64(n)) for n in range(3)
                    )
                )
                source = builder.gep(spikes, [builder.mul(word, I64(pitch))])
                weights = builder.gep(blocks, [builder.mul(weight, I64(WORD * lanes))])
                with cgutils.for_range(builder, count, intp=I64) as loop:
                    accumulate(
                        builder,
                        builder.gep(source, [builder.mul(loop.index, I64(pitch))]),
                        builder.gep(
                            weights, [builder.mul(loop.index, I64(WORD * lanes))]
                        ),
                        sums,
                    )
            finish(builder, into, stride, *arguments[10:], sums)
            return context.get_dummy_value()

        p, n = types.intp, types.int32
        what = (q, p, p, spikes, p, windows, p, p, blocks, p, n, n)
        return types.void(*what), code

    return multiply
