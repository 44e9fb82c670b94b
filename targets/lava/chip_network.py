"""A Program as stock processes for Loihi 2; spikes enter and leave by Lava's adapters.

The door: from ``lava.proc.embedded_io`` on, all is lava-loihi's, which is not public
and was never run here. What stands before it is the same network with the adapters
left out, which runs on the CPU (tests/test_board_lava.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import (
    AbstractLoihiHWRunCfg,
    AbstractNcProcessModel,
    RunConfig,
)
from lava.proc.lif.process import LIF

from ...toolchain.errors import TargetUnavailable
from ...toolchain.program import arithmetic as core
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.program import Population, Program
from .network import COMPILE_CONFIG, synapses_of
from .processes import MODELS, SpikeSink, SpikeSource

Adapter = Callable[[Any, tuple[int, ...]], Any]  # out port, shape → out port behind it
HOSTS = (SpikeSource, SpikeSink)  # processes that run on the host


class ChipNetwork:
    """Stock processes of a Program, compiled and started anew for every sample.

    So a sample begins with the states that processes are made with, and has no spike
    of another under way.
    """

    def __init__(
        self,
        program: Program,
        folder: Path,
        config: Callable[[Mapping[AbstractProcess, type]], RunConfig],
        enter: Adapter,
        leave: Adapter,
    ) -> None:
        """``config`` makes a run configuration, given the models of our processes."""
        self.program, self.folder = program, folder
        self.config, self.enter, self.leave = config, enter, leave

    def run(self, samples: int, steps: int) -> None:
        """Present samples from and to the files of the folder, as ``Network.run``."""
        files = {
            str(i): np.memmap(
                self.folder / f"{i}.spikes",
                np.bool_,
                "r+",
                shape=(samples, steps, p.size),
            )
            for i, p in enumerate(self.program.members)
        }
        for sample in range(samples):
            room = self.folder / "sample"
            room.mkdir(exist_ok=True)
            for key, file in files.items():
                file[sample].tofile(room / f"{key}.spikes")
            self._once(room, sample, samples, steps)
            for key, file in files.items():
                shape = file.shape[1:]
                file[sample] = np.fromfile(room / f"{key}.spikes", bool).reshape(shape)

    def stop(self) -> None:
        """Nothing runs between two samples."""

    def _once(self, room: Path, sample: int, samples: int, steps: int) -> None:
        clock = np.memmap(room / "clock", np.int64, "w+", shape=(3,))
        clock[:] = 1, 1, steps
        processes = self.connect(room, lambda i, p: self._bias(i, p, sample, samples))
        models = {p: MODELS[type(p)] for p in processes if type(p) in MODELS}
        config = self.config(models)
        if isinstance(config, AbstractLoihiHWRunCfg):
            demand_on_chip(processes, config)
        roots = []
        for process in processes:
            if process.runtime is None:
                process.create_runtime(config, compile_config=dict(COMPILE_CONFIG))
                roots.append(process)
        for root in roots:
            root.run(RunSteps(num_steps=steps))
        for root in roots:  # not where one has failed: stop() would wait for ever
            root.stop()

    def _bias(self, i: int, p: Population, sample: int, samples: int) -> IntArray:
        path = self.folder / f"{i}.bias"
        if not path.exists():
            return p.bias
        held: IntArray = np.fromfile(path, np.int32).reshape(samples, p.size)[sample]
        return held

    def connect(
        self, room: Path, bias: Callable[[int, Population], IntArray]
    ) -> list[AbstractProcess]:
        """Sources, LIF, connections and sinks; those of the host first."""
        hosts: list[AbstractProcess] = []
        neurons: dict[str, LIF] = {}
        spikes: dict[str, Any] = {}
        for i, p in enumerate(self.program.members):
            if isinstance(p, Population):
                neurons[p.name] = lif(p, bias(i, p))
                sink = SpikeSink(room, str(i), p.size)
                spikes[p.name] = neurons[p.name].s_out
                self.leave(spikes[p.name], (p.size,)).connect(sink.s_in)
                hosts.append(sink)
            else:
                source = SpikeSource(room, str(i), p)
                spikes[p.name] = self.enter(source.s_out, (p.size,))
                hosts.append(source)
        synapses = []
        for c in self.program.connections:
            between = synapses_of(c, "sparse")
            sent, arrival = spikes[c.source], neurons[c.target].a_in
            sent.reshape(between.s_in.shape).connect(between.s_in)
            between.a_out.reshape(arrival.shape).connect(arrival)
            synapses.append(between)
        return [*hosts, *neurons.values(), *synapses]


def lif(p: Population, bias: IntArray) -> LIF:
    """Stock LIF with a population's registers, as they are."""
    mantissa, exponent = split_bias(bias)
    (threshold,) = np.unique(p.threshold)
    return LIF(
        shape=(p.size,),
        du=p.decay_u,
        dv=p.decay_v,
        bias_mant=mantissa,
        bias_exp=exponent,
        vth=int(threshold) >> core.THRESHOLD_SHIFT,
    )


def split_bias(bias: IntArray) -> tuple[IntArray, IntArray]:
    """Mantissas of 12 bits and a sign, and the smallest exponents that allow them."""
    size = np.maximum(np.abs(bias) / core.MAX_BIAS_MANTISSA, 1.0)
    exponent = np.ceil(np.log2(size)).astype(np.int32)
    return (bias >> exponent).astype(np.int32), exponent


def demand_on_chip(processes: list[AbstractProcess], config: RunConfig) -> None:
    """Raise unless every process that is not the host's would run on a neuro-core.

    ``Loihi2HwCfg`` takes a Python model where it finds no other, and says nothing.

    Raises:
        TargetUnavailable: it would take one.
    """
    for process in processes:
        if isinstance(process, HOSTS):
            continue
        found = config.select(process, ProcGroupDiGraphs._find_proc_models(process))
        if not issubclass(found, AbstractNcProcessModel):
            raise TargetUnavailable(
                f"Target 'lava-loihi2': {type(process).__name__} would run as "
                f"{found.__name__} on the host; this lava-loihi has no model of it for "
                "a neuro-core; install one that has"
            )


def made_on_chip(program: Program, folder: Path) -> ChipNetwork:
    """The network for the board that Lava's helper chose; needs lava-loihi."""
    from lava.magma.core.run_configs import Loihi2HwCfg
    from lava.proc import embedded_io

    def behind(adapter: Any, port: Any, shape: tuple[int, ...]) -> Any:
        made = adapter(shape=shape)
        port.connect(made.inp)
        return made.out

    return ChipNetwork(
        program,
        folder,
        lambda models: Loihi2HwCfg(
            select_tag="fixed_pt", exception_proc_model_map=models
        ),
        lambda port, shape: behind(embedded_io.spike.PyToNxAdapter, port, shape),
        lambda port, shape: behind(embedded_io.spike.NxToPyAdapter, port, shape),
    )
