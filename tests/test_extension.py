"""A kind of task, a verb, a target and a pass more: one file and one line each.

A copy of the package gets them, as a developer would write them, and runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import fitted, save

import snn_deploy
from snn_deploy.targets.contract import GROUP

PACKAGE = Path(snn_deploy.__file__).parent
NOT_SHIPPED = ("tests", "benchmarks", "docs", "build", "dist", "__pycache__", ".*")

KIND = '''"""Whether a number is above 0."""
from .metrics import mean_of
from .values import Values


class Signs(Values):
    """A share of right signs, of values."""

    name = "signs"

    def metrics(self, question, data):
        def right(output, truth):
            return ((output.reshape(truth.shape) > 0) == (truth > 0)).mean(1)

        return (mean_of(right, "right signs", share=True),)


KIND = Signs()
'''
VERB = '''"""``snn-deploy hello``."""
import click


@click.command()
def hello():
    """Say hello."""
    click.echo("hello from a verb")
'''
TARGET = '''"""The reference under another name."""
from .reference.target import Reference


class Shadow(Reference):
    """Does what it does."""

    name = "shadow"
'''
PASS = '''"""Pass ``halve``: every weight of a linear layer becomes half of itself."""
from dataclasses import replace

from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Linear


def run(now):
    """Reads nothing beside the Graph."""
    nodes = (
        replace(n, weight=n.weight / 2) if isinstance(n, Linear) else n
        for n in now.graph.nodes
    )
    return replace(now, graph=Graph(tuple(nodes)))
'''
ADDED = {  # file → what it holds, and the line that names it: where, before, after
    "tasks/signs.py": (KIND, "tasks/kinds.py", '"masks")', '"masks", "signs")'),
    "commands/hello.py": (VERB, "commands/cli.py", '"targets",', '"targets", "hello",'),
    "targets/shadow.py": (TARGET, "pyproject.toml", "", ""),
    "pipeline/halve.py": (
        PASS,
        "deploy.py",
        '*("fold", "equalize"',
        '*("fold", "halve", "equalize"',
    ),
}


def installed(folder: Path) -> None:
    """The package as pip would note it, its entry points from pyproject.toml."""
    text = (folder / "snn_deploy" / "pyproject.toml").read_text()
    _, _, points = text.partition(f'[project.entry-points."{GROUP}"]\n')
    lines = points.partition("\n\n")[0].replace('"', "")
    info = folder / "snn_deploy-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: snn-deploy\nVersion: 9\n"
    )
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A folder with the package and what was added to it."""
    folder = tmp_path_factory.mktemp("extended")
    copy = folder / "snn_deploy"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for file, (text, where, before, after) in ADDED.items():
        (copy / file).write_text(text)
        lines = (copy / where).read_text()
        if where == "pyproject.toml":
            before = f'[project.entry-points."{GROUP}"]\n'
            after = f'{before}shadow = "snn_deploy.targets.shadow:Shadow"\n'
        assert lines.count(before) == 1, (where, before)
        (copy / where).write_text(lines.replace(before, after))
    installed(folder)
    return folder


@pytest.fixture
def extended_cli(extended, tmp_path):
    """``extended_cli(*words)``: what the extended command line prints."""

    def run(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "snn_deploy", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(extended), "COLUMNS": "110"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_it_is_one_file_and_one_line_each(extended):
    copy = extended / "snn_deploy"
    files = {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()}
    new = {file for file in files if not (PACKAGE / file).is_file()}
    assert new == {*ADDED}
    changed = {}
    for file in files - new:
        now, was = ((f / file).read_bytes().splitlines() for f in (copy, PACKAGE))
        if now != was:
            changed[file] = len(set(now) - set(was))
    assert changed == {where: 1 for _, where, _, _ in ADDED.values()}


def test_the_verb_is_there(extended_cli):
    assert "hello" in extended_cli("--help")
    assert extended_cli("hello") == "hello from a verb\n"


def test_the_target_is_there(extended_cli):
    assert "shadow" in extended_cli("targets")


@pytest.mark.slow
def test_kind_target_and_pass_make_a_build(extended_cli, tmp_path):
    x = np.random.default_rng(0).normal(size=(120, 4))
    y = x[:, :1] - x[:, 1:2]
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    model = save(tmp_path / "net.snn", fitted(x, y))
    words = ("build", "--target", "shadow", "--task", "signs", "--model", model)
    words += ("--data", tmp_path / "xy.npz", "--out", tmp_path / "o")
    told = extended_cli(*words)
    assert "right signs: integer SNN" in told and "mean value" in told
    halved = extended_cli(*words[:-2], "--stop-after", "halve")
    whole = extended_cli(*words[:-2], "--stop-after", "fold")
    assert halved != whole and halved.count("\n") == whole.count("\n")
