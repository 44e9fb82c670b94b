"""Pythons that vendors' libraries pin, with NumPy and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NUMPY = {"3.8": "numpy==1.17.5", "3.9": "numpy<2"}  # the oldest, and NumPy 1


def bare(version: str) -> str:
    """A Python of this version as it is installed; skips where there is none."""
    homes = (os.environ.get("PYENV_ROOT", ""), Path.home() / ".pyenv")
    for home in filter(None, homes):
        for python in sorted(Path(home).glob(f"versions/{version}.*/bin/python")):
            return str(python)
    found = shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"there is no Python {version} here (pyenv install {version})")
    return found


@cache
def with_numpy(version: str) -> str:
    """A Python of this version with NumPy alone, in an environment that is kept."""
    home = ROOT / f".venv-{version}"
    if not home.exists():
        beside = ROOT / f".venv-{version}.{os.getpid()}"
        subprocess.run([bare(version), "-m", "venv", beside], check=True)
        pip = (beside / "bin/python", "-m", "pip", "install", "--quiet")
        done = subprocess.run([*pip, NUMPY[version]], capture_output=True, text=True)
        if done.returncode or home.exists():
            shutil.rmtree(beside)
        else:
            beside.rename(home)
        if done.returncode:
            pytest.skip(f"NumPy cannot be installed for it: {done.stderr[-200:]}")
    return str(home / "bin/python")
