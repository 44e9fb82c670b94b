"""The formats that networks come in: which one a file has, and its Graph."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..errors import ModelError
from ..graph.graph import Graph
from ..program.program import Program
from .contract import Format, Imported, Timing, Written
from .unread import known_as

FORMATS = ("onnx.onnx", "nir.nir", "netx.netx", "keras.keras")
"""Modules of this room; each has a ``FORMAT``. A new one is a file and a word here."""


def formats() -> dict[str, Format]:
    """Name → format, in the order in which they are tried."""
    return {
        name.split(".")[0]: import_module(f".{name}", __package__).FORMAT
        for name in FORMATS
    }


def read_network(
    path: Path, output: str | None = None, timing: Timing | None = None
) -> Imported:
    """The network in a file or folder, of any format.

    Args:
        path: of the file or folder.
        output: name of the one of several outputs to read, "all" of them one after
            the other, or None: the only one.
        timing: what the user says of it; None: nothing, and formats that leave it open
            are read with ``Timing()``.

    Raises:
        ModelError: it is of none of the formats, damaged, or its library is missing;
            or its format leaves no timing open and one is given.
        UnsupportedLayer: layers of it have no equivalent here.
    """
    other = known_as(path)
    if other is not None:
        raise ModelError(f"Model {str(path)!r}: it is {other.what}; {other.do}")
    found = formats().values()
    for each in found:
        if each.recognises(path):
            if timing is not None and not each.leaves_timing_open:
                raise closed(path)
            return each.read(path, output, timing or Timing())
    shown = ", ".join(each.shown for each in found)
    raise ModelError(
        f"Model {str(path)!r}: it is no network of a format that is read; {shown} is "
        "allowed"
    )


def closed(path: Path) -> ModelError:
    """The error of a timing that is given with a file that leaves none open."""
    return ModelError(
        f"Model {str(path)!r}: its format leaves no timing open; leave out --dt, "
        "--reset, --refractory and --discretization, which are for NIR"
    )


def holds_integers(name: str) -> bool:
    """Whether files of the format of this name hold a Program's integers."""
    known = formats().get(name)
    return known is not None and known.write_program is not None


def written(network: Graph | Program, name: str) -> Written:
    """A Graph, or a built Program, as a file of a format.

    Raises:
        ModelError: no such format is written, or not of this, or its library is
            missing.
    """
    built = isinstance(network, Program)
    made: Written | None = None
    for key, each in formats().items():
        if key == name and isinstance(network, Program) and each.write_program:
            made = each.write_program(network)
        elif key == name and isinstance(network, Graph) and each.write:
            made = each.write(network)
    if made is not None:
        return made
    fitting = [
        key
        for key, each in formats().items()
        if (each.write_program if built else each.write)
    ]
    what = "written of a built Program" if built else "written"
    raise ModelError(
        f"Format {name!r}: it is not {what}; {', '.join(fitting)} is allowed"
    )
