"""SLURM: its tools on the path."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

TOOLS = ("sinfo", "srun", "sbatch")
PATIENCE = 10.0  # s
VERSION = re.compile(r"slurm\S* (\d[\w.~+-]*)")  # "slurm-wlm 22.05.8"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program on the path."""

    name: str
    found: bool
    version: str  # "" where it is missing or does not say


def find_slurm() -> tuple[Tool, ...]:
    """The tools by which jobs are sent; no cluster is asked."""
    return tuple(
        Tool(name=name, found=bool(path), version=_version(path) if path else "")
        for name, path in ((name, shutil.which(name)) for name in TOOLS)
    )


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = VERSION.search(done.stdout.decode(errors="replace"))
    return said[1] if said else ""
