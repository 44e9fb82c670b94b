"""Hybrid co-training: a trained ANN becomes a network that spikes well on the core.

    model → Graph → legalize → balance → scales → HybridNetwork → rates → spikes → Graph

The Graph keeps its scales, so that ``build`` makes of it the very integers it was
trained with. See docs/cotraining.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .calibration.membrane import with_time_constant
from .calibration.report.report import Score
from .model_files import Model, read_model
from .models.cotraining.finetune import finetune
from .models.cotraining.hybrid import HybridNetwork
from .models.cotraining.rate_control import Band, share_out
from .models.cotraining.recipe import Progress, Recipe
from .models.data.formats.formats import AS_NAMED
from .models.data.formats.reading import Reading
from .models.data.parts import noted
from .models.training.losses import find_loss
from .models.training.output import check_output
from .pipeline.compilation import Compilation, Pass, Settings, compiled, find_pass
from .tasks.contract import Question
from .tasks.task import Task, question_of, read_task
from .toolchain.bundle.bundle import Bundle, save_bundle
from .toolchain.errors import ModelError
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import evaluate
from .toolchain.graph.nodes import IF, LIF, Array, FloatArray, Node
from .toolchain.passes.preprocess import NONE, Preprocessing, with_preprocessing
from .toolchain.passes.quantize.layers import layers
from .toolchain.passes.quantize.quantize import scales_of
from .toolchain.passes.readout import with_readout, without_readout
from .toolchain.program.host import spike_encoder

PREPARED = ("fold", "legalize", "balance")  # passes, files in pipeline/, in order
CALIBRATION_SAMPLES = 64
BAND = Band(low=15.0, high=250.0, weight=0.01)  # Hz, of every population
SHARE = (0.5, 2.0)  # of its share of the spikes that a population should keep between
SHARE_WEIGHT = 0.05  # of leaving it
PHASES = ("adapt", "spikes")  # of each a checkpoint, beside the bundle to write


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
    teacher: str | None = None  # "ann": the network as it was read, in float
    max_rate_hz: float | None = 60.0  # mean over the neurons
    max_synops: float | None = None  # per inference
    adapt_epochs: int = 200  # on the core's rates, before it spikes; loihi semantics
    adapt_learning_rate: float = 0.004
    epochs: int = 60
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
    reading: Reading = AS_NAMED,
    preprocessing: Preprocessing = NONE,
    resume: bool = False,
    progress: Callable[[str, Progress], None] = lambda phase, now: None,
) -> dict[str, Any]:
    """Fine-tune a trained network and write it to ``out`` (.snn).

    Each phase leaves a checkpoint beside ``out``, from which ``resume`` goes on; a run
    without removes those of an earlier one.

    Args:
        model: Keras .h5, SavedModel or .snn; the LocNet that ships where None.
        data: samples, as ``tasks.task.read_task`` takes them.
        out: bundle to write.
        choices: how to train.
        reading: how the data are read, and which kind of task they are.
        preprocessing: how samples were prepared for the model's training.
        resume: go on from the checkpoints.
        progress: told the phase and how it stands, after each epoch.

    Returns:
        The metadata that is stored with the network.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    check_output(out, (".snn",), "the network", [model] if model else ())
    source = read_model(model)
    source = replace(source, graph=with_preprocessing(source.graph, preprocessing))
    before = (source.choices or {}).get("encoder")
    choices = replace(choices, encoder=choices.encoder or before or "bias")
    task = read_task(
        data,
        source.graph,
        source.metadata,
        reading=replace(reading, steps=choices.steps),
        events=choices.encoder == "events",
        seed=choices.seed,
    )
    lessons = task.lessons(source.recipe)
    assert task.kind is not None
    question = task.question
    loss = task.kind.loss(question, choices.loss)
    choices = replace(choices, loss=loss)
    phases = _phases(choices, task.kind.unit(lessons.train[1]))
    for _, recipe, _ in phases:
        recipe.check()
    shown = question.still(lessons.shown[:CALIBRATION_SAMPLES])
    graph, readout = source.graph, None
    if find_loss(loss).of_logits:
        graph, readout = without_readout(graph)
        question = question_of(graph)
    teacher = partial(_answers, graph, task.question) if choices.teacher else None
    graph = prepare(graph, shown, choices)
    sends = spike_encoder(choices.encoder, graph.prepared.name, choices.dt)
    scales = scales_of(graph, shown, dt=choices.dt, encoder=sends, moving=True)
    final: dict[str, Progress] = {}
    checkpoints = _checkpoints(out, resume)
    for phase, recipe, sigma in phases:
        network = HybridNetwork(graph, scales, dt=choices.dt, sigma=sigma)
        checkpoint = checkpoints[phase]
        final[phase] = finetune(
            network,
            lessons.train,
            lessons.validation,
            replace(recipe, bands=_bands(network, choices)),
            checkpoint=checkpoint,
            resume=resume and checkpoint.exists(),
            identity=asdict(choices),
            teacher=teacher,
            augment=lessons.augment,
            judge=task.kind.judge(question, task.data),
            progress=partial(progress, phase),
        )
        graph = network.to_graph()
    scores = ann_scores(task, source.graph)
    metadata = _metadata(source, task, scores, choices, network, final)
    graph = with_readout(graph, readout)
    save_bundle(out, Bundle(graph=graph, metadata=metadata))
    return metadata


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

    return Graph(tuple(map(changed, graph.nodes)))


def read_late(graph: Graph, choices: Choices) -> Graph:
    """The Graph, read after the steps that were chosen, else after ``settling``."""
    settle = choices.settle
    if settle is None:
        settle = settling(len(layers(graph)), choices.steps)
    late = replace(graph.output, settle=settle * choices.dt)
    return Graph(tuple(late if x is graph.output else x for x in graph.nodes))


def settling(depth: int, steps: int) -> int:
    """Steps to leave out of the read-out: the way there, and a quarter of the rest.

    >>> settling(9, 32)
    14
    """
    way = depth - 1
    return way + max(0, steps - way) // 4


def ann_scores(task: Task, graph: Graph) -> tuple[Score, ...]:
    """How well the ANN does on all test samples, to stand beside what becomes of it."""
    test = task.test(None)
    answers = {"ANN before fine-tuning": evaluate(graph, task.question.still(test.x))}
    return tuple(s for s in task.scores(test, answers) if s.name in answers)


def _checkpoints(out: Path, resume: bool) -> dict[str, Path]:
    """Phase → its checkpoint; a run that starts anew removes those that are there.

    Raises:
        ModelError: there is none to resume from.
    """
    files = {phase: out.with_name(f"{out.name}.{phase}.npz") for phase in PHASES}
    if resume and not any(file.exists() for file in files.values()):
        raise ModelError(
            f"{out}: no checkpoint of it to resume from; fine-tune without resume"
        )
    if not resume:
        for file in files.values():
            file.unlink(missing_ok=True)
    return files


def _bands(network: HybridNetwork, choices: Choices) -> dict[str, Band] | None:
    """Each population near its share of the spikes; None where all may fire alike."""
    if choices.max_rate_hz is None:
        return None
    sizes = {name: p.size for name, p in network.populations.items()}
    low, high = SHARE
    return {
        name: Band(low=low * rate, high=high * rate, weight=SHARE_WEIGHT)
        for name, rate in share_out(sizes, choices.max_rate_hz).items()
    }


def _answers(graph: Graph, question: Question, x: Array) -> Array:
    """The float network's outputs for samples as they are sent."""
    return evaluate(graph, question.still(x)).astype(np.float32)


def _phases(choices: Choices, unit: float) -> list[tuple[str, Recipe, float]]:
    """Name, recipe and softness of the rate twin: first rates, then spikes."""
    assert choices.loss is not None
    spiking = Recipe(
        semantics=choices.semantics,
        loss=choices.loss,
        label_smoothing=choices.label_smoothing,
        unit=unit,
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
    spikes = ("spikes", spiking, 0.1)
    if choices.semantics != "loihi" or not choices.adapt_epochs:
        return [spikes]
    return [("adapt", adapting, 0.03), spikes]


def _metadata(
    source: Model,
    task: Task,
    ann: tuple[Score, ...],
    choices: Choices,
    network: HybridNetwork,
    final: dict[str, Progress],
) -> dict[str, Any]:
    return {
        **source.metadata,
        **noted(task.data, task.parts, source.metadata),
        "task": task.kind.name if task.kind else None,
        "data": task.data.source,
        "reading": task.reading.noted(),
        "finetuned": {
            "ann": [asdict(score) for score in ann],
            "choices": asdict(choices),
            "scales": {name: asdict(s) for name, s in network.scales.items()},
            "macs": source.macs(input_spikes=choices.encoder == "events"),
            "validation": {
                phase: {
                    "score": now.best_score,
                    "label": now.label,
                    "over_budget": now.over_budget,
                }
                for phase, now in final.items()
            },
        },
    }
