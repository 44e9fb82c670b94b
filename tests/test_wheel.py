"""The wheel alone, in an empty environment with the core's dependencies, does the job.

The slow ones install NumPy, Numba and Matplotlib, about a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_SOURCE = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"),
    *("build", "dist", "tests"),
)
NO_REGISTRY = re.compile(
    "NewConnectionError|Name or service not known|Network is unreachable"
    "|No matching distribution found for setuptools"
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command with neither this repository nor this environment on its path."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def pip(python: str | Path, *words: str | Path, cwd: Path) -> None:
    done = run(python, "-m", "pip", "--disable-pip-version-check", *words, cwd=cwd)
    if done.returncode and NO_REGISTRY.search(done.stderr):
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCE)
    built = folder / "built"
    pip(sys.executable, "wheel", "--no-deps", "-w", built, "./source", cwd=folder)
    (path,) = built.glob("snn_deploy-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("environment")
    made = run(sys.executable, "-m", "venv", "venv", cwd=folder)
    assert made.returncode == 0, made.stderr
    pip(
        folder / "venv" / "bin" / "python", "install", "--no-compile", wheel, cwd=folder
    )
    return folder / "venv" / "bin"


def test_the_wheel_holds_the_package_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"snn_deploy"}
    assert not [name for name in names if "/tests/" in name or name.endswith(".md")]


def test_the_wheel_holds_the_data_that_the_code_reads(wheel):
    shipped = set(zipfile.ZipFile(wheel).namelist())
    for pattern in (
        *("calibration/devices/*.toml", "models/networks/*.snn"),
        *("calibration/opponents/*.toml", "sweeps/*.html"),
        "calibration/report/page/templates/*",
        *("targets/c/templates/*.j2", "targets/cortex_m/firmware/*.[chl]*"),
    ):
        found = (path for path in ROOT.glob(pattern) if path.is_file())
        files = [path.relative_to(ROOT) for path in found]
        assert files, pattern
        assert {f"snn_deploy/{path.as_posix()}" for path in files} <= shipped


@pytest.mark.slow
def test_no_vendor_comes_with_the_core(installed, tmp_path):
    code = (
        "from importlib.util import find_spec\n"
        "vendors = 'tensorflow', 'nengo', 'nengo_dl', 'nengo_loihi', 'lava', 'torch'\n"
        "print([name for name in vendors if find_spec(name)])"
    )
    assert run(installed / "python", "-c", code, cwd=tmp_path).stdout == "[]\n"


@pytest.mark.slow
def test_the_main_job_runs_from_another_folder(installed, tmp_path):
    command = ("build", "--target", "reference", "--samples", "2", "--steps", "16")
    done = run(installed / "snn-deploy", *command, "--out", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "made").iterdir()}
    assert made >= {"program.snn", "report.json", "report.png"}


@pytest.mark.slow
def test_a_target_whose_library_is_missing_is_one_sentence(installed, tmp_path):
    command = ("build", "--target", "loihi-emulator")
    done = run(installed / "snn-deploy", *command, cwd=tmp_path)
    assert done.returncode == 2
    assert "nengo-loihi" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
