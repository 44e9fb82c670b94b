"""An environment of its own for a target whose library a newer Python cannot have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

from ..toolchain.errors import TargetUnavailable

PYTHON = "3.10"  # the one that every target's library has been made for
READY = "ready"  # a file in an environment that is whole


def environments() -> Path:
    """The folder of all environments, in the user's own data."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "snn-deploy" / "environments"


def create(target: str, extra: str, tell: Callable[[str], None]) -> Path:
    """Make the environment of a target → its Python; one that is whole is kept.

    Args:
        target: name of the target, and of the environment.
        extra: of snn-deploy that installs its library, "" for none.
        tell: is told what is done.

    Raises:
        TargetUnavailable: there is no such Python here, or pip cannot install it all.
    """
    folder = environments() / target
    python = folder / "bin" / "python"
    if (folder / READY).exists():
        return python
    found = _python()
    tell(f"making {folder} with {found}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    what = requirement(extra)
    tell(f"installing {what[-1]}; this takes minutes")
    made = (found, "-m", "venv", str(folder))
    install = (str(python), "-m", "pip", "install", "--quiet", *what)
    for words in (made, install):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason"]
            shutil.rmtree(folder, ignore_errors=True)
            raise TargetUnavailable(
                f"Environment {target!r}: {what[-1]} cannot be installed "
                f"({lines[-1][:200]}); look at the network and the room on the disk"
            )
    (folder / READY).touch()
    return python


def requirement(extra: str) -> tuple[str, ...]:
    """This snn-deploy with an extra, as pip takes it: from where it was installed."""
    here = distribution("snn-deploy")
    options = f"[{extra}]" if extra else ""
    origin = json.loads(here.read_text("direct_url.json") or "{}")
    where = urlparse(origin.get("url", ""))
    if where.scheme != "file":
        return (f"snn-deploy{options}=={here.version}",)
    editable = origin.get("dir_info", {}).get("editable", False)
    return *(("--editable",) if editable else ()), f"{unquote(where.path)}{options}"


def _python() -> str:
    """A Python of that version."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        homes = (Path.home() / ".pyenv" / "versions", uv_pythons())
        places = [p for home in homes for p in home.glob(f"*{PYTHON}.*/bin/python3")]
        found = str(places[0]) if places else None
    if found is None:
        raise TargetUnavailable(
            f"Python {PYTHON} is not installed here; uv python install {PYTHON}, or "
            f"pyenv install {PYTHON}"
        )
    return found


def uv_pythons() -> Path:
    """Where uv keeps its Pythons."""
    return Path.home() / ".local" / "share" / "uv" / "python"
