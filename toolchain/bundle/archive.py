"""Named bytes on disk: a directory, or a sealed zip. Written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from ..errors import BundleError
from ..files import demand_regular
from .beside import exchange, file_beside, folder_beside

MAX_BYTES = 1 << 30  # of all members together, unpacked
PORTION = 1 << 20  # bytes that are hashed at once
MEMBER = re.compile(r"(manifest\.(json|sha256)|arrays/[0-9]{1,6}\.npy|worker\.py)")
SEAL = b"sha256 "
"""A zip's comment: this, then the SHA-256 of all bytes before it, so that no byte of
the file, its tables included, can change unseen."""


Content = bytes | Callable[[], bytes]
"""What a member holds, or what makes it when it is written: one at a time in memory."""


def write_together(files: Mapping[Path, bytes | Callable[[IO[bytes]], None]]) -> None:
    """Write each file beside its place, then move them there: all, or where a disk is
    full or a name is taken none. A file is its content, or what writes it."""
    with ExitStack() as stack:
        waiting = {path: stack.enter_context(file_beside(path)) for path in files}
        for path, (_, file) in waiting.items():
            content = files[path]
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
        for path, (temporary, _) in waiting.items():
            os.replace(temporary, path)


def zipped(members: Mapping[str, Content]) -> bytes:
    """Members as a sealed zip. Equal members make an equal file."""
    file = io.BytesIO()
    _zip(file, members)
    return file.getvalue()


def _zip(file: IO[bytes], members: Mapping[str, Content]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980: the file is its content
            archive.writestr(info, made(content), zipfile.ZIP_DEFLATED)
        archive.comment = SEAL + b"0" * 64
    left = file.seek(-64, os.SEEK_END)
    file.seek(0)
    digest = hashlib.sha256()
    while left:
        part = file.read(min(left, PORTION))
        digest.update(part)
        left -= len(part)
    file.write(digest.hexdigest().encode())


def made(content: Content) -> bytes:
    """What a member holds."""
    return content if isinstance(content, bytes) else content()


def write_zip(path: Path, members: Mapping[str, Content]) -> None:
    """Write members as a sealed zip, in place of an older file there."""
    write_together({path: lambda file: _zip(file, members)})


def write_directory(path: Path, members: Mapping[str, Content]) -> None:
    """Write members as files below ``path``, in place of an older bundle there."""
    if path.exists() and not (path / "manifest.json").is_file():
        raise BundleError("there is something else of this name; move it away")
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(path) as beside:
        (beside / "arrays").mkdir()
        for name, content in members.items():
            (beside / name).write_bytes(made(content))
        if path.exists():
            exchange(beside, path)
        else:
            os.replace(beside, path)


def read_zip(path: Path) -> dict[str, bytes]:
    """The members of a sealed zip.

    Raises:
        BundleError: the file is truncated, changed or no bundle, or a member is too
            large, a link, listed twice, or of a name that no bundle has.
    """
    demand_regular(path)
    demand_size(path.stat().st_size)
    file = path.read_bytes()
    body, seal = file[:-64], file[-64:]
    if not body.endswith(SEAL) or seal != _digest(body):
        raise BundleError("it is no bundle, truncated or changed; fetch it again")
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            members = archive.infolist()
            demand_size(sum(member.file_size for member in members))
            for member in members:
                _demand_name(member.filename)
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise BundleError(f"its member {member.filename!r} is a link")
            names = [member.filename for member in members]
            if len(set(names)) != len(names):
                raise BundleError("a member is listed twice")
            return {member.filename: _content(archive, member) for member in members}
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
        *(NotImplementedError, RuntimeError, ValueError),
    ) as error:
        raise BundleError(f"its zip is damaged ({str(error)[:60]})") from error


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member, unpacked as far as the zip's table says and not a byte more at once."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(
            f"its member {member.filename!r} is compressed by method "
            f"{member.compress_type}; stored or deflated is allowed"
        )
    with archive.open(member) as file:
        content = file.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise BundleError(f"its member {member.filename!r} has another size than said")
    return content


def read_directory(path: Path) -> dict[str, bytes]:
    """The members of a directory, with the checks of ``read_zip`` except the seal."""
    found: dict[str, os.DirEntry[str]] = {}
    for prefix, folder in (("", path), ("arrays/", path / "arrays")):
        for entry in os.scandir(folder) if folder.is_dir() else ():
            if entry.is_symlink():
                raise BundleError(f"its member {prefix + entry.name!r} is a link")
            if prefix + entry.name == "arrays" and entry.is_dir():
                continue
            _demand_name(prefix + entry.name)
            if not entry.is_file():
                raise BundleError(f"its member {prefix + entry.name!r} is no file")
            found[prefix + entry.name] = entry
    demand_size(sum(entry.stat().st_size for entry in found.values()))
    return {name: Path(entry.path).read_bytes() for name, entry in found.items()}


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _demand_name(name: str) -> None:
    if not MEMBER.fullmatch(name):
        raise BundleError(
            f"it holds {name!r:.60}; allowed are manifest.json, manifest.sha256, "
            "arrays/NUMBER.npy and worker.py"
        )


def demand_size(size: int) -> None:
    """Raise BundleError where a bundle of this size (bytes) is beyond ``MAX_BYTES``."""
    if size > MAX_BYTES:
        raise BundleError(f"it holds {size} bytes; allowed are {MAX_BYTES}")
