"""A Program's network for Thrindex: its layers in PyTorch, a step at a time.

Its simulator in Rust (0.5.0) refuses these networks: what it compiles knows no size of
a picture, and it takes a flattened one to have as many features as channels (E0004).
"""

from __future__ import annotations

from peer_networks import Padded, Steps, network
from thrindex import snn
from torch import nn

from snn_deploy.toolchain.program.program import Program


def sequential(program: Program) -> snn.Sequential:
    """The first population's currents are its input.

    Raises:
        ValueError: padding is uneven, which it has not.
    """
    parts: list[nn.Module] = []
    for part in network(program, "sinabs"):
        if isinstance(part, nn.Flatten):
            parts.append(snn.Flatten())
        elif isinstance(part, Steps):
            parts.append(_weights(part.layer))
        else:
            tau = part.leak.tau
            parts.append(snn.LIF(threshold=1.0, tau_mem=tau, reset="zero"))
    return snn.Sequential(*parts)


def _weights(layer: nn.Module) -> nn.Module:
    if isinstance(layer, Padded):
        conv = layer.conv
        if layer.sides:
            raise ValueError("its padding is even")
        made = snn.Conv2d(
            conv.in_channels, conv.out_channels, 3, conv.stride, conv.padding
        )
        made.conv.load_state_dict(conv.state_dict())
        return made
    made = snn.Dense(layer.in_features, layer.out_features)
    inner = next(m for m in made.modules() if isinstance(m, nn.Linear))
    inner.load_state_dict(layer.state_dict())
    return made
