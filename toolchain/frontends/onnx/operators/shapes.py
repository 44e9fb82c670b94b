"""Operators that move, cut and join values: most change a tensor's pattern alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from ....graph import nodes as n
from ....graph.nodes import Shape
from ..model import Unread
from ..tensors import DTYPES
from .arrangement import Tensor
from .call import Call
from .network import OPEN, Known


def same(call: Call) -> Known | None:
    """Identity, Dropout and the like: the tensor under another name."""
    if call.kind == "Dropout" and call.has(2) and call.scalar(2, "training mode", 0):
        raise call.refuse(
            "it drops values, as in training",
            "export the model in evaluation mode: model.eval()",
            "training-mode",
        )
    return call.net.known.get(call.inputs[0])


HALVES = (10, 16)  # float16, bfloat16
FLOAT = (1, 11)
BOOL = 9
WHOLE = (2, 3, 4, 5, 6, 7, 12, 13)


def cast(call: Call) -> Known | None:
    """Cast between floats, and from whole numbers to them."""
    to = _wanted(call)
    whole = call.net.origin(call.inputs[0]).whole
    if to in HALVES:
        call.net.notes["Numbers of 16 bits are read as floats of 64."] = None
    elif to in WHOLE and not whole:
        raise call.refuse(
            "it cuts numbers off to whole ones",
            "leave it out, and export the model in floats",
            "rounding",
        )
    elif to not in (*FLOAT, *WHOLE):
        raise call.refuse(
            f"it casts to data type number {to}",
            "leave it out, and export the model in floats",
            "rounding",
        )
    if not whole or to in WHOLE:
        return call.net.known.get(call.inputs[0])
    return replace(call.tensor(), whole=False)


def _wanted(call: Call) -> int:
    """TensorProto.DataType that is asked for."""
    if call.kind == "Cast":
        return int(call.attribute("to", 1))
    like = call.constant(1, "type").dtype
    return next((to for to, name in DTYPES.items() if name == like.name), 0)


def reshaped(call: Call, tensor: Tensor, shape: Shape) -> Tensor:
    """The sample's numbers, in ONNX's order, in another shape."""
    if math.prod(shape) != math.prod(tensor.shape):
        raise call.refuse(
            f"it makes {shape} of {tensor.shape} a sample, so that samples would mix"
        )
    found = tensor.reshaped(shape)
    if found is not None:
        return found
    flat = call.net.plain(tensor)
    node = call.add(n.Reshape, flat.node, shape=shape)
    return replace(Tensor.plain(node, shape, flat.whole), quantized=flat.quantized)


def reshape(call: Call) -> Tensor:
    """Reshape to a constant shape, or one worked out from shapes."""
    wanted = list(call.whole(1, "shape"))
    tensor = call.tensor()
    before = (call.net.batch, *tensor.shape)
    if not call.attribute("allowzero", 0):
        wanted = [
            before[i] if size == 0 and i < len(before) else size
            for i, size in enumerate(wanted)
        ]
    size = math.prod(tensor.shape)
    if wanted[:1] == [-1] and -1 not in wanted[1:]:
        wanted[0] = call.net.batch if math.prod(wanted[1:]) == size else 0
    if not wanted or wanted[0] not in (call.net.batch, 1):
        raise call.refuse(
            f"it makes {_shown(wanted)} of {_shown(before)}: the first axis are no "
            "longer the samples"
        )
    shape = wanted[1:]
    if shape.count(-1) == 1:
        known = math.prod(s for s in shape if s != -1)
        shape[shape.index(-1)] = size // known if known else 0
    if any(s < 1 for s in shape):
        raise call.refuse(f"it makes {_shown(wanted)} of {_shown(before)}")
    if wanted[0] == 1 != call.net.batch and math.prod(shape) != size:
        raise call.refuse(f"it makes {_shown(wanted)} of {_shown(before)}")
    return reshaped(call, tensor, tuple(shape))


def _shown(shape: list[int] | tuple[int, ...]) -> str:
    return f"({', '.join('N' if s == OPEN else str(s) for s in shape)})"


def flatten(call: Call) -> Tensor:
    """Flatten behind the axis of the samples."""
    tensor = call.tensor()
    axis = call.attribute("axis", 1)
    axis += len(tensor.shape) + 1 if axis < 0 else 0
    if axis != 1 and call.net.batch != 1:
        raise call.refuse(
            f"its axis is {axis}, so that samples would mix", "use axis=1"
        )
    if not 0 <= axis <= len(tensor.shape) + 1:
        raise call.refuse(f"its axis is {axis}", "use axis=1")
    if axis > 1 and math.prod(tensor.shape[: axis - 1]) != 1:
        raise call.refuse(f"its axis is {axis}", "use axis=1")
    return reshaped(call, tensor, (math.prod(tensor.shape),))


def transpose(call: Call) -> Tensor:
    """Transpose of the sample's axes."""
    tensor = call.tensor()
    rank = len(tensor.shape) + 1
    order = call.attribute("perm", tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise call.refuse(f"its perm is {list(order)}", "export the model again")
    if order[0] != 0:
        raise call.refuse(f"its perm is {list(order)}, which moves the samples' axis")
    return replace(tensor, axes=tuple(tensor.axes[i - 1] for i in order[1:]))


def _listed(call: Call) -> tuple[int, ...] | None:
    """axes: an attribute, or an input from version 13 on."""
    if call.has(1):
        return call.whole(1, "axes")
    axes = call.attribute("axes", ())
    return axes or None


def squeeze(call: Call) -> Tensor:
    """Squeeze of axes of size 1."""
    tensor = call.tensor()
    rank = len(tensor.shape)
    given = _listed(call)
    if given is None:
        if call.net.batch == 1:
            raise call.refuse("it removes every axis of size 1, the samples' too")
        gone = {i for i, size in enumerate(tensor.shape) if size == 1}
    else:
        gone = {call.axis(axis, rank, "another") for axis in given}
    if any(tensor.shape[i] != 1 for i in gone):
        raise call.refuse(f"its axes {sorted(gone)} are not of size 1")
    left = tuple(axis for i, axis in enumerate(tensor.axes) if i not in gone)
    return replace(tensor, axes=left)


def unsqueeze(call: Call) -> Tensor:
    """Unsqueeze: new axes of size 1."""
    tensor = call.tensor()
    given = _listed(call) or ()
    rank = len(tensor.shape) + len(given)
    new = {call.axis(axis, rank, "another") for axis in given}
    old = iter(tensor.axes)
    axes = tuple(() if i in new else next(old) for i in range(rank))
    return replace(tensor, axes=axes)


def concat(call: Call) -> Tensor:
    """Concat along any axis of the sample."""
    tensors = [call.tensor(i) for i in range(len(call.inputs))]
    axis = call.axis(call.attribute("axis", 0), len(tensors[0].shape))
    if len(tensors) == 1:
        return tensors[0]
    shapes = {t.shape[:axis] + t.shape[axis + 1 :] for t in tensors}
    ranks = {len(t.shape) for t in tensors}
    if len(shapes) != 1 or len(ranks) != 1:
        raise call.refuse(
            f"its inputs have the shapes {', '.join(str(t.shape) for t in tensors)}",
            "make them equal but for the axis along which they are joined",
            "broadcast",
        )
    rank = ranks.pop()
    order: tuple[int | None, ...] = (*(i for i in range(rank) if i != axis), axis)
    if rank == 2 and axis == 0:  # of sequences, which are pictures one wide
        order = (1, None, 0)
    parts = [
        call.net.arranged(
            tensor, tuple(() if i is None else tensor.axes[i] for i in order)
        )
        for tensor in tensors
    ]
    node = call.add(n.Concat, *(part.node for part in parts))
    shape = list(tensors[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    whole = any(tensor.whole for tensor in tensors)
    return Tensor.ordered(node, tuple(shape), order, whole)


def depth_to_space(call: Call) -> Tensor:
    """DepthToSpace: blocks of channels become blocks of pixels."""
    tensor = call.tensor()
    size, (channels, rows, columns) = call.attribute("blocksize", 1), tensor.shape
    if call.attribute("mode", "DCR") == "DCR":
        shape = (size, size, channels // size**2, rows, columns)
        order = (2, 3, 0, 4, 1)
    else:
        shape = (channels // size**2, size, size, rows, columns)
        order = (0, 3, 1, 4, 2)
    return _blocks(
        call, tensor, shape, order, (channels // size**2, rows * size, columns * size)
    )


def space_to_depth(call: Call) -> Tensor:
    """SpaceToDepth: blocks of pixels become blocks of channels."""
    tensor = call.tensor()
    size, (channels, rows, columns) = call.attribute("blocksize", 1), tensor.shape
    shape = (channels, rows // size, size, columns // size, size)
    whole = (channels * size**2, rows // size, columns // size)
    by_depth = call.attribute("mode", "DCR") == "DCR"
    order = (2, 4, 0, 1, 3) if by_depth else (0, 2, 4, 1, 3)
    return _blocks(call, tensor, shape, order, whole)


def _blocks(
    call: Call, tensor: Tensor, shape: Shape, order: tuple[int, ...], whole: Shape
) -> Tensor:
    parts = reshaped(call, tensor, shape)
    turned = replace(parts, axes=tuple(parts.axes[i] for i in order))
    return reshaped(call, turned, whole)


def expand(call: Call) -> Tensor:
    """Expand and Tile that leave their input as large as it is."""
    tensor = call.tensor()
    before = (call.net.batch, *tensor.shape)
    given = call.whole(1, "shape")
    repeats = given if call.kind == "Tile" else ()
    sizes = dict(zip(range(-len(given), 0), given))
    wanted = [sizes.get(i - len(before), 1) for i in range(len(before))]
    ones = all(r == 1 for r in repeats)
    fits = all(size in (1, have) for size, have in zip(wanted, before))
    if call.kind == "Tile" and ones:
        return tensor
    if call.kind == "Expand" and fits and len(given) <= len(before):
        return tensor
    raise call.refuse(
        "it repeats what it takes",
        "repeat by nearest-neighbour upsampling (Resize) in its place",
        "broadcast",
    )


def zip_map(call: Call) -> Tensor:
    """ZipMap: its numbers, without the classes' names."""
    call.net.notes["The answer's columns are the classes in the model's own order."] = (
        None
    )
    return call.tensor()


def branching(call: Call) -> Known:
    """If, Loop and Scan: graphs in the graph."""
    inside = [v for v in call.operator.attributes.values() if isinstance(v, Unread)]
    raise call.refuse(f"it runs {len(inside) or 'other'} graphs of its own")


SHAPES: Mapping[str, Callable[[Call], Known | None]] = {
    **dict.fromkeys(("Identity", "Dropout"), same),
    **dict.fromkeys(("Cast", "CastLike"), cast),
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    **dict.fromkeys(("Expand", "Tile"), expand),
    "ZipMap": zip_map,
    **dict.fromkeys(("If", "Loop", "Scan"), branching),
}
