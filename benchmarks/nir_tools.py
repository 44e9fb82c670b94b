"""Small networks as snnTorch, Norse, Sinabs and SpikingJelly write and run them.

    python benchmarks/nir_tools.py tests/nir_tools

It needs Python 3.11 with torch 2.13.0, nir 1.0.8, nirtorch 2.6, snntorch 1.0.0,
norse 1.1.0, sinabs 2.0.3 and spikingjelly 2.0.0, and not snn-deploy. Of each network
it writes NAME.nir, by the tool's own exporter, and NAME.npz: what entered, (steps,
*shape), channels first, and what each of its populations then sent, under the name
that it has in the file. The order of edges in a file differs from run to run.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import nir
import norse.torch as norse
import numpy as np
import sinabs.layers as sl
import sinabs.nir
import snntorch as snn
import torch
from sinabs.activation import MembraneReset, SingleSpike
from snntorch.export_nir import export_to_nir as snntorch_to_nir
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir
from torch import nn

FOLDER = "tests/nir_tools"
COMMAND = f"python benchmarks/nir_tools.py {FOLDER}"
STEPS = 50
DENSE, IMAGE = (12,), (2, 6, 6)
TOOLS = ("nir", "nirtorch", "norse", "sinabs", "snntorch", "spikingjelly", "torch")


class Case(NamedTuple):
    """A tool's network and how it is run."""

    net: nn.Module
    shape: tuple[int, ...]
    write: Callable[[nn.Module, torch.Tensor], nir.NIRGraph]
    run: Callable[[nn.Module, torch.Tensor], None]
    populations: tuple[str, ...]  # names of modules, as in the file


def driven(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Currents of a dense layer, spikes of an image; (steps, *shape), float32."""
    rng = np.random.default_rng(seed)
    if shape == DENSE:
        return rng.uniform(0, 1.5, (STEPS, *shape)).astype(np.float32)
    return (rng.random((STEPS, *shape)) < 0.3).astype(np.float32)


def linear(inputs: int, outputs: int, scale: float, bias: bool = True) -> nn.Linear:
    """A dense layer, of normal weights of this scale for the square root of inputs."""
    made = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(made.weight, mean=0.3 * scale / inputs, std=scale / inputs**0.5)
    if bias:
        nn.init.uniform_(made.bias, 0, 0.1 * scale)
    return made


def convolution(scale: float) -> nn.Conv2d:
    """Two channels of 6 × 6 to four of 4 × 4."""
    made = nn.Conv2d(2, 4, 3)
    nn.init.normal_(made.weight, mean=0.3 * scale / 18, std=scale / 18**0.5)
    nn.init.uniform_(made.bias, 0, 0.05 * scale)
    return made


def named(**modules: nn.Module) -> nn.Sequential:
    """A Sequential whose modules have these names."""
    return nn.Sequential(OrderedDict(modules))


def dense(
    first: nn.Module, second: nn.Module, scale: float, ratio: float = 2
) -> dict[str, nn.Module]:
    """12 → 20 → 5, the second's weights so much larger."""
    return {
        "enter": linear(12, 20, scale),
        "first": first,
        "leave": linear(20, 5, ratio * scale),
        "second": second,
    }


def image(
    first: nn.Module, pool: nn.Module, second: nn.Module, scale: float, pooled: float
) -> dict[str, nn.Module]:
    """2 × 6 × 6 → 4 × 4 × 4, pooled to 4 × 2 × 2 → 5."""
    return {
        "enter": convolution(scale),
        "first": first,
        "pool": pool,
        "flat": nn.Flatten(),
        "leave": linear(16, 5, pooled * scale),
        "second": second,
    }


def step_by_step(net: nn.Module, x: torch.Tensor) -> None:
    """Run a network that keeps its own state, a step a call."""
    for given in x:
        net(given[None])


def run_snntorch(net: nn.Module, x: torch.Tensor) -> None:
    """From a zero state."""
    for module in net:
        if hasattr(module, "reset_mem"):
            module.reset_mem()
    step_by_step(net, x)


def run_spikingjelly(net: nn.Module, x: torch.Tensor) -> None:
    """From a zero state."""
    functional.reset_net(net)
    step_by_step(net, x)


def run_norse(net: nn.Module, x: torch.Tensor) -> None:
    """From a zero state, handed from step to step."""
    state = None
    for given in x:
        _, state = net(given[None], state)


def run_sinabs(net: nn.Module, x: torch.Tensor) -> None:
    """From a zero state, all steps in one call."""
    for module in net:
        if hasattr(module, "reset_states"):
            module.reset_states()
    net(x)


def write_sinabs(net: nn.Module, x: torch.Tensor) -> nir.NIRGraph:
    """By its exporter, which wants the state's shapes and the batch's axis."""
    run_sinabs(net, x)
    graph = sinabs.nir.to_nir(net, x)
    graph.infer_types()  # of a convolution's input, without which it cannot be written
    return graph


def write_snntorch(net: nn.Module, x: torch.Tensor) -> nir.NIRGraph:
    """By its exporter, from the first step."""
    return snntorch_to_nir(net, x[:1], ignore_dims=[0])


def write_norse(net: nn.Module, x: torch.Tensor) -> nir.NIRGraph:
    """By its exporter, from a sample without batch, whose axis would stay in the file;
    a convolution's input shape is left to nir, without which it cannot be written."""
    graph = norse.to_nir(net, x[0])
    graph.infer_types()
    return graph


def write_spikingjelly(net: nn.Module, x: torch.Tensor) -> nir.NIRGraph:
    """By its exporter, from the first step."""
    return export_to_nir(net, x[:1])


def of_snntorch(modules: dict[str, nn.Module], shape: tuple[int, ...]) -> Case:
    """A network of snnTorch."""
    names = tuple(n for n, m in modules.items() if isinstance(m, snn.SpikingNeuron))
    return Case(named(**modules), shape, write_snntorch, run_snntorch, names)


def leaky(size: tuple[int, ...], beta: float, **how: object) -> snn.Leaky:
    """A population of snnTorch; its constants as arrays, which its exporter wants."""
    whole = torch.ones(size)
    return snn.Leaky(beta=beta * whole, threshold=whole, init_hidden=True, **how)


def snntorch_cases() -> dict[str, Case]:
    """Resets: to zero, by its default (a threshold, a step later), and loops."""
    many, few, whole = (20,), (5,), torch.ones(20)
    zero = {"reset_mechanism": "zero"}
    prompt = {"reset_mechanism": "zero", "reset_delay": False}
    own = {"all_to_all": True, "linear_features": 20, "init_hidden": True}
    again = snn.RLeaky(beta=0.9, **own, **prompt)
    slow = snn.RSynaptic(alpha=0.7, beta=0.8, **own, **zero)
    synaptic = snn.Synaptic(
        alpha=0.7 * whole, beta=0.8 * whole, threshold=whole, init_hidden=True, **prompt
    )
    pool = nn.AvgPool2d(2)
    for population in (again, slow):
        population.recurrent = linear(20, 20, 0.4)

    def last() -> snn.Leaky:
        return leaky(few, 0.8, **zero)

    first = leaky((4, 4, 4), 0.9, **zero)
    plain = dense(leaky(many, 0.9, **zero), last(), 0.5)
    default = dense(leaky(many, 0.9), leaky(few, 0.8), 0.5)
    soft = {"reset_delay": False}
    subtract = dense(leaky(many, 0.9, **soft), leaky(few, 0.8, **soft), 0.5)
    return {
        "snntorch-dense": of_snntorch(plain, DENSE),
        "snntorch-subtract": of_snntorch(subtract, DENSE),
        "snntorch-subtract-late": of_snntorch(default, DENSE),
        "snntorch-synaptic": of_snntorch(dense(synaptic, last(), 0.5), DENSE),
        "snntorch-image": of_snntorch(image(first, pool, last(), 0.6, 3), IMAGE),
        "snntorch-loop": of_snntorch(dense(again, last(), 0.5), DENSE),
        "snntorch-loop-late": of_snntorch(dense(slow, last(), 0.3, 4), DENSE),
    }


def of_norse(modules: dict[str, nn.Module], shape: tuple[int, ...]) -> Case:
    """A network of Norse."""
    names = tuple(n for n in modules if n in ("first", "second"))
    net = norse.SequentialState(*modules.values())
    net._modules = OrderedDict(modules)
    net.stateful_layers = [norse.module.snn.SNNCell in type(m).__mro__ for m in net]
    return Case(net, shape, write_norse, run_norse, names)


def box(size: tuple[int, ...], tau: float) -> norse.LIFBoxCell:
    """A LIF population of Norse; its constants as arrays, which its exporter wants."""
    whole = torch.ones(size)
    return norse.LIFBoxCell(
        norse.LIFBoxParameters(
            tau_mem_inv=whole / tau,
            v_leak=0 * whole,
            v_th=0.6 * whole,
            v_reset=0 * whole,
        )
    )


def norse_cases() -> dict[str, Case]:
    """LIF without and with a synaptic current, and IF behind a convolution."""

    def current(size: tuple[int, ...]) -> norse.LIFCell:
        whole = torch.ones(size)
        return norse.LIFCell(
            norse.LIFParameters(
                tau_syn_inv=whole / 0.004,
                tau_mem_inv=whole / 0.01,
                v_leak=0 * whole,
                v_th=0.6 * whole,
                v_reset=0 * whole,
            )
        )

    def integrating(size: tuple[int, ...]) -> norse.IAFCell:
        whole = torch.ones(size)
        return norse.IAFCell(norse.IAFParameters(v_th=whole, v_reset=0 * whole))

    deep = {
        "enter": convolution(0.6),
        "first": integrating((4, 4, 4)),
        "leave": nn.Conv2d(4, 3, 2, stride=2),  # its exporter knows no pool or Flatten
        "second": integrating((3, 2, 2)),
    }
    return {
        "norse-dense": of_norse(dense(box((20,), 0.01), box((5,), 0.005), 3), DENSE),
        "norse-cuba": of_norse(dense(current((20,)), current((5,)), 1), DENSE),
        "norse-image": of_norse(deep, IMAGE),
    }


def of_sinabs(modules: dict[str, nn.Module], shape: tuple[int, ...]) -> Case:
    """A network of Sinabs."""
    names = tuple(n for n in modules if n in ("first", "second"))
    return Case(named(**modules), shape, write_sinabs, run_sinabs, names)


def sinabs_cases() -> dict[str, Case]:
    """Its defaults (several spikes a step, soft reset), and one with a hard reset."""
    once = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}
    all_steps = {"batch_size": 1}

    def lif(size: int, tau: float, **how: object) -> sl.LIFSqueeze:
        whole = torch.ones(size)  # a number for all cannot be written
        how |= {"tau_mem": tau * whole, "spike_threshold": whole}
        return sl.LIFSqueeze(**all_steps, **how)

    def integrating(**how: object) -> sl.IAFSqueeze:
        return sl.IAFSqueeze(**all_steps, **how)

    pool = sl.SumPool2d(2)
    return {
        "sinabs-dense": of_sinabs(
            dense(lif(20, 10.0, **once), lif(5, 5.0, **once), 5), DENSE
        ),
        "sinabs-subtract": of_sinabs(dense(lif(20, 10.0), lif(5, 5.0), 5), DENSE),
        "sinabs-image": of_sinabs(
            image(integrating(), pool, integrating(), 0.6, 1), IMAGE
        ),
        "sinabs-image-once": of_sinabs(
            image(integrating(**once), pool, integrating(**once), 0.6, 1), IMAGE
        ),
    }


def of_spikingjelly(modules: dict[str, nn.Module], shape: tuple[int, ...]) -> Case:
    """A network of SpikingJelly."""
    names = tuple(n for n, m in modules.items() if isinstance(m, neuron.BaseNode))
    net = named(**modules)
    return Case(net, shape, write_spikingjelly, run_spikingjelly, names)


def spikingjelly_cases() -> dict[str, Case]:
    """LIF whose input decays or not, CubaLIF, and IF behind a convolution."""
    pool = layer.AvgPool2d(2)
    return {
        "spikingjelly-dense": of_spikingjelly(
            dense(
                neuron.LIFNode(tau=8.0),
                neuron.LIFNode(tau=4.0, decay_input=False),
                4,
            ),
            DENSE,
        ),
        "spikingjelly-cuba": of_spikingjelly(
            dense(
                neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8, v_threshold=1.0),
                neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_threshold=1.0),
                0.4,
                5,
            ),
            DENSE,
        ),
        "spikingjelly-image": of_spikingjelly(
            image(neuron.IFNode(), pool, neuron.IFNode(), 0.6, 3), IMAGE
        ),
    }


def recorded(case: Case, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Population → what it sends, (steps, *shape), as small integers."""
    sent: dict[str, list[torch.Tensor]] = {name: [] for name in case.populations}

    def listen(name: str) -> Callable[..., None]:
        def hear(_: nn.Module, __: object, out: object) -> None:
            spikes = out[0] if isinstance(out, tuple) else out
            sent[name].append(spikes.detach())

        return hear

    modules = dict(case.net.named_children())
    hooks = [modules[n].register_forward_hook(listen(n)) for n in case.populations]
    case.run(case.net, x)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(s).numpy().astype(np.uint8) for name, s in sent.items()}


def main() -> None:
    """Write the fixtures into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    makers = (snntorch_cases, norse_cases, sinabs_cases, spikingjelly_cases)
    with torch.no_grad():
        for seed, make in enumerate(makers):
            torch.manual_seed(seed)
            for name, case in make().items():
                write(folder, name, case, seed)
    versions = {tool: version(tool) for tool in TOOLS}
    text = json.dumps({"command": COMMAND, "versions": versions}, indent=1)
    (folder / "made.json").write_text(f"{text}\n")


def write(folder: Path, name: str, case: Case, seed: int) -> None:
    """A network's file and what it sent."""
    x = driven(case.shape, seed)
    spikes = recorded(case, torch.from_numpy(x))
    graph = case.write(case.net, torch.from_numpy(x))
    nir.write(folder / f"{name}.nir", graph, compression=None)  # gzip: twice as large
    if case.shape == IMAGE:
        x = x.astype(np.uint8)
    spikes = {n if n in graph.nodes else f"{n}.lif": s for n, s in spikes.items()}
    np.savez_compressed(folder / f"{name}.npz", input=x, **spikes)
    shares = {n: f"{s.mean():.3f}, most {s.max()}" for n, s in spikes.items()}
    print(name, (folder / f"{name}.nir").stat().st_size, shares)


if __name__ == "__main__":
    main()
