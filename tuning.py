"""How a network is fine-tuned: what a user chooses, and what follows from it.

The legalised Graph with the core's neurons and a late read-out, the recipes of the
phases, and the rates that populations are held to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial

from .calibration.membrane import with_time_constant
from .models.cotraining.budget import Budget
from .models.cotraining.hybrid import HybridNetwork
from .models.cotraining.rate_control import Band, share_out
from .models.cotraining.recipe import Recipe
from .pipeline.compilation import Compilation, Pass, Settings, compiled, find_pass
from .toolchain.graph.graph import Graph
from .toolchain.graph.nodes import IF, LIF, FloatArray, Node
from .toolchain.passes.quantize.layers import layers

PREPARED = ("fold", "legalize", "balance")  # passes, files in pipeline/, in order
BAND = Band(low=15.0, high=250.0, weight=0.01)  # Hz, of every population
SHARE = (0.5, 2.0)  # of its share of the spikes that a population should keep between
FEW_STEPS = 16  # up to here the gradient goes through every step
SHARE_WEIGHT = 0.05  # of leaving it


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a user may choose about fine-tuning."""

    semantics: str = "loihi"  # of the forward pass: "loihi" or "float"
    encoder: str | None = None  # "bias" or "events"; None: as fine-tuned before
    steps: int = 32  # per sample
    settle: int | None = None  # steps left out of the read-out; None: ``settling``
    dt: float = 0.001  # s
    tau_syn: float = 0.0  # s, of every connection
    tau_rc: float = 0.01  # s, of LIF neurons on the core
    tau_ref: float = 0.0  # s, of LIF neurons on the core; 0: spike may follow spike
    min_voltage: float = -1.0  # of neurons on the core, in thresholds
    loss: str | None = None  # None: the task's own
    label_smoothing: float = 0.0  # of cross_entropy
    gradient: str | None = None  # "time" or "rate" (``gradient_of``)
    averaging: float = 2.0  # epochs of spikes that kept weights are a mean over
    sparsity: float = 0.0  # share of each core connection's weights that become 0
    teacher: str | None = None  # "ann": the network as it was read, in float
    max_rate_hz: float | None = 60.0  # mean over the neurons
    shares: str = "equal"  # of these spikes; "worth": as a spike is worth to the loss
    max_synops: float | None = None  # per inference
    max_energy_uj: float | None = None  # per inference, µJ of the energy proxy
    min_score: float | None = None  # of the task; where it is reached, training ends
    adapt_epochs: int = 200  # on the core's rates, before it spikes; loihi semantics
    adapt_learning_rate: float = 0.004
    epochs: int = 60
    learning_rate: float = 0.002
    batch: int = 16
    patience: int = 0
    seed: int = 0

    @property
    def budget(self) -> Budget:
        """What the network may take and must reach."""
        bounds = {field.name: getattr(self, field.name) for field in fields(Budget)}
        return Budget(**bounds)


def prepare(graph: Graph, samples: FloatArray, choices: Choices) -> Graph:
    """The legalised Graph with this read-out, and in loihi semantics its neurons.

    Args:
        graph: as a frontend reads it.
        samples: of the training part, (samples, *input shape), of events the mean.
        choices: how to train.
    """
    settings = Settings(
        dt=choices.dt,
        encoder="spikes" if choices.encoder == "events" else None,
        tau_syn=choices.tau_syn,
        max_rate=1 / choices.dt,
    )
    start = Compilation(graph=graph, samples=samples, settings=settings)
    own = (on_core, read_late) if choices.semantics == "loihi" else (read_late,)
    passes = (
        *map(find_pass, PREPARED),
        *(Pass(f.__name__, partial(_changed, f, choices)) for f in own),
    )
    return compiled(start, passes).graph


def _changed(
    change: Callable[[Graph, Choices], Graph], choices: Choices, now: Compilation
) -> Compilation:
    return replace(now, graph=change(now.graph, choices))


def on_core(graph: Graph, choices: Choices) -> Graph:
    """The Graph with the constants of the core's neurons that were chosen."""
    graph = with_time_constant(graph, choices.tau_rc)
    lowest = choices.min_voltage

    def changed(node: Node) -> Node:
        if isinstance(node, LIF):
            return replace(node, tau_ref=choices.tau_ref, min_voltage=lowest)
        return replace(node, min_voltage=lowest) if isinstance(node, IF) else node

    return replace(graph, nodes=tuple(map(changed, graph.nodes)))


def read_late(graph: Graph, choices: Choices) -> Graph:
    """The Graph, read after the steps that were chosen, else after ``settling``."""
    settle = choices.settle
    if settle is None:
        settle = settling(len(layers(graph)), choices.steps)
    late = replace(graph.output, settle=settle * choices.dt)
    nodes = tuple(late if x is graph.output else x for x in graph.nodes)
    return replace(graph, nodes=nodes)


def settling(depth: int, steps: int) -> int:
    """Steps to leave out of the read-out: the way there, and a quarter of the rest.

    >>> settling(9, 32)
    14
    """
    way = depth - 1
    return way + max(0, steps - way) // 4


def gradient_of(phase: str, graph: Graph, choices: Choices) -> str:
    """The backward pass of a phase.

    Where spikes are trained and nothing else is asked for, "time" in few steps, when
    most of what is wrong is *when* spikes come, and "rate", which is several times as
    quick, in more. Float semantics have a gradient of their own, and through a loop
    there is only "rate".
    """
    if phase != "spikes" or choices.semantics != "loihi" or graph.loop:
        return "rate"
    return choices.gradient or ("time" if choices.steps <= FEW_STEPS else "rate")


def bands(
    network: HybridNetwork, choices: Choices, shares: Mapping[str, float] | None = None
) -> dict[str, Band] | None:
    """Each population near its share of the spikes; None where all may fire alike."""
    if choices.max_rate_hz is None:
        return None
    sizes = {name: p.size for name, p in network.populations.items()}
    low, high = SHARE
    return {
        name: Band(low=low * rate, high=high * rate, weight=SHARE_WEIGHT)
        for name, rate in share_out(sizes, choices.max_rate_hz, shares).items()
    }


def phases_of(choices: Choices, unit: float) -> list[tuple[str, Recipe, float]]:
    """Name, recipe and softness of the rate twin: first rates, then spikes.

    Where a score is asked for, the network is measured before: it may have it.

    Raises:
        DataError: a number cannot be trained with.
    """
    assert choices.loss is not None
    spiking = Recipe(
        semantics=choices.semantics,
        loss=choices.loss,
        label_smoothing=choices.label_smoothing,
        unit=unit,
        steps=choices.steps,
        epochs=choices.epochs,
        more_epochs=choices.epochs // 2,
        batch=choices.batch,
        learning_rate=choices.learning_rate,
        averaging=choices.averaging,
        sparsity=choices.sparsity,
        band=BAND,
        budget=choices.budget,
        patience=choices.patience,
        seed=choices.seed,
    )
    adapting = replace(
        spiking,
        semantics="rate",
        epochs=choices.adapt_epochs,
        more_epochs=0,
        learning_rate=choices.adapt_learning_rate,
        averaging=0.0,
        budget=choices.budget.taking,  # its scores are of no spikes
        patience=0,
    )
    phases = [("adapt", adapting, 0.03), ("spikes", spiking, 0.1)]
    if choices.semantics != "loihi" or not choices.adapt_epochs:
        del phases[0]
    elif choices.min_score is not None:
        phases.insert(0, ("start", replace(spiking, epochs=0, sparsity=0.0), 0.1))
    for _, recipe, _ in phases:
        recipe.check()
    return phases
