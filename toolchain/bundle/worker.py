"""The worker: runs a packed bundle with Python 3.8 or newer and NumPy, nothing else.

    python3 -m zipfile -e X.snn X          unpacks the bundle
    less X/worker.py                       shows this file, before it is run
    python3 X/worker.py X.snn X.recording  runs the bundle's samples

It checks the bundle's hashes, runs its integers on its samples by the definition of a
step (``step``, below), and writes a Recording, which ``snn-deploy accept`` judges. It
reads and writes these two files alone, opens no connection, and executes nothing that
is in the bundle. Exit code 2, and a sentence, where something is wrong.
"""

# Annotations are in quotes, so that an older Python gets as far as its message.

import hashlib
import io
import json
import os
import platform
import sys
import time
import zipfile
import zlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if sys.version_info < (3, 8):  # noqa: UP036
    print(
        f"worker: Python {platform.python_version()} is too old; use 3.8 or newer",
        file=sys.stderr,
    )
    sys.exit(2)
try:
    import numpy as np
except ImportError:
    print("worker: this Python has no NumPy; pip install numpy", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]
    State = tuple[Array, Array, Array]  # u, v and counter, each (samples, neurons)
    Spikes = dict[str, Array]  # population → (samples, steps, neurons) bool

MAX_BYTES = 1 << 30  # of all members of a bundle, unpacked
DAMAGED = (
    *(LookupError, ArithmeticError, RuntimeError, TypeError, ValueError, EOFError),
    *(zipfile.BadZipFile, zlib.error),
)
MAX_NEURONS = 1 << 26  # of a population
SEAL = b"sha256 "  # a zip's comment: this, then the SHA-256 of all bytes before it
BATCH, BATCH_BYTES = 8, 1 << 25  # samples run at once, and bytes of their spikes


class Refused(Exception):
    """What is wrong, as a sentence."""


def wrap(x: "Array", bits: int) -> "Array":
    """x as a signed number of ``bits`` bits and a sign, wrapping around."""
    limit = 1 << bits
    wrapped: Array = (x + limit) % (2 * limit) - limit
    return wrapped


def decay(x: "Array", keep: int) -> "Array":
    """sgn(x) · ⌊|x| · keep / 4096⌋ (towards zero)."""
    decayed: Array = np.sign(x) * ((np.abs(x) * keep) >> 12)
    return decayed


def step(
    p: "dict[str, Any]", q: "Array", bias: "Array", state: "State"
) -> "tuple[Array, State]":
    """One step of a population, 64 bits inside: its spikes, and (u, v, counter) after.

    q   = wrap(q, 21)
    u   = wrap(decay(u, 4095 − δ_u) + q, 23)
    j   = wrap(u + bias, 23)
    v   = clip(decay(v, 4096 − δ_v) + j, v_min, v_max), 0 where counter > 0
    spike where v > θ; there v = 0, counter = r; last counter = max(counter − 1, 0)
    """
    u, v, counter = state
    u = wrap(decay(u, 4095 - p["decay_u"]) + wrap(q, 21), 23)
    v = decay(v, 4096 - p["decay_v"]) + wrap(u + bias, 23)
    v = np.clip(v, p["v_min"], p["v_max"])
    v = np.where(counter > 0, 0, v)
    spikes = v > p["threshold"]
    v = np.where(spikes, 0, v)
    counter = np.where(spikes, p["refractory"], counter)
    return spikes, (u, v, np.maximum(counter - 1, 0))


def synaptic_sum(c: "dict[str, Any]", sent: "Array", size: int) -> "Array":
    """Σ weight · 2^(6 + exponent) · spike, (samples, ``size`` target neurons).

    Sums of whole numbers below 2^53, which float64 holds exactly in any order.
    """
    if not sent.any():
        return np.zeros((len(sent), size), np.int64)
    weight = c["weight"] * 2.0 ** (6 + c["exponent"])
    if c["class"] == "DenseConnection":
        total = sent.astype(np.float64) @ weight
    elif c["class"] == "SparseConnection":
        given = [weight * one[c["sender"]] for one in sent]
        total = np.stack([np.bincount(c["receiver"], g, size) for g in given])
    else:
        total = windowed(c, sent.astype(np.float64), weight)
    sums: Array = total.reshape(len(sent), size).astype(np.int64)
    return sums


def windowed(c: "dict[str, Any]", sent: "Array", weight: "Array") -> "Array":
    """Of a (transposed) convolution: position after position of the kernel."""
    rows, columns, inputs, filters = weight.shape
    groups, forward = c["groups"], c["class"] == "ConvConnection"
    moves = list(zip(c["stride"], c["padding"], c["dilation"]))
    size, each = c["shape"][:2], filters // groups
    into = [
        (n + sum(pad) - (k - 1) * spread - 1) // pace + 1
        if forward
        else (n - 1) * pace + (k - 1) * spread + 1 - sum(pad)
        for n, k, (pace, pad, spread) in zip(size, (rows, columns), moves)
    ]
    sent = sent.reshape(len(sent), size[0], size[1], groups, inputs)
    weight = weight.reshape(rows, columns, inputs, groups, each)
    total = np.zeros((len(sent), into[0], into[1], groups, each))
    ends = list(zip(*((size, into) if forward else (into, size))))  # (large, small)
    for at in np.ndindex(rows, columns):
        spans = [span(both, move, k) for both, move, k in zip(ends, moves, at)]
        large, small = zip(*spans)
        (y, x), (i, j) = (large, small) if forward else (small, large)
        for g in range(groups):
            some = sent[:, y, x, g]
            part = some.reshape(-1, inputs) @ weight[at][:, g]
            total[:, i, j, g] += part.reshape(some.shape[:-1] + (each,))
    return total


def span(
    ends: "tuple[int, int]", move: "tuple[int, Any, int]", k: int
) -> "tuple[slice, slice]":
    """Along an axis, at position k of the kernel: pixels, and the windows over them.

    Window i sees pixel i · pace + k · spread − pad[0].
    """
    (large, small), (pace, pad, spread) = ends, move
    shift = k * spread - pad[0]
    first = max(-(shift // pace), 0)
    last = min((large - 1 - shift) // pace, small - 1)
    start = first * pace + shift
    count = max(last - first + 1, 0)
    windows = slice(first, first + count)
    return slice(
        start, start + (count - 1) * pace + 1 if count else start, pace
    ), windows


def simulate(
    program: "dict[str, Any]",
    bias: "dict[str, Array]",
    sent: "Spikes",
    shape: "tuple[int, int]",
    tell: "Callable[[int], None]",
) -> "Spikes":
    """Every population's spikes; state starts at 0 with each sample.

    Args:
        program: the tree of a Program, with its arrays.
        bias: population → (samples, neurons), where the samples set it.
        sent: spike input → its spikes.
        shape: samples and steps.
        tell: is told how many samples are done.
    """
    samples, steps = shape
    sizes = {p["name"]: int(np.prod(p["shape"])) for p in program["populations"]}
    spikes = {name: np.zeros((*shape, size), bool) for name, size in sizes.items()}
    spikes.update(sent)
    each = steps * sum(s.shape[2] for s in spikes.values())  # bytes of a sample
    batch = min(max(BATCH_BYTES // each, 1), BATCH)
    for start in range(0, samples, batch):
        now = slice(start, min(start + batch, samples))
        part = {name: array[now] for name, array in spikes.items()}  # views
        run(program, {name: array[now] for name, array in bias.items()}, part, steps)
        tell(now.stop)
    return spikes


def run(
    program: "dict[str, Any]", bias: "dict[str, Array]", spikes: "Spikes", steps: int
) -> None:
    """Fill in the spikes of a batch of samples; a spike acts ``delay`` steps later."""
    populations = program["populations"]
    incoming = {
        p["name"]: [c for c in program["connections"] if c["target"] == p["name"]]
        for p in populations
    }
    empty = {
        p["name"]: np.zeros(spikes[p["name"]][:, 0].shape, int) for p in populations
    }
    state = {name: (zeros, zeros, zeros) for name, zeros in empty.items()}
    for t in range(steps):
        for p in populations:
            name, q = p["name"], empty[p["name"]]
            for c in incoming[name]:
                if t >= c["delay"]:
                    given = spikes[c["source"]][:, t - c["delay"]]
                    q = q + synaptic_sum(c, given, q.shape[1])
            current = bias.get(name, p["bias"])
            spikes[name][:, t], state[name] = step(p, q, current, state[name])


class Packed:
    """A packed bundle's file, every hash in it checked.

    Attributes:
        sha256: of the file.
        program: tree of the Program, with its arrays.
        bias, sent: what enters, see ``simulate``.
        shape: samples and steps.
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise Refused(f"it has more than {MAX_BYTES} bytes")
            content = file.read(size)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.members = members_of(content)
        text = self.members["manifest.json"]
        line = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n"
        if self.members["manifest.sha256"] != line.encode():
            raise Refused("its manifest is changed; fetch it again")
        manifest = json.loads(text.decode())
        if manifest["schema"] > 2:
            raise Refused("it is of a newer snn-deploy than this worker; take its own")
        if manifest.get("acceptance") is None:
            raise Refused("it is not packed; use one that `snn-deploy pack` wrote")
        self.listed: dict[str, Any] = manifest["arrays"]
        self.program = self.restored(manifest["tree"])
        for p in self.program["populations"]:
            size = np.prod(p["shape"], dtype=float)
            if not 0 <= size <= MAX_NEURONS:
                raise Refused(f"it has {size:g} neurons in a population")
            p["threshold"] = np.resize(p["threshold"], int(size))
        golden, bias = manifest["golden"], manifest["acceptance"]["bias"]
        inputs = [p["name"] for p in self.program["inputs"]]
        self.sent = {name: self.array(golden[name]) for name in inputs}
        self.bias = {name: self.array(bias[name]) for name in bias}
        samples, steps, _ = self.listed[next(iter(golden.values()))]["shape"]
        self.shape = (samples, steps)

    def restored(self, tree: "Any") -> "Any":
        """A tree whose arrays are in it; float networks, which no core has, are not."""
        if isinstance(tree, list):
            return [self.restored(part) for part in tree]
        if not isinstance(tree, dict):
            return tree
        if set(tree) == {"array"}:
            return self.array(tree["array"])
        left_out = ("graph", "encoder", "decoder", "correction", "scale")
        return {k: self.restored(v) for k, v in tree.items() if k not in left_out}

    def array(self, name: str) -> "Array":
        """An array whose hash is the manifest's; of bits, as bool."""
        entry, file = self.listed[name], self.members[name]
        if hashlib.sha256(file).hexdigest() != entry["sha256"]:
            raise Refused(f"its array {name} is changed; fetch it again")
        stored = numbers(file)
        if entry["dtype"] == "bool":
            stored = np.unpackbits(stored)[: int(np.prod(entry["shape"]))]
        return stored.astype(entry["dtype"]).reshape(entry["shape"])


def numbers(file: bytes) -> "Array":
    """What a .npy file holds, of no more bytes than are there."""
    content, formats = io.BytesIO(file), np.lib.format
    first = formats.read_magic(content) == (1, 0)  # type: ignore[no-untyped-call]
    read = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
    try:
        shape, fortran, dtype = read(content)  # type: ignore[no-untyped-call]
    except Exception as error:  # NumPy's parser raises whatever it trips over
        raise ValueError(f"no array: {error!r:.40}") from error
    if dtype.hasobject:
        raise Refused("an array in it holds objects, which are never read")
    sides = shape[::-1] if fortran else shape
    flat: Array = np.ndarray(sides, dtype, file, content.tell())
    return flat.T.copy() if fortran else flat.copy()


def members_of(content: bytes) -> "dict[str, bytes]":
    """The members of a sealed zip."""
    body, seal = content[:-64], content[-64:]
    if not body.endswith(SEAL) or hashlib.sha256(body).hexdigest().encode() != seal:
        raise Refused("it is no bundle, truncated or changed; fetch it again")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
            raise Refused(f"it holds more than {MAX_BYTES} bytes")
        return {info.filename: archive.read(info) for info in archive.infolist()}


def recording(packed: Packed, spikes: "Spikes", wall_time: float) -> bytes:
    """The file of a Recording: a sealed zip, as a bundle is."""
    members, listed, names = {}, {}, {}
    for number, (name, array) in enumerate(spikes.items()):
        file = io.BytesIO()
        np.save(file, np.packbits(array), allow_pickle=False)
        names[name], content = f"arrays/{number}.npy", file.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        entry = {"shape": list(array.shape), "dtype": "bool", "sha256": digest}
        members[names[name]], listed[names[name]] = content, entry
    now = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    manifest = {
        "schema": 1,
        "kind": "recording",
        "bundle": packed.sha256,
        "target": "reference",
        "target_kind": "integer emulation",
        "wall_time": wall_time,
        "date": now.isoformat() + "Z",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "worker": "1",
        },
        "measured": {},
        "spikes": names,
        "arrays": listed,
    }
    text = json.dumps(manifest, indent=1).encode()
    line = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n"
    members.update({"manifest.json": text, "manifest.sha256": line.encode()})
    return sealed(members)


def sealed(members: "dict[str, bytes]") -> bytes:
    """Members as a zip that ends in the hash of all before."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        archive.comment = SEAL + b"0" * 64
    body = file.getvalue()[:-64]
    return body + hashlib.sha256(body).hexdigest().encode()


def main(bundle: str, out: str) -> None:
    """Run a packed bundle's samples and write their Recording.

    Raises:
        Refused, OSError, MemoryError: see the message.
    """

    def tell(done: int) -> None:
        print(f"sample {done} of {packed.shape[0]}", file=sys.stderr, flush=True)

    try:
        packed = Packed(bundle)
        start = time.perf_counter()
        spikes = simulate(packed.program, packed.bias, packed.sent, packed.shape, tell)
    except DAMAGED as error:
        raise Refused(f"it is damaged ({error!r:.80}); fetch it again") from error
    content = recording(packed, spikes, time.perf_counter() - start)
    beside = f"{out}.{os.getpid()}"
    try:
        with open(beside, "xb") as file:
            file.write(content)
        os.replace(beside, out)
    finally:
        if os.path.exists(beside):
            os.remove(beside)


if __name__ == "__main__":
    wrong = ""
    if len(sys.argv) != 3:
        wrong = "name two files: worker.py X.snn X.recording"
    else:
        try:
            main(*sys.argv[1:])
        except Refused as error:
            wrong = f"{sys.argv[1]}: {error}"
        except OSError as error:
            wrong = f"{error.filename or sys.argv[2]}: {error.strerror}"
        except MemoryError:
            wrong = "there is not enough memory; pack fewer samples"
    if wrong:
        print(f"worker: {wrong}", file=sys.stderr)
        sys.exit(2)
