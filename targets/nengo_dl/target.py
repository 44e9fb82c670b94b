"""NengoDL: the float network that the integers stand for, spiking, on CPU or GPU."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ...toolchain.errors import TargetUnavailable
from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import FloatArray
from ...toolchain.passes.place.limits import CONNECTIONS, Limits
from ...toolchain.passes.quantize.dequantize import (
    current_unit,
    dequantize,
    without_correction,
)
from ...toolchain.passes.quantize.layers import layers
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target
from ..silent_import import silent_import

if TYPE_CHECKING:
    import nengo_dl


class NengoDL(Target):
    """The float Graph, before rounding: what spiking alone does to the answer."""

    name = "nengo-dl"
    kind = "float simulation"
    library = "nengo-dl"
    extra = "nengo"
    limits = Limits(
        connections=CONNECTIONS,
        encoders=frozenset({"BiasEncoder"}),
        recurrent=False,
        needs_graph=True,
        ceilings=False,
    )

    def __init__(self, dtype: str = "float32") -> None:
        """``dtype``: NengoDL's own float32, or float64, twice as slow."""
        self.dtype = dtype

    def open(self, program: Program) -> Session:
        """A session; importing TensorFlow and building the simulator takes seconds.

        Raises:
            TargetUnavailable: NengoDL is missing.
        """
        return NengoDLSession(self, program, self.graph(program))

    def graph(self, program: Program) -> Graph:
        """What is simulated."""
        assert program.graph is not None
        return program.graph

    def current(self, program: Program, stimulus: Stimulus) -> FloatArray:
        """J of the first population, (samples, neurons)."""
        ((name, current),) = stimulus.current.items()
        return without_correction(program, name, current)


class NengoDLRounded(NengoDL):
    """The integers, de-quantised, in float neurons: spiking and rounding together."""

    name = "nengo-dl-rounded"

    def graph(self, program: Program) -> Graph:
        """The Graph with the weights and biases that the integers stand for."""
        return dequantize(program)

    def current(self, program: Program, stimulus: Stimulus) -> FloatArray:
        """The J that the integer biases stand for."""
        ((name, bias),) = stimulus.bias.items()
        assert program.graph is not None
        (first,) = (x for x in layers(program.graph) if x.population.name == name)
        current = bias / current_unit(program, first, bias.shape[1])
        return without_correction(program, name, current)


class NengoDLSession(Session):
    """A Graph in a NengoDL simulator, rebuilt when the number of samples changes."""

    target: NengoDL

    def __init__(self, target: NengoDL, program: Program, graph: Graph) -> None:
        super().__init__(target, program)
        try:
            with _quiet(), silent_import():
                import nengo_dl

            from .network import build_network
        except ImportError as error:
            raise TargetUnavailable(
                f"Target {target.name!r}: {target.library} cannot be imported "
                f"({error}); on Python 3.10, pip install 'snn-deploy[{target.extra}]'"
            ) from error
        self._nengo_dl = nengo_dl
        self._built = build_network(graph)
        with self._built.network:
            self._nengo_dl.configure_settings(dtype=target.dtype)
        self._simulator: nengo_dl.Simulator | None = None

    def close(self) -> None:
        """Free the simulator."""
        simulator, self._simulator = self._simulator, None
        if simulator is not None:
            simulator.close()

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes per step (samples, steps, neurons), uint8.

        They are counts: a rectified linear neuron of Nengo's may spike several times
        in a step.
        """
        dt = self.program.timing.dt
        current = self.target.current(self.program, stimulus)[:, None, :]
        data = {self._built.current: np.repeat(current, stimulus.steps, axis=1)}
        with _quiet():
            simulator = self._simulator_for(stimulus.samples)
            found = simulator.predict(data, stateful=False, verbose=0)
        return {
            p.name: np.rint(
                found[self._built.spikes[p.name]] * (dt / p.amplitude)
            ).astype(np.uint8)
            for p in self.program.populations
        }

    def _simulator_for(self, samples: int) -> nengo_dl.Simulator:
        if self._simulator is None or self._simulator.minibatch_size != samples:
            self.close()
            self._simulator = self._nengo_dl.Simulator(
                self._built.network,
                dt=self.program.timing.dt,
                minibatch_size=samples,
                progress_bar=False,
                seed=0,
            )
        return self._simulator


@contextmanager
def _quiet() -> Iterator[None]:
    """Without remarks that concern nobody here.

    Nengo's are on versions, on a missing GPU, and on neurons that no current of 1 makes
    spike, whose maximal rates it works out and nothing uses; TensorFlow's on a network
    that is built again for another number of samples.
    """
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*has not been tested with")
            warnings.filterwarnings("ignore", "No GPU support detected")
            warnings.filterwarnings("ignore", "Non-finite values detected in")
            warnings.filterwarnings("ignore", ".*encountered in log1p")
            yield
    finally:
        log.setLevel(level)
