"""Damaged model files on the command line: one sentence, exit code 2, nothing written.

    nice python benchmarks/mutated.py --format nir --count 10000

Each file is a small network with some of its bytes changed, cut off, left out or set to
the largest number, and goes through `snn-deploy import` in a process that is watched: a
traceback, a hang, a crash of a library and a bundle that a refused file left behind are
counted, and the number of the file is kept, which makes it again. The result stands in
results/mutated.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RESULT = HERE / "results" / "mutated.json"
TESTS = HERE.parent / "tests"
LIMIT = 10  # s of the processor's time for a file
MEMORY = 6 << 30  # bytes of address space
KEPT = 20  # numbers of files of each kind that went wrong


def stored(folder: str, *patterns: str) -> Callable[[Path], list[Path]]:
    """The files of the tests."""
    return lambda _: [
        path for pattern in patterns for path in sorted((TESTS / folder).glob(pattern))
    ]


def nir_files(folder: Path) -> list[Path]:
    """A recurrent network, one of pictures, and one of sub-graphs and filters."""
    import nir

    rng = np.random.default_rng(0)

    def floats(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    def lif(*shape: int) -> nir.LIF:
        one = np.ones(shape, np.float32)
        return nir.LIF(tau=one / 50, r=one, v_leak=0 * one, v_threshold=one)

    loop = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])),
            "in": nir.Affine(floats(6, 4), floats(6)),
            "lif": lif(6),
            "again": nir.Linear(floats(6, 6)),
            "late": nir.Delay(np.full(6, 0.002)),
            "output": nir.Output(np.array([6])),
        },
        [
            *(("input", "in"), ("in", "lif"), ("lif", "late"), ("late", "again")),
            *(("again", "lif"), ("lif", "output")),
        ],
    )
    conv = nir.Conv2d((6, 6), floats(3, 2, 3, 3), 1, "same", 1, 1, floats(3))
    two = np.array([2, 2])
    picture = nir.NIRGraph.from_list(
        nir.Input(np.array([2, 6, 6])),
        conv,
        lif(3, 6, 6),
        nir.SumPool2d(two, two, 0 * two),
        nir.Flatten(np.array([3, 3, 3]), 0, -1),
        nir.Affine(floats(4, 27), floats(4)),
        nir.Threshold(np.ones(4, np.float32)),
    )
    one = np.ones(5, np.float32)
    cuba = nir.CubaLIF(one / 100, one / 50, one, 0 * one, one)
    inner = nir.NIRGraph.from_list(nir.Linear(floats(5, 4)), cuba)
    outer = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])),
            "block": inner,
            "read": nir.LI(one / 50, one, 0 * one),
            "output": nir.Output(np.array([5])),
        },
        [("input", "block"), ("block", "read"), ("read", "output")],
    )
    found = []
    for name, graph in (("loop", loop), ("picture", picture), ("blocks", outer)):
        found.append(folder / f"{name}.nir")
        nir.write(found[-1], graph)
    return found


FORMATS: dict[str, Callable[[Path], list[Path]]] = {
    "nir": nir_files,
    "netx": stored("netx_files", "*.net"),
    "onnx": stored("onnx_models", "*.onnx"),
    "keras": stored("keras3", "*.keras", "*.h5"),
}
"""Format → what makes the files that are damaged. A new one is a line."""


def mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes otherwise than they were."""
    changed = bytearray(content)
    place = int(rng.integers(len(content)))
    match int(rng.integers(6)):
        case 0:
            return content[:place]
        case 1:
            for i in rng.integers(len(content), size=int(rng.integers(1, 9))):
                changed[i] = rng.integers(256)
        case 2:
            del changed[place : place + int(rng.integers(1, 200))]
        case 3:
            changed[place] ^= 1 << int(rng.integers(8))
        case 4:  # a number that says the most, or nothing
            size = int(rng.choice([1, 2, 4, 8]))
            changed[place : place + size] = rng.choice([b"\xff", b"\x7f", b"\0"]) * size
        case _:  # bytes from elsewhere in the file
            other, size = int(rng.integers(len(content))), int(rng.integers(1, 64))
            changed[place : place + size] = content[other : other + size]
    return bytes(changed)


class Hang(BaseException):
    """A file took too long."""


def work(name: str, numbers: Iterable[int], folder: Path) -> None:
    """Import files one after the other; a line about each to standard output."""
    from snn_deploy.__main__ import main

    def stop(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seeds = [(path.suffix, path.read_bytes()) for path in FORMATS[name](folder)]
    out = folder / "out.snn"
    report = os.fdopen(os.dup(1), "w")
    for number in numbers:
        rng = np.random.default_rng(number)
        suffix, content = seeds[number % len(seeds)]
        path = folder / f"net{suffix}"
        path.write_bytes(mutant(content, rng))
        report.write(f"{number} ")
        report.flush()
        sys.argv = ["snn-deploy", "import", str(path), "--out", str(out)]
        report.write(outcome(main, out) + "\n")
        report.flush()
        out.unlink(missing_ok=True)


def limit(seconds: int) -> None:
    """Of the processor's time: an exception then, and an end where a library loops."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime) + (3 * seconds or 3600)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def outcome(main: Callable[[], None], out: Path) -> str:
    """What became of a file."""
    told, code = io.StringIO(), 1
    try:
        limit(LIMIT)
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Hang:
        return "hang"
    except BaseException:
        last = traceback.format_exc().strip().splitlines()
        return f"traceback {last[-1][:200]}"
    finally:
        limit(0)
    if code == 0:
        return "read"
    if code != 2 or not told.getvalue().startswith("Error: "):
        return f"exit code {code}"
    return "something written" if out.exists() else "refused"


def watched(name: str, count: int, first: int) -> tuple[Counter[str], dict[str, list]]:
    """Outcomes of so many files, and what went wrong, file by file."""
    found: Counter[str] = Counter()
    wrong: dict[str, list] = {}
    number, end = first, first + count
    while number < end:
        with tempfile.TemporaryDirectory() as folder:
            words = ["--format", name, "--work", folder, "--first", str(number)]
            words += ["--count", str(end - number)]
            code = [sys.executable, __file__, *words]
            for line in lines(code):
                at, _, told = " ".join(line.split()).partition(" ")
                number = int(at) + 1
                kind = told.partition(" ")[0] or "crash"
                found[kind] += 1
                if kind not in ("read", "refused"):
                    wrong.setdefault(kind, []).append([int(at), told])
                    print(number - 1, told or "crash", file=sys.stderr, flush=True)
                if number % 500 == 0:
                    print(number, dict(found), file=sys.stderr, flush=True)
    return found, {kind: files[:KEPT] for kind, files in wrong.items()}


def lines(code: list[str]) -> Iterator[str]:
    """What a worker says; a last line is one that it could not end."""
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        said = 0
        for line in worker.stdout:
            said += 1
            hung = not line.endswith("\n") and worker.wait() == -signal.SIGXCPU
            yield f"{line} hang" if hung else line
    if not said:
        raise SystemExit(f"the worker ended with {worker.returncode} before a file")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--work", type=Path, help="folder of a worker")
    return parser.parse_args()


def main() -> None:
    """Run the files, or be the worker that does."""
    how = arguments()
    if how.work:
        work(how.format, range(how.first, how.first + how.count), how.work)
        return
    start = time.monotonic()
    found, wrong = watched(how.format, how.count, how.first)
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    result[how.format] = {
        "files": how.count,
        "first": how.first,
        "outcomes": dict(sorted(found.items())),
        "wrong": wrong,
        "seconds": round(time.monotonic() - start),
    }
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(json.dumps(result[how.format], indent=1))


if __name__ == "__main__":
    main()
