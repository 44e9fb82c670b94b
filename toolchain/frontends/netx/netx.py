"""NetX files of lava-dl: `.net`, HDF5 with a group of its layers."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError, SnnDeployError
from ...files import demand_regular
from ...rehearsal import rehearsed
from ..contract import Format, Imported
from ..keras.files import FAILURES
from ..keras.hdf5 import MAGIC, open_hdf5
from .blocks import KINDS, Block, read_blocks
from .export import to_netx
from .reading import to_graph

AGAIN = ": write it again with the export_hdf5 of slayer's blocks"


def imported(path: Path, output: str | None = None) -> Imported:
    """A NetX file → Graph with its integers' scales; ``output`` is its only one, "y".

    Raises:
        UnsupportedLayer: layers, or registers of them, have no equivalent here.
        ModelError: it is missing or damaged, or has no such output.
    """
    title = f"Model {str(path)!r}"
    if output not in (None, "y", "all"):
        raise ModelError(f"{title}: it has no output {output!r}; its only one is 'y'")
    try:
        demand_regular(path)
        blocks = _blocks(path)
        if not any(block.registers for block in blocks):
            raise ModelError(
                f"{title}: none of its layers {[b.kind for b in blocks]} has neurons; "
                "at least one is allowed to spike"
            )
        return to_graph(blocks)
    except SnnDeployError:
        raise
    except FAILURES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{title}: it is damaged ({reason}); write it again with export_hdf5"
        ) from error


@rehearsed
def _blocks(path: Path) -> tuple[Block, ...]:
    with open_hdf5(path, f"Model {str(path)!r}", AGAIN) as file:
        return read_blocks(file)


def recognises(path: Path) -> bool:
    """Whether a file is called .net, or is HDF5 with a group of layers."""
    if path.suffix.lower() == ".net":
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
    try:
        return _has_layers(path)
    except FAILURES:
        return False  # damaged, which who reads it will say


@rehearsed
def _has_layers(path: Path) -> bool:
    with open_hdf5(path, str(path)) as opened:
        return "layer/0" in opened and "model_config" not in opened.file.attrs


FORMAT = Format(
    shown="a NetX .net of lava-dl",
    recognises=recognises,
    read=lambda path, output, timing: imported(path, output),
    operations=lambda: KINDS,
    write_program=to_netx,
)
