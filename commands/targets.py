"""``snn-deploy targets``: what is installed, and what is missing."""

from __future__ import annotations

import click

from ..toolchain.visible import visible, visible_json
from .options import consoles, json_option


@click.command()
@json_option("the list")
def targets(as_json: bool) -> None:
    """List the targets, what kind each is, and whether its library is installed."""
    from rich.table import Table
    from rich.text import Text

    from ..targets.contract import list_targets

    stdout, _ = consoles()
    rows = list_targets()
    if as_json:
        click.echo(visible_json(rows))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row.values()))
    stdout.print(table)
