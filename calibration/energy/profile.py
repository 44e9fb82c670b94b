"""A device's published constants: a TOML file of ``devices/``, or the user's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...toolchain.errors import DataError
from ...toolchain.visible import shown
from .band import UNITS, Constant

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TAGS = ("SIM", "MEAS", "FIT", "DERIVED", "VENDOR", "2ND", "MEM")
BASES = ("incremental", "average")
LARGEST_FILE = 1 << 20  # bytes
LARGEST = 1e6  # J of one event, so that no sum overflows
CONSTANTS = {
    **{"synaptic_operation": "energy", "active_update": "energy"},
    **{"inactive_update": "energy", "spike_message": "energy"},
    **{"spike_within_tile": "energy", "hop_east_west": "energy"},
    **{"hop_north_south": "energy", "host_mac": "energy", "static_power": "power"},
}
"""Field of a DeviceProfile → what its constant is of."""


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A published measurement of a whole network on the device."""

    what: str
    figure: str  # with its unit
    tag: str  # one of TAGS
    source: str
    date: str


@dataclass(frozen=True, kw_only=True)
class DeviceProfile:
    """What is published of a device; None: nothing, and ``absent`` says why."""

    name: str
    device: str
    excluded: tuple[str, ...]
    """What the proxy leaves out, in words."""
    synaptic_operation: Constant | None = None
    active_update: Constant | None = None
    """Of a neuron whose update ends in a spike."""
    inactive_update: Constant | None = None
    """Of a neuron whose update does not; it replaces ``active_update``."""
    spike_message: Constant | None = None
    """Of a spike to one core, wherever that is."""
    spike_within_tile: Constant | None = None
    """Of a spike to a core of the same tile."""
    hop_east_west: Constant | None = None
    """Of a spike from a tile to the next, likewise to the north or south."""
    hop_north_south: Constant | None = None
    host_mac: Constant | None = None
    """Of a multiply-accumulate of the host's encoder or decoder."""
    static_power: Constant | None = None
    """Of one chip that does nothing."""
    core_memory: int | None = None
    """Bytes of a core's synapse memory, for the SRAM access model."""
    placed: bool = False
    """Whether ``place`` cuts networks for this chip's cores."""
    times: Mapping[str, Constant] = field(default_factory=dict)
    """Event → how long it takes; the constants' names, and "barrier" of a step."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Constant that is not there → why."""
    anchors: tuple[Anchor, ...] = ()
    """Measured of whole networks."""

    def why(self, constant: str) -> str:
        """Why there is no such constant."""
        return self.absent.get(constant, f"profile {self.name} has no {constant}")


def load_profile(name: str | Path) -> DeviceProfile:
    """The profile of this name among the package's, or the one in this TOML file.

    Raises:
        DataError: there is none, or it is not a complete profile.
    """
    shipped = {p.name.removesuffix(".toml"): p for p in _shipped().iterdir()}
    source = shipped.get(str(name), Path(name))
    if str(name) not in shipped and not os.path.isfile(source):
        raise DataError(
            f"Device profile {str(name)!r}: it is neither a file nor one of "
            f"{', '.join(sorted(shipped))}; name one of these or write a TOML file"
        )
    try:
        with source.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE} bytes")
        table = tomllib.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"Device profile {str(name)!r}: it cannot be read as TOML ({error}); "
            "repair the file"
        ) from error
    return _profile(f"Device profile {str(name)!r}", table)


def _shipped() -> Any:
    return files(__package__.rpartition(".")[0]) / "devices"


def _profile(what: str, table: Mapping[str, Any]) -> DeviceProfile:
    _demand_keys(what, table, DeviceProfile)
    for key in ("name", "device"):
        _demand(isinstance(table[key], str), f"{what}: {key}", table[key], "a text")
    placed, memory = table.get("placed", False), table.get("core_memory")
    _demand(isinstance(placed, bool), f"{what}: placed", placed, "true or false")
    whole = memory is None or (isinstance(memory, int) and 0 < memory <= LARGEST)
    _demand(whole, f"{what}: core_memory", memory, "a number of bytes")
    constants = {
        name: _constant(f"{what}: {name}", table[name], of)
        for name, of in CONSTANTS.items()
        if name in table
    }
    times = _table(what, table, "times")
    _demand(
        set(times) <= {*CONSTANTS, "barrier"}, f"{what}: times", set(times), "events"
    )
    return DeviceProfile(
        name=table["name"],
        device=table["device"],
        excluded=_texts(f"{what}: excluded", table["excluded"]),
        core_memory=memory,
        placed=placed,
        times={k: _constant(f"{what}: times.{k}", t, "time") for k, t in times.items()},
        absent=_absent(what, table, set(constants)),
        anchors=_anchors(f"{what}: anchors", table.get("anchors", [])),
        **constants,
    )


def _table(what: str, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    found: Any = table.get(key, {})
    _demand(isinstance(found, dict), f"{what}: {key}", found, "a table")
    return dict(found)


def _texts(what: str, value: Any) -> tuple[str, ...]:
    held = isinstance(value, list) and all(isinstance(text, str) for text in value)
    _demand(held, what, value, "a list of texts")
    return tuple(value)


def _absent(what: str, table: Mapping[str, Any], there: set[str]) -> dict[str, str]:
    absent = _table(what, table, "absent")
    _texts(f"{what}: absent", list(absent.values()))
    allowed = set(CONSTANTS) - there
    _demand(
        set(absent) <= allowed,
        f"{what}: absent",
        ", ".join(sorted(set(absent) - allowed)),
        f"one of the constants that are not there, {', '.join(sorted(allowed))}",
    )
    if "synaptic_operation" not in there and "synaptic_operation" not in absent:
        raise DataError(
            f"{what}: it lacks synaptic_operation; give its energy, or say under "
            "[absent] why none is published"
        )
    return absent


def _anchors(what: str, value: Any) -> tuple[Anchor, ...]:
    _demand(isinstance(value, list), what, value, "a list of tables")
    for each in value:
        _demand(isinstance(each, dict), what, each, "a table")
        _demand_keys(what, each, Anchor)
        _texts(what, list(each.values()))
        _demand(each["tag"] in TAGS, f"{what}.tag", each["tag"], ", ".join(TAGS))
    return tuple(Anchor(**each) for each in value)


def _constant(what: str, table: Any, of: str) -> Constant:
    _demand(isinstance(table, dict), what, table, "a table")
    _demand_keys(what, table, Constant)
    for key in ("value", "low", "high"):
        figure = table[key]
        number = isinstance(figure, (int, float)) and not isinstance(figure, bool)
        _demand(
            number and 0 <= figure <= LARGEST,
            f"{what}.{key}",
            figure,
            f"a number from 0 to {LARGEST:g}",
        )
    low, value, high = table["low"], table["value"], table["high"]
    _demand(low <= value <= high, what, f"{low}, {value}, {high}", "low ≤ value ≤ high")
    units = tuple(unit for unit, (kind, _) in UNITS.items() if kind == of)
    for key, allowed in (("unit", units), ("tag", TAGS), ("basis", BASES)):
        _demand(table[key] in allowed, f"{what}.{key}", table[key], ", ".join(allowed))
    source, date = table["source"], table.get("date", "")
    _demand(
        isinstance(source, str) and source.strip() != "",
        f"{what}.source",
        source,
        "where the numbers are published",
    )
    _demand(isinstance(date, str), f"{what}.date", date, 'a text, as "2018"')
    return Constant(**table)


def _demand_keys(what: str, table: Mapping[str, Any], kind: type) -> None:
    known = {f.name for f in fields(kind)}
    needed = {
        f.name
        for f in fields(kind)
        if f.default is MISSING and f.default_factory is MISSING
    }
    for problem, keys in (
        ("lacks", needed - set(table)),
        ("has the unknown", set(table) - known),
    ):
        if keys:
            raise DataError(
                f"{what}: it {problem} {', '.join(sorted(keys))}; it takes "
                f"{', '.join(sorted(known))}"
            )


def _demand(holds: bool, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise DataError(f"{what} is {shown(value, 200)}; allowed is {allowed}")
