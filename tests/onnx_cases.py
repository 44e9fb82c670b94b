"""The cases that come with the onnx package, and what becomes of each when it is read.

    python tests/onnx_cases.py benchmarks/results/onnx_node_tests.md

writes how many of each operator are read right and refused, and for what reason.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from snn_deploy.toolchain.errors import SnnDeployError, UnsupportedLayer
from snn_deploy.toolchain.frontends.onnx.files import read_file
from snn_deploy.toolchain.frontends.onnx.reading import read
from snn_deploy.toolchain.graph.interpret import interpret

FOLDERS = ("node", "pytorch-converted", "pytorch-operator", "simple")


@dataclass(frozen=True)
class Case:
    """A model, and arrays that go in and should come out."""

    name: str
    model: onnx.ModelProto
    inputs: list
    outputs: list

    @property
    def operator(self) -> str:
        """Of a node case the operator that it is about; else the name's first word."""
        kinds = {node.op_type for node in self.model.graph.node}
        words = self.name.removeprefix("test_").lower()
        named = [kind for kind in kinds if words.startswith(kind.lower())]
        return max(named, key=len) if named else sorted(kinds or {"none"})[0]


def cases() -> Iterator[Case]:
    """All of them: those that lie as files, and those that newer releases compute."""
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*/model.onnx")):
            model = onnx.load(str(path))
            data = path.parent / "test_data_set_0"
            if data.is_dir():
                yield Case(
                    path.parent.name,
                    model,
                    _stored(data, "input", model.graph.input),
                    _stored(data, "output", model.graph.output),
                )
    if not (root / "node").is_dir():
        from onnx.backend.test.case.node import collect_testcases

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = collect_testcases()
        for case in found:
            inputs, outputs = case.data_sets[0]
            arrays = (list(map(_array, part)) for part in (inputs, outputs))
            yield Case(case.name, case.model, *arrays)


def _stored(folder: Path, kind: str, ports) -> list:
    found = []
    for i, port in enumerate(ports):
        path = folder / f"{kind}_{i}.pb"
        if not path.exists() or not port.type.HasField("tensor_type"):
            found.append(None)
            continue
        tensor = onnx.TensorProto.FromString(path.read_bytes())
        found.append(_array(tensor, port.type.tensor_type.elem_type))
    return found


def _array(value, kind: int = 0):
    """Of a TensorProto; bfloat16 as float32, which onnx 1.12 gives as bits."""
    if not isinstance(value, onnx.TensorProto):
        return value
    array = numpy_helper.to_array(value)
    if (kind or value.data_type) != onnx.TensorProto.BFLOAT16:
        return array
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def with_constants(case: Case) -> onnx.ModelProto:
    """The model with all inputs but the first as initializers."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    stored = {tensor.name for tensor in model.graph.initializer}
    for port, value in list(zip(model.graph.input, case.inputs))[1:]:
        if port.name in stored or not isinstance(value, np.ndarray):
            continue
        tensor = onnx.TensorProto(name=port.name, dims=value.shape)
        tensor.data_type = port.type.tensor_type.elem_type
        if tensor.data_type == onnx.TensorProto.STRING:
            tensor.string_data.extend(str(v).encode() for v in value.reshape(-1))
        else:
            tensor.raw_data = value.tobytes()
        model.graph.initializer.append(tensor)
    return model


def outcome(case: Case) -> SnnDeployError | None:
    """None where every output is what it should be; the error of a refused model.

    Raises:
        AssertionError: an output is another.
    """
    model = with_constants(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            readings = [read(read_file(path), port.name) for port in model.graph.output]
        except SnnDeployError as error:
            return error
    for reading, port, expected in zip(readings, model.graph.output, case.outputs):
        kind = port.type.tensor_type.elem_type
        halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
        x = np.asarray(case.inputs[0], np.float64)
        _compare(reading, x, np.asarray(expected), kind in halves)
    return None


def _compare(reading, x: np.ndarray, expected: np.ndarray, coarse: bool) -> None:
    with np.errstate(all="ignore"):
        found = interpret(reading.graph, x)[reading.graph.output.name]
    if reading.channels_last:
        expected = np.moveaxis(expected, 1, -1)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    wanted = expected.astype(np.float64)
    finite = np.abs(wanted[np.isfinite(wanted)])
    least = 1e-5 * max(float(finite.max(initial=0)), 1e-30)
    if np.allclose(wanted, wanted.round(4), 0, 1e-8):
        least = max(least, 1e-4)  # written down with four digits
    near = np.isclose(found, wanted, 8e-3 if coarse else 1e-5, least, equal_nan=True)
    assert near.all(), f"{np.abs(found - wanted).max()} apart"


def named(case: Case, error: SnnDeployError) -> bool:
    """Whether an error names a node of the model, one of its outputs, or a tensor."""
    graph = case.model.graph
    names = {name for node in graph.node for name in (node.name, *node.output)}
    ports = (*graph.input, *graph.output, *graph.initializer)
    names |= {port.name for port in ports}
    text = str(error)
    if isinstance(error, UnsupportedLayer) and error.obstacles:
        return True
    return any(name and f"'{name}'" in text for name in names)


def reason(case: Case, error: SnnDeployError) -> str:
    """Id of the advice that refuses an operator, or "model": it is no such network."""
    if isinstance(error, UnsupportedLayer) and error.obstacles:
        return error.obstacles[0].id
    return "model"


def outcomes() -> dict[str, tuple[Case, SnnDeployError | AssertionError | None]]:
    """Name of a case → it, and what became of it."""
    found = {}
    for case in cases():
        try:
            became = outcome(case)
        except AssertionError as error:
            became = error
        found[case.name] = case, became
    return found


def section(found: dict) -> str:
    """What became of all cases, as Markdown."""
    counts: dict[str, Counter] = {}
    reasons: Counter = Counter()
    for case, error in found.values():
        count = counts.setdefault(case.operator, Counter())
        count["refused" if error else "right"] += 1
        if error:
            reasons[reason(case, error)] += 1
    total = sum(counts.values(), Counter())
    lines = [
        f"{HEAD}{onnx.__version__}",
        "",
        f"Of {total.total()} cases {total['right']} give their expected output (1e-5) "
        f"and {total['refused']} are refused with an error that names the node or "
        "tensor; none gives another output.",
        "",
        *("| operator | right | refused |", "|---|---|---|"),
    ]
    for kind, count in sorted(counts.items()):
        if count["right"]:
            lines.append(f"| {kind} | {count['right']} | {count['refused']} |")
    never = ", ".join(sorted(kind for kind, c in counts.items() if not c["right"]))
    lines += ["", f"Refused in every case: {never}.", ""]
    lines += ["| refused because of | cases |", "|---|---|"]
    order = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    lines += [f"| {name} | {count} |" for name, count in order]
    return "\n".join((*lines, ""))


HEAD = "## onnx "


def sections(page: str) -> dict[str, str]:
    """Version of onnx → what the page says of its cases."""
    parts = [f"{HEAD}{part}" for part in page.split(HEAD)[1:]]
    return {part.split()[2]: part.rstrip("\n") + "\n" for part in parts}


INTRODUCTION = """# The ONNX package's own cases, read

Its backend node tests, simple models and models converted from PyTorch, each with all
inputs but the first as constants; written by `python tests/onnx_cases.py FILE`, for the
onnx that is installed. *model*: more than one input that depends on the sample, no
axis for samples, a data type that is no number, an answer that is a constant. The other
reasons are ids of advice, as `snn-deploy check` prints them.
"""


def write(path: Path) -> None:
    """The section of the onnx that is installed, beside those of other versions."""
    found = sections(path.read_text()) if path.exists() else {}
    found[onnx.__version__] = section(outcomes())
    path.write_text("\n".join((INTRODUCTION, *found.values())))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
