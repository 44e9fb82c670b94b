"""The process that reads mutants: watched for time, memory, files and processes."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import io
import math
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.cage import cage
from fuzzing.loaders import LOADERS, Loader
from fuzzing.seed import Content, Seed

SECONDS = 5  # of the processor's time for an input
MEMORY = 1 << 30  # bytes of address space beyond what the process had before
ROOM = MEMORY * 7 // 8  # that must be left after an input
PATIENCE = 60  # s of the clock
STARVED = ("memory allocation failed", "unable to allocate", "can't allocate memory")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
    *("os.fork", "os.forkpty", "pty.spawn", "socket.connect", "socket.bind"),
    *("socket.getaddrinfo", "pickle.find_class", "ctypes.dlopen"),
)
FILES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
FILES += ("os.chmod", "os.chown", "os.truncate", "shutil.rmtree", "os.utime")
OWN = f"{os.sep}snn_deploy{os.sep}"


EVALUATING = ("typing", "importlib._bootstrap", "importlib._bootstrap_external")
EVALUATING += ("jinja2.environment", "jinja2.debug")
"""Modules that evaluate our annotations, import our modules, compile our templates."""


def _caller() -> str:
    """The module whose line caused an audit event."""
    return str(sys._getframe(2).f_globals.get("__name__"))


class Hang(BaseException):
    """An input took too long."""


class Watch:
    """What an input did besides being read: of Python by its audit events, of
    libraries by the kernel's word on the folder outside."""

    def __init__(self, root: Path) -> None:
        self.inside = str(root / "work")
        self.seen = ""
        self.awake = False
        self.allowed = (sys.prefix, sys.base_prefix, "/dev/null", "/proc/", "/sys/")
        self.allowed += (self.inside, str(Path(__file__).parents[2]), "/usr/")
        self.allowed += tuple(str(Path(p).resolve()) for p in sys.path if p)
        libc = ctypes.CDLL(None)
        self.inotify = libc.inotify_init1(os.O_NONBLOCK)
        libc.inotify_add_watch(self.inotify, bytes(root / "outside"), 0xFFF)
        sys.addaudithook(self._heard)

    def _heard(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.awake:
            return
        if event == "open":
            path, _, flags = given
            if isinstance(path, (str, bytes)):
                place = os.path.realpath(os.fsdecode(path))
                write = isinstance(flags, int) and flags & WRITING
                within = self.inside if write else self.allowed
                if not place.startswith(within) and place != "/dev/null":
                    self.seen = f"opened {'to write' if write else 'to read'}: {path!r}"
        elif event in FILES:
            places = [os.path.realpath(p) for p in given if isinstance(p, str)]
            if not all(place.startswith(self.inside) for place in places):
                self.seen = f"{event} {given!r}"
        elif event == "exec" and _caller() not in EVALUATING:
            self.seen = f"exec in {_caller()}"
        elif event in FORBIDDEN and "snn_deploy.toolchain.child" not in str(given):
            self.seen = f"{event} {str(given)[:80]}"

    def told(self) -> str:
        """What was seen since the last time."""
        seen, self.seen = self.seen, ""
        with contextlib.suppress(BlockingIOError):
            os.read(self.inotify, 1 << 16)
            return seen or "the file outside was touched"
        return seen


def work(name: str, numbers: Iterable[int], root: Path, command: bool) -> None:
    """Read mutants one after the other; a line about each to standard output."""
    loader = LOADERS[name]
    (root / "work").mkdir()
    (root / "outside").mkdir()
    (root / "outside" / "canary.bin").write_bytes(b"outside" * 9)
    os.chdir(root / "work")
    cage(root)
    os.environ |= {"HOME": str(root / "work"), "TMPDIR": str(root / "work")}
    report = os.fdopen(os.dup(1), "w")
    with contextlib.nullcontext() if command else here():
        seeds = list(loader.seeds())
        read = by_command(loader, root) if command else loader.load()
        prepare(loader, seeds, read, root)
        watch = Watch(root)
        for number in numbers:
            report.write(f"{number} ")
            report.flush()
            told = outcome(number, loader, seeds, read, watch)
            report.write(f"{told}\n")
            if told.startswith("memory") and gc.collect() is not None and room() < ROOM:
                break  # a library kept what it could not use
    report.write(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}\n")
    report.flush()


def here() -> contextlib.AbstractContextManager[None]:
    """Read foreign HDF5 files here, as the child that goes first reads them."""
    from snn_deploy.toolchain.rehearsal import in_this_process

    return in_this_process()


def prepare(loader: Loader, seeds: list[Seed], read: Any, root: Path) -> None:
    """Read every seed, so that all is imported; from then on memory is bounded."""
    warnings.simplefilter("ignore")
    loader.mutant(seeds[0].held, Random(0))
    for seed in seeds[:60]:
        place = root / "work" / seed.name
        lay(place, seed.content)
        with contextlib.suppress(Exception):
            read(place)
    gc.freeze()
    faults = (root / "faults").open("w")
    faulthandler.enable(faults)
    signal.signal(signal.SIGPROF, _stop)
    faulthandler.register(signal.SIGXCPU, faults, all_threads=False, chain=True)
    most = taken() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def taken() -> int:
    """Bytes of address space."""
    size = int(Path("/proc/self/statm").read_text().split()[0])
    return size * resource.getpagesize()


def room() -> int:
    """Bytes of address space that may still be taken."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] - taken()


def _stop(*_: object) -> None:
    raise Hang


def lay(place: Path, content: Content) -> None:
    """Write an input."""
    if isinstance(content, bytes):
        place.write_bytes(content)
        return
    for name, file in content.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(file)


def outcome(
    number: int, loader: Loader, seeds: list[Seed], read: Any, watch: Watch
) -> str:
    """What became of an input."""
    from snn_deploy.toolchain.errors import SnnDeployError

    rng = Random(number)
    seed = seeds[number % len(seeds)]
    content = loader.mutant(seed.held, rng)
    place = Path(watch.inside) / seed.name
    lay(place, content)
    watch.told()  # of the making
    watch.awake = True
    limit(SECONDS)
    told = "loaded"
    try:
        read(place)
    except BaseException as error:
        watch.awake = False
        limit(0)
        told = verdict(error, (SnnDeployError, *loader.refusals()))
    finally:
        limit(0)
        watch.awake = False
    seen = watch.told()
    return f"outside {seen}" if seen else told


def verdict(error: BaseException, refusals: tuple[type[Exception], ...]) -> str:
    """What an error means."""
    if isinstance(error, Hang):
        return f"hang {where(error)}"
    short = starved(error)
    if short:
        return f"{short} {where(error)}"
    return "refused" if isinstance(error, refusals) else f"traceback {where(error)}"


def starved(error: BaseException | None) -> str:
    """Who asked for memory that there is not, whatever was made of that; "" for no one.

    What HDF5's library asks for is asked for in the child that reads a file first.
    """
    while error is not None:
        if isinstance(error, MemoryError):
            return "memory"
        if any(words in str(error).lower() for words in STARVED):
            return "memory-library"
        error = error.__cause__ or error.__context__
    return ""


def where(error: BaseException) -> str:
    """The last line of ours that an error passed, and what it was."""
    cause: BaseException | None = error
    while isinstance(error, Exception) and cause is not None and cause.__cause__:
        cause = error = cause.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if OWN in frame.filename]
    last = own[-1] if own else frames[-1]
    place = last.filename.rpartition(OWN)[2]
    told = " ".join(str(error).split())[:100]
    return f"{place}:{last.lineno} {last.name}: {type(error).__name__}: {told}"


def limit(seconds: int) -> None:
    """Of the processor's time: an exception then, and an end where a library loops."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(PATIENCE if seconds else 0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime) + (2 * seconds or 3600)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def by_command(loader: Loader, root: Path) -> Callable[[Path], object]:
    """The same through the whole command line."""
    from snn_deploy.__main__ import main
    from snn_deploy.toolchain.errors import SnnDeployError

    out = root / "work" / "out.snn"

    def read(path: Path) -> None:
        told, code = io.StringIO(), 0
        given = [*loader.words, str(path)]
        given += ["--out", str(out)] if loader.words == ("import",) else []
        sys.argv = ["snn-deploy", *given]
        try:
            with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
                main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        written = out.exists()
        out.unlink(missing_ok=True)
        if code == 2 and told.getvalue().startswith("Error: ") and not written:
            raise SnnDeployError("refused")
        if code:
            raise RuntimeError(f"exit code {code}, {'a' if written else 'no'} file")

    return read
