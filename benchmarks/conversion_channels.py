"""A scale for each channel beside one for the whole layer: weights' noise and scores.

    python benchmarks/conversion_channels.py --data FOLDER --work build/conversion

The networks are those of conversion.py, seed 0, which are trained where they are not
there yet. Each is converted at 8 and at 4 bits (``fast``, STEPS steps), once as `build`
does and once with one scale a layer. Noted are the signal-to-quantization-noise of each
layer's weights, 10 · log10(Σ w² / Σ (w − ŵ)²), ŵ what the integers stand for
(``dequantize``), and the score of the test part. Writes
benchmarks/results/conversion_channels.json and .md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from conversion import Exam, examined
from conversion_networks import CASES
from conversion_steps import made, scored
from conversion_table import NAMES

from snn_deploy.pipeline.compilation import Settings
from snn_deploy.toolchain.passes.quantize import scales
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.quantize.layers import layers
from snn_deploy.toolchain.program.program import Program

RESULTS = Path(__file__).parent / "results"
SEED, STEPS, BITS = 0, 64, (8, 4)
Row = dict[str, Any]


def main() -> None:
    """Convert what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/conversion"))
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    file = RESULTS / "conversion_channels.json"
    rows = json.loads(file.read_text()) if file.exists() else {}
    for name in given.only:
        if name not in rows:
            exam, outputs = examined(name, SEED, given)
            ann = exam.task.scores(exam.test, {"ANN": outputs["test"]})[0].value
            rows[name] = {"ANN": ann, **row_of(exam)}
            print(name, json.dumps(rows[name]), flush=True)
            file.write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "conversion_channels.md").write_text(document(rows))


def row_of(exam: Exam) -> Row:
    """Bits → "layer" or "channel" → score, and each layer's dB."""
    found: Row = {}
    for bits in BITS:
        settings = Settings(steps=STEPS, weight_bits=bits)
        found[str(bits)] = {}
        for kind, way in (("layer", one_scale()), ("channel", nullcontext())):
            with way:
                program = made(exam, settings, exam.calibration)
            found[str(bits)][kind] = {
                "score": scored(exam, program),
                "decibels": decibels(program),
            }
    return found


@contextmanager
def one_scale() -> Iterator[None]:
    """All channels of a layer have one scale, as they had before."""
    with patch.object(scales, "GAIN", math.inf):
        yield


def decibels(program: Program) -> dict[str, float]:
    """Node → signal-to-quantization-noise of its weights, dB."""
    assert program.graph is not None
    wanted = {s.node.name: s.node for x in layers(program.graph) for s in x.synapses}
    held = {
        s.node.name: s.node for x in layers(dequantize(program)) for s in x.synapses
    }
    return {
        name: round(ratio(node.weight, held[name].weight), 1)
        for name, node in wanted.items()
    }


def ratio(wanted: np.ndarray, held: np.ndarray) -> float:
    """Signal to noise, dB."""
    return 10 * math.log10(np.square(wanted).sum() / np.square(wanted - held).sum())


def document(rows: dict[str, Row]) -> str:
    """The results as tables."""
    lines = [
        "Written by `benchmarks/conversion_channels.py`, which says how: untrained "
        f"conversion, `fast`, {STEPS} steps, seed {SEED}, test scores. dB of the "
        "weights: mean over the layers (least).",
        "",
        "| network | bits | dB, a scale a layer | dB, a scale a channel | score, a "
        "scale a layer | score, a scale a channel |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        for bits in map(str, BITS):
            before, after = row[bits]["layer"], row[bits]["channel"]
            lines.append(
                f"| {NAMES[name]} | {bits} | {spread(before)} | {spread(after)} | "
                f"{before['score']:.3f} | {after['score']:.3f} |"
            )
    lines += ["", "Each layer, dB, a scale a layer → a scale a channel:", ""]
    for name, row in rows.items():
        for bits in map(str, BITS):
            before, after = (row[bits][k]["decibels"] for k in ("layer", "channel"))
            each = ", ".join(
                f"{layer} {before[layer]:.1f} → {after[layer]:.1f}" for layer in after
            )
            lines.append(f"- {NAMES[name]}, {bits} bits: {each}")
    return "\n".join(lines) + "\n"


def spread(found: Row) -> str:
    """Mean and least dB of the layers."""
    values = list(found["decibels"].values())
    return f"{np.mean(values):.1f} ({min(values):.1f})"


if __name__ == "__main__":
    main()
