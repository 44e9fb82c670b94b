"""Image: the firmware that is compiled, and the bytes that it takes of a board."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ...toolchain.errors import DoesNotFit, TargetUnavailable
from ..c.compiler import compiled
from ..c.sizes import sizes_of
from ..c.source import Source
from . import firmware
from .boards import Board

STACK = 2048  # bytes; what runs is not recursive
SUPPORT = ("board.ld", "semihosting.c", "startup.c", "stdio.h")
GENERATED = ("network.h", "network.c", "serve.c")
COMPILER, SIZE, QEMU = (
    "arm-none-eabi-gcc",
    "arm-none-eabi-size",
    "qemu-system-arm",
)
INSTALL = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
FLAGS = (
    *(
        "-std=c99",
        "-O3",
        "-funroll-loops",
        "-mthumb",
        "-ffreestanding",
        "-I.",
        "-nostartfiles",
    ),
    *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
    *("--specs=nano.specs", "-Wl,-T,board.ld"),
    f"-Wl,--defsym=STACK_BYTES={STACK}",
)


@dataclass(frozen=True)
class Image:
    """What a board holds: network, server and start, as the linker placed them.

    Attributes:
        flash: bytes of code, tables and what variables begin with.
        ram: bytes of variables and ``STACK``.
    """

    flash: int
    ram: int


def demand_tools() -> None:
    """Raise TargetUnavailable where the compiler or the emulator is missing."""
    missing = [tool for tool in (COMPILER, SIZE, QEMU) if shutil.which(tool) is None]
    if missing:
        raise TargetUnavailable(
            f"Target 'cortex-m': there is no {' and no '.join(missing)} on the path; "
            f"{INSTALL}"
        )


def built(source: Source, board: Board, folder: Path) -> tuple[Path, Image]:
    """The firmware of a network, made in a folder, and its bytes.

    Raises:
        DoesNotFit: the board has less memory.
        TargetUnavailable: the compiler fails.
    """
    files_of = {name: source.file(name) for name in GENERATED}
    made, image = linked(files_of, "snn_step", board, folder)
    demand_fit(source, image, board)
    return made, image


def linked(
    generated: Mapping[str, str], timed: str, board: Board, folder: Path
) -> tuple[Path, Image]:
    """Files of C as a firmware, made in a folder, and its bytes.

    Args:
        generated: name → text; one of them is what ``main`` is in.
        timed: function whose instructions are counted, of two arguments or fewer.
        board: whose core it is for.
        folder: an empty one.

    Raises:
        TargetUnavailable: the compiler fails.
    """
    support = {name: (files(firmware) / name).read_text("ascii") for name in SUPPORT}
    for name, text in {**generated, **support}.items():
        (folder / name).write_text(text, "ascii")
    made = compiled(
        [
            *(COMPILER, f"-mcpu={board.core}", *FLAGS),
            *(f"-DTIMED={timed}", f"-Wl,--wrap={timed}"),
        ],
        folder,
        [name for name in (*generated, *SUPPORT) if name.endswith(".c")],
        "firmware.elf",
        target="cortex-m",
        remedy=INSTALL,
    )
    return made, _image(made)


def _image(made: Path) -> Image:
    """Bytes by section, as the linker made them."""
    command = [SIZE, "-A", made.name]
    try:
        said = subprocess.run(
            command,
            cwd=made.parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetUnavailable(
            f"Target 'cortex-m': {SIZE} fails ({type(error).__name__}); {INSTALL}"
        ) from error
    rows = [line.split() for line in said.splitlines() if line.startswith(".")]
    size = {row[0]: int(row[1]) for row in rows}
    data = size.get(".data", 0)
    return Image(
        flash=size[".flash"] + data,
        ram=data + size.get(".bss", 0) + size.get(".stack", 0),
    )


def demand_fit(source: Source, image: Image, board: Board) -> None:
    """Raise DoesNotFit where a board has less: by how much, and what takes most."""
    sizes = sizes_of(source)
    for what, used, most, remedy in (
        ("flash", image.flash, board.flash, "fewer weights or a sparser connection"),
        ("RAM", image.ram, board.ram, "fewer neurons"),
    ):
        if used > most:
            row = max(sizes.rows, key=lambda row: getattr(row, what.lower()))
            raise DoesNotFit(
                f"Target 'cortex-m': the firmware takes {used} bytes of {what}, "
                f"{used - most} more than the {most} of board {board.name!r}; most of "
                f"them, {getattr(row, what.lower())}, are those of {row.name!r}: give "
                f"it {remedy}, or choose a board with more"
            )
