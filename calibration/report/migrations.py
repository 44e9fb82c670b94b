"""Migrations: a report of an older schema as one of the newest.

What an older version did not record is absent, and said to be not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...toolchain.passes.place.limits import CHIP

Table = dict[str, Any]  # what JSON holds of a report


def migrated(table: Table, newest: int) -> Table:
    """The table, migrated from schema to schema.

    Args:
        table: of a schema from 1 to ``newest``; it stays as it is.
        newest: schema that comes out.

    Raises:
        ValueError: it is not as its schema has it.
    """
    try:
        for schema in range(table["schema"], newest):
            table = {**MIGRATIONS[schema](table), "schema": schema + 1}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"it is none of schema {table['schema']}: {error!r}"
        ) from error
    return table


def _from_1(table: Table) -> Table:
    """Schema 1 called synapses into a layer, pooling folded in, its dense MACs."""

    def layer(old: Table) -> Table:
        kept = {name: value for name, value in old.items() if name != "dense_macs"}
        incoming = old["dense_macs"]
        counts = {"incoming_synapses": incoming, "nonzero_synapses": None, "macs": None}
        return {**kept, **counts}

    layers = [layer(each) for each in table["layers"]]
    return {**table, "layers": layers, "total": layer(table["total"])}


def _from_2(table: Table) -> Table:
    """Schema 2 had doubts, sentences on why the answers may be worth nothing, and at
    first called the chip "total" among the populations that use it."""
    used = table["utilization"]
    if CHIP not in used and "total" in used:
        used = {(CHIP if name == "total" else name): row for name, row in used.items()}
    kept = {name: value for name, value in table.items() if name != "doubts"}
    doubts = table.get("doubts", [])
    return {
        **kept,
        "utilization": used,
        "findings": [
            {"id": "doubt", "severity": "error", "message": doubt} for doubt in doubts
        ],
    }


def _from_3(table: Table) -> Table:
    """Schema 3 had neither provenance nor the numbers behind figures, and counted the
    energy of synaptic operations where the spikes were sent."""
    note = (
        "this report is of an older version: the energy of a layer holds the synaptic "
        "operations of the spikes that it sends, not of those that arrive"
    )
    return {**table, "notes": [*table.get("notes", []), note]}


MIGRATIONS: Mapping[int, Callable[[Table], Table]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
}
"""Schema → the migration to the next one."""
