"""Rehearsals: a file of anybody is read in a child first, and only then here.

HDF5's library and SciPy's reader of MATLAB files trust what a file says. A damaged or
hostile one keeps them for ever, ends the process, or takes all memory; no ``except``
sees that. So the very function that will read a file reads it in a child with bounds
of processor, time and memory, and where it does not come back, the file is refused. A
file that it came back from, the function reads here in the same way.

That guards this process and its work; it is no sandbox: the child has the user's
rights. Nor does it help against a file that is changed between the two readings.

One child serves all files of a process: it costs its start once.
"""

from __future__ import annotations

import atexit
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from .child import Child
from .errors import SnnDeployError

T = TypeVar("T")
Identity = tuple[str, int, int, int, int]
CPU = 4.0  # s of the processor, for any file
PATIENCE = 60.0  # s, for any file: a disk may be slow, and a machine busy
SLOWEST = 1e6  # bytes a second; large files have more time
MEMORY = 1 << 30  # bytes, for any file, and
COPIES = 4  # times its size
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Rehearsals:
    """The child of this process, and what is known from it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.child: Child | None = None
        self.owner = 0  # process; a fork has no child
        self.passed = set[tuple[str, Identity]]()
        self.refused = dict[Identity, str]()
        self.here = False  # whether files are read without


_STATE = _Rehearsals()


def rehearsed(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """A function of a module, that reads a file; in a child first.

    It raises OSError where the child did not come back, or what it raised there was no
    SnnDeployError.
    """

    @wraps(read)
    def reading(path: Path) -> T:
        rehearse(reading, path)
        return read(path)

    return reading


def rehearse(read: Callable[[Path], object], path: Path) -> None:
    """Let a child read a file, which is not read here.

    Args:
        read: a function of a module.
        path: a SnnDeployError that it makes ``read`` raise there is of no concern here.

    Raises:
        OSError: it hung, crashed, took too much memory, or raised anything else.
    """
    state, file = _STATE, _identity(path)
    name = f"{read.__module__}:{read.__qualname__}"
    if state.here or file is None:  # what is no file, ``read`` will say
        return
    with state.lock:
        if file not in state.refused and (name, file) not in state.passed:
            complaint, lasting = _complaint(name, file)
            if complaint and not lasting:
                raise OSError(complaint)
            if complaint:
                state.refused[file] = complaint
            else:
                state.passed.add((name, file))
        if file in state.refused:
            raise OSError(state.refused[file])


@contextmanager
def in_this_process() -> Iterator[None]:
    """Read files without a child: in one, or where a crash is what is looked for."""
    before, _STATE.here = _STATE.here, True
    try:
        yield
    finally:
        _STATE.here = before


def perform(name: str, path: str, cpu: float, memory: int) -> dict[str, str]:
    """In the child: read a file within bounds, and say what that raised."""
    os.environ.update(dict.fromkeys(THREADS, "1"))  # each would take memory
    module, _, function = name.partition(":")
    read = getattr(import_module(module), function)
    try:
        with in_this_process(), _bounded(cpu, memory):
            read(Path(path))
    except MemoryError:
        return {"failure": "", "memory": "exceeded"}
    except SnnDeployError:
        return {"failure": ""}
    except Exception as error:  # parsers raise whatever they trip over
        return {"failure": (str(error) or type(error).__name__).splitlines()[0]}
    return {"failure": ""}


@contextmanager
def _bounded(cpu: float, memory: int) -> Iterator[None]:
    """Bounds of this process from now on; on systems that know such."""
    try:
        import resource
    except ImportError:
        yield
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    bounds = {
        resource.RLIMIT_CPU: int(used + cpu) + 1,
        resource.RLIMIT_AS: _held() + memory,
        resource.RLIMIT_CORE: 0,
    }
    before = {what: resource.getrlimit(what) for what in bounds}
    for what, most in bounds.items():
        _, hard = before[what]
        fits = hard == resource.RLIM_INFINITY or most <= hard
        with suppress(ValueError, OSError):  # macOS has no bound of memory
            resource.setrlimit(what, (most if fits else hard, hard))
    try:
        yield
    finally:
        for what, limits in before.items():
            with suppress(ValueError, OSError):
                resource.setrlimit(what, limits)


def _held() -> int:
    """Bytes of address space that this process has; 0 where that is not told."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _identity(path: Path) -> Identity | None:
    """What tells a file from another and from itself, changed; None: it is no file."""
    try:
        is_ = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(is_.st_mode):
        return None
    return (
        os.path.abspath(path),
        *(is_.st_dev, is_.st_ino),
        *(is_.st_size, is_.st_mtime_ns),
    )


def _complaint(name: str, file: Identity) -> tuple[str, bool]:
    """Why a file is not to be read, "" for nothing; whether so by any function."""
    path, _, _, size, _ = file
    cpu, memory = CPU + size / SLOWEST, MEMORY + COPIES * size
    answer = _child().ask(
        f"{__name__}:perform",
        *(name, path, cpu, memory),
        patience=PATIENCE + size / SLOWEST,
    )
    if not answer.failure:
        much = f"reading it takes more than {memory / 2**30:.2g} GiB of memory"
        exceeded = "memory" in answer.found
        return (much if exceeded else answer.found["failure"]), exceeded
    _STATE.child = None
    if answer.signal == "SIGXCPU":
        return f"reading it was ended after {cpu:.0f} s without an end", True
    if answer.signal:
        return f"reading it ended its process with {answer.signal}", True
    return f"reading it in a process of its own failed: {answer.failure}", True


def _child() -> Child:
    state = _STATE
    if state.child is None or state.owner != os.getpid():
        state.child, state.owner = Child(Path(os.sep)), os.getpid()
        atexit.register(_end, state.child, state.owner)
    return state.child


def _end(child: Child, owner: int) -> None:
    if owner == os.getpid():
        child.end()
