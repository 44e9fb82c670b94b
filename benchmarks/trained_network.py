"""The trained network to time, and samples of its task."""

from __future__ import annotations

from pathlib import Path

from networks import Case

from snn_deploy.deploy import Steps, compile_program
from snn_deploy.model_files import read_model
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.tasks.task import read_task


def trained_locnet(model: Path | None, data: Path | None, steps: int = 64) -> Case:
    """LocNet and photographs of its test part."""
    source = read_model(model)
    task = read_task(data, source.graph, source.metadata)
    timed = Steps(lambda name, seconds: None)
    settings = Settings(steps=steps)
    program, _ = compile_program(source.graph, task.calibration(64), settings, timed)
    rows, columns, _ = source.graph.input.shape
    return Case(f"LocNet {rows}×{columns}, trained", program, task.test(32).x)
