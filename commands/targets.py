"""``snn-deploy targets``: what is installed and missing, and what operations become."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

from ..toolchain.visible import visible, visible_json
from .options import consoles, json_option

WIDTH = 100  # of the page's lines


@click.command()
@click.option(
    "--operations",
    is_flag=True,
    help="What each operation of a network becomes, and what each target takes, as "
    "Markdown: docs/operations.md.",
)
@json_option("the list")
def targets(operations: bool, as_json: bool) -> None:
    """List the targets, what kind each is, and whether its library is installed."""
    from rich.table import Table
    from rich.text import Text

    from ..targets.contract import list_targets

    if operations:
        click.echo(operations_page(), nl=False)
        return
    stdout, _ = consoles()
    rows = list_targets()
    if as_json:
        click.echo(visible_json(rows))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row.values()))
    stdout.print(table)


def operations_page() -> str:
    """docs/operations.md, from the tables that the compiler works by."""
    from ..targets.contract import find_target, list_targets
    from ..toolchain.frontends.formats import formats
    from ..toolchain.passes.legalize.explained import OPERATIONS

    lines = ["# What each operation becomes", ""]
    lines += ["Written by `snn-deploy targets --operations`; a test holds it to that."]
    lines += ["", "## Between two populations", ""]
    lines += [
        "What is computed before the first population, or after the last ones, is"
    ]
    lines += ["the host's, whatever it is.", ""]
    rows = [(kind.__name__, *how) for kind, how in OPERATIONS.items()]
    lines += _table(("operation", "becomes", "how"), sorted(rows))
    lines += ["", "## What targets take", ""]
    places = [find_target(row["target"]) for row in list_targets()]
    taken = [
        (
            place.name,
            ", ".join(sorted(place.limits.connections)),
            ", ".join(sorted(place.limits.encoders)),
            f"1 to {place.limits.max_delay}",
            "yes" if place.limits.recurrent else "no",
            "yes" if place.limits.ceilings else "no",
        )
        for place in places
    ]
    titles = ("connections", "encoders", "delays", "recurrent", "ceilings")
    lines += _table(("target", *titles), taken)
    for name, each in formats().items():
        lines += ["", f"## Read from {each.shown.rstrip(',')} ({name})", ""]
        lines += textwrap.wrap(", ".join(sorted(each.operations())), WIDTH)
    return "\n".join([*lines, ""])


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    head = [titles, ("---",) * len(titles)]
    return [f"| {' | '.join(row)} |" for row in [*head, *rows]]
