"""ONNX's files → plain data; the library that reads them is imported here alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...files import demand_regular
from ...rehearsal import rehearsed
from ...visible import visible
from .model import Function, OnnxModel, Operator, Port, Reference, Unread
from .tensors import DTYPES, FLOATS, stored

ALLOWED = "an ONNX .onnx is allowed, as torch.onnx.export writes it"
LARGEST = (1 << 31) - 1  # bytes of a protocol buffer
SMALL = 1 << 10  # numbers along its axes, of a tensor that shape inference may see
FAILURES = (
    *(OSError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(RuntimeError, MemoryError, ArithmeticError),
)
"""What protobuf and NumPy raise on a damaged file."""


def read_file(path: Path) -> OnnxModel:
    """An ONNX model; of external data nothing is read before it is asked for.

    Raises:
        ModelError: it is missing, damaged or too old, or ``onnx`` is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError(
            f"Model {str(path)!r}: reading ONNX needs the package onnx, which cannot "
            f"be imported ({error}); pip install 'snn-deploy[onnx]'"
        ) from error
    try:
        demand_regular(path)
        if path.stat().st_size > LARGEST:
            raise ModelError(
                f"Model {str(path)!r}: it has more than 2 GB, which no ONNX file may; "
                "export it with external data"
            )
        with _without_log():
            proto = onnx.ModelProto.FromString(path.read_bytes())
        return _model(path, proto)
    except (*FAILURES, DecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"Model {str(path)!r}: it is damaged ({visible(reason)[:200]}); export the "
            "model again"
        ) from error


@contextmanager
def _without_log() -> Iterator[None]:
    """Protobuf's own log of damage, to standard error, is left out: errors say it."""
    with open(os.devnull, "wb") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _model(path: Path, proto: Any) -> OnnxModel:
    graph = proto.graph
    if not graph.output:
        raise ModelError(
            f"Model {str(path)!r}: it holds no network with an output; {ALLOWED}"
        )
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise ModelError(
            f"Model {str(path)!r}: weight {name!r} is stored as a sparse tensor; "
            "export it as an ordinary one"
        )
    _demand_text(proto)
    versions = _versions(proto.opset_import)
    read = _Reader(path.parent)
    kept = {tensor.name: stored(tensor, path.parent) for tensor in graph.initializer}
    return OnnxModel(
        operators=tuple(read.operators(graph.node, versions)),
        functions={
            (found.domain, found.name): read.function(found)
            for found in getattr(proto, "functions", ())
        },
        stored=kept,
        inputs=tuple(_port(i) for i in graph.input if i.name not in kept),
        outputs=tuple(map(_port, graph.output)),
        inferred=_inference(path, proto),
    )


def _demand_text(proto: Any) -> None:
    """Raise ValueError where a name is no Unicode: protobuf gives such as bytes."""
    graph, functions = proto.graph, getattr(proto, "functions", ())
    nodes = [*graph.node, *(node for f in functions for node in f.node)]
    names = [
        *(each.name for part in _NAMED for each in getattr(graph, part)),
        *(text for node in nodes for text in (node.name, node.op_type, node.domain)),
        *(text for node in nodes for text in (*node.input, *node.output)),
        *(a.name for node in nodes for a in node.attribute),
        *(a.ref_attr_name for node in nodes for a in node.attribute),
        *(text for f in functions for text in (f.name, f.domain)),
        *(text for f in functions for text in (*f.input, *f.output, *f.attribute)),
        *(opset.domain for opset in proto.opset_import),
        *(opset.domain for f in functions for opset in f.opset_import),
    ]
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"the name {name!r:.40} in it is no text")


_NAMED = ("initializer", "input", "output", "value_info")


def _versions(opsets: Iterable[Any]) -> Mapping[str, int]:
    return {_domain(opset.domain): int(opset.version) for opset in opsets}


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


class _Reader:
    """Operators of a model in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def operators(
        self, nodes: Iterable[Any], versions: Mapping[str, int]
    ) -> Iterable[Operator]:
        for node in nodes:
            outputs = tuple(node.output)
            domain = _domain(node.domain)
            yield Operator(
                kind=node.op_type,
                domain=domain,
                name=node.name or next(filter(None, outputs), node.op_type),
                inputs=tuple(node.input),
                outputs=outputs,
                attributes={a.name: self._attribute(a) for a in node.attribute},
                version=versions.get(domain, 1),
            )

    def function(self, found: Any) -> Function:
        versions = _versions(found.opset_import)
        defaults = getattr(found, "attribute_proto", ())
        return Function(
            inputs=tuple(found.input),
            outputs=tuple(found.output),
            attributes=tuple(found.attribute),
            defaults={a.name: self._attribute(a) for a in defaults},
            operators=tuple(self.operators(found.node, versions)),
        )

    def _attribute(self, found: Any) -> Any:
        if found.ref_attr_name:
            return Reference(name=found.ref_attr_name)
        take: Mapping[int, Callable[[], Any]] = {  # AttributeProto.AttributeType
            1: lambda: float(found.f),
            2: lambda: int(found.i),
            3: lambda: found.s.decode(),
            4: lambda: stored(found.t, self.folder),
            6: lambda: tuple(map(float, found.floats)),
            7: lambda: tuple(map(int, found.ints)),
            8: lambda: tuple(s.decode() for s in found.strings),
        }
        if found.type not in take:
            return Unread(kind="graph" if found.type in (5, 10) else "attribute")
        return take[found.type]()


def _port(value: Any) -> Port:
    kind = value.type.tensor_type
    elements = int(kind.elem_type)
    return Port(
        name=value.name,
        shape=_shape(kind) if kind.HasField("shape") else None,
        whole=bool(elements) and elements not in FLOATS,
        read=not elements or elements in DTYPES,
    )


def _shape(kind: Any) -> tuple[int | None, ...]:
    return tuple(
        int(dim.dim_value) if dim.HasField("dim_value") else None
        for dim in kind.shape.dim
    )


def _bare(proto: Any) -> Any:
    """The model with an input in place of each large weight."""
    bare = type(proto)(ir_version=proto.ir_version)
    bare.opset_import.extend(proto.opset_import)
    bare.graph.name = "bare"
    for part in ("input", "output", "value_info"):
        getattr(bare.graph, part).extend(getattr(proto.graph, part))

    def declare(name: str, tensor: Any) -> None:
        told = bare.graph.input.add(name=name).type.tensor_type
        told.elem_type = tensor.data_type
        for size in tensor.dims:
            told.shape.dim.add(dim_value=size)

    for node in proto.graph.node:
        constant = node.op_type == "Constant" and len(node.attribute) == 1
        if constant and sum(node.attribute[0].t.dims) >= SMALL:
            declare(node.output[0], node.attribute[0].t)
        else:
            bare.graph.node.append(node)
    for tensor in proto.graph.initializer:
        if sum(tensor.dims) < SMALL and not tensor.external_data:
            bare.graph.initializer.append(tensor)
        else:
            declare(tensor.name, tensor)
    return bare


def _inference(
    path: Path, proto: Any
) -> Callable[[], Mapping[str, tuple[int | None, ...]]]:
    """Name → shape by ONNX's inference; where that fails, those that are declared."""
    declared = _shapes(proto)

    def infer() -> Mapping[str, tuple[int | None, ...]]:
        try:
            return _inferred(path)
        except Exception:  # it is only asked for to find further obstacles
            return declared

    return infer


@rehearsed
def _inferred(path: Path) -> Mapping[str, tuple[int | None, ...]]:
    """ONNX's inference on a copy without the weights' values.

    It divides by strides, and follows numbers, that it has not looked at.
    """
    import onnx

    with _without_log():
        proto = onnx.ModelProto.FromString(path.read_bytes())
        return _shapes(onnx.shape_inference.infer_shapes(_bare(proto)))


def _shapes(proto: Any) -> Mapping[str, tuple[int | None, ...]]:
    return {
        value.name: _shape(value.type.tensor_type)
        for value in (*proto.graph.value_info, *proto.graph.output)
        if value.type.tensor_type.HasField("shape")
    }
