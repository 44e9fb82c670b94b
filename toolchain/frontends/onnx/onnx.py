"""ONNX models → Graph: files that PyTorch, TensorFlow and scikit-learn export."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError
from ...graph.graph import Graph
from ..contract import Format, Imported, Written
from .export import to_onnx
from .files import ALLOWED, read_file
from .reading import CONVERTERS, read

IR_VERSION = b"\x08"
"""First byte of an ONNX file: field 1, a number."""
FIELDS_BEHIND = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
"""Fields 2 to 8, and 14, of ModelProto. Source: onnx/onnx.proto."""
OLDEST, NEWEST = 3, 127  # IR versions; 1 at this place is a TensorFlow SavedModel


def read_onnx(path: str | Path, output: str | None = None) -> Graph:
    """An ONNX file → Graph; ``output`` chooses one of several, or "all".

    A node has the name of its operator. The Graph takes samples in the model's own
    layout and holds pictures (height, width, channels) behind its first nodes.

    Raises:
        UnsupportedLayer: operators have no equivalent here.
        ModelError: it is missing, damaged or no model, or its weights are not finite.
    """
    return imported(Path(path), output).graph


def imported(path: Path, output: str | None) -> Imported:
    """The same, with what a reader must know of the reading."""
    if not path.exists():
        raise ModelError(f"Model {str(path)!r}: no such file; {ALLOWED}")
    reading = read(read_file(path), output)
    return Imported(graph=reading.graph, notes=reading.notes)


def recognises(path: Path) -> bool:
    """Whether a file is called .onnx, or begins as ONNX's protocol buffers do."""
    if path.suffix.lower() == ".onnx":
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(3)
    return (
        len(start) == 3
        and start[:1] == IR_VERSION
        and OLDEST <= start[1] <= NEWEST
        and start[2] in FIELDS_BEHIND
    )


FORMAT = Format(
    shown="an ONNX .onnx",
    recognises=recognises,
    read=lambda path, output, timing: imported(path, output),
    operations=lambda: CONVERTERS,
    write=lambda graph: Written(content=to_onnx(graph)),
)
