"""``snn-deploy env create``: a Python for a target that this one cannot have."""

from __future__ import annotations

from functools import partial

import click

from ..options import consoles, say


@click.group()
def env() -> None:
    """Make environments for targets whose libraries need another Python."""


@env.command(
    epilog="Example: snn-deploy env create nengo-dl; then snn-deploy run "
    "build/net/program.snn --target nengo-dl --python PATH"
)
@click.argument("target")
def create(target: str) -> None:
    """Make the environment of a TARGET with Python 3.10; print its Python's path.

    It holds snn-deploy and the target's library, and is kept in the user's data.
    """
    from ...remote import environment
    from ...targets.contract import find_target

    _, stderr = consoles()
    place = find_target(target)
    click.echo(environment.create(place.name, place.extra, partial(say, stderr)))
