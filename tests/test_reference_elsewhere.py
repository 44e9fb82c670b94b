"""The reference's vector operations on processors that are not here, emulated.

LLVM makes from them what Numba would have it make there; ``elsewhere/check.c`` compares
with plain loops. Bochs boots it, since no emulator of programs knows AVX-512.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from llvmlite import binding, ir

from snn_deploy.targets.reference import kernels_neurons
from snn_deploy.targets.reference.kernels_neurons import steps_of
from snn_deploy.targets.reference.kernels_products import KNOWN, product

HERE = Path(__file__).parent / "elsewhere"
WAYS = {way.name: way for way in KNOWN}
SORTS = {
    "plain": steps_of(),
    "current": steps_of(current=True),
    "rest": steps_of(resting=True),
    "any": steps_of(current=True, resting=True, other=True),
}
I32, I64 = ir.IntType(32), ir.IntType(64)
BYTES, WORDS = ir.IntType(8).as_pointer(), I32.as_pointer()
MULTIPLY = (WORDS, I64, I64, BYTES, I64, WORDS, *[I64] * 2, BYTES, I64, I32, I32)
ADVANCE = (WORDS, WORDS, BYTES, I64, WORDS, I64, I64, WORDS, I64, WORDS, I64)
ADVANCE += (BYTES, *[I64] * 3, *[I32] * 5)
BARE = ("-ffreestanding", "-fno-pic", "-mno-red-zone", "-fno-stack-protector")
BARE += ("-fno-asynchronous-unwind-tables", "-fcf-protection=none")
BOCHS = """megs: 64
cpu: model=corei7_icelake_u, count=1, ips=50000000, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=disk, path=disk, mode=flat, cylinders=1, heads=16, spt=63
boot: disk
port_e9_hack: enabled=1
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
log: log
"""


@dataclass(frozen=True)
class Processor:
    """As LLVM names it.

    Attributes:
        features: what our code asks for, of it.
        way: how it multiplies bytes.
        shown: an instruction that must be in the code.
        tools: that compile the check for it, and run it.
        run: object file, folder → what the check says.
    """

    triple: str
    name: str
    features: tuple[str, ...]
    way: str
    shown: str
    tools: tuple[str, ...]
    run: Callable[[Path, Path], str]


def said(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120
    )
    return done.stdout


def on_arm(code: Path, folder: Path) -> str:
    made = ("aarch64-linux-gnu-gcc", "-O1", "-static", "-o", "check")
    said(*made, HERE / "check.c", HERE / "hosted.c", code, folder=folder)
    return said("qemu-aarch64-static", "-cpu", "max", "./check", folder=folder)


def on_x86(code: Path, folder: Path) -> str:
    said(*("gcc", "-O1", "-o", "check"), HERE / "check.c", HERE / "hosted.c", code,
         folder=folder)  # fmt: skip
    return said("qemu-x86_64-static", "-cpu", "max", "./check", folder=folder)


def in_bochs(code: Path, folder: Path) -> str:
    """On a processor of its own, without an operating system."""
    said("gcc", "-c", HERE / "boot.S", folder=folder)
    said("objcopy", "--rename-section", ".text=.boot", "boot.o", folder=folder)
    sources = (HERE / "check.c", HERE / "bare.c")
    said("gcc", "-c", "-O1", *BARE, *sources, folder=folder)
    objects = ("boot.o", "check.o", "bare.o", code)
    said("ld", "-n", "-T", HERE / "disk.ld", "-o", "all", *objects, folder=folder)
    content = b""
    for section in (".boot", ".text"):
        said("objcopy", "-O", "binary", "-j", section, "all", "part", folder=folder)
        content += (folder / "part").read_bytes()
    assert len(content) < 127 * 512  # that the boot sector reads
    (folder / "disk").write_bytes(content.ljust(16 * 63 * 512, b"\0"))
    (folder / "setting").write_text(BOCHS)
    (folder / "orders").write_text("c\n")
    return said("bochs", "-q", "-f", "setting", "-rc", "orders", folder=folder)


ARM = ("aarch64-linux-gnu-gcc", "qemu-aarch64-static")
X86 = ("gcc", "qemu-x86_64-static")
BARE_X86 = ("gcc", "ld", "objcopy", "bochs")
AVX512 = ("sse2", "ssse3", "avx2", "avx512f", "avx512bw")
X86_64, AARCH64 = "x86_64-linux-gnu", "aarch64-linux-gnu"
PROCESSORS = [
    Processor(AARCH64, "cortex-a76", (), "sdot", "sdot", ARM, on_arm),
    Processor(AARCH64, "cortex-a72", (), "plain", "umull", ARM, on_arm),
    Processor(
        *(X86_64, "x86-64-v3", ("sse2", "ssse3", "avx2"), "vpmaddubsw"),
        *("vpmaddubsw", X86, on_x86),
    ),
    Processor(
        *(X86_64, "icelake-client", AVX512, "vpdpbusd.512"),
        *("zmm", BARE_X86, in_bochs),
    ),
    Processor(
        *(X86_64, "icelake-client", AVX512, "vpdpbusd.256"),
        *("vpdpbusd", BARE_X86, in_bochs),
    ),
]


@pytest.mark.parametrize("where", PROCESSORS, ids=lambda p: f"{p.name}-{p.way}")
def test_vector_operations_are_exact_on(where: Processor, tmp_path, monkeypatch):
    missing = [tool for tool in where.tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"there is no {' and no '.join(missing)}")
    monkeypatch.setattr(kernels_neurons, "features", lambda: set(where.features))
    assembly, code = compiled(where)
    assert re.search(where.shown, assembly)
    (tmp_path / "ours.o").write_bytes(code)
    told = re.search(
        r"(\d+) sums, (\d+) compared, (\d+) wrong",
        where.run(tmp_path / "ours.o", tmp_path),
    )
    assert told is not None
    sums, compared, wrong = map(int, told.groups())
    assert (sums, compared) == (84 * 8 * 24, 84 * 8 * 24 + 800 * 32 * 10)
    assert wrong == 0


def compiled(where: Processor) -> tuple[str, bytes]:
    """Assembly and object file of all operations."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = binding.parse_assembly(str(operations(where)))
    module.verify()
    target = binding.Target.from_triple(where.triple)
    machine = target.create_target_machine(
        cpu=where.name, opt=3, reloc="static", codemodel="small"
    )
    return machine.emit_assembly(module), machine.emit_object(module)


def operations(where: Processor) -> ir.Module:
    """Products and steps of neurons as functions, named as in check.c."""
    module = ir.Module()
    module.triple = where.triple
    for rows in (1, 4, 8):
        for lanes in (8, 16):
            operation = product(WAYS[where.way], rows, lanes)
            define(module, f"multiply_{rows}_{lanes}", operation, MULTIPLY)
    for name, operation in SORTS.items():
        define(module, f"advance_{name}", operation, ADVANCE)
    return module


def define(module: ir.Module, name: str, operation, kinds: tuple[ir.Type, ...]) -> None:
    """A function that is one of our intrinsics; its arrays are pointers."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    builder = ir.IRBuilder(function.append_basic_block())
    _, code = operation._defn(None, *map(str, range(len(kinds))))
    context = SimpleNamespace(
        make_array=lambda kind: lambda *given: SimpleNamespace(data=given[-1]),
        get_dummy_value=lambda: None,
    )
    code(context, builder, SimpleNamespace(args=kinds), list(function.args))
    builder.ret_void()
