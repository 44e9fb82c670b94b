"""Builds that are the same, byte for byte, wherever and whenever they are made.

Setuptools does the work. What it takes from the machine is put right afterwards: an
sdist's times, owners, permissions and order (pypa/setuptools issue 2133), a wheel's
times and permissions. All times become SOURCE_DATE_EPOCH, seconds since 1970
(reproducible-builds.org/specs/source-date-epoch), or 2 January 1980 where it is not
set. What is left is the version of setuptools, which pyproject.toml pins.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  all that is not below

EARLIEST = 315619200  # 2 January 1980: zip has no earlier year, anywhere on earth
FILE, FOLDER = 0o644, 0o755


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Setuptools' sdist, put right."""
    name = build_meta.build_sdist(sdist_directory, config_settings)
    _mend_tar(Path(sdist_directory, name))
    return name


def build_wheel(
    wheel_directory: str,
    config_settings: Any = None,
    metadata_directory: str | None = None,
) -> str:
    """Setuptools' wheel, put right."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    _mend_zip(Path(wheel_directory, name))
    return name


def _epoch() -> int:
    return max(int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST)), EARLIEST)


def _mend_tar(path: Path) -> None:
    with tarfile.open(path) as tar:
        members = [(m, tar.extractfile(m)) for m in tar.getmembers()]
        held = [(m, b"" if f is None else f.read()) for m, f in members]
    with path.open("wb") as file:
        packed = gzip.GzipFile("", "wb", 9, file, mtime=_epoch())
        with packed, tarfile.open(mode="w", fileobj=packed) as tar:
            for member, content in sorted(held, key=lambda pair: pair[0].name):
                mended = tarfile.TarInfo(member.name)
                mended.type, mended.size = member.type, len(content)
                mended.mode = FOLDER if member.isdir() else FILE
                mended.mtime = _epoch()
                tar.addfile(mended, io.BytesIO(content))


def _mend_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        held = [(name, archive.read(name)) for name in archive.namelist()]
    when = time.gmtime(_epoch())[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held:
            mended = zipfile.ZipInfo(name, when)
            mended.external_attr = (0o100000 | FILE) << 16
            mended.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(mended, content)
