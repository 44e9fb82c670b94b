"""What neurobench counts of the networks in neurobench_networks.py, for the tests.

    python benchmarks/neurobench_counts.py tests/data/neurobench_counts.json

It needs Python 3.11 with torch 2.13.0 and neurobench 2.3.0, and not snn-deploy.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from neurobench_networks import NETWORKS, STEPS, Conv, Network
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

COMMAND = "python benchmarks/neurobench_counts.py tests/data/neurobench_counts.json"


class Spiking(nn.Module):
    """A Network step by step; neurobench sees every call of its layers."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.parts = nn.ModuleList(
            layer(part, weight, shape)
            for part, weight, shape in zip(
                network.parts, network.weights(), network.shapes
            )
        )
        self.spikes = [0.0] * len(network.layers)

    def forward(self, batch: Tensor) -> Tensor:
        """(samples, steps, …), or numbers (samples, …) → the last layer's spikes."""
        spiking = len(self.network.layers)
        count = len(batch)
        v = [torch.zeros(count, *shape) for shape in self.network.shapes[1:]][:spiking]
        arriving = [torch.zeros_like(each) for each in v]
        total = torch.zeros_like(v[-1])
        constant = self.run(0, batch) if self.network.graded else None
        for t in range(STEPS):
            sent = [] if constant is not None else [self.run(0, batch[:, t])]
            for i in range(spiking):
                first = i == 0 and constant is not None
                v[i] = v[i] + (constant if first else arriving[i])
                fired = (v[i] > self.network.threshold).double()
                v[i] = v[i] * (1 - fired)
                self.spikes[i] += float(fired.sum())
                if i + 1 < spiking:
                    sent.append(self.run(i + 1, fired))
                else:
                    total += fired
            arriving = [torch.zeros_like(v[0]), *sent] if constant is not None else sent
        if self.network.decoder:
            return self.run(spiking, total / STEPS)
        return total

    def run(self, number: int, x: Tensor) -> Tensor:
        """One part on values with channels last."""
        part = self.parts[number]
        if isinstance(part, nn.Linear):
            return part(x.flatten(1))
        return part(x.movedim(-1, 1)).movedim(1, -1)


def layer(part: object, weight: np.ndarray, shape: tuple[int, ...]) -> nn.Module:
    """torch's layer with these weights and no bias."""
    if isinstance(part, Conv):
        made = nn.Conv2d(
            shape[-1],
            part.filters,
            part.kernel,
            part.stride,
            part.padding,
            part.dilation,
            part.groups,
            bias=False,
        )
        made.weight.data = torch.from_numpy(weight.transpose(3, 2, 0, 1).copy())
    else:
        made = nn.Linear(*weight.shape, bias=False)
        made.weight.data = torch.from_numpy(weight.T.copy())
    return made


def counted(network: Network) -> dict[str, object]:
    """neurobench's figures, and the spikes of each layer, of all samples."""
    samples = torch.from_numpy(network.samples())
    data = TensorDataset(samples, torch.zeros(len(samples)))
    net = Spiking(network)
    loader = DataLoader(data, batch_size=len(samples))
    metrics = [[ConnectionSparsity], [SynapticOperations]]
    found = Benchmark(TorchModel(net), loader, [], [], metrics).run(quiet=True)
    operations = {k: float(v) for k, v in found["SynapticOperations"].items()}
    return {
        "ConnectionSparsity": found["ConnectionSparsity"],
        "SynapticOperations": operations,
        "spikes": net.spikes,
    }


def main() -> None:
    """Write the file that is named."""
    torch.set_default_dtype(torch.float64)
    with torch.no_grad():
        networks = {network.name: counted(network) for network in NETWORKS}
    table = {
        "command": COMMAND,
        "versions": {name: version(name) for name in ("neurobench", "torch")},
        "networks": networks,
    }
    Path(sys.argv[1]).write_text(f"{json.dumps(table, indent=1)}\n")


if __name__ == "__main__":
    main()
