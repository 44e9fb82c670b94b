"""The far side of a run: started there by that Python, with its own library alone.

    job.py submit TARGET WORKER_BYTES BUNDLE_BYTES [srun OPTION …]  < worker, bundle
    job.py follow LINE     the log from a line on, how it ended, and the Recording

It lies in the job's own folder and touches nothing else. A job goes on without whoever
submitted it: ``supervise``, in a session of its own, runs the worker (or snn-deploy,
where that is installed) and beats in ``state``; where the folder is gone, it ends.
"""

# Annotations are in quotes, so that an older Python gets as far as its message.

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, BinaryIO

FOLDER = os.path.dirname(os.path.abspath(__file__))
BUNDLE, WORKER, RECORDING, LOG, STATE = (
    os.path.join(FOLDER, name)
    for name in ("bundle.snn", "worker.py", "recording", "log", "state")
)
ROOM = 4096  # bytes of the state, taken at the start: it is written on a full disk too
BEAT, DEAD = 0.5, 15.0  # s, between two beats; after which silence is death
LONGEST = 2000  # characters of a line that are kept


class Wrong(Exception):
    """What is wrong on this machine, as a sentence."""


def interpreter(target: str) -> "list[str]":
    """What runs a bundle here, to which its paths are added.

    Raises:
        Wrong: this Python is too old, or lacks a package.
    """
    found = f"Python {platform.python_version()} ({sys.executable})"
    if sys.version_info < (3, 8):  # noqa: UP036
        raise Wrong(found + " is too old; name one of 3.8 or newer with --python")
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise Wrong(found + " has no NumPy; pip install numpy there") from None
    try:
        import snn_deploy.__main__  # noqa: F401, TID251

        installed = sys.version_info >= (3, 10)  # noqa: UP036
    except ImportError:
        installed = False
    if not installed and target != "reference":
        raise Wrong(
            f"{found} has no snn-deploy, which the target {target!r} needs; install it "
            "there, or name another Python with --python"
        )
    if not installed:
        return [sys.executable, WORKER, BUNDLE, RECORDING]
    words = [sys.executable, "-m", "snn_deploy", "run", BUNDLE, "--target", target]
    return [*words, "--recording", RECORDING]


def submit(target: str, worker_bytes: str, bundle_bytes: str, *srun: str) -> "None":
    """Take in worker and bundle from standard input, start the job and follow it."""
    command = interpreter(target)
    with open(STATE, "wb") as file:
        file.write(b" " * ROOM)
    write_state({"code": None, "last": "", "beat": 0})
    for path, size in ((WORKER, int(worker_bytes)), (BUNDLE, int(bundle_bytes))):
        with open(path, "wb") as file:
            left = size
            while left:
                part = sys.stdin.buffer.read(min(left, 1 << 20))
                if not part:
                    raise Wrong("the bundle did not arrive whole; run it again")
                file.write(part)
                left -= len(part)
    subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), "supervise", *srun, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    say({"by": "snn-deploy" if "snn_deploy" in command else "its worker"})
    follow("0")


def supervise(*command: str) -> "None":
    """Run a command to its end, with its output in the log and beats in the state."""
    state: dict[str, Any] = {"code": None, "last": "", "beat": 0}
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
    except OSError as error:
        last = f"{command[0]} cannot be started ({error.strerror})"
        return write_state({**state, "code": 127, "last": last})
    assert child.stdout is not None
    reader = threading.Thread(target=keep, args=(child.stdout, state), daemon=True)
    reader.start()
    code = None
    while code is None:
        try:
            code = child.wait(BEAT)
        except subprocess.TimeoutExpired:
            state["beat"] += 1
            try:
                write_state(state)
            except FileNotFoundError:  # nobody wants it any more
                child.terminate()
    reader.join(DEAD)
    write_state({**state, "code": code})


def keep(lines: "BinaryIO", state: "dict[str, Any]") -> "None":
    """Lines into the log, as long as the disk takes them, and the last one in mind."""
    for raw in lines:
        line = raw.decode("utf-8", "replace").strip()[:LONGEST]
        if not line:
            continue
        state["last"] = line
        try:
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(line + "\n")
        except OSError:
            continue


def write_state(state: "dict[str, Any]") -> "None":
    """Over the old one, in the room that it has; ASCII."""
    text = json.dumps({**state, "last": state["last"][-500:]}).encode()
    with open(STATE, "r+b") as file:
        file.write(text.ljust(ROOM))


def follow(start: str) -> "None":
    """The log from a line on, as it grows; at last the state and the Recording."""
    told, beat, since = int(start), -1, time.monotonic()
    while True:
        with open(STATE, "rb") as file:
            text = file.read()
        try:
            state = json.loads(text.decode())
        except ValueError:  # in the middle of being written
            time.sleep(BEAT / 10)
            continue
        if os.path.exists(LOG):
            with open(LOG, encoding="utf-8", errors="replace") as log:
                lines = log.read().split("\n")[told:-1]
            for line in lines:
                say({"log": line})
            told += len(lines)
        if state["beat"] != beat:
            beat, since = state["beat"], time.monotonic()
        if state["code"] is not None:
            return end(state)
        if time.monotonic() - since > DEAD:
            raise Wrong("the job there ended without a word; run it again")
        time.sleep(BEAT)


def end(state: "dict[str, Any]") -> "None":
    """The last state; where it ended well with ``bytes``, which follow."""
    if state["code"] != 0:
        return say(state)
    with open(RECORDING, "rb") as file:
        say({**state, "bytes": os.fstat(file.fileno()).st_size})
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()


def say(words: "dict[str, Any]") -> "None":
    """A line of JSON to whoever asked."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    verbs = {f.__name__: f for f in (submit, supervise, follow)}
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except Wrong as error:
        say({"wrong": str(error)})
    except FileNotFoundError as error:
        say({"wrong": f"there is no such job, or no {error.filename} of it"})
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "; make room on its disk" if full else ""
        say({"wrong": f"{error.filename or FOLDER}: {error.strerror}{advice}"})
