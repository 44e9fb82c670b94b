"""Hybrid co-training: a trained ANN becomes a network that spikes well on the core.

    model → Graph → legalize → scales → HybridNetwork → rates → spikes → Graph

The Graph keeps its scales, so that ``build`` makes of it the very integers it was
trained with. See docs/cotraining.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .models.finetune import Progress, Recipe, finetune
from .models.hybrid import HybridNetwork
from .models.rate_control import Band
from .sources import Model, read_lessons, read_model
from .toolchain.bundle import Bundle, save_bundle
from .toolchain.fold import fold
from .toolchain.graph import Graph
from .toolchain.legalize import legalize
from .toolchain.nodes import LIF, Node, Output
from .toolchain.quantize import scales_of

CALIBRATION_SAMPLES = 64
BAND = Band(low=15.0, high=250.0, weight=0.01)  # Hz, of every population


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a user may choose about fine-tuning."""

    semantics: str = "loihi"  # of the forward pass: "loihi" or "float"
    steps: int = 32  # per sample
    settle: int = 14  # steps left out of the read-out
    dt: float = 0.001  # s
    tau_syn: float = 0.0  # s, of every connection
    tau_ref: float = 0.0  # s, of LIF neurons; 0: a spike may follow a spike
    min_voltage: float = -1.0  # of LIF neurons, in thresholds
    loss: str = "iou"
    max_rate_hz: float = 60.0  # mean over the neurons
    max_synops: float | None = None  # per inference
    adapt_epochs: int = 90  # on the core's rates, before it spikes
    adapt_learning_rate: float = 0.004
    epochs: int = 30
    learning_rate: float = 0.002
    batch: int = 16
    patience: int = 0
    seed: int = 0


def cotrain(
    model: Path | None,
    data: Path | None,
    out: Path,
    choices: Choices,
    *,
    resume: bool = False,
    progress: Callable[[str, Progress], None] = lambda phase, now: None,
) -> dict[str, Any]:
    """Fine-tune a trained network and write it to ``out`` (.snn).

    Each phase leaves a checkpoint beside ``out``, from which ``resume`` goes on.

    Args:
        model: Keras .h5, SavedModel or .snn; the LocNet that ships where None.
        data: folder of samples; generated ones where None.
        out: bundle to write.
        choices: how to train.
        resume: go on from the checkpoints.
        progress: told the phase and how it stands, after each epoch.

    Returns:
        The metadata that is stored with the network.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    source = read_model(model)
    lessons = read_lessons(data, source, choices.seed)
    graph = prepare(source.graph, choices)
    shown = lessons.shown[:CALIBRATION_SAMPLES].astype(float)
    final: dict[str, Progress] = {}
    for phase, recipe, sigma in _phases(choices):
        network = HybridNetwork(
            graph, scales_of(graph, shown, dt=choices.dt), dt=choices.dt, sigma=sigma
        )
        checkpoint = out.with_name(f"{out.name}.{phase}.npz")
        final[phase] = finetune(
            network,
            lessons.train,
            lessons.validation,
            recipe,
            checkpoint=checkpoint,
            resume=resume and checkpoint.exists(),
            augment=lessons.augment,
            progress=partial(progress, phase),
        )
        graph = network.to_graph()
    metadata = _metadata(source, choices, network, final)
    save_bundle(out, Bundle(graph=graph, metadata=metadata))
    return metadata


def prepare(graph: Graph, choices: Choices) -> Graph:
    """The legalised Graph with the core's neurons and this read-out."""
    graph = legalize(fold(graph), choices.tau_syn)

    def changed(node: Node) -> Node:
        if isinstance(node, LIF):
            return replace(
                node, tau_ref=choices.tau_ref, min_voltage=choices.min_voltage
            )
        if isinstance(node, Output):
            return replace(node, settle=choices.settle * choices.dt)
        return node

    return Graph(tuple(changed(node) for node in graph.nodes))


def _phases(choices: Choices) -> list[tuple[str, Recipe, float]]:
    """Name, recipe and softness of the rate twin: first rates, then spikes."""
    spiking = Recipe(
        semantics=choices.semantics,
        loss=choices.loss,
        steps=choices.steps,
        epochs=choices.epochs,
        batch=choices.batch,
        learning_rate=choices.learning_rate,
        band=BAND,
        max_rate_hz=choices.max_rate_hz,
        max_synops=choices.max_synops,
        patience=choices.patience,
        seed=choices.seed,
    )
    adapting = replace(
        spiking,
        semantics="rate",
        epochs=choices.adapt_epochs,
        learning_rate=choices.adapt_learning_rate,
        patience=0,
    )
    return [("adapt", adapting, 0.02), ("spikes", spiking, 0.15)]


def _metadata(
    source: Model,
    choices: Choices,
    network: HybridNetwork,
    final: dict[str, Progress],
) -> dict[str, Any]:
    return {
        **source.metadata,
        "finetuned": {
            "choices": asdict(choices),
            "scales": {name: asdict(s) for name, s in network.scales.items()},
            "validation": {
                phase: {"score": now.best_score, "label": now.label}
                for phase, now in final.items()
            },
        },
    }
