"""The whole MobileNet, as others made it: read, checked, placed, run on the reference.

    python benchmarks/torch_networks.py build/large large   (torch: ONNX)
    python benchmarks/mobilenet.py build/large              (TensorFlow)

Writes benchmarks/results/mobilenet.md. Weights are random, from Keras' own
keras.applications.MobileNet and from PyTorch by both of its exporters. Each network is
read in a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from snn_deploy.deploy import Steps, compile_program
from snn_deploy.model_files import read_model
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.passes.place.place import place

RESULTS = Path(__file__).parent / "results" / "mobilenet.md"
STEPS = 64
TAU_SYN = 0.0  # s; 28 layers of slow synapses would take more steps than that
SAMPLES = 4  # for calibration
FILES = {
    "mobilenet128.h5": "keras.applications.MobileNet, .h5",
    "mobilenet128.onnx": "PyTorch, torch.onnx.export(dynamo=False)",
    "mobilenet128.dynamo.onnx": "PyTorch, torch.onnx.export(dynamo=True)",
}


def keras_file(path: Path) -> None:
    """Write Keras' MobileNet, and what it answers."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    model = tf.keras.applications.MobileNet(weights=None, input_shape=(128, 128, 3))
    model.save(path)
    x = np.random.default_rng(0).random((1, 128, 128, 3)).astype("f4")
    np.savez_compressed(path.with_suffix(".keras.npz"), x=x, y=model.predict(x))


def measured(path: Path) -> dict[str, float]:
    """Figures of one file."""
    start = time.perf_counter()
    graph = read_model(path).graph
    read = time.perf_counter() - start
    stem = path.name.split(".")[0]
    ending = ".keras.npz" if path.suffix == ".h5" else ".npz"
    known = np.load(path.parent / f"{stem}{ending}")
    error = np.abs(evaluate(graph, known["x"]) - known["y"]).max()
    x = np.random.default_rng(0).random((SAMPLES, *graph.input.shape))
    start = time.perf_counter()
    settings = Settings(steps=STEPS, tau_syn=TAU_SYN)
    program, _ = compile_program(graph, x, settings, Steps())
    compiled = time.perf_counter() - start
    limits = find_target("loihi-emulator").limits
    assert limits.core is not None and limits.cores is not None
    start = time.perf_counter()
    placement = place(program, limits.core, limits.cores, limits.chips)
    placed = time.perf_counter() - start
    start = time.perf_counter()
    recording = find_target("reference").load(program).run(x[:1], record="counts")
    ran = time.perf_counter() - start
    scarcest, share = placement.scarcest
    return {
        "weights": sum(getattr(n, "weight", np.zeros(0)).size for n in graph.nodes),
        "error": float(error / np.abs(known["y"]).max()),
        "read": read,
        "compiled": compiled,
        "placed": placed,
        "ran": ran,
        "cores": len(placement.cores),
        "chips": placement.chips,
        "scarcest": f"{scarcest.replace('_', ' ')} {share:.1%}",
        "spikes": int(sum(c.sum() for c in recording.counts.values())),
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "mobilenet128.h5").exists():
        keras_file(folder / "mobilenet128.h5")
    lines = [
        "# MobileNet, 128 × 128",
        "",
        "Written by `python benchmarks/mobilenet.py build/large`. 28 layers, random",
        f"weights; {STEPS} steps, no synaptic filter, {SAMPLES} calibration samples.",
        "*Error*: of the read network's answers, relative to the framework's largest.",
        "*Compile* runs the calibration samples on `reference`; *run* is one sample.",
        "NxTF (arXiv 2101.04261) reports MobileNet on 16 chips at 80 %.",
        "",
        "| file | weights | error | read s | compile s | place s | cores | chips | "
        "scarcest | run s | spikes | peak GiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, shown in FILES.items():
        if not (folder / name).exists():
            lines.append(f"| {shown} | not there: run benchmarks/torch_networks.py |")
            continue
        command = [sys.executable, __file__, str(folder), name]
        found = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
        lines.append(
            f"| {shown} | {found['weights']:,} | {found['error']:.0e} "
            f"| {found['read']:.1f} | {found['compiled']:.1f} | {found['placed']:.1f} "
            f"| {found['cores']} | {found['chips']} | {found['scarcest']} "
            f"| {found['ran']:.1f} | {found['spikes']:,} | {found['gib']:.1f} |"
        )
        print(lines[-1], flush=True)
    RESULTS.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measured(Path(sys.argv[1]) / sys.argv[2])))
    else:
        main(Path(sys.argv[1]))
