"""What a Program is held to: the answers of its network, the spikes of its twins."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import numpy as np

from snn_deploy.deploy import Steps, compile_program
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.program.program import Program

STEPS = 32


def compiled(graph: Graph, x: np.ndarray, steps: int = STEPS) -> Program:
    """The Program of a Graph, its scales from these samples."""
    return compile_program(graph, x, Settings(steps=steps), Steps())[0]


def answers(graph: Graph, program: Program, x: np.ndarray) -> tuple[float, float]:
    """Correlation of the Program's answers with the network's, and their slope."""
    with find_target("reference").load(program) as session:
        got = session.run(x).output.ravel()
    wanted = evaluate(graph, x).ravel()
    correlation = np.corrcoef(got, wanted)[0, 1]
    return float(correlation), float(got @ wanted / (wanted @ wanted))


def assert_same_spikes(
    program: Program, x: np.ndarray, targets: Iterable[str] = ("loihi-emulator",)
) -> None:
    """Targets fire where the reference does, every population, and answer alike."""
    with find_target("reference").load(program) as session:
        wanted = session.run(x)
    for target in targets:
        with find_target(target).load(program) as session:
            found = session.run(x)
        for name, spikes in wanted.spikes.items():
            wrong = np.argwhere(spikes != found.spikes[name])
            assert not len(wrong), (
                f"{target}, {name}: (sample, step, neuron) {wrong[0]}"
            )
        np.testing.assert_array_equal(found.output, wanted.output)


def assert_deployed(graph: Graph, x: np.ndarray, steps: int = STEPS) -> None:
    """It is built, answers as the network does, and as the emulator, if installed."""
    program = compiled(graph, x, steps)
    correlation, slope = answers(graph, program, x[:6])
    assert correlation > 0.95
    assert 0.85 < slope < 1.15
    if find_spec("nengo_loihi"):
        assert_same_spikes(program, x[:1])
