"""Session: an ANN in 8 bits that was compiled here, as a process."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ....toolchain.graph.nodes import FloatArray
from ....toolchain.program.arithmetic import IntArray
from ..compiler import FAST, compiled, compiler
from ..process import Process
from .network import Network
from .source import Source

HEADERS, SOURCES = ("ann.h",), ("ann.c", "ann_serve.c")


class AnnSession:
    """A context manager; closed, it holds nothing."""

    def __init__(self, network: Network, flags: tuple[str, ...] = FAST) -> None:
        """``flags``: of the compiler.

        Raises:
            TargetUnavailable: there is no compiler, or it fails.
        """
        self.network, self.source, self.flags = network, Source(network), flags
        self._process = self._started()

    def _started(self) -> Process:
        """The process; its file is gone once it runs."""
        with tempfile.TemporaryDirectory(prefix="snn-deploy-ann-") as name:
            folder = Path(name)
            for file in (*HEADERS, *SOURCES):
                (folder / file).write_text(self.source.file(file), "ascii")
            command = [*compiler(), *self.flags]
            return Process([compiled(command, folder, SOURCES, "serve")])

    def __enter__(self) -> AnnSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def run(self, x: FloatArray) -> list[IntArray]:
        """Samples (samples, …) → the codes (samples, values) of each layer.

        Raises:
            TargetUnavailable: the process fails.
        """
        found: list[list[bytes]] = [[] for _ in self.network.layers]
        for codes in self.network.codes(x).astype(np.uint8):
            for k, layer in enumerate(self.network.layers):
                request = np.uint32(k).tobytes() + (b"" if k else codes.tobytes())
                answer = self._process.ask(request, layer.size_out)
                found[k].append(bytes(answer))
        return [
            np.frombuffer(b"".join(each), np.uint8).reshape(len(x), -1).astype(np.int64)
            for each in found
        ]
