"""Doctor: what of snn-deploy runs on this machine, and what is missing for the rest."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from . import __version__
from .machine.boards import Board, find_boards
from .machine.gpus import Gpus, find_gpus
from .machine.packages import Package, find_others, find_packages
from .machine.private import scrubbed
from .machine.slurm import Tool, find_slurm
from .machine.tried import Tried, target_names, try_target

SCHEMA = 1  # of the JSON, docs/doctor.schema.json
WRITTEN = ("words", "installed", "licence", "names", "tensorflow", "version")
AT_ONCE = 2  # processes that import such libraries: some 0.5 GB each
NEEDED = "reference"  # the target without which nothing runs


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found; nothing in it names a user, a host or a folder of theirs."""

    version: str  # of snn-deploy
    python: str
    system: str
    targets: tuple[Tried, ...]
    packages: tuple[Package, ...]
    others: tuple[Package, ...]  # pinned too, and here in another version
    gpus: Gpus
    boards: tuple[Board, ...]
    slurm: tuple[Tool, ...]

    @property
    def ready(self) -> bool:
        """Whether networks can be built and run at all."""
        return any(t.target == NEEDED and t.state == "ready" for t in self.targets)

    def to_json(self) -> dict[str, Any]:
        """As docs/doctor.schema.json says."""
        return {"schema": SCHEMA, "ready": self.ready, **asdict(self)}


def examine() -> Examination:
    """Look at packages, GPUs, boards and SLURM, and run a tiny network on each target.

    It takes as long as the slowest libraries take to be imported: half a minute where
    all are here.
    """
    packages = find_packages()
    try_it = partial(
        try_target,
        packages={package.name: package for package in packages},
        python=".".join(platform.python_version_tuple()[:2]),
    )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = pool.submit(find_gpus)
        tried = tuple(pool.map(try_it, target_names()))
        gpus = asked.result()
    names = (*(p.name for p in packages), *(t.target for t in tried))
    clean = partial(_clean, frozenset(w for n in names for w in (n, *n.split("-"))))
    return Examination(
        version=__version__,
        python=f"{platform.python_version()}, {platform.python_implementation()}",
        system=f"{platform.system()} {platform.machine()}",
        targets=tuple(map(clean, tried)),
        packages=tuple(map(clean, packages)),
        others=tuple(map(clean, find_others(packages))),
        gpus=clean(gpus),
        boards=tuple(map(clean, find_boards())),
        slurm=tuple(map(clean, find_slurm())),
    )


def _clean(known: frozenset[str], thing: Any) -> Any:
    """A dataclass without what is private in those of its fields that others wrote."""
    written = {n: v for n, v in vars(thing).items() if n in WRITTEN}
    return replace(
        thing,
        **{
            name: tuple(scrubbed(each, known) for each in value)
            if isinstance(value, tuple)
            else scrubbed(value, known)
            for name, value in written.items()
        },
    )
