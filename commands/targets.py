"""``snn-deploy targets``: what is installed, and what is missing."""

from __future__ import annotations

import json

import click

from .options import consoles, json_option


@click.command()
@json_option("the list")
def targets(as_json: bool) -> None:
    """List the targets, what kind each is, and whether its library is installed."""
    from rich.table import Table

    from ..targets.contract import list_targets

    stdout, _ = consoles()
    rows = list_targets()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    stdout.print(table)
