"""``snn-deploy sweep``: many builds, and which of them none other beats."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..toolchain.visible import visible_json
from .build import build, defaults, taken
from .options import COUNT, PATH, consoles, json_option, say

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..starting import Asked
    from ..sweeps.point import Outcome
    from ..sweeps.space import Value

ONCE = ("data", "task", "answer", "output")
"""Options of which scores of two values do not compare."""
FILES = ("model", "data", "device")
"""Options that are looked for beside the sweep's file first."""
READING = ("kind", "answer", "window")


@click.command(
    epilog="Example: snn-deploy sweep faces.toml --workers 2 --out build/faces-sweep"
)
@click.argument("space", type=PATH)
@click.option(
    "--out", type=PATH, help="Folder of the sweep.  [default: build/sweep-SPACE]"
)
@click.option(
    "--workers", type=COUNT, help="Processes of this machine.  [default: its CPUs]"
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Of a Dask cluster that is there, in place of this machine's processes.",
)
@json_option("all points")
def sweep(
    space: Path,
    out: Path | None,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Build a network in the many ways that SPACE names, and find the Pareto front.

    SPACE is a .toml or .yaml file: model, data and other options of build, and in
    [space] those that vary. The same command goes on where an interrupted one stopped.
    Test samples choose nothing: points are judged on validation or training samples.
    """
    from ..sweeping import PAGE, TARGET
    from ..sweeping import sweep as run
    from ..sweeps.reading import read_space
    from ..sweeps.table import print_result, told

    stdout, stderr = consoles()
    found = read_space(space, checks(space.parent), ONCE)
    if "target" not in found.varied:
        found = replace(found, fixed={"target": TARGET, **found.fixed})
    folder = out or Path("build") / f"sweep-{space.stem}"

    with _bar() as bar:
        job = bar.add_task(folder.name, total=found.count)

        def heard(outcome: Outcome | None, finished: int) -> None:
            bar.update(job, completed=finished)
            count = f"{finished}/{found.count}"
            if outcome is not None:
                say(bar.console, f"{count} {told(outcome, found)}")
            elif finished:
                say(bar.console, f"{count} finished before")

        result = run(
            found,
            asked,
            folder,
            workers=workers,
            scheduler=scheduler,
            heard=heard,
        )
    if as_json:
        click.echo(visible_json(result.to_json()))
    else:
        print_result(result, stdout)
    say(stderr, f"wrote {folder / PAGE}")
    if not result.front:
        say(stderr, "exit code 1: no point answers better than a constant")
        sys.exit(1)
    best = f"{folder}:{result.front[0].number}"
    say(stderr, f"next: snn-deploy build --from-sweep {best}  (scores the test)")


def _bar() -> Progress:
    """How far the sweep is, and how long it will take."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, *times, console=consoles()[1], transient=True)


def checks(folder: Path) -> dict[str, Callable[[Value], Value]]:
    """Option of ``build`` that a sweep may name → its values, checked.

    Args:
        folder: of the sweep's file.
    """
    from ..pipeline.compilation import Settings
    from ..starting import Asked
    from ..toolchain.passes.preprocess import Preprocessing

    kinds = (Asked, Settings, Preprocessing)
    known = {*READING, *(f.name for kind in kinds for f in fields(kind))}
    return {
        option[2:]: _check(param, folder if option[2:] in FILES else None)
        for param in build.params
        for option in param.opts
        if param.name in known
    }


def _check(param: click.Parameter, folder: Path | None) -> Callable[[Value], Value]:
    """What the command line makes of a value of an option, where it is a scalar."""

    def checked(raw: Value) -> Value:
        text = str(raw)
        places = () if folder is None else (folder / text, Path(text))
        there = next(filter(os.path.exists, places), None)  # too long a name: False
        text = text if there is None else str(there.absolute())
        try:
            found = param.type.convert(text, param, None)
        except click.UsageError as error:
            raise ValueError(error.message) from error
        return found if isinstance(found, bool | int | float) else text

    return checked


def asked(options: Mapping[str, str]) -> Asked:
    """A point's options → the build."""
    from ..pipeline.compilation import Settings
    from ..starting import Asked
    from ..toolchain.passes.preprocess import Preprocessing

    table: Any = defaults(build, options)
    given = build.make_context("build", [], default_map=table).params
    own = {f.name for f in fields(Asked)} & given.keys()
    how = {f.name for kind in (Settings, Preprocessing) for f in fields(kind)}
    rest = {name: given[name] for name in given if name in how or name in READING}
    return Asked(**{name: given[name] for name in own}, **taken(rest))
