"""Hybrid co-training: a trained ANN becomes a network that spikes well on the core.

    model → Graph → legalize → balance → scales → HybridNetwork → rates → spikes → Graph

The Graph keeps its scales, so that ``build`` makes of it the very integers it was
trained with. See docs/cotraining.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .calibration.energy.profile import DeviceProfile, load_profile
from .calibration.energy.terms import energy_proxy
from .calibration.report.report import Score
from .calibration.statistics import layer_statistics
from .model_files import Model, read_model
from .models.cotraining.finetune import finetune
from .models.cotraining.hybrid import HybridNetwork
from .models.cotraining.meter import Counts, Energy
from .models.cotraining.recipe import Progress, Recipe
from .models.cotraining.sparing.worth import shares_by_worth
from .models.cotraining.trainer import error_of
from .models.data.formats.formats import AS_NAMED
from .models.data.formats.reading import Reading
from .models.data.parts import noted
from .models.training.losses import find_loss
from .models.training.output import check_output
from .starting import CALIBRATION_SAMPLES, DEVICE
from .tasks.contract import Lessons, Question
from .tasks.task import Task, question_of, read_task
from .toolchain.bundle.bundle import Bundle, save_bundle
from .toolchain.errors import ModelError
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import evaluate
from .toolchain.graph.nodes import Array, FloatArray
from .toolchain.passes.preprocess import NONE, Preprocessing, with_preprocessing
from .toolchain.passes.quantize.quantize import quantize, scales_of
from .toolchain.passes.quantize.rounding import Scales
from .toolchain.passes.readout import with_readout, without_readout
from .toolchain.program.host import spike_encoder
from .toolchain.program.program import Program
from .toolchain.program.recording import Recording
from .tuning import Choices, bands, gradient_of, phases_of, prepare

PHASES = ("start", "adapt", "spikes")  # of each a checkpoint, beside what is written


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
    task, lessons, choices = _asked(data, source, reading, choices)
    assert task.kind is not None and choices.loss is not None
    question, graph, readout = task.question, source.graph, None
    phases = phases_of(choices, task.kind.unit(lessons.train[1]))
    shown = question.still(lessons.shown[:CALIBRATION_SAMPLES])
    if find_loss(choices.loss).of_logits:
        graph, readout = without_readout(graph)
        question = question_of(graph)
    teacher = partial(_answers, graph, task.question) if choices.teacher else None
    graph = prepare(graph, shown, choices)
    scales, energy = _scaled(graph, shown, choices)
    final: dict[str, Progress] = {}
    pushed: Mapping[str, float] = {}  # how hard bounds had to, in the phase before
    checkpoints = _checkpoints(out, resume)
    for phase, recipe, sigma in phases:
        backward = gradient_of(phase, graph, choices)
        network = HybridNetwork(
            graph, scales, dt=choices.dt, sigma=sigma, gradient=backward
        )
        shares = _shares(network, lessons, recipe, choices)
        held = bands(network, choices, shares)
        final[phase] = finetune(
            network,
            lessons.train,
            lessons.validation,
            replace(recipe, bands=held, multipliers=pushed),
            checkpoint=checkpoints[phase],
            resume=resume and checkpoints[phase].exists(),
            identity=asdict(choices),
            teacher=teacher,
            augment=lessons.augment,
            judge=task.kind.judge(question, task.data),
            energy=energy,
            progress=partial(progress, phase),
        )
        graph, pushed = network.to_graph(), final[phase].multipliers
        if recipe.budget.min_score is not None and not final[phase].missed:
            break
    metadata = _metadata(source, task, choices, scales, final)
    save_bundle(out, Bundle(graph=with_readout(graph, readout), metadata=metadata))
    return metadata


def _shares(
    network: HybridNetwork, lessons: Lessons, recipe: Recipe, choices: Choices
) -> Mapping[str, float] | None:
    """Population → its share of the spikes; None: equal ones."""
    if choices.shares == "equal" or choices.semantics != "loihi" or network.graph.loop:
        return None
    x, wanted = (part[:CALIBRATION_SAMPLES] for part in lessons.train)
    if lessons.augment:
        x, wanted = lessons.augment(x, wanted, np.random.default_rng(choices.seed))
    return shares_by_worth(network, (x, wanted), error_of(recipe), recipe.steps)


def _scaled(
    graph: Graph, shown: FloatArray, choices: Choices
) -> tuple[dict[str, Scales], Energy]:
    """Scales, kept from now on, and the energy of the Program that they make."""
    sends = spike_encoder(choices.encoder, graph.prepared.name, choices.dt)
    scales = scales_of(graph, shown, dt=choices.dt, encoder=sends, moving=True)
    program = quantize(
        *(graph, shown),
        steps=choices.steps,
        dt=choices.dt,
        encoder=sends,
        scales=scales,
    )
    return scales, partial(energy_of, program, load_profile(DEVICE))


def energy_of(program: Program, device: DeviceProfile, counts: Counts) -> float:
    """Energy proxy of an inference, µJ, where the Program's neurons did this."""
    recording = Recording(
        target="fine-tuning",
        kind="integer emulation",
        dt=program.timing.dt,
        steps=program.timing.steps,
        counts=counts,
        spikes={},
        output=np.zeros((len(next(iter(counts.values()))), 0)),
        wall_time=0.0,
    )
    chip = energy_proxy(layer_statistics(program, recording), device).total.total
    assert chip is not None  # DEVICE has all constants
    return 1e6 * chip.value


def _asked(
    data: Path | None, source: Model, reading: Reading, choices: Choices
) -> tuple[Task, Lessons, Choices]:
    """What the network is to learn, and the choices with what follows from it."""
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
    loss = task.kind.loss(task.question, choices.loss)
    return task, lessons, replace(choices, loss=loss)


def ann_scores(task: Task, graph: Graph) -> tuple[Score, ...]:
    """How well the ANN does on all test samples, to stand beside what becomes of it."""
    test = task.test(None)
    answers = {
        "ANN before fine-tuning": evaluate(graph, task.question.still(test.held))
    }
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


def _answers(graph: Graph, question: Question, x: Array) -> Array:
    """The float network's outputs for samples as they are sent."""
    return evaluate(graph, question.still(x)).astype(np.float32)


def _metadata(
    source: Model,
    task: Task,
    choices: Choices,
    scales: Mapping[str, Scales],
    final: Mapping[str, Progress],
) -> dict[str, Any]:
    """What is stored with the network; its ANN's scores are counted here."""
    return {
        **source.metadata,
        **noted(task.data, task.parts, source.metadata),
        "task": task.kind.name if task.kind else None,
        "data": task.data.source,
        "reading": task.reading.noted(),
        "finetuned": {
            "ann": [asdict(score) for score in ann_scores(task, source.graph)],
            "choices": asdict(choices),
            "scales": {name: asdict(s) for name, s in scales.items()},
            "macs": source.macs(input_spikes=choices.encoder == "events"),
            "validation": {
                phase: {
                    **asdict(now.best),
                    "label": now.label,
                    "over_budget": now.over_budget,
                }
                for phase, now in final.items()
            },
        },
    }
