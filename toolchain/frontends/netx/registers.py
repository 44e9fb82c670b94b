"""lava-dl's neuron, register by register, and which of ours is the same.

Of the CUBA neuron (lava-dl's netx/hdf5.py hands iDecay − 1, vDecay, vThMant and the
bias with an exponent of 6 to Lava's LIF, lava/proc/lif/models.py, PyLifModelBitAcc), in
the terms of ``program.step``:

    u = sgn(u) · ⌊|u| · (4096 − iDecay) / 4096⌋ + 64 · Σ weight · s
    v = clip(sgn(v) · ⌊|v| · (4096 − vDecay) / 4096⌋ + u + 64 · bias, ±(2^23 − 1))
    spike where v > 64 · vThMant: then v = 0

| NetX | here | the same for |
|---|---|---|
| iDecay | δ_u + 1 | 1 … 4096; at 0 a current never decays, which δ_u cannot |
| vDecay | δ_v | 0 … 4095; 4096 where vThMant ≤ 63: see ``FORGETS`` |
| vThMant | θ / 64 | 1 … 131071 |
| weight | mantissa, exponent 0 | even, up to ±254 |
| bias | bias / 64 | up to ±4095, 12 bits |
| delay | delay − 1 | 0 … 62 steps |
| refDelay | r | 1 … 63; lava-dl itself takes 1 always |
| | v_min | −(2^23 − 1), none |

Sums differ where they overflow alone: Lava's q has no end and ours 21 bits, as Loihi's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...graph.neurons import IF, LIF
from ...program import arithmetic as core
from .fields import SHOWN, Fields

CUBA = ("CUBA", "LOIHI")  # the same neuron; older files call it LOIHI
FORGETS = 4096
"""vDecay that keeps nothing of v. δ_v = 4095 keeps ⌊v / 4096⌋, 0 for a v of 0 … 4095;
with v_min = 0, which v then never needs to be below, that is the same."""
GAIN = 64  # of weights, biases and thresholds: 2^6
NEVER = core.MAX_THRESHOLD // GAIN
"""vThMant from which on a neuron is one whose potential is read."""
NO_FLOOR = -1e9  # thresholds
SHORT = 0.25  # of a decay of all there is, which no time constant has; rounded away


@dataclass(frozen=True, kw_only=True)
class Registers:
    """A population's constants, as the file has them."""

    i_decay: int
    v_decay: int
    threshold: int  # vThMant
    refractory: int = 1  # refDelay

    @property
    def decay_v(self) -> int:
        """δ_v."""
        return min(self.v_decay, FORGETS - 1)

    def neuron(self, name: str, source: str, dt: float) -> LIF | IF:
        """The float neuron whose registers these are, a spike of it worth 1."""
        inputs = (source,)
        if self.v_decay == 0:
            return IF(name, inputs, amplitude=dt, min_voltage=NO_FLOOR, reset="zero")
        return LIF(
            name,
            inputs,
            amplitude=dt,
            tau_rc=_time_constant(self.decay_v, dt),
            tau_ref=(self.refractory - 1) * dt,
            min_voltage=0.0 if self.v_decay == FORGETS else NO_FLOOR,
            whole_steps=True,
        )

    def tau_syn(self, dt: float) -> float:
        """Time constant of the current, s; 0 where nothing of it stays."""
        return 0.0 if self.i_decay == 4096 else _time_constant(self.i_decay, dt)

    @property
    def membrane(self) -> float:
        """θ: integer units in a float threshold of 1."""
        return float(GAIN * self.threshold)

    def current(self, dt: float) -> float:
        """Bias units in one unit of J (``passes.quantize.bounds.membrane_gain``)."""
        gain = self.decay_v / 4096 if self.v_decay else dt
        return self.membrane * gain

    def mantissa(self, dt: float) -> float:
        """Weight's mantissa for a float weight of 1 (``bounds.synaptic_gain``)."""
        return self.current(dt) * self.i_decay / 4096 / GAIN


def _time_constant(decay: int, dt: float) -> float:
    """τ (s) whose decay ``arithmetic.voltage_decay`` rounds to this one, 1 … 4095.

    It is ``current_decay``'s too, of δ_u = decay − 1.
    """
    share = min(decay, 4095 - SHORT) / 4095
    return -dt / math.log1p(-share)


def registers_of(fields: Fields) -> Registers | None:
    """The registers of a layer's neuron; None where they are refused.

    Raises:
        ModelError: one is missing or no number.
    """
    before = len(fields.obstacles)
    kind = fields.word("neuron/type")
    if kind not in CUBA:
        fields.refuse(
            "neuron",
            f"its neuron is {kind[:SHOWN]!r}; {' and '.join(CUBA)} are read, which are "
            "current-based LIF",
            "train its blocks as slayer.block.cuba",
        )
        return None
    for name, what in (
        ("gradedSpike", "graded spikes"),
        ("messageBits", "spikes of more than a bit"),
        ("weight_exp", "weights that a batch normalisation shifts"),
        ("wgtExp", "weights with an exponent"),
    ):
        if fields.integer(f"neuron/{name}", 0):
            fields.refuse(
                name,
                f"its neuron's {name} is {fields.integer(f'neuron/{name}')}: {what}",
                "train it without, where it is 0",
            )
    found = {name: _shared(fields, name) for name in ("iDecay", "vDecay", "vThMant")}
    refractory = fields.integer("neuron/refDelay", 1)
    if len(fields.obstacles) > before:
        return None
    return Registers(
        i_decay=found["iDecay"],
        v_decay=found["vDecay"],
        threshold=found["vThMant"],
        refractory=refractory,
    )


def demand_held(fields: Fields, held: Registers) -> None:
    """Refuse what no register of a core holds, all at once."""
    limits = (
        ("iDecay", held.i_decay, 1, 4096, "δ_u + 1, and δ_u is 0 … 4095"),
        ("vDecay", held.v_decay, 0, 4096, "δ_v, 0 … 4095"),
        ("vThMant", held.threshold, 1, NEVER, "θ / 64, of 17 bits"),
        ("refDelay", held.refractory, 1, core.MAX_REFRACTORY, "r, the counter"),
    )
    for name, value, least, most, register in limits:
        if not least <= value <= most:
            fields.refuse(
                name,
                f"its {name} is {value}, and here that is {register}",
                f"train it with {name} from {least} to {most}",
            )
    if held.v_decay == FORGETS and held.threshold >= FORGETS // GAIN:
        fields.refuse(
            "vDecay",
            f"its vDecay is 4096, of which δ_v = 4095 keeps 1/4096, and its vThMant "
            f"{held.threshold}; the same with vThMant up to {FORGETS // GAIN - 1}",
            f"train it with vDecay up to 4095, a voltage_decay below {4095.5 / 4096}",
        )
    if held.v_decay == 0 and held.refractory > 1:
        fields.refuse(
            "refDelay",
            f"its refDelay is {held.refractory} and its vDecay 0; an IF neuron here "
            "has no refractory period",
            "train it with refDelay 1, or vDecay from 1",
        )


def _shared(fields: Fields, name: str) -> int:
    """A register that all neurons share, 0 where they differ, which is refused."""
    values = sorted(set(fields.integers(f"neuron/{name}").ravel().tolist()))
    if len(values) == 1:
        return int(values[0])
    if not values:
        raise fields.error(f"its {name} holds no number; one is allowed")
    fields.refuse(
        name,
        f"its {name} differs from neuron to neuron ({values[0]} … {values[-1]}), and "
        "a population has one",
        "train its block with shared_param=True",
    )
    return 0
