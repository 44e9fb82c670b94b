"""SIGKILL at random moments, then again as if nothing had happened.

    nice python benchmarks/kills.py --kills 50

Each command runs on a network so small that it takes a second or so, and is killed with
all its processes: every other time after a random part of its measured time, else just
before a random one of the changes that it makes to files (opened to write, renamed,
removed), in a folder that is empty, or holds an older result of other options. Then
every artefact there is read by our own loaders, which check hashes; the same command
runs again (fine-tuning with --resume, where there is a checkpoint), and what it leaves
is held to an undisturbed run's, byte for byte wherever two undisturbed runs agree so.

Starting Python and importing TensorFlow takes longer than all of that, so this process
imports once what a command does, and each run is a fork of it in a session of its own.
The result stands in results/kills.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from kills_judge import Found, demand_same, how_held, judge

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from small_networks import fitted, save, stripes  # noqa: E402

from snn_deploy.__main__ import main as snn_deploy  # noqa: E402

RESULT = HERE / "results" / "kills.json"
LIMIT = 900  # s of a run that nobody kills
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
LATE = 0.4  # share of the kills by the clock that fall into the last fifth of the time
DATA = ("--data", "xy.npz")
BUILD = ("build", "--model", "net.snn", *DATA, "--target", "reference")
BUILD += ("--calibrate", "none", "--samples", "8")
TUNE = ("finetune", "net.snn", *DATA, "--out", "tuned.snn", "--max-rate-hz", "400")
TUNE += ("--adapt-epochs", "1", "--batch", "64")
SPACE = 'model = "net.snn"\ndata = "xy.npz"\n[space]\nsteps = {}\n'


@dataclass(frozen=True)
class Command:
    """What is killed, what was in its place before, and what is asked again."""

    words: tuple[str, ...]
    before: tuple[str, ...]  # of other options
    again: Callable[[Path], tuple[str, ...]] = lambda folder: ()  # words that are added


def resumed(folder: Path) -> tuple[str, ...]:
    """--resume where there is a checkpoint."""
    return ("--resume",) if [*folder.glob("tuned.snn.*.npz")] else ()


COMMANDS = {
    "build": Command(
        (*BUILD, "--steps", "24", "--out", "net"),
        (*BUILD, "--steps", "16", "--out", "net"),
    ),
    "finetune": Command(
        (*TUNE, "--epochs", "2", "--steps", "8"),
        (*TUNE, "--epochs", "1", "--steps", "6"),
        resumed,
    ),
    "sweep": Command(
        ("sweep", "space.toml", "--workers", "1", "--out", "swept"),
        (),
    ),
    "pack": Command(
        ("pack", "built/program.snn", "--samples", "8", "--out", "x.snn"),
        ("pack", "built/program.snn", "--samples", "4", "--out", "x.snn"),
    ),
    "run": Command(
        ("run", "packed.snn", "--target", "reference", "--recording", "x.recording"),
        (),
    ),
}


@dataclass(frozen=True)
class End:
    """How a run ended."""

    code: int  # negative: by that signal
    seconds: float
    changes: int  # of files in its folder
    said: str


def run(
    words: tuple[str, ...], folder: Path, after: float = LIMIT, at: int = -1
) -> End:
    """Fork, and run a command in a folder; killed after so many seconds, or before its
    ``at``-th change to files there."""
    said = folder.with_suffix(".said")
    counted = folder.with_suffix(".changes")
    counted.write_bytes(b"")
    start = time.perf_counter()
    if (child := os.fork()) == 0:
        _work(words, folder, said, counted, at)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.perf_counter() - start > after:
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:  # it has no session yet
                os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.0005)
    seconds = time.perf_counter() - start
    _await_group(child)
    code = os.waitstatus_to_exitcode(ended[1])
    return End(code, seconds, len(counted.read_bytes()), said.read_text()[-2000:])


def _work(
    words: tuple[str, ...], folder: Path, said: Path, counted: Path, at: int
) -> None:
    """The child."""
    os.setsid()
    sys.modules["__main__"] = ModuleType("__main__")  # which Dask's workers import
    os.chdir(folder)
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1), os.dup2(out, 2)
    tally = os.open(counted, os.O_WRONLY | os.O_APPEND)
    code, changes = 1, 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & (
                os.O_WRONLY | os.O_RDWR
            )
            place = arguments[0] if writes else None
        else:
            place = arguments[0] if event in CHANGES else None
        if isinstance(place, str | bytes | os.PathLike):
            if os.path.abspath(os.fsdecode(place)).startswith(f"{folder}/"):
                if changes == at:
                    os.killpg(0, signal.SIGKILL)
                changes += 1
                os.write(tally, b".")

    sys.addaudithook(hook)
    sys.argv = ["snn-deploy", *words]
    try:
        snn_deploy()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 70
    folder.with_suffix(".modules").write_text("\n".join(sys.modules))
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def import_for(command: Command, folder: Path) -> None:
    """Import here what a command's run has imported in the end, and start nothing."""
    ended = run(command.words, folder)
    assert ended.code in (0, 1), ended.said
    for name in folder.with_suffix(".modules").read_text().split():
        with suppress(Exception):
            import_module(name)


def _await_group(group: int) -> None:
    """Until none of its processes is left."""
    for _ in range(2000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        with suppress(ChildProcessError):
            os.waitpid(-group, os.WNOHANG)
        time.sleep(0.005)
    raise SystemExit(f"process group {group} does not end")


def prepare(work: Path) -> Path:
    """A folder with what every command takes."""
    inputs = work / "inputs"
    inputs.mkdir()
    x, y = stripes(120)
    np.savez(inputs / "xy.npz", x=x, y=y)
    save(inputs / "net.snn", fitted(x, np.eye(3)[y], 12))
    (inputs / "space.toml").write_text(SPACE.format([16, 24]))
    for words in (
        (*BUILD, "--steps", "16", "--out", "built"),
        ("pack", "built/program.snn", "--samples", "8", "--out", "packed.snn"),
    ):
        ended = run(words, inputs)
        assert ended.code == 0, ended.said
    return inputs


def fresh(here: Path, start: Path) -> Path:
    """The working folder, as another one is."""
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(start, here)
    return here


def killed_again_and_again(
    name: str, kills: int, seed: int, work: Path, inputs: Path
) -> Iterator[dict[str, Any]]:
    """Kill a command so many times, and judge each: what was found so far."""
    command, here, found = COMMANDS[name], work / "here", Found()
    import_for(command, fresh(here, inputs))
    starts = [inputs]
    if command.before:
        ended = run(command.before, fresh(here, inputs))
        assert ended.code in (0, 1), ended.said
        starts.append(shutil.copytree(here, work / f"{name}-before"))
    wholes = []
    for turn in (0, 1):  # the first also fills caches
        ended = run(command.words, fresh(here, inputs))
        assert ended.code in (0, 1), ended.said
        wholes.append(shutil.copytree(here, work / f"{name}-whole{turn}"))
    found.held = how_held(*wholes)
    seconds, changes, number = ended.seconds, ended.changes, 0
    while sum(found.killed.values()) < kills:
        number += 1
        rng = np.random.default_rng([seed, number])
        fresh(here, starts[number % len(starts)])
        if number // 2 % 2:
            late = rng.random() < LATE
            part = rng.uniform(0.8, 1.05) if late else rng.uniform(0, 1)
            kind, ended = "by the clock", run(command.words, here, part * seconds)
        else:
            kind = "before a change"
            ended = run(command.words, here, at=int(rng.integers(changes)))
        if ended.code != -signal.SIGKILL:
            found.ended_first += 1
            continue
        found.killed[kind] += 1
        try:
            judge(here, found)
            again = _again(command, here, found)
            demand_same(here, wholes[0], found.held)
            seconds = 0.8 * seconds + 0.2 * again.seconds if not again.code else seconds
        except Exception as wrong:
            found.wrong.append(f"{number} {kind}: {type(wrong).__name__} {wrong}"[:500])
            print(name, found.wrong[-1], flush=True)
        if number % 10 == 0:
            print(name, number, dict(found.killed), f"{seconds:.2f} s", flush=True)
        so_far = {"seconds of a run": round(seconds, 2), "changes of a run": changes}
        yield {**vars(found), **so_far}


def _again(command: Command, here: Path, found: Found) -> End:
    added = command.again(here)
    ended = run((*command.words, *added), here)
    if added and ended.code == 2 and "another" in ended.said:
        found.resume_refused += 1  # those of the older run, of other options
        ended = run(command.words, here)
    assert ended.code in (0, 1), f"exit code {ended.code}: {ended.said}"
    return ended


def main() -> None:
    """Kill the commands and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=COMMANDS, action="append")
    how = parser.parse_args()
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    work = Path(tempfile.mkdtemp())
    try:
        inputs = prepare(work)
        for command in how.only or COMMANDS:
            for found in killed_again_and_again(
                command, how.kills, how.seed, work, inputs
            ):
                result[command] = found
                RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(result, indent=1, sort_keys=True))
    sys.exit(1 if any(found["wrong"] for found in result.values()) else 0)


if __name__ == "__main__":
    main()
