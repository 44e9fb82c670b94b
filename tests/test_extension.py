"""A kind of task, a verb, a target, a pass: each one file and one line, and it works.

Each is written into a folder of its own, which the package's room is told of, and the
line that a developer would add is the only other thing that is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import fitted, save, stripes

KIND = '''
"""How many bars there are: a whole number, read off one output."""

import numpy as np

from .contract import Constant, Kind
from .metrics import mean_of


class Bars(Kind):
    name, asks, losses = "bars", "one output, a number", ("mse",)

    def checked(self, data, question):
        return data

    def suits(self, question, data):
        return question.output == (1,)

    def metrics(self, question, data):
        def right(output, truth):
            return np.rint(output.reshape(-1)) == truth.reshape(-1)

        return (mean_of(right, "counted right", share=True),)

    def constant(self, answers, question):
        return Constant("commonest number", np.array([np.median(answers)]))

    def picture(self, examples, output, question):
        return None


KIND = Bars()
'''

VERB = '''
"""``snn-deploy census``: the neurons of a built program."""

import click

from .options import BUNDLE


@click.command()
@BUNDLE
def census(bundle):
    """Count the neurons of a BUNDLE."""
    from ..toolchain.bundle.bundle import load_bundle

    click.echo(load_bundle(bundle).program.neurons)
'''

TARGET = '''
"""The reference under another name, on a chip that is slow."""

from ...targets.reference.target import Reference


class Sloth(Reference):
    name, fast = "sloth", False
'''

PASS = '''
"""Pass ``prune``: weights below a twentieth of the largest are 0."""

from dataclasses import replace

import numpy as np

from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Dense


def run(now):
    """Reads nothing beside the Graph."""
    return replace(now, graph=Graph(tuple(map(pruned, now.graph.nodes))))


def pruned(node):
    if not isinstance(node, Dense):
        return node
    keep = np.abs(node.weight) >= 0.05 * np.abs(node.weight).max()
    return replace(node, weight=node.weight * keep)
'''

LINES = {  # room and file → what is in it, the one line that makes it known
    "tasks/bars.py": (KIND, "snn_deploy.tasks.contract.KINDS += ('bars',)"),
    "commands/census.py": (VERB, "snn_deploy.commands.cli.VERBS += ('census',)"),
    "targets/sloth/target.py": (
        TARGET,
        "sloth = snn_deploy.targets.sloth.target:Sloth",
    ),
    "pipeline/prune.py": (
        PASS,
        "snn_deploy.pipeline.order.CONVERTED = ('fold', 'prune', "
        "*snn_deploy.pipeline.order.CONVERTED[1:])",
    ),
}


class Extended:
    """The package with one more file in a room, and one more line."""

    def __init__(self, folder: Path, file: str) -> None:
        text, line = LINES[file]
        room, *rest = file.split("/")
        place = folder / "room" / "/".join(rest)
        place.parent.mkdir(parents=True)
        place.write_text(text)
        assert len([*(folder / "room").rglob("*.py")]) == 1 and "\n" not in line
        self.folder, told = folder, ""
        if room == "targets":  # its line is an entry point
            info = folder / "points" / "sloth-1.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(
                "Metadata-Version: 2.1\nName: sloth\nVersion: 1\n"
            )
            (info / "entry_points.txt").write_text(f"[snn_deploy.targets]\n{line}\n")
        else:
            module = line.split(" ")[0].rpartition(".")[0]
            told = f"import {module}; {line}"
        self.code = (
            f"import sys, snn_deploy.{room}\n"
            f"snn_deploy.{room}.__path__.append({str(folder / 'room')!r})\n"
            f"sys.path.append({str(folder / 'points')!r})\n"
            f"{told}\n"
            "from snn_deploy.__main__ import main; main()\n"
        )

    def __call__(self, *words: object) -> str:
        command = [sys.executable, "-c", self.code, *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=os.environ
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def extended(tmp_path):
    """A network that counts bars, data, and the package with one thing more."""
    x, y = stripes(120)
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    save(tmp_path / "net.snn", fitted(x, y[:, None].astype(float)))
    return lambda file: Extended(tmp_path, file)


BUILD = ("build", "--model", "net.snn", "--data", "xy.npz", "--out", "out")


def test_a_kind_of_task(extended):
    """It reads, scores, is stored in the bundle, and read again."""
    run = extended("tasks/bars.py")
    report = json.loads(
        run(*BUILD, "--target", "reference", "--task", "bars", "--json")
    )
    found = {s["name"]: s["value"] for s in report["scores"]}
    assert found["integer SNN"] > found["commonest number"]
    assert {s["metric"] for s in report["scores"]} == {"counted right"}
    again = json.loads(run("run", "out/program.snn", "--target", "reference", "--json"))
    assert {s["metric"] for s in again["scores"]} == {"counted right"}


def test_a_verb(extended):
    run = extended("commands/census.py")
    assert "census    Count the neurons of a BUNDLE." in run("--help")
    run(*BUILD, "--target", "reference", "--task", "values")
    assert run("census", "out/program.snn") == "48\n"


def test_a_target(extended):
    run = extended("targets/sloth/target.py")
    (row,) = (r for r in json.loads(run("targets", "--json")) if r["target"] == "sloth")
    assert (row["kind"], row["installed"]) == ("integer emulation", "yes")
    report = run(*BUILD, "--target", "sloth", "--task", "values", "--json")
    assert json.loads(report)["samples"] == 8  # of a target that is not fast
    words = ("out/program.snn", "--targets", "sloth,reference", "--samples", 4)
    assert "not one differs" in run("compare", *words)


def test_a_pass(extended):
    run = extended("pipeline/prune.py")
    assert "fold, prune, legalize" in " ".join(run("build", "--help").split())
    words = (*BUILD[:-2], "--target", "reference", "--task", "values", "--stop-after")
    before, after = run(*words, "fold"), run(*words, "prune")
    assert before != after
    assert [line.split(":")[0] for line in before.splitlines()] == [
        line.split(":")[0] for line in after.splitlines()
    ]
    assert "θ" in run(*words, "quantize")
