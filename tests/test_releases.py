"""What a release is made of agrees with the code: images, versions, citation."""

from __future__ import annotations

import re
import shlex
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import snn_deploy
from snn_deploy import checking, doctoring
from snn_deploy.calibration.report import report
from snn_deploy.toolchain.bundle import bundle, recorded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in DOCKERFILE.splitlines()
    if line and not line.startswith("#")
]


def sent(name: str) -> bool:
    """Whether .dockerignore lets a file in: the last line that matches it decides.

    Source: docs.docker.com/build/concepts/context, .dockerignore files.
    """
    found = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("/")
        if not line or line.startswith("#"):
            continue
        parents = [name, *map(str, Path(name).parents)]
        if pattern.startswith("**/"):
            hit = any(Path(parent).match(pattern[3:]) for parent in parents[:-1])
        else:
            depth = pattern.count("/")
            same = (p for p in parents[:-1] if p.count("/") == depth)
            hit = any(fnmatch(parent, pattern) for parent in same)
        if hit:
            found = line.startswith("!")
    return found


def stages() -> dict[str, list[tuple[str, str]]]:
    """Name of a stage → its instructions, FROM first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in INSTRUCTIONS:
        if word == "FROM":
            name = rest.rpartition(" AS ")[2]
            found[name] = []
        found[name].append((word, rest))
    return found


def test_instructions_are_dockers():
    words = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in INSTRUCTIONS} == words
    assert [*stages()] == ["core-built", "full-built", "core", "full"]


@pytest.mark.parametrize("image", ["core", "full"])
def test_an_image_is_built_from_the_constraints(image):
    """By the Python that all its stages share, which the package allows."""
    built, run = stages()[f"{image}-built"], stages()[image]
    python = built[0][1].partition(" AS ")[0]
    assert run[0][1].partition(" AS ")[0] == python
    here = re.fullmatch(r"python:(3\.\d+)-slim", python)
    assert here and here[1] in ("3.10", "3.13")
    (install,) = (rest for word, rest in built if word == "RUN")
    words = shlex.split(install.rpartition("&&")[2])
    assert words[:2] == ["/opt/snn-deploy/bin/pip", "install"]
    assert words[words.index("--constraint") + 1] == "constraints.txt"
    extras = Requirement(f"snn-deploy{words[-1].removeprefix('.')}").extras
    assert extras and extras <= {*PROJECT["project"]["optional-dependencies"]}
    copied = f"--from={image}-built /opt/snn-deploy /opt/snn-deploy"
    assert ("COPY", copied) in run and ("USER", "user") in run
    assert "snn-deploy" in PROJECT["project"]["scripts"]


def test_what_is_copied_is_what_the_package_is_built_from():
    settings = PROJECT["tool"]["setuptools"]
    for package in settings["packages"]:
        folder = ROOT.joinpath(*package.split(".")[1:])
        data = settings["package-data"].get(package, ())
        for pattern in ("*.py", *data):
            for path in filter(Path.is_file, folder.glob(pattern)):
                assert sent(path.relative_to(ROOT).as_posix()), path
    needed = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    needed |= {"pyproject.toml", "constraints.txt", "MANIFEST.in"}
    for line in (ROOT / "MANIFEST.in").read_text().splitlines():
        needed |= {*line.split()[1:]}
    for name in needed:
        assert (ROOT / name).is_file() and sent(name), name


def test_nothing_else_is_copied():
    for name in (".git/config", "tests/test_cli.py", ".venv/bin/python", "secrets"):
        assert not sent(name)
    assert not sent("toolchain/__pycache__/files.cpython-310.pyc")
    assert not sent("build/net/program.snn") and not sent("docs/design.md")


def test_versions_are_those_of_the_code():
    page = (ROOT / "docs" / "versions.md").read_text()
    cells = {
        line.split("|")[1].strip(): line.split("|")[3].strip()
        for line in page.splitlines()
        if line.startswith("| ")
    }
    assert cells["bundle (`.snn`, or a folder)"] == str(bundle.SCHEMA)
    assert cells["packed bundle"] == str(bundle.PACKED)
    assert cells["Recording"] == str(max(recorded.SCHEMAS))
    assert cells["report.json"] == str(report.SCHEMA)
    assert cells["the JSON of `check`"] == str(checking.SCHEMA)
    assert cells["the JSON of `doctor`"] == str(doctoring.SCHEMA)


def test_the_citation_is_of_this_version():
    """Its form was checked by cffconvert --validate; here, what changes."""
    yaml = pytest.importorskip("yaml", reason="the extra sweep has it")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == snn_deploy.__version__
    assert cited["license"] == PROJECT["project"]["license"]
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "software"
    assert cited["message"] and cited["title"] and cited["authors"]
