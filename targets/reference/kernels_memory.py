"""What the compiled loops do with bytes and words that Numba has no word for."""

# mypy: ignore-errors
# Numba types these functions when they are called; mypy has no say in them.
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .kernels_products import I8, I32, I64, ROWS, call, place, vector


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
