"""Fuzzing: files from anywhere are loaded or refused, and nothing else happens.

    nice python benchmarks/fuzz.py bundle nir                # no names: all loaders
    python benchmarks/fuzz.py onnx --count 2000 --command    # the whole command line
    python benchmarks/fuzz.py nir --numbers 12,700-799       # these alone
    python benchmarks/fuzz.py nir --again                    # what went wrong before

Each input is made of its number: a seed file with a change in what it holds or in its
bytes (HDF5 also notes the time in some). A process that is watched, and that can write
nowhere but in its own folder, hands them to a loader; after a crash it is started
again. Counted beside "loaded" and "refused" (one of our own errors): a traceback, a
hang of more than 5 s, more than 1 GiB, a file or process outside, a crash. The results
stand in results/fuzz.json and fuzz.md. An interrupted run goes on where its results
end; who removes them begins again.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing.guard import OWN, work
from fuzzing.loaders import LOADERS
from fuzzing.table import table_of

RESULT = Path(__file__).parent / "results" / "fuzz.json"
PORTION = 5_000  # inputs, after which what was found is kept
KEPT = 5  # numbers of inputs of each finding
GOOD = ("loaded", "refused")
Finding = dict[str, Any]


class Tally:
    """What became of inputs."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.findings: dict[str, Finding] = {}
        self.peak = 0  # MiB of a process

    def add(self, number: int, told: str) -> None:
        """Count an input."""
        kind = told.partition(" ")[0]
        self.outcomes[kind] += 1
        if kind in GOOD:
            return
        what = told if kind == "outside" else ": ".join(told.split(": ")[:2])
        found = self.findings.setdefault(what, {"inputs": 0, "numbers": []})
        found["inputs"] += 1
        if len(found["numbers"]) < KEPT:
            found["numbers"].append(number)
            print(number, told, file=sys.stderr, flush=True)


def watched(name: str, numbers: list[int] | range, command: bool) -> Tally:
    """Outcomes of inputs, over as many processes as it takes."""
    tally, left = Tally(), list(numbers)
    while left:
        place = Path("/dev/shm")
        parent = place if place.is_dir() else None
        with tempfile.TemporaryDirectory(dir=parent, prefix="fuzz-") as folder:
            words = [f"{left[0]}-{left[-1]}"] if left == _run(left) else map(str, left)
            code = [sys.executable, __file__, name, "--work", folder, "--numbers"]
            code += [",".join(words), *(["--command"] if command else [])]
            done = 0
            for line in lines(code, Path(folder)):
                at, _, told = line.strip().partition(" ")
                if at == "peak":
                    tally.peak = max(tally.peak, int(told))
                    continue
                done += 1
                tally.add(int(at), told)
            left = left[done:]
    return tally


def _run(numbers: list[int]) -> list[int]:
    return list(range(numbers[0], numbers[0] + len(numbers)))


def lines(code: list[str], root: Path) -> Iterator[str]:
    """What a process says; a last line is one that it could not end."""
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        line = ""
        for line in worker.stdout:
            if line.endswith("\n"):
                yield line
        if not line or worker.wait() > 0:
            raise SystemExit(f"the fuzzer itself failed, at {line!r}")
        if not line.endswith("\n"):
            yield f"{line.strip()} {ended(worker.wait(), root)}"


def ended(code: int, root: Path) -> str:
    """How a process ended, and where it was: in a library, or in lines of ours."""
    kinds = {-signal.SIGXCPU: "hang", -signal.SIGALRM: "hang"}
    kind = kinds.get(code, "crash")
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    faults = root / "faults"
    text = faults.read_text() if faults.exists() else ""
    frames = text.rpartition("Current thread")[2].splitlines()
    frames = [frame.strip() for frame in frames if frame.strip().startswith("File")]
    deepest = frames[0].replace(sys.prefix, "") if frames else "?"
    own = next((f.rpartition(OWN)[2] for f in frames if OWN in f), "?")
    where = "library" if frames and OWN not in frames[0] else "ours"
    return f"{kind}-{where} {name} at {own} in {deepest.rpartition('packages')[2]}"


def main() -> None:
    """Fuzz loaders, or be the process that reads."""
    how = arguments()
    if how.work:
        work(how.loaders[0], chosen(how.numbers), how.work, how.command)
        return
    for name in how.loaders or LOADERS:
        if how.numbers:
            show(name, watched(name, chosen(how.numbers), how.command))
        elif how.again:
            found = known(name).get("findings", {}).values()
            numbers = [n for finding in found for n in finding["numbers"]]
            show(name, watched(name, numbers, how.command))
        else:
            go_on(name, how.count or LOADERS[name].inputs, how.command)


def go_on(name: str, count: int, command: bool) -> None:
    """Fuzz until so many inputs were tried, those of earlier runs among them."""
    key = f"{name} by command" if command else name
    while (done := known(key).get("inputs", 0)) < count:
        numbers = range(done, min(done + PORTION, count))
        start = time.monotonic()
        tally = watched(name, numbers, command)
        keep(key, len(numbers), tally, time.monotonic() - start)
        print(key, numbers.stop, known(key)["outcomes"], file=sys.stderr, flush=True)


def show(name: str, tally: Tally) -> None:
    """Print what became of inputs that are not kept."""
    print(name, dict(tally.outcomes))
    for what, found in tally.findings.items():
        print(" ", found["inputs"], what, found["numbers"])


def known(key: str) -> dict[str, Any]:
    """What was found before."""
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    return dict(found.get(key, {}))


def keep(key: str, inputs: int, tally: Tally, seconds: float) -> None:
    """Add to what was found before, which another process may be doing too."""
    folder = os.open(RESULT.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    old = known(key)
    findings = old.get("findings", {})
    for what, found in tally.findings.items():
        before = findings.get(what, {"inputs": 0, "numbers": []})
        findings[what] = {
            "inputs": before["inputs"] + found["inputs"],
            "numbers": [*before["numbers"], *found["numbers"]][:KEPT],
        }
    new = {
        "inputs": old.get("inputs", 0) + inputs,
        "outcomes": dict(Counter(old.get("outcomes", {})) + tally.outcomes),
        "findings": findings,
        "peak_mib": max(old.get("peak_mib", 0), tally.peak),
        "seconds": old.get("seconds", 0) + round(seconds),
    }
    whole = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    whole[key] = new
    RESULT.write_text(f"{json.dumps(whole, indent=1, sort_keys=True)}\n")
    RESULT.with_suffix(".md").write_text(table_of(whole))
    os.close(folder)


def chosen(text: str) -> list[int] | range:
    """Numbers as they are given: 3,5 or 0-99."""
    first, dash, last = text.partition("-")
    if dash:
        return range(int(first), int(last) + 1)
    return [int(number) for number in text.split(",")]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loaders", nargs="*", choices=[*LOADERS, []], metavar="LOADER")
    parser.add_argument("--count", type=int, help="inputs of each")
    parser.add_argument("--numbers", help="these alone: 3,5 or 0-99")
    parser.add_argument("--again", action="store_true", help="what went wrong before")
    parser.add_argument("--command", action="store_true", help="the command line")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
