"""The options that say where a bundle is run: another machine, another Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ...elsewhere import Where

OPTIONS = (
    click.option(
        "--host",
        metavar="USER@MACHINE",
        help="Run it there, by OpenSSH; or a name of ~/.ssh/config.",
    ),
    click.option(
        "--python",
        metavar="PATH",
        help="By this Python, there or here.  [default: python3 there]",
    ),
    click.option("--jump", metavar="HOST", help="On the way to --host; ssh -J."),
    click.option(
        "--slurm",
        metavar="OPTIONS",
        help="Start it by SLURM's srun there, with these options, in quotes.",
    ),
    click.option(
        "--attach", metavar="ID", help="Go on with a job whose connection was lost."
    ),
)
NAMES = ("host", "python", "jump", "slurm", "attach")


def where(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a verb that runs something elsewhere."""
    return reduce(lambda f, add: add(f), reversed(OPTIONS), command)


def taken_where(choices: dict[str, Any]) -> Where | None:
    """What these options say, taken out of a verb's choices; None: here and now.

    Raises:
        click.UsageError: they do not go together.
    """
    from ...elsewhere import Where

    given = Where(**{name: choices.pop(name) for name in NAMES})
    if given.jump is not None and given.host is None:
        raise click.UsageError("--jump is on the way to --host; name that one")
    return None if given == Where() else given
