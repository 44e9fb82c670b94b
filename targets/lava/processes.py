"""Lava processes of ours, with their fixed-point models: spikes in, neurons, delays.

Lava has no batch and no "fresh state", so samples follow one another in Lava's own
time, with one dead step after each: in it neurons are silent, drop what arrives and
zero their state, and the one-step buffers of Lava's connections run empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from ...toolchain.program.arithmetic import Q_BITS, U_BITS, WEIGHT_SHIFT
from ...toolchain.program.program import Population, SpikeInput

SPIKES_IN = LavaPyType(PyInPort.VEC_DENSE, bool, precision=1)
SPIKES_OUT = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)


class SpikeSource(AbstractProcess):
    """Sends the spikes of ``folder/key.spikes``."""

    def __init__(self, folder: Path, key: str, source: SpikeInput) -> None:
        super().__init__(folder=folder, key=key, size=source.size)
        self.s_out = OutPort(shape=(source.size,))


class Neurons(AbstractProcess):
    """A population; its biases come from ``folder/key.bias`` where there is one.

    Its spikes go to ``folder/key.spikes``, for Lava hands back one value a message.
    """

    def __init__(self, folder: Path, key: str, population: Population) -> None:
        super().__init__(folder=folder, key=key, population=population)
        shape = (population.size,)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.counter = Var(shape=shape, init=0)


class SpikeSink(AbstractProcess):
    """Writes the spikes that it is sent to ``folder/key.spikes``; for a board."""

    def __init__(self, folder: Path, key: str, size: int) -> None:
        super().__init__(folder=folder, key=key, size=size)
        self.s_in = InPort(shape=(size,))


class Delay(AbstractProcess):
    """Hands spikes on after ``steps`` steps, beside the one step of a connection."""

    def __init__(self, folder: Path, steps: int, size: int) -> None:
        super().__init__(folder=folder, steps=steps)
        self.s_in = InPort(shape=(size,))
        self.s_out = OutPort(shape=(size,))
        self.line = Var(shape=(steps, size), init=0)


class Presentation(PyLoihiProcessModel):
    """A model that knows which step of which sample a time step of Lava is.

    ``folder/clock`` holds three int64: the time step with which the run begins, the
    number of samples, the steps of each.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.folder: Path = proc_params["folder"]
        self.clock = np.memmap(self.folder / "clock", np.int64, "r")

    def run_spk(self) -> None:
        begin, samples, steps = self.clock.tolist()
        sample, step = divmod(self.time_step - begin, steps + 1)
        if sample == step == 0:
            self.begin(samples, steps)
        if step < steps:
            self.present(sample, step)
        else:
            self.rest()

    def begin(self, samples: int, steps: int) -> None:
        """A run begins; open its files."""

    def present(self, sample: int, step: int) -> None:
        """One step of a sample."""
        raise NotImplementedError

    def rest(self) -> None:
        """The dead step: send silence, forget everything."""
        raise NotImplementedError


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SpikeSourceModel(Presentation):
    s_out: PyOutPort = SPIKES_OUT

    def begin(self, samples: int, steps: int) -> None:
        path = self.folder / f"{self.proc_params['key']}.spikes"
        shape = (samples, steps, self.proc_params["size"])
        self.spikes = np.memmap(path, np.bool_, "r", shape=shape)

    def present(self, sample: int, step: int) -> None:
        self.s_out.send(self.spikes[sample, step])

    def rest(self) -> None:
        self.s_out.send(np.zeros(self.proc_params["size"], np.bool_))


@implements(proc=SpikeSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SpikeSinkModel(Presentation):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def begin(self, samples: int, steps: int) -> None:
        path = self.folder / f"{self.proc_params['key']}.spikes"
        shape = (samples, steps, self.proc_params["size"])
        self.spikes = np.memmap(path, np.bool_, "r+", shape=shape)

    def present(self, sample: int, step: int) -> None:
        self.spikes[sample, step] = self.s_in.recv()

    def rest(self) -> None:
        self.s_in.recv()


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NeuronsModel(Presentation):
    """``program.step`` in Lava: a_in holds q / 64, as Lava's LIF takes it.

    Beyond ``PyLifModelBitAcc``: q and u + bias wrap, refractory steps, v_min, v_max.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = SPIKES_OUT
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    counter: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=6)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.population: Population = proc_params["population"]

    def begin(self, samples: int, steps: int) -> None:
        path, size = self.folder / self.proc_params["key"], self.population.size
        self.spikes = np.memmap(
            path.with_suffix(".spikes"), np.bool_, "r+", shape=(samples, steps, size)
        )
        self.bias = np.broadcast_to(self.population.bias, (samples, size))
        if path.with_suffix(".bias").exists():
            self.bias = np.memmap(
                path.with_suffix(".bias"), np.int32, "r", shape=(samples, size)
            )

    def present(self, sample: int, step: int) -> None:
        p, u, v = self.population, self.u, self.v
        q = wrap(self.a_in.recv() << WEIGHT_SHIFT, Q_BITS)
        u[:] = wrap(decay(u, 4095 - p.decay_u) + q, U_BITS)
        j = wrap(u + self.bias[sample], U_BITS)
        np.clip(decay(v, 4096 - p.decay_v) + j, p.v_min, p.v_max, out=v)
        v[self.counter > 0] = 0
        spikes = v > p.thresholds
        v[spikes] = 0
        self.counter[spikes] = p.refractory
        np.maximum(self.counter - 1, 0, out=self.counter)
        self.spikes[sample, step] = spikes
        self.s_out.send(spikes)

    def rest(self) -> None:
        self.a_in.recv()
        self.u[:] = self.v[:] = self.counter[:] = 0
        self.s_out.send(np.zeros(self.population.size, np.bool_))


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DelayModel(Presentation):
    s_in: PyInPort = SPIKES_IN
    s_out: PyOutPort = SPIKES_OUT
    line: np.ndarray = LavaPyType(np.ndarray, bool, precision=1)

    def present(self, sample: int, step: int) -> None:
        slot = self.line[step % len(self.line)]
        arrived = self.s_in.recv()
        self.s_out.send(slot)
        slot[:] = arrived

    def rest(self) -> None:
        self.s_in.recv()
        self.line[:] = False
        self.s_out.send(self.line[0])


MODELS = {
    SpikeSource: SpikeSourceModel,
    SpikeSink: SpikeSinkModel,
    Neurons: NeuronsModel,
    Delay: DelayModel,
}


def wrap(x: np.ndarray, bits: int) -> np.ndarray:
    """``arithmetic.wrap`` of int32; what int32 itself has wrapped does not matter."""
    limit = 1 << bits
    return ((x + limit) & (2 * limit - 1)) - limit


def decay(x: np.ndarray, keep: int) -> np.ndarray:
    """``arithmetic.decay`` of 24-bit integers, in float64.

    The product of 24 and 12 bits is exact there, and the cast rounds towards zero.
    """
    return (x * (keep / 4096)).astype(np.int32)
