"""An ONNX model → Graph: operators in their order, every obstacle before an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...errors import ModelError, SnnDeployError, UnsupportedLayer
from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.nodes import Shape
from ..contract import ALL
from .inlining import inlined
from .model import ML, OWN, OnnxModel, Operator, Port
from .operators.arithmetic import ARITHMETIC
from .operators.arrangement import Tensor, joined
from .operators.boxes import BOXES
from .operators.call import Call
from .operators.constants import FOLDS, folded
from .operators.layers import LAYERS
from .operators.learned import LEARNED
from .operators.network import OPEN, Absent, Known, Network, Refused
from .operators.neurons import NEURONS
from .operators.pointwise import CURVES, POINTWISE
from .operators.quantized import QUANTIZED
from .operators.shapes import SHAPES
from .operators.windows import WINDOWS

AS_NOW = 7  # the operator set since which what is read means the same
UNCHANGED = frozenset(
    (
        *CURVES,
        *("Conv", "ConvTranspose", "AveragePool", "MaxPool", "GlobalAveragePool"),
        *("GlobalMaxPool", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Softmax"),
        *("LogSoftmax", "Identity", "Constant", "Slice", "ReduceMean", "ReduceMax"),
        *("Gemm", "MatMul", "Pad", "Concat", "Split", "Clip", "Sum", "Mean", "Max"),
        *("Min", "Reshape", "Dropout", "Gather", "Tile", "ArgMax", "Cast", "Shape"),
    )
)
"""Operators that meant the same before it."""
NEWER = frozenset(("broadcast", "is_test", "spatial"))
"""Attributes of operators that mean the same where they have none of these."""
Given = Known | tuple[Known, ...] | None

CONVERTERS: Mapping[str, Callable[[Call], Given]] = {
    **POINTWISE,
    **ARITHMETIC,
    **WINDOWS,
    **LAYERS,
    **SHAPES,
    **BOXES,
    **QUANTIZED,
}
FAILURES = (
    *(KeyError, TypeError, ValueError, IndexError, AttributeError),
    *(ArithmeticError, MemoryError, RecursionError, AssertionError),
)
"""What NumPy and Python raise where a description is not what it should be."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """A model as it was read."""

    graph: Graph
    notes: tuple[str, ...]
    channels_last: bool  # whether the answer has its channels last, and not first


def read(model: OnnxModel, output: str | None) -> Reading:
    """The Graph of one of the model's outputs, or of ``ALL`` of them.

    Raises:
        UnsupportedLayer: operators have no equivalent here; all of them are listed.
        ModelError: the model is damaged, has several inputs, or several outputs and
            none of them was chosen.
    """
    chosen = _outputs(model, output)
    operators = _needed(inlined(model), chosen)
    port = _input(model, operators, chosen)
    net = Network(batch=_batch(port), known=dict(model.stored))
    for operator in operators:
        net.uses.update(operator.inputs)
    net.uses.update(chosen)
    assert port.shape is not None
    shape = tuple(size or 1 for size in port.shape[1:])
    name = net.add(n.Input, port.name, (), shape=shape)
    net.known[port.name] = Tensor.plain(name, shape, port.whole)
    for operator in operators:
        _read(Call(operator, net), model)
    return _finished(net, chosen)


def _outputs(model: OnnxModel, wanted: str | None) -> list[str]:
    names = [port.name for port in model.outputs]
    if wanted in names:
        return [str(wanted)]
    if wanted == ALL or (wanted is None and len(names) == 1):
        return names
    others = "" if wanted is None else f" and no {wanted!r}"
    raise ModelError(
        f"ONNX model: it has the outputs {', '.join(map(repr, names))}{others}; name "
        f"one of them with --output {names[-1]}, or --output {ALL}"
    )


def _needed(operators: tuple[Operator, ...], outputs: list[str]) -> list[Operator]:
    """Those that the outputs depend on, in their order."""
    makers = {name: o for o in operators for name in o.outputs if name}
    stack, seen = [*outputs], set[int]()
    while stack:
        maker = makers.get(stack.pop())
        if maker is not None and id(maker) not in seen:
            seen.add(id(maker))
            stack += [name for name in maker.inputs if name]
    needed = [operator for operator in operators if id(operator) in seen]
    made: set[str] = set()
    for operator in needed:
        late = [name for name in operator.inputs if name in makers and name not in made]
        if late:
            raise ModelError(
                f"{operator.kind} {operator.name!r}: its input {late[0]!r} is computed "
                "after it, and a network without loops is allowed; export it again"
            )
        made.update(operator.outputs)
    return needed


def _input(model: OnnxModel, operators: list[Operator], outputs: list[str]) -> Port:
    used = {*outputs, *(name for operator in operators for name in operator.inputs)}
    ports = [port for port in model.inputs if port.name in used]
    known = {*model.stored, *(name for o in operators for name in o.outputs), ""}
    known.update(port.name for port in ports)
    for operator in operators:
        for name in operator.inputs:
            if name not in known:
                raise ModelError(
                    f"{operator.kind} {operator.name!r}: its input {name!r} does not "
                    "exist; export the model again"
                )
    if len(ports) != 1:
        shown = ", ".join(repr(port.name) for port in ports) or "none"
        what = ", ".join(map(repr, outputs))
        raise ModelError(
            f"ONNX model: its output {what} depends on {len(ports)} inputs "
            f"({shown}); one is allowed, make one tensor of them and export it again"
        )
    return ports[0]


def _batch(port: Port) -> int:
    """Samples at once; ``OPEN`` where the model leaves it open."""
    if not port.read:
        raise ModelError(
            f"ONNX model: its input {port.name!r} is of a data type that is not read; "
            "floats, or whole numbers of 8 bits and more, are allowed"
        )
    if not port.shape:
        raise ModelError(
            f"ONNX model: its input {port.name!r} has no "
            f"{'axis for samples' if port.shape == () else 'shape'}; export it with "
            "(samples, …)"
        )
    if None in port.shape[1:] or min(size or 0 for size in (1, *port.shape[1:])) < 1:
        shown = ", ".join("?" if size is None else str(size) for size in port.shape)
        raise ModelError(
            f"ONNX model: its input {port.name!r} is ({shown}); only the first axis, "
            "of the samples, may be open: export it for one size of picture"
        )
    return port.shape[0] or OPEN


def _read(call: Call, model: OnnxModel) -> None:
    """What an operator gives, or the obstacle that it is, into the network."""
    operator, net = call.operator, call.net
    try:
        found = _converted(call)
        values = found if isinstance(found, tuple) else (found,)
    except Absent:
        values = ()
    except Refused as refused:
        net.obstacles.append(refused.obstacle)
        values = _stand_ins(call, model)
    except SnnDeployError:
        raise
    except FAILURES as error:
        raise ModelError(
            f"{call.title}: its description cannot be read ({type(error).__name__}: "
            f"{error}); export the model again"
        ) from error
    for i, name in enumerate(operator.outputs):
        if not name:
            continue
        value = values[i] if i < len(values) else None
        if value is None and values and net.uses[name]:
            net.obstacles.append(
                call.refuse(f"its output {i + 1}, {name!r}, is not read").obstacle
            )
        net.known[name] = value


def _converted(call: Call) -> Given:
    operator, net = call.operator, call.net
    own = operator.domain == ""
    plain = call.kind != "PRelu" and not NEWER & operator.attributes.keys()
    same = call.kind in UNCHANGED or plain
    if own and operator.version < AS_NOW and not same:
        raise call.refuse(
            f"it is of operator set {operator.version}, where it meant another thing",
            "export the model with opset_version=17",
            "operator-set",
        )
    names = [name for name in operator.inputs if name]
    for name in names:
        if net.known.get(name) is None:
            raise Absent(name)
    if call.kind == "CastLike" and net.is_constant(names[0]):
        return net.constant(names[0])
    if own and (call.kind in ("Shape", "Size") or all(map(net.is_constant, names))):
        if call.kind in ("Shape", "Size", *FOLDS, *CURVES):
            return folded(call)
    domains = {"": CONVERTERS, ML: LEARNED, OWN: NEURONS}
    table = domains.get(operator.domain, {})
    if operator.domain == ML and call.kind in ("ZipMap", "Cast"):
        table = SHAPES
    if call.kind not in table:
        domain = f" of {operator.domain}" if operator.domain else ""
        raise call.refuse(f"the operator{domain} has no equivalent")
    return table[call.kind](call)


def _stand_ins(call: Call, model: OnnxModel) -> tuple[Tensor, ...]:
    """For the outputs of a refused operator: what is known of their shapes."""
    shapes = model.inferred()
    found = []
    for name in call.operator.outputs:
        shape = shapes.get(name)
        if not shape or None in shape[1:] or min(s or 1 for s in shape) < 1:
            return ()
        sizes: Shape = tuple(int(s or 1) for s in shape[1:])
        found.append(call.net.stand_in(call.operator.name, sizes))
    return tuple(found)


def _finished(net: Network, chosen: list[str]) -> Reading:
    """The Graph of what was read; its one answer in (…, channels), several flat."""
    given = [_found(net, name) for name in chosen]
    if net.obstacles:
        raise UnsupportedLayer.of(net.obstacles)
    found = [tensor for tensor in given if tensor is not None]
    for name, tensor in zip(chosen, found):
        if tensor.quantized:
            raise ModelError(
                f"ONNX model: its output {name!r} are whole numbers of a quantised "
                "model; export it with a DequantizeLinear behind it"
            )
    if len(found) == 1:
        last, answer = _answer(net, *found)
        title = f"{chosen[0]}_output"
        node = answer.node
    else:
        last, title = False, "outputs"
        flat = (net.arranged(t, (joined(t.axes),)).node for t in found)
        node = net.add(n.Concat, "all", tuple(flat))
    if last:
        net.notes["The answer is (height, width, channels)."] = None
    net.add(n.Output, title, (node,))
    graph = Graph(_reached(net))
    graph.check()
    return Reading(graph=graph, notes=tuple(net.notes), channels_last=last)


def _found(net: Network, name: str) -> Tensor | None:
    """What an output is; None where obstacles keep that from being known."""
    if net.is_constant(name):
        raise ModelError(
            f"ONNX model: its output {name!r} does not depend on its input; export it "
            "again"
        )
    try:
        return net.tensor(name)
    except Absent:
        if net.obstacles:
            return None
        raise ModelError(
            f"ONNX model: its output {name!r} is made by no operator; export it again"
        ) from None


def _answer(net: Network, found: Tensor) -> tuple[bool, Tensor]:
    """Channels last where the node holds them so, else as ONNX counts the axes."""
    if len(found.axes) in (2, 3) and found.held != found.axes:
        first, *space = found.axes
        if joined(found.held) == joined((*space, first)):
            return True, net.arranged(found, (*space, first))
    return False, net.plain(found)


def _reached(net: Network) -> tuple[n.Node, ...]:
    """The nodes that the last one depends on, and the input."""
    nodes = list(net.nodes.values())
    wanted = {nodes[-1].name}
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
    return tuple(node for node in nodes if node.name in wanted)
