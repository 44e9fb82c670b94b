"""LocNet on photographs: constant box, float ANN and integer SNN on the test pictures.

Run: python benchmarks/locnet_faces.py --data caltech101-faces --model faces.h5
Writes benchmarks/results/locnet_faces.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy import __version__
from snn_deploy.deploy import Settings, Steps, ann, compile_program
from snn_deploy.models.boxes import iou
from snn_deploy.sources import Task, read_model, read_task
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.graph import Graph

RESULTS = Path(__file__).parent / "results" / "locnet_faces.json"
CALIBRATION_SAMPLES = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--target", default="reference")
    parser.add_argument("--steps", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--tau-syn", type=float, nargs="+", default=[0.0, 0.002, 0.005])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    model = read_model(given.model)
    task = read_task(
        given.data, model, CALIBRATION_SAMPLES, len(model.metadata["split"]["test"])
    )
    results = {
        "data": task.source,
        "test_pictures": len(task.test),
        "constant_box_iou": float(iou(task.constant, task.truth).mean()),
        "float_ann_iou": float(iou(ann(model.graph, task.test), task.truth).mean()),
        "target": given.target,
        "integer_snn": [
            deployed(model.graph, task, given.target, steps, tau_syn)
            for tau_syn in given.tau_syn
            for steps in given.steps
        ],
        "training": {k: v for k, v in model.metadata.items() if k != "split"},
        "versions": {
            "snn-deploy": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({k: v for k, v in results.items() if k != "training"}, indent=2))


def deployed(
    graph: Graph, task: Task, target: str, steps: int, tau_syn: float
) -> dict[str, Any]:
    """Mean IoU and firing rates of the integer Program on the test pictures."""
    settings = Settings(steps=steps, tau_syn=tau_syn)
    timed = Steps(lambda name, seconds: None)
    program, _ = compile_program(graph, task.calibration, settings, timed)
    with find_target(target).load(program) as session:
        recording = session.run(task.test)
    rates = {
        name: float(spikes.mean() / program.timing.dt)
        for name, spikes in recording.spikes.items()
    }
    return {
        "steps": steps,
        "tau_syn_s": tau_syn,
        "settle_s": program.decoder.settle,
        "iou": float(iou(recording.output, task.truth).mean()),
        "mean_rate_hz": float(np.mean(list(rates.values()))),
        "rate_hz": rates,
    }


if __name__ == "__main__":
    main()
