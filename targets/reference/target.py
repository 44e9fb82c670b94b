"""The reference target: the core's arithmetic in compiled code, exact and fast."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError, TargetUnavailable
from ...toolchain.passes.place.limits import CONNECTIONS, Limits
from ...toolchain.program.arithmetic import MAX_BIAS
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target
from . import kernels, kernels_compiled
from .columns import CACHE_LINE
from .tiles import Network, Room, assemble, members

SHARES = 8
"""Of the samples, for each thread: few, since handing one over costs as much as a small
network's run of a sample; several, since samples take longer and shorter."""


PORTION = 1 << 28  # 1/20 ns of work after which compiled code returns to Python


class Reference(Target):
    """Every Program, spike for spike as ``program.step`` says."""

    name = "reference"
    kind = "integer emulation"
    fast = True
    limits = Limits(
        connections=CONNECTIONS,
        max_delay=63,
    )

    def __init__(self, threads: int | None = None) -> None:
        """``threads``: samples that run at a time, one for each CPU where None."""
        self.threads = threads or _cpus()

    def open(self, program: Program) -> ReferenceSession:
        """A session.

        Raises:
            TargetUnavailable: Numba was told to compile nothing.
        """
        if kernels_compiled.DISABLED:
            raise TargetUnavailable(
                "Target 'reference': NUMBA_DISABLE_JIT is set, and it runs compiled "
                "code; unset it"
            )
        return ReferenceSession(self, program)


class ReferenceSession(Session):
    """A Program as tables; nothing changes in them from run to run."""

    def __init__(self, target: Reference, program: Program) -> None:
        super().__init__(target, program)
        self._threads = target.threads
        self._network = assemble(program)
        self._idle: list[Memory] = []  # as many as threads ran at a time

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons).

        Raises:
            DataError: the stimulus is not one for this Program.
        """
        check_stimulus(self.program, stimulus)
        batch = make_batch(self.program, stimulus)
        spikes = views(self.program, stimulus, batch)
        for p in self.program.inputs:
            spikes.pop(p.name)[...] = stimulus.spikes[p.name]
        run = partial(run_sample, self._network, batch)
        try:
            self._each(run, stimulus.samples)
        except kernels_compiled.CACHE_FAILURES:
            kernels_compiled.without_cache()
            self._each(run, stimulus.samples)
        return spikes

    def _each(self, run: Callable[[Memory, int, Event], None], samples: int) -> None:
        stop = Event()

        def each(share: Iterable[int]) -> None:
            try:
                memory = self._idle.pop()
            except IndexError:
                memory = make_memory(self._network.room)
            for sample in share:
                run(memory, sample, stop)
            self._idle.append(memory)

        if min(self._threads, samples) <= 1:
            each(range(samples))
            return
        count = min(SHARES * self._threads, samples)
        shares = [range(first, samples, count) for first in range(count)]
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                list(pool.map(each, shares))
            finally:  # of all, or interrupted
                stop.set()


def run_sample(
    network: Network, batch: Batch, memory: Memory, sample: int, stop: Event
) -> None:
    """All steps of a sample, in portions, between which Python can be interrupted."""
    group = step = 0
    while group < len(network.rows) and not stop.is_set():
        group, step = kernels.simulate(
            network, batch, memory, sample, group, step, PORTION
        )


class Memory(NamedTuple):
    """What ``kernels.simulate`` works in; of one thread."""

    q: npt.NDArray[np.int32]
    u: npt.NDArray[np.int32]
    v: npt.NDArray[np.int32]
    rest: npt.NDArray[np.int8]
    active: npt.NDArray[np.int32]
    panel: npt.NDArray[np.uint8]
    stage: int  # where in it pixels are padded
    begins: npt.NDArray[np.int64]
    dense: npt.NDArray[np.int8]
    fired: npt.NDArray[np.uint8]


def make_memory(room: Room) -> Memory:
    """Memory, not set."""
    return Memory(
        q=aligned(room.q, np.int32),
        u=aligned(room.state, np.int32),
        v=aligned(room.state, np.int32),
        rest=aligned(room.state, np.int8),
        active=aligned(room.active, np.int32),
        panel=aligned(room.panel + room.stage, np.uint8),
        stage=room.panel,
        begins=np.zeros(kernels.ROWS, np.int64),
        dense=np.zeros(room.links, np.int8),
        fired=aligned(kernels.ROWS * (room.chunk + kernels.LANES), np.uint8),
    )


def aligned(size: int, kind: type) -> npt.NDArray[Any]:
    """An array that begins with a cache line, so that vectors cross none."""
    memory = np.empty(size * np.dtype(kind).itemsize + CACHE_LINE, np.uint8)
    begin = -memory.ctypes.data % CACHE_LINE
    return memory[begin : len(memory) - CACHE_LINE + begin].view(kind)


class Batch(NamedTuple):
    """What ``kernels.simulate`` reads and writes for a batch of samples.

    A population p, numbered with the spike inputs first, has its spikes from base[p] on
    as (samples, steps, sizes[p]) bytes. Its biases for sample n, its own or those that
    the stimulus sets in their place, begin at bias_base[p] + n · bias_stride[p].
    """

    steps: int
    raster: npt.NDArray[np.uint8]
    words: npt.NDArray[np.uint64]  # the same memory as ``raster``
    base: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int32]
    bias_base: npt.NDArray[np.int64]
    bias_stride: npt.NDArray[np.int64]
    zeros: int  # where in the raster a row without spikes begins


def make_batch(program: Program, stimulus: Stimulus) -> Batch:
    """A Batch with its biases set and its spikes yet to be written."""
    sizes = np.array([p.size for p in members(program)], np.int64)
    base = np.cumsum([0, *sizes * stimulus.samples * stimulus.steps], dtype=np.int64)
    zeros = int(base[-1])
    end = zeros + int(sizes.max()) + CACHE_LINE
    words = np.empty(end // 8 + 1, np.uint64)  # every spike is written
    words.view(np.uint8)[zeros:] = 0
    biases = [stimulus.bias.get(p.name, p.bias).ravel() for p in program.populations]
    lengths = [0] * len(program.inputs) + [len(bias) for bias in biases]
    given = [p.name in stimulus.bias for p in members(program)]
    return Batch(
        steps=stimulus.steps,
        raster=words.view(np.uint8),
        words=words,
        base=base,
        sizes=sizes,
        bias=np.concatenate([*biases, np.zeros(kernels.LANES, np.int32)]).astype(
            np.int32
        ),
        bias_base=np.cumsum([0, *lengths], dtype=np.int64),
        bias_stride=np.where(given, sizes, 0),
        zeros=zeros,
    )


def views(program: Program, stimulus: Stimulus, batch: Batch) -> dict[str, BoolArray]:
    """Name → its part of the raster, (samples, steps, neurons)."""
    shape = (stimulus.samples, stimulus.steps)
    raster = batch.raster.view(np.bool_)
    return {
        p.name: raster[begin : begin + math.prod(shape) * p.size].reshape(
            *shape, p.size
        )
        for p, begin in zip(members(program), batch.base)
    }


def check_stimulus(program: Program, stimulus: Stimulus) -> None:
    """Raise DataError unless the stimulus has what this Program takes."""
    inputs = {p.name: p.size for p in program.inputs}
    populations = {p.name: p.size for p in program.populations}
    if set(stimulus.spikes) != set(inputs):
        raise DataError(
            f"Stimulus: it has spikes for {sorted(stimulus.spikes)}, the Program takes "
            f"spikes for {sorted(inputs)}; encode the samples with its own encoder"
        )
    for name, spikes in stimulus.spikes.items():
        shape = (stimulus.samples, stimulus.steps, inputs[name])
        _check_array(f"spikes of {name!r}", spikes, shape, np.bool_)
    for name, bias in stimulus.bias.items():
        if name not in populations:
            raise DataError(
                f"Stimulus: it has a bias for {name!r}, which is no population; there "
                f"are: {sorted(populations)}"
            )
        _check_array(
            f"bias of {name!r}",
            bias,
            (stimulus.samples, populations[name]),
            np.integer,
        )
        if bias.size and np.abs(bias).max() > MAX_BIAS:
            raise DataError(
                f"Stimulus: a bias of {name!r} is {np.abs(bias).max()}; the core holds "
                f"{MAX_BIAS}"
            )


def _check_array(
    what: str, array: npt.NDArray[np.generic], shape: tuple[int, ...], kind: type
) -> None:
    if array.shape != shape or not np.issubdtype(array.dtype, kind):
        raise DataError(
            f"Stimulus: the {what} are {array.dtype} {array.shape}; needed is "
            f"{kind.__name__.rstrip('_')} {shape}"
        )


def _cpus() -> int:
    """CPUs of this process, or fewer where OMP_NUM_THREADS says so, as Dask sets it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    most = int(told) if told.isdecimal() and int(told) else math.inf
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return int(min(len(os.sched_getaffinity(0)), most))
    return int(min(os.cpu_count() or 1, most))
