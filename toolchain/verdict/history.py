"""The membrane history of one neuron, worked out again from the spikes it was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..errors import DataError
from ..graph.nodes import FloatArray
from ..program.arithmetic import Q_BITS, V_LIMIT, IntArray, wrap
from ..program.connections import Connection
from ..program.host import BoolArray, encode
from ..program.program import Population, Program
from ..program.recording import Recording
from ..program.step import step
from .compare import Difference

BEFORE, AFTER = 8, 4  # steps around a difference that are shown


@dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """Input and state of one neuron by the core's arithmetic, (steps,) each."""

    population: str
    neuron: int
    threshold: int
    step: IntArray
    q: IntArray  # sum of the weights whose spikes arrive, wrapped
    u: IntArray  # current
    v: IntArray  # membrane potential as held against the threshold, before a reset
    counter: IntArray  # refractory steps left after the step
    due: BoolArray  # whether the arithmetic spikes
    spikes: BoolArray  # what the target recorded

    def around(self, step: int) -> History:
        """The steps around one: BEFORE before it and AFTER after it, at most."""
        part = slice(max(step - BEFORE, 0), step + AFTER + 1)
        arrays = {
            field.name: getattr(self, field.name)[part]
            for field in fields(self)
            if isinstance(getattr(self, field.name), np.ndarray)
        }
        return replace(self, **arrays)


def histories(
    program: Program,
    samples: FloatArray,
    recordings: Sequence[Recording],
    first: Difference | None,
) -> dict[str, History]:
    """Target → the neuron of the first difference around its step, of both targets.

    Empty where nothing differs, or a spike input, which has no membrane, does.

    Args:
        program: what the targets ran.
        samples: what they were given, (samples, …).
        recordings: of all targets.
        first: where two of them differ.
    """
    if first is None or not isinstance(program[first.population], Population):
        return {}
    sample = samples[first.sample : first.sample + 1]
    steps = recordings[0].steps
    given = encode(program.encoder, sample, steps, program.timing.dt).bias
    bias = given[first.population][0] if first.population in given else None
    found = {}
    for recording in recordings:
        if recording.target in (first.spiking, first.silent):
            spikes = {n: s[first.sample] for n, s in recording.spikes.items()}
            history = membrane_history(
                program, first.population, first.neuron, spikes, bias
            )
            found[recording.target] = history.around(first.step)
    return found


def membrane_history(
    program: Program,
    population: str,
    neuron: int,
    spikes: Mapping[str, BoolArray],
    bias: IntArray | None = None,
) -> History:
    """q, u, v, counter and spikes of a neuron, step by ``step``.

    Args:
        program: where the neuron is.
        population: its population; not a spike input.
        neuron: which one of it.
        spikes: what a target recorded of one sample, population → (steps, neurons).
        bias: (neurons,) what the sample sets for this population; its own where None.

    Raises:
        DataError: the population is a spike input, which has no membrane.
    """
    target = program[population]
    if not isinstance(target, Population):
        raise DataError(f"Population {population!r}: a spike input has no membrane")
    recorded = spikes[population][:, neuron]
    q = np.zeros(len(recorded), np.int64)
    for connection in program.incoming(population):
        sent = np.zeros_like(q)
        delay = connection.delay
        sent[delay:] = _received(connection, neuron, spikes[connection.source])[:-delay]
        q += sent
    own = (target.bias if bias is None else bias)[neuron : neuron + 1]
    threshold = int(target.thresholds[neuron])
    one = replace(target, shape=(1,), bias=own, threshold=threshold)
    calm = replace(one, threshold=V_LIMIT)  # never spikes
    state = [np.zeros(1, np.int64) for _ in ("u", "v", "counter")]
    rows = []
    for arriving in q:
        _, _, held, _ = step(calm, arriving[None], own, *state)
        due, *state = step(one, arriving[None], own, *state)
        u, _, counter = state
        rows.append((u[0], held[0], counter[0], due[0]))
    columns = (np.array(column) for column in zip(*rows))
    return History(
        population=population,
        neuron=neuron,
        threshold=threshold,
        step=np.arange(len(q)),
        q=wrap(q, Q_BITS),
        spikes=recorded,
        **dict(zip(("u", "v", "counter", "due"), columns)),
    )


def _received(connection: Connection, neuron: int, spikes: BoolArray) -> IntArray:
    """Σ weight · spike for one target neuron, (steps,), before the delay."""
    unit, channel = divmod(neuron, connection.outputs)
    taps = np.flatnonzero(connection.taps.target == unit)
    inputs = np.arange(connection.inputs)
    source = connection.taps.source[taps, None] * connection.inputs + inputs
    weight = connection.effective[connection.taps.kernel[taps], :, channel]
    received: IntArray = spikes[:, source.ravel()].astype(np.int64) @ weight.ravel()
    return received
