"""Whether the guilty layer is named: one layer of a build is damaged at random.

    python benchmarks/guilty.py locnet=build/locnet/program.snn digits=…

Names of networks and their builds, as many as wanted. Each is damaged 60 times (a
layer, a kind and a size of damage.py, drawn anew each time) and asked on SAMPLES of the
samples in its bundle, drawn anew as well. The float network in the bundle is the truth.
Noted are which layer comes first in the ranked list, what it loses alone and what the
next one does, and in the first FOLLOWED trials what is left when advice is followed.
Writes benchmarks/results/guilty.json and guilty.md; other networks' rows are kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from damage import KINDS, Damage, damaged, drawn

from snn_deploy.calibration.guilt.guilt import Guilt, find_guilt
from snn_deploy.calibration.guilt.remedies import with_remedies
from snn_deploy.mending import scales_of
from snn_deploy.pipeline.calibrate import simulated
from snn_deploy.pipeline.changes import rebuilt
from snn_deploy.targets.contract import find_target
from snn_deploy.tasks.built import Built, read_built
from snn_deploy.toolchain.graph.nodes import Array
from snn_deploy.toolchain.program.program import Program

RESULTS = Path(__file__).parent / "results"
TRIALS, SAMPLES, FOLLOWED = 60, 12, 6
Row = dict[str, Any]


def main() -> None:
    """Damage each network, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("builds", nargs="+", metavar="NAME=program.snn")
    parser.add_argument("--trials", type=int, default=TRIALS)
    given = parser.parse_args()
    file = RESULTS / "guilty.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    for name, path in (word.split("=", 1) for word in given.builds):
        built = read_built(Path(path))
        trained = trained_as(built)
        found[name] = {"steps": built.program.timing.steps, "trials": []}
        for seed in range(given.trials):
            found[name]["trials"].append(
                trial(built, trained, seed, follow=seed < FOLLOWED)
            )
            print(name, seed, found[name]["trials"][-1], flush=True)
        file.write_text(json.dumps(found, indent=1) + "\n")
        (RESULTS / "guilty.md").write_text(document(found))


def trial(built: Built, trained: Program | None, seed: int, *, follow: bool) -> Row:
    """One damaged layer, and which was named."""
    rng = np.random.default_rng(seed)
    damage = drawn(built.program, rng)
    chosen = rng.permutation(len(built.stored))[:SAMPLES]
    samples = built.examples(built.stored, None).x[chosen]
    program = damaged(built.program, damage)
    guilt = asked(program, samples, trained)
    first, second, *_ = guilt.layers
    row = {
        **asdict(damage),
        "named": first.name,
        "lost": first.lost,
        "next": second.lost,
        "whole": guilt.losses.whole,
        **shown(guilt, damage),
    }
    if follow and trained is None:
        ways = rebuilt(program, samples, scales_of(built), built.settings)
        made = ((way.words, way.make()) for way in ways)
        (helped, *_) = with_remedies(guilt, made, samples, simulated, most=1).layers
        if helped.remedy is not None:
            row |= {"advice": helped.remedy.change, "left": helped.remedy.lost}
    return row


def trained_as(built: Built) -> Program | None:
    """The integers that a fine-tuned network was trained as; None of others."""
    scales, samples = scales_of(built), built.examples(built.stored, SAMPLES).x
    if scales is None:
        return None
    first, *_ = rebuilt(built.program, samples, scales, built.settings)
    return first.make()


def asked(program: Program, samples: Array, trained: Program | None) -> Guilt:
    """The ranked list of a Program."""
    with find_target("reference").load(program) as session:
        recording = session.run(samples)
    return find_guilt(program, samples, recording, simulated, None, trained)


def shown(guilt: Guilt, damage: Damage) -> Row:
    """What the damaged layer does, in the whole network."""
    (layer,) = (each for each in guilt.layers if each.name == damage.layer)
    return {"silent": layer.silent, "saturated": layer.saturated}


def document(found: dict[str, Any]) -> str:
    """The results as tables."""
    lines = [
        "# Which layer is named where one is damaged",
        "",
        "By `python benchmarks/guilty.py`, which says how; rows in `guilty.json`. "
        "Lost: mean squared error of the outputs, of the float network's variance, "
        "with that layer alone as integers and spikes, all others float; medians and "
        "extremes over the trials.",
        "",
        "| network, steps | damage | named first | trials | lost by the first | "
        "by the next |",
        "|---|---|---|---|---|---|",
    ]
    for name, network in found.items():
        for kind in (*KINDS, None):
            rows = [r for r in network["trials"] if kind in (None, r["kind"])]
            if rows:
                hits = sum(r["named"] == r["layer"] for r in rows)
                lost, behind = ([r[key] for r in rows] for key in ("lost", "next"))
                lines.append(
                    f"| {name}, {network['steps']} | {kind or '**all**'} | {hits} | "
                    f"{len(rows)} | {spread(lost)} | {spread(behind)} |"
                )
    lines += [
        "",
        "Advice, followed:",
        "",
        "| network | damage | advice | lost | left |",
    ]
    lines.append("|---|---|---|---|---|")
    for name, network in found.items():
        for row in network["trials"]:
            if "advice" in row:
                lines.append(
                    f"| {name} | {row['layer']}, {row['kind']} | {row['advice']} | "
                    f"{row['lost']:.3f} | {row['left']:.3f} |"
                )
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Median, least and most."""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
