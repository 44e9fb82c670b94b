"""NIR's neurons, integrators and delays: equations become steps.

τ · dx/dt = y − x becomes x[t] = a · x[t−1] + (1 − a) · y[t] of ``Timing.grid``. Of a
CubaLIF, v takes the I of the same step. All potentials start at v_reset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...graph import nodes as n
from ...graph.nodes import FloatArray, Shape
from ...graph.preparation import Rescale
from ..contract import Timing
from .form import Form, constant
from .network import NirNode
from .reading import Kind, Reading

FOREVER = float(1 << 30)  # s, time constant of a leaky integrator that does not leak
FREE = -1e9  # min_voltage as good as none
MOST_CONSTANTS, MOST_NEURONS = 32, 4096  # of a population that becomes several
NEAR = 1e-6  # relative; so near is a time constant in 32 bits to a step in 64
WHOLE = 1e-4  # by so many steps may a delay differ from a whole number
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
FILTERED = ("CubaLIF", "CubaLI")


@dataclass(frozen=True, eq=False)
class Constants:
    """What makes a node's current of its input (``Membrane``), as NIR names it."""

    r: FloatArray
    v_leak: FloatArray
    v_threshold: FloatArray
    v_reset: FloatArray


def _same(reading: Reading, node: NirNode, form: Form) -> Form:
    return form


def steps_of(node: NirNode, timing: Timing) -> FloatArray:
    """Steps of a Delay, rounded.

    Raises:
        ModelError: they are no whole number of steps, or fewer than 0.
    """
    delay = node.array("delay")
    steps: FloatArray = np.rint(delay / timing.dt)
    if not (np.abs(delay / timing.dt - steps) <= WHOLE).all() or (steps < 0).any():
        wrong = delay.ravel()[np.argmax(np.abs(delay / timing.dt - steps))]
        raise node.error(
            f"its delay is {wrong:g} s, {wrong / timing.dt:g} steps; whole numbers of "
            "steps are allowed, choose --dt so that it is one"
        )
    return steps


def _put_delay(reading: Reading, node: NirNode, form: Form) -> None:
    """y(t) = x(t − delay); where delays differ, each value through its own."""
    turned = NirNode(node.name, node.kind, {"delay": steps_of(node, reading.timing)})
    steps = np.broadcast_to(constant(turned, "delay", form), form.held)
    found = np.unique(steps)
    if len(found) > MOST_CONSTANTS:
        raise node.error(
            f"it has {len(found)} different delays; {MOST_CONSTANTS} are allowed"
        )
    parts = []
    for count in found:
        wanted = node.name if len(found) == 1 else f"{node.name}.{int(count)}"
        x = _delayed(reading, node, wanted, int(count))
        if len(found) > 1:
            scale = (steps == count).astype(np.float64)
            name = reading.free(f"{wanted}.part")
            x = reading.add(Rescale(name, (x,), scale=scale, offset=np.zeros(1)))
        parts.append(x)
    if len(found) > 1:
        reading.add(n.Add(node.name, tuple(parts)))


def _delayed(reading: Reading, node: NirNode, name: str, count: int) -> str:
    """All that leads to a Delay, so many steps later; at last of this name."""
    several = len(reading.coming[node.name]) > 1

    def timed(wanted: str, x: str, shape: Shape) -> n.Node:
        own = wanted if several or name != node.name else name
        return n.Delay(own, (x,), delay=count, shape=shape)

    if not count:
        return reading.source(node)
    parts = reading.sources(node, f"{name}.way" if several else name, timed)
    if several:
        sum_ = name if name == node.name else reading.free(name)
        return reading.add(n.Add(sum_, tuple(parts)))
    return parts[0]


def time_constant(node: NirNode, name: str, tau: float, timing: Timing) -> float:
    """The tau of ours whose steps are the grid's, s.

    euler: a = 1 − dt / tau = e^(−dt / tau′), tau′ = −dt / ln(1 − dt / tau).

    Raises:
        ModelError: it is not above 0, or below a step of euler.
    """
    if tau <= 0:
        raise node.error(f"its {name} is {tau:g} s; more than 0 is allowed")
    if timing.grid == "exponential":
        return tau
    share = timing.dt / tau
    if share > 1 + NEAR:
        raise node.error(
            f"its {name} is {tau:g} s, shorter than a step of {timing.dt:g} s; at "
            "least a step is allowed with euler: choose --dt, or exponential"
        )
    if share > 1 - NEAR:
        return timing.dt / 1000  # e^−1000 is 0 in float64
    return -timing.dt / math.log1p(-share)


def _constants(node: NirNode, form: Form) -> Constants:
    """Those that a kind has; the others are the neutral ones."""
    one, zero = np.ones(()), np.zeros(())

    def of(name: str, usual: FloatArray) -> FloatArray:
        return constant(node, name, form) if name in node else usual

    if node.kind == "Threshold":
        threshold = constant(node, "threshold", form)
        zero = threshold * 0
        reset: FloatArray = np.where(threshold > 0, zero, threshold - 1)  # of no state
        return Constants(zero + 1, zero, threshold, reset)
    r = constant(node, "r", form)
    if node.kind == "I":
        return Constants(r * FOREVER, r * 0, r * 0 + 1, r * 0)
    leak = zero if node.kind == "IF" else constant(node, "v_leak", form)
    if node.kind in ("LI", "CubaLI"):
        return Constants(r, leak, r * 0 + 1, r * 0)
    threshold = constant(node, "v_threshold", form)
    reset = of("v_reset", threshold * 0)
    if node.kind == "IF":
        leak = reset  # what v_reset adds to a current that leaks nowhere: nothing
    if not np.all(threshold > reset):
        raise node.error(
            "a v_threshold of it is not above v_reset, so that it would never stop; a "
            "higher v_threshold is allowed"
        )
    return Constants(r * one, leak, threshold, reset)


def _current(reading: Reading, node: NirNode, x: str, form: Form) -> str:
    """The current J for the input current x; x itself where it is that."""
    c = _constants(node, form)
    usual = zip((c.r, c.v_leak, c.v_threshold, c.v_reset), (1, 0, 1, 0))
    if all((a == b).all() and a.shape == form.held for a, b in usual):
        return x
    return reading.add(
        n.Membrane(
            reading.free(f"{node.name}.current"),
            (x,),
            resistance=c.r,
            rest=c.v_leak,
            threshold=c.v_threshold,
            reset_to=c.v_reset,
        )
    )


def _weighted(reading: Reading, node: NirNode, form: Form) -> str:
    """What a node takes: of a CubaLIF or CubaLI w_in · S."""
    x = reading.source(node)
    scale = constant(node, "w_in", form) if "w_in" in node else np.ones(())
    if node.kind not in FILTERED or (scale == 1).all():
        return x
    whole = np.broadcast_to(scale, form.held).copy()
    scale = scale.reshape(1) if scale.size == 1 else whole
    name = reading.free(f"{node.name}.w_in")
    return reading.add(Rescale(name, (x,), scale=scale, offset=np.zeros(1)))


def _taus(node: NirNode, form: Form, timing: Timing) -> FloatArray:
    """Time constants of each value as held here, (values, 1 or 2): membrane, synapse.

    One row where all values have the same. Without any of its own a neuron has one all
    the same, of no meaning.
    """
    names = {
        **dict.fromkeys(("LIF", "LI"), ("tau",)),
        **dict.fromkeys(FILTERED, ("tau_mem", "tau_syn")),
    }.get(node.kind, ())
    columns = []
    for name in names:
        stored = constant(node, name, form)
        known = {
            tau: time_constant(node, name, float(tau), timing)
            for tau in np.unique(stored)
        }
        ours = np.vectorize(known.__getitem__, otypes=[float])(stored)
        columns.append(np.broadcast_to(ours, form.held))
    first = [column.flat[0] for column in columns] or [0.0]
    if all(np.ptp(column) == 0 for column in columns):
        return np.array([first])
    return np.stack([column.ravel() for column in columns], axis=1)


Make = Callable[[str, str, Sequence[float]], n.Node]
"""Name, source and time constants → the population, or what integrates."""


def _put_stateful(reading: Reading, node: NirNode, form: Form) -> None:
    """A population; one for each set of time constants, where they differ."""
    _refuse_refractory(node, reading.timing)
    taus = _taus(node, form, reading.timing)
    kinds, member = np.unique(taus, axis=0, return_inverse=True)
    member = member.ravel()
    make = _maker(reading, node)
    if len(kinds) > 1:
        _refuse_many(node, form, kinds)
    x, currents = _weighted(reading, node, form), dict[float, str]()
    filters = node.kind in FILTERED
    for tau_syn in {float(row[-1]) if filters else 0.0: None for row in kinds}:
        end = x
        if filters:
            name = reading.free(f"{node.name}.synapse")
            end = reading.add(n.LI(name, (x,), tau_rc=tau_syn))
        currents[tau_syn] = _current(reading, node, end, form)
    sources = [currents[float(row[-1]) if filters else 0.0] for row in kinds]
    if len(kinds) == 1:
        reading.add(make(node.name, sources[0], kinds[0]))
        return
    parts, places = [], []
    for number, row in enumerate(kinds):
        chosen = np.flatnonzero(member == number)
        part = reading.free(f"{node.name}.part{number + 1}")
        weight = np.eye(form.size)[:, chosen]
        bias = np.zeros(len(chosen))
        x = reading.add(n.Dense(part, (sources[number],), weight=weight, bias=bias))
        name = reading.free(f"{node.name}.{number + 1}")
        parts.append(reading.add(make(name, x, row)))
        places.append(chosen)
    order = np.concatenate(places)
    joined = reading.add(n.Concat(reading.free(f"{node.name}.joined"), tuple(parts)))
    weight = np.eye(form.size)[order]
    bias = np.zeros(form.size)
    reading.add(n.Dense(node.name, (joined,), weight=weight, bias=bias))


def _refuse_refractory(node: NirNode, timing: Timing) -> None:
    if timing.tau_ref and node.kind in ("IF", "Threshold"):
        raise node.error(
            "it has no refractory period here, and --refractory asks for one; leave it "
            "out, or make it a LIF of a long tau"
        )


def _refuse_many(node: NirNode, form: Form, kinds: FloatArray) -> None:
    if len(form.shape) > 1 or form.size > MOST_NEURONS or len(kinds) > MOST_CONSTANTS:
        middle = float(np.median(kinds[:, 0]))
        raise node.error(
            f"its neurons have {len(kinds)} different time constants, and a population "
            f"here has one; {MOST_CONSTANTS} are allowed, of up to {MOST_NEURONS} "
            "neurons in a row: nearest is one for all, "
            f"{middle:.3g} s is the median"
        )


def _maker(reading: Reading, node: NirNode) -> Make:
    timing = reading.timing
    how = {"amplitude": timing.dt, "min_voltage": FREE, "reset": timing.reset}

    def leaky(name: str, x: str, taus: Sequence[float]) -> n.Node:
        tau_rc = float(taus[0])
        return n.LIF(name, (x,), tau_rc=tau_rc, tau_ref=timing.tau_ref, **how)  # type: ignore[arg-type]

    def integrating(name: str, x: str, taus: Sequence[float]) -> n.Node:
        return n.LI(name, (x,), tau_rc=float(taus[0]))

    makes: dict[str, Make] = {
        "IF": lambda name, x, taus: n.IF(name, (x,), **how),  # type: ignore[arg-type]
        "LIF": leaky,
        "CubaLIF": leaky,
        "Threshold": lambda name, x, taus: n.Threshold(name, (x,), amplitude=timing.dt),
        "I": lambda name, x, taus: n.LI(name, (x,), tau_rc=FOREVER),
        "LI": integrating,
        "CubaLI": integrating,
    }
    return makes[node.kind]


NEURONS = {
    **dict.fromkeys(
        ("IF", "LIF", "CubaLIF", "Threshold", "I", "LI", "CubaLI"),
        Kind(form=_same, put=_put_stateful),
    ),
    "Delay": Kind(form=_same, put=_put_delay),
}
"""Kind of NIR → how it is read; all but Threshold have a state, or take time."""
