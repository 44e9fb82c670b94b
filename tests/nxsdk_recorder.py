"""A recorder in NxSDK's place, for the door to the board alone.

It writes down what NxSDK is handed and knows nothing of what a chip does: every call
and every register is kept, nothing is computed, and ``start``, where a board would have
to answer, raises ``NoBoard``. Its modules are those that nengo-loihi 1.1.0 imports.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import nengo_loihi
import pytest

MODULES = (
    "nxsdk",
    "nxsdk.compiler",
    "nxsdk.compiler.microcodegen",
    "nxsdk.compiler.microcodegen.interface",
    "nxsdk.graph",
    "nxsdk.graph.graph",
    "nxsdk.graph.nxinputgen",
    "nxsdk.graph.nxinputgen.nxinputgen",
    "nxsdk.graph.nxprobes",
    "nxsdk.graph.processes",
    "nxsdk.graph.processes.phase_enums",
    "nxsdk.graph.monitor",
    "nxsdk.graph.monitor.probes",
    "nxsdk.arch",
    "nxsdk.arch.n2a",
    "nxsdk.arch.n2a.compiler",
    "nxsdk.arch.n2a.compiler.tracecfggen",
    "nxsdk.arch.n2a.compiler.tracecfggen.tracecfggen",
    "nxsdk.arch.n2a.n2board",
    "nxsdk.api",
    "nxsdk.api.enums",
    "nxsdk.api.enums.api_enums",
)


class NoBoard(Exception):
    """There is no board behind the recorder."""


class Register:
    """A register, or an array or group of them: what is written is kept, by path."""

    def __init__(self, log: dict[str, Any], path: str) -> None:
        self.__dict__.update(_log=log, _path=path)

    def __getattr__(self, name: str) -> Register:
        if name.startswith("__"):
            raise AttributeError(name)
        return Register(self._log, f"{self._path}.{name}".lstrip("."))

    def __getitem__(self, index: int) -> Register:
        return Register(self._log, f"{self._path}[{int(index)}]")

    def __setattr__(self, name: str, value: Any) -> None:
        path = f"{self._path}.{name}".lstrip(".")
        assert path not in self._log, f"{path} is written twice"
        self._log[path] = plain(value)

    def configure(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)


class Core(Register):
    """A core: registers, and calls that make axons, in their order."""

    def __init__(self, chip: Chip, number: int) -> None:
        super().__init__({}, "")
        self.__dict__.update(
            id=CORE_ID + number, parent=chip, axons=[], registers=self._log
        )

    def createDiscreteAxon(self, **values: Any) -> None:  # noqa: N802  NxSDK's
        self.axons.append(("discrete", plain(values)))

    def createPop16Axon(self, **values: Any) -> None:  # noqa: N802
        self.axons.append(("pop16", plain(values)))

    def createPop32Axon(self, **values: Any) -> None:  # noqa: N802
        self.axons.append(("pop32", plain(values)))


class Chip:
    def __init__(self, board: Board, number: int, cores: int) -> None:
        self.id, self.parent = CHIP_ID + number, board
        self.n2CoresAsList = self.n2Cores = [Core(self, n) for n in range(cores)]


class Board:
    """NxSDK's N2Board: what it is made of, and the calls that it gets."""

    made: list[Board] = []

    def __init__(self, number: int, chips: int, cores: Any, synapses: Any) -> None:
        self.made.append(self)
        self.calls: list[tuple[str, Any]] = [
            ("N2Board", plain([number, chips, cores, synapses]))
        ]
        self.n2Chips = [Chip(self, n, cores[n]) for n in range(chips)]
        self.monitor = self
        self.executor = self
        self.input_spikes: list[tuple[str, Any]] = []

    def hasStarted(self) -> bool:  # noqa: N802
        return False

    def probe(self, *what: Any) -> list[Any]:
        if isinstance(what[0], Core | Register):
            state, compartments, key = what
            core = next(
                core
                for chip in self.n2Chips
                for core in chip.n2Cores
                if core.registers is state._log
            )
            where = [core.parent.id, core.id, state._path, key, *plain(compartments)]
            self.calls.append(("monitor.probe", where))
        else:
            self.calls.append(("probe", plain(list(what))))
        return []

    def start(self) -> None:
        self.calls.append(("start", []))
        raise NoBoard("a recorder has no board to start")

    def disconnect(self) -> None:
        self.calls.append(("disconnect", []))


class SpikeGenerator:
    """NxSDK's BasicSpikeGenerator."""

    def __init__(self, board: Board) -> None:
        self._spikes = board.input_spikes

    def addSpike(self, **values: Any) -> None:  # noqa: N802
        self._spikes.append(("discrete", plain(values)))

    def addPop16Spike(self, **values: Any) -> None:  # noqa: N802
        self._spikes.append(("pop16", plain(values)))

    def addPop32Spike(self, **values: Any) -> None:  # noqa: N802
        self._spikes.append(("pop32", plain(values)))


class Named:
    """An object of NxSDK's that is only passed on: its name and arguments."""

    probeDict: dict[str, Any] = {}  # of N2SpikeProbe; nengo-loihi clears it

    def __init__(self, *_: Any, **values: Any) -> None:
        self.values = values


CHIP_ID, CORE_ID = 40, 500  # no chip's or core's place in its list
CONTENTS = {
    "nxsdk.graph.graph": {"Graph": Named},
    "nxsdk.graph.nxinputgen.nxinputgen": {"BasicSpikeGenerator": SpikeGenerator},
    "nxsdk.graph.nxprobes": {"N2SpikeProbe": Named},
    "nxsdk.graph.processes.phase_enums": {"Phase": Named},
    "nxsdk.graph.monitor.probes": {"PerformanceProbeCondition": Named},
    "nxsdk.arch.n2a.compiler.tracecfggen.tracecfggen": {"TraceCfgGen": Named},
    "nxsdk.arch.n2a.n2board": {"N2Board": Board},
    "nxsdk.api.enums.api_enums": {
        "ProbeParameter": type(
            "ProbeParameter",
            (),
            {"ENERGY": "ENERGY", "EXECUTION_TIME": "EXECUTION_TIME"},
        )
    },
}


def plain(value: Any) -> Any:
    """As JSON holds it. What is no integer, no text and no group of them is refused."""
    if isinstance(value, Named):
        return value.values
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, str):
        return value
    if hasattr(value, "ndim") and value.ndim or isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    assert type(value) in (int, bool), f"NxSDK is handed {value!r}, no integer"
    return int(value)


@contextmanager
def recorder(version: str = "1.0.0") -> Iterator[list[Board]]:
    """NxSDK's modules are the recorder's; yields the boards that are made.

    nengo-loihi's hardware modules are imported anew, and the old ones put back.
    """
    names = [n for n in sys.modules if n.startswith("nengo_loihi.hardware")]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delitem(sys.modules, name)
        for name in MODULES:
            module = ModuleType(name)
            module.__dict__.update(
                CONTENTS.get(name, {}),
                __path__=[],
                __file__=__file__,
                __spec__=ModuleSpec(name, None),
            )
            patch.setitem(sys.modules, name, module)
        for name in MODULES[1:]:
            parent, _, last = name.rpartition(".")
            setattr(sys.modules[parent], last, sys.modules[name])
        sys.modules["nxsdk"].__version__ = version
        patch.setattr(Board, "made", [])
        patch.setattr("time.sleep", lambda seconds: None)  # between nengo-loihi's tries
        patch.setattr(nengo_loihi, "hardware", nengo_loihi.hardware)
        import_module("nengo_loihi.hardware.interface")

        fresh = [n for n in sys.modules if n.startswith("nengo_loihi.hardware")]
        yield Board.made
    for name in fresh:
        if name not in names:
            sys.modules.pop(name, None)
