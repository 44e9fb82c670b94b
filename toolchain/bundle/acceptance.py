"""Acceptance: what a packed bundle is judged by, once another machine has run it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from ..errors import BundleError
from ..graph.nodes import Array
from ..program.arithmetic import MAX_BIAS, IntArray
from ..program.host import BoolArray
from ..program.program import Program

WORKER = "worker.py"  # the member, and the file beside this one


@dataclass(frozen=True, eq=False, kw_only=True)
class Acceptance:
    """Beside a bundle's samples and their golden spikes, those of every population.

    Attributes:
        bias: population → biases (samples, neurons) int32, as the encoder makes them of
            the samples; golden spikes of spike inputs are those that are sent.
        rate: how far a float simulation's mean rates may differ, as a share; None: as
            its neurons make them (``verdict.compare.Tolerances``).
        output: likewise its outputs.
        worker: text of ``worker.py``, which runs the bundle where snn-deploy is not.
    """

    bias: Mapping[str, IntArray]
    rate: float | None
    output: float | None
    worker: str

    def check(self, program: Program, golden: Mapping[str, BoolArray]) -> None:
        """Raise BundleError unless it goes with a Program and its golden spikes."""
        names = {p.name for p in program.members}
        if set(golden) != names:
            raise BundleError(
                f"its golden spikes are of {sorted(golden)}; an acceptance test needs "
                f"those of {sorted(names)}"
            )
        shapes = {spikes.shape[:2] for spikes in golden.values()}
        if len(shapes) != 1 or 0 in (shape := shapes.pop()):
            raise BundleError("its golden spikes are not of the same samples and steps")
        for name, bias in self.bias.items():
            wanted = (shape[0], program[name].size if name in names else 0)
            held = bias.dtype == np.int32 and bias.shape == wanted
            if not held or np.abs(bias, dtype=np.int64).max() > MAX_BIAS:
                raise BundleError(
                    f"its biases of {name!r} are {bias.dtype} {bias.shape}; allowed is "
                    f"int32 {wanted} up to ±{MAX_BIAS}"
                )

    def noted(self, keep: Callable[[Array], str]) -> dict[str, Any]:
        """As a manifest has it; ``keep`` takes each array and returns its name."""
        return {
            "bias": {name: keep(bias) for name, bias in self.bias.items()},
            "rate": self.rate,
            "output": self.output,
            "worker": hashlib.sha256(self.worker.encode()).hexdigest(),
        }


def read_acceptance(
    members: Mapping[str, bytes], noted: Any, fetch: Callable[[Any], Array]
) -> Acceptance | None:
    """What ``noted`` gave, from anywhere; None where the bundle is not packed.

    Raises:
        BundleError: it is not in order, or the worker is not the one that it names.
    """
    if noted is None and WORKER not in members:
        return None
    match noted:
        case {"bias": dict(b), "rate": rate, "output": out, "worker": str(digest)}:
            held = hashlib.sha256(members.get(WORKER, b"")).hexdigest() == digest
            if held and all(map(_is_share, (rate, out))):
                return Acceptance(
                    bias={name: fetch(array) for name, array in b.items()},
                    rate=rate,
                    output=out,
                    worker=members[WORKER].decode(errors="replace"),
                )
    raise BundleError("its acceptance test or its worker is changed; fetch it again")


def _is_share(value: object) -> bool:
    return value is None or (type(value) in (int, float) and value >= 0)  # type: ignore[operator]


def worker_text() -> str:
    """The text of the worker."""
    return files(__package__).joinpath(WORKER).read_text(encoding="utf-8")
