"""What a reader must know of a network that was read: where Nengo does otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nengo
import numpy as np

from .circuit import Circuit, owner
from .neurons import LIF, stepping


def notes_of(circuit: Circuit) -> tuple[str, ...]:
    """A sentence each."""
    return tuple(_all(circuit))


def _all(circuit: Circuit) -> Iterator[str]:
    names = circuit.names
    moved = [x for x in circuit.objects if not _is_at_rest(x)]
    if moved:
        yield (
            f"{_listed(names[x] for x in moved)}: their neurons' potentials are not 0 "
            "at first in Nengo, and are here, as on chips; train and simulate with "
            'initial_state={"voltage": nengo.dists.Choice([0])} for the same spikes'
        )
    direct = [c for c in circuit.connections if _is_instant(circuit, c)]
    if direct:
        yield (
            f"{_listed(circuit.describe(c) for c in direct)}: without a synapse spikes "
            "arrive in the step they are sent in, and a chip takes a step more; "
            "synapse=nengo.Lowpass(0) says so"
        )
    fitted = [x for x in circuit.objects if _is_decoded(circuit, x)]
    if fitted:
        yield (
            f"{_listed(names[x] for x in fitted)}: decoders are solved for the rates "
            "of nengo.LIF, and a core's neurons, whose spikes take whole steps, fire "
            "less; with neuron_type=nengo_loihi.neurons.LoihiLIF() they are solved for "
            "a core's"
        )
    if circuit.left:
        yield (
            f"{circuit.left} ensemble(s) or node(s) of the network lead nowhere that "
            "is read, and were left out"
        )


def _is_at_rest(obj: Any) -> bool:
    if not isinstance(obj, nengo.Ensemble):
        return True
    kind = obj.neuron_type
    start = {**kind.state, **(kind.initial_state or {})}.get("voltage", 0)
    if isinstance(start, nengo.dists.Choice):
        return not np.any(start.options)
    return not isinstance(start, nengo.dists.Distribution) and not np.any(start)


def _is_decoded(circuit: Circuit, obj: Any) -> bool:
    """Whether a LIF ensemble is read by decoders."""
    if not isinstance(obj, nengo.Ensemble) or stepping(obj.neuron_type) != LIF:
        return False
    read = [*(c.pre_obj for c in circuit.connections), circuit.output.obj]
    return any(each is obj for each in read)


def _is_instant(circuit: Circuit, connection: Any) -> bool:
    """Whether it leads from neurons into neurons, all by itself, in the same step."""
    ends = owner(connection.pre_obj), owner(connection.post_obj)
    return (
        connection.synapse is None
        and all(isinstance(end, nengo.Ensemble) for end in ends)
        and ends[0].neuron_type.spiking
    )


def _listed(names: Iterator[str]) -> str:
    """Up to three names, and how many more there are."""
    found = [repr(name) for name in names]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more
