"""How well a network does as an ANN, as float spikes, and as the core's integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.operations import with_macs
from snn_deploy.calibration.report.measure import measure
from snn_deploy.calibration.statistics import total_statistics
from snn_deploy.deploy import (
    Steps,
    compile_program,
)
from snn_deploy.models.cotraining.hybrid import HybridNetwork
from snn_deploy.models.cotraining.semantics import forward
from snn_deploy.models.data.boxes import iou
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.starting import CALIBRATION_SAMPLES, DEVICE
from snn_deploy.targets.contract import find_target
from snn_deploy.targets.loihi.target import LOIHI1_CORE, LOIHI1_CORES
from snn_deploy.tasks.contract import Examples
from snn_deploy.tasks.task import Task
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.graph.nodes import FloatArray, Output
from snn_deploy.toolchain.passes.place.place import place
from snn_deploy.toolchain.passes.quantize.quantize import scales_of
from snn_deploy.toolchain.passes.quantize.rounding import Scales
from snn_deploy.toolchain.program.host import Decoder, decode
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.recording import Recording, join
from snn_deploy.tuning import settling

CURVE = (4, 8, 16, 32, 64)  # steps
BATCH = 16  # samples in TensorFlow
CHUNK = 64  # samples on the reference at once, every spike kept
VERIFIED = 2  # samples that also run on the emulator

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Network:
    """A trained Graph, with its scales where it was fine-tuned."""

    graph: Graph
    scales: Mapping[str, Scales] | None = None
    macs: Mapping[str, int] | None = None  # of its ANN, for what that would cost


@dataclass(frozen=True, eq=False)
class Exam:
    """A task, with all its test samples and some to calibrate on."""

    task: Task
    test: Examples
    calibration: FloatArray


def exam_of(task: Task) -> Exam:
    """All test samples of a task."""
    return Exam(task, task.test(None), task.calibration(CALIBRATION_SAMPLES))


def score(exam: Exam, outputs: FloatArray) -> dict[str, float]:
    """The task's scores of these outputs; "score" is the first of them."""
    found = {
        s.metric: s.value
        for s in exam.task.scores(exam.test, {"it": outputs})
        if s.name == "it"
    }
    return {"score": next(iter(found.values())), **found}


def trivial_row(exam: Exam) -> tuple[Row, FloatArray]:
    """The best constant answer."""
    constant = exam.task.constant
    assert constant is not None
    shape = (len(exam.test), *constant.answer.shape)
    outputs = np.broadcast_to(constant.answer.astype(np.float64), shape)
    return {"float": score(exam, outputs)}, outputs


def above_constant(exam: Exam, outputs: FloatArray) -> dict[str, float]:
    """How far the boxes are above the constant one, picture by picture: the mean of the
    differences in IoU, and their standard deviation."""
    constant, truth = exam.task.constant, exam.test.y
    assert constant is not None and truth is not None
    found = iou(outputs, truth) - iou(constant.answer, truth)
    return {"mean": float(found.mean()), "deviation": float(found.std(ddof=1))}


def ann_row(network: Network, exam: Exam) -> tuple[Row, FloatArray]:
    """The network's rates, without spikes and without rounding."""
    outputs = evaluate(network.graph, exam.test.x)
    return {"float": score(exam, outputs)}, outputs


def deployed_row(
    network: Network, exam: Exam, settings: Settings
) -> tuple[Row, FloatArray]:
    """Float spikes, the integers on ``reference``, and those at other steps."""
    program = compiled(network, exam, settings)
    steps = program.timing.steps
    decoders = {
        n: _decoder(network, exam, replace(settings, steps=n), program)
        for n in sorted({*CURVE, steps})
        if n > len(program.populations)
    }
    recordings = recorded(program, exam.test.x, decoders)
    row: Row = {
        "integers": integers(program, recordings[steps], exam),
        "float": float_simulation(program, exam),
        "curve": {n: integers(program, r, exam) for n, r in recordings.items()},
        "steps_to_the_read_out": len(program.populations) - 1,
        "emulator": on_emulator(program, exam.test.x[:VERIFIED]),
    }
    if network.macs is not None:
        row["cost"] = cost(with_macs(program, network.macs), recordings[steps])
    if network.scales:
        row["trainer"] = in_trainer(network, program, exam.test.x[:BATCH])
    return row, recordings[steps].output


def compiled(network: Network, exam: Exam, settings: Settings) -> Program:
    timed = Steps(lambda name, seconds: None)
    scales = network.scales
    return compile_program(network.graph, exam.calibration, settings, timed, scales)[0]


def _decoder(
    network: Network, exam: Exam, settings: Settings, program: Program
) -> Decoder:
    """The read-out for other steps: calibrated, or settling as fine-tuning has it."""
    assert settings.steps
    if settings.steps == program.timing.steps:
        return program.decoder
    if not network.scales:
        return compiled(network, exam, settings).decoder
    settle = settling(len(program.populations), settings.steps)
    return replace(program.decoder, settle=settle * program.timing.dt)


def recorded(
    program: Program, samples: FloatArray, decoders: Mapping[int, Decoder]
) -> dict[int, Recording]:
    """Steps → counts and outputs; one run gives all, spikes do not know its end."""
    parts: dict[int, list[Recording]] = {n: [] for n in decoders}
    with find_target("reference").load(program) as session:
        for part in _parts(samples, CHUNK):
            whole = session.run(part, max(decoders))
            for n, decoder in decoders.items():
                spikes = {name: s[:, :n] for name, s in whole.spikes.items()}
                counts = {m: s.sum(1, dtype=np.int64) for m, s in spikes.items()}
                output = decode(decoder, spikes, program.timing.dt)
                seen = replace(whole, steps=n, counts=counts, spikes={}, output=output)
                parts[n].append(seen)
    return {n: join(found) for n, found in parts.items()}


def integers(program: Program, recording: Recording, exam: Exam) -> dict[str, float]:
    total = total_statistics(program, recording)
    return {
        **score(exam, recording.output),
        "steps": recording.steps,
        "hz": total.mean_rate.hz,
        "spikes_per_neuron_and_step": total.mean_rate.per_step,
        "spikes": total.spikes,
        "synops": total.synaptic_operations,
    }


def cost(program: Program, recording: Recording) -> dict[str, Any]:
    """Cores, synapses, and the energy of an inference by the proxy, beside that of each
    opponent: how many times as much, and what its bands say."""
    placement = place(program, LOIHI1_CORE, LOIHI1_CORES, None)
    report = measure(
        program, recording, load_profile(DEVICE), source="test", placement=placement
    )
    energy, beside = report.energy.total.total, report.opponents
    assert energy is not None and beside is not None
    return {
        "cores": len(placement.cores),
        "synapses": report.total.synapses,
        "energy_uj": 1e6 * energy.value,
        "silent_uj": 1e6 * beside.silent.value,
        "macs": report.total.macs,
        "opponents": {
            each.name: {"factor": each.factor, "side": each.side}
            for each in beside.against
        },
    }


def float_simulation(program: Program, exam: Exam) -> dict[str, float]:
    """The same network before rounding: Nengo's neurons and synapses, float32."""
    assert program.graph is not None
    settle = program.decoder.settle
    graph = Graph(
        tuple(
            replace(node, settle=settle) if isinstance(node, Output) else node
            for node in program.graph.nodes
        )
    )
    dt, steps = program.timing.dt, program.timing.steps
    network = HybridNetwork(graph, scales_of(graph, exam.calibration, dt=dt), dt=dt)

    @tf.function(autograph=False)
    def present(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seen = forward(network, x, steps, "float")
        total = tf.add_n([tf.reduce_sum(r, axis=1) for r in seen.rates.values()])
        return seen.output, total / network.neurons

    outputs, rates = _presented(present, exam.test.x)
    return {**score(exam, outputs), "steps": steps, "hz": float(rates.mean())}


def _presented(present: Any, samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What ``present`` gives for all samples, BATCH at a time."""
    found = []
    for part in _parts(samples, BATCH):
        missing = np.repeat(part[-1:], BATCH - len(part), axis=0)
        batch = np.concatenate([part, missing]).astype(np.float32)
        found.append([a.numpy()[: len(part)] for a in present(tf.constant(batch))])
    first, second = zip(*found)
    return np.concatenate(first), np.concatenate(second)


def on_emulator(program: Program, samples: FloatArray) -> dict[str, int]:
    """Spikes of a few samples on the Loihi emulator, and how many differ."""
    spikes = []
    for name in ("reference", "loihi-emulator"):
        with find_target(name).load(program) as session:
            spikes.append(session.run(samples).spikes)
    return {"samples": len(samples), **_difference(*spikes)}


def in_trainer(
    network: Network, program: Program, samples: FloatArray
) -> dict[str, int]:
    """Spikes in the trainer's forward pass, and how many differ from the integers'."""
    assert network.scales and program.graph is not None
    dt, steps = program.timing.dt, program.timing.steps
    trainer = HybridNetwork(program.graph, network.scales, dt=dt)
    seen = forward(trainer, tf.constant(samples, tf.float32), steps, record=True)
    ours = {
        name: train.numpy().astype(bool).swapaxes(0, 1)
        for name, train in seen.spikes.items()
    }
    with find_target("reference").load(program) as session:
        spikes = session.run(samples).spikes
    return {"samples": len(samples), **_difference(spikes, ours)}


def _difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, int]:
    return {
        "spikes": sum(int(s.sum()) for s in a.values()),
        "differences": sum(int((a[name] != b[name]).sum()) for name in a),
    }


def _parts(samples: FloatArray, size: int) -> list[FloatArray]:
    return [samples[i : i + size] for i in range(0, len(samples), size)]
