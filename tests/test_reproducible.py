"""sdist and wheel are the same bytes, whoever builds them, wherever and whenever.

It builds twice, as `python -m build` does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build", reason="the extra dev has it")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NOT_SOURCE = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"),
    *("build", "dist"),
)
NO_REGISTRY = re.compile(
    "NewConnectionError|Name or service not known|Network is unreachable"
    "|No matching distribution found for setuptools"
)
EPOCH = 1_700_000_000  # s, 14 November 2023
MODES = {"one": 0o644, "another": 0o600}  # of the sources' files, in each copy
TIMES = {"one": 1_500_000_000, "another": 1_600_000_000}


def built(folder: Path, name: str) -> dict[str, bytes]:
    """What is built from a copy of the sources with times and modes of its own."""
    source = folder / name
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    for path in source.rglob("*"):
        if path.is_file():
            path.chmod(MODES[name])
        os.utime(path, (TIMES[name], TIMES[name]))
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder / f"of-{name}"), source],
        cwd=folder,
        env={**environment, "SOURCE_DATE_EPOCH": str(EPOCH), "TZ": name},
        capture_output=True,
        text=True,
        timeout=600,
        umask=0o077 if name == "another" else 0o022,
    )
    if done.returncode and NO_REGISTRY.search(done.stdout + done.stderr):
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return {p.name: p.read_bytes() for p in (folder / f"of-{name}").iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("reproducible")


@pytest.fixture(scope="module")
def both(folder) -> list[dict[str, bytes]]:
    return [built(folder, name) for name in MODES]


def test_they_are_the_same_bytes(both):
    one, another = both
    assert {name.partition("-0")[0] for name in one} == {"snn_deploy"} and len(one) == 2
    assert one.keys() == another.keys()
    assert not [name for name in one if one[name] != another[name]]


def test_their_times_are_the_epoch_and_nobody_owns_them(both, folder):
    (sdist,) = (folder / "of-one").glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        for member in tar.getmembers():
            assert member.mtime == EPOCH and member.mode in (0o644, 0o755)
            assert (member.uid, member.uname, member.gname) == (0, "", "")
    (wheel,) = (folder / "of-one").glob("*.whl")
    for info in zipfile.ZipFile(wheel).infolist():
        assert info.date_time == (2023, 11, 14, 22, 13, 20)
        assert info.external_attr >> 16 == 0o100644


def test_the_wheel_was_built_from_the_sdist(both, folder):
    """As `build` does it: so the sdist holds all that a wheel is made of."""
    (sdist,) = (folder / "of-one").glob("*.tar.gz")
    (wheel,) = (folder / "of-one").glob("*.whl")
    with tarfile.open(sdist) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    for name in zipfile.ZipFile(wheel).namelist():
        if ".dist-info/" not in name:
            assert name.removeprefix("snn_deploy/") in held
    assert {"LICENSE", "SECURITY.md", "CITATION.cff", "release/backend.py"} <= held
