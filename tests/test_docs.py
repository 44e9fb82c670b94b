"""Every >>> in a docstring runs, and so does every block of code in README and docs."""

from __future__ import annotations

import doctest
import importlib
import multiprocessing.context
import pkgutil
import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy.toolchain.errors import SnnDeployError

ROOT = Path(__file__).parent.parent
FOLDERS = (
    "toolchain",
    "targets",
    "calibration",
    "machine",
    "models",
    "tasks",
    "pipeline",
    "sweeps",
    "remote",
)
MODULES = [f"snn_deploy.{path.stem}" for path in sorted(ROOT.glob("[a-z]*.py"))] + [
    module.name
    for folder in FOLDERS
    for module in pkgutil.walk_packages(
        importlib.import_module(f"snn_deploy.{folder}").__path__,
        f"snn_deploy.{folder}.",
    )
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VENDORS = {
    "tensorflow",
    "keras",
    "sklearn",
    "nengo",
    "nengo_dl",
    "nengo_loihi",
    "lava",
    "onnx",
    "nir",
    "sanafe",
    "optuna",
    "distributed",
    "yaml",
}


def blocks(page: Path, language: str) -> list[str]:
    """The contents of a page's fenced blocks of a language."""
    text = page.read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def missing(error: ImportError) -> str:
    """The vendor's library that is not here; any other failure is raised."""
    vendor = (error.name or "").split(".")[0]
    if vendor not in VENDORS:
        raise error
    return f"needs {vendor}, which this environment does not have"


@pytest.mark.parametrize("name", MODULES)
def test_docstring(name, monkeypatch):
    # Lava chooses at its import how processes start, which cannot be done twice: a test
    # that spawned a process before has chosen, too.
    monkeypatch.setattr(
        multiprocessing.context._default_context, "_actual_context", None
    )
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(missing(error))
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of a page share one namespace and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for number, block in enumerate(blocks(page, "python"), start=1):
        code = compile(block, f"{page.name}, python block {number}", "exec")
        try:
            exec(code, namespace)
        except ImportError as error:
            pytest.skip(missing(error))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    """Every ``snn-deploy VERB --options`` that a page quotes can be parsed."""
    from snn_deploy.commands.cli import cli

    for block in blocks(page, "(?:console|sh|bash)"):
        lines = block.replace("\\\n", " ").splitlines()
        for line in lines:
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["snn-deploy"] and words[1:]:
                parse(cli, words[1:])


def parse(group, words: list[str]) -> None:
    """Raise click.UsageError where a command, option or argument does not exist."""
    context = group.make_context("snn-deploy", list(words), resilient_parsing=True)
    name, command, rest = group.resolve_command(context, words)
    if "--help" in rest:
        return
    if hasattr(command, "resolve_command"):
        parse(command, rest)
    else:
        with suppress(SnnDeployError):  # a file that an option is read from
            command.make_context(name, rest, parent=context)


def test_the_version_is_said_once():
    """pyproject reads it from here, so CHANGES is the only other place."""
    changes = (ROOT / "CHANGES.md").read_text()
    assert snn_deploy.__version__ in changes
