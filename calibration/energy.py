"""Energy proxy: counted events times published energies per event, with their band."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..toolchain.errors import DataError
from .statistics import LayerStatistics

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TITLE = "energy proxy, not a measurement"
JOULES = {"pJ": 1e-12, "nJ": 1e-9, "uJ": 1e-6, "mJ": 1e-3, "J": 1.0}
TAGS = ("SIM", "MEAS", "FIT", "DERIVED", "VENDOR", "2ND", "MEM")
BASES = ("incremental", "average")
LARGEST = 1e6  # J of one event, so that no sum overflows


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Energy of one event, in ``unit``, and how it is known."""

    value: float
    low: float
    high: float
    unit: str  # one of JOULES
    tag: str  # one of TAGS
    basis: str  # "incremental", or "average" of an operating point
    source: str


@dataclass(frozen=True, kw_only=True)
class DeviceProfile:
    """A device's energies per event, as published; a file of ``devices/``."""

    name: str
    device: str
    synaptic_operation: Constant
    active_update: Constant
    """Of a neuron whose update ends in a spike."""
    inactive_update: Constant
    """Of a neuron whose update does not; it replaces ``active_update``."""
    excluded: tuple[str, ...]
    """What the proxy leaves out, in words."""


@dataclass(frozen=True, kw_only=True)
class Energy:
    """An energy per inference and its band, J."""

    value: float
    low: float
    high: float

    def __add__(self, other: Energy) -> Energy:
        return Energy(
            value=self.value + other.value,
            low=self.low + other.low,
            high=self.high + other.high,
        )


@dataclass(frozen=True, kw_only=True)
class LayerEnergy:
    """The terms of one layer's energy, and their sum."""

    name: str
    synaptic_operations: Energy
    """Caused by the spikes that this layer sends."""
    active_updates: Energy
    inactive_updates: Energy
    total: Energy


@dataclass(frozen=True, kw_only=True)
class EnergyProxy:
    """Energy per inference: a device's constants times the counts of a Report."""

    title: str  # TITLE
    profile: DeviceProfile
    layers: tuple[LayerEnergy, ...]
    total: LayerEnergy


def energy_proxy(
    statistics: Iterable[LayerStatistics], profile: DeviceProfile
) -> EnergyProxy:
    """Constants of ``profile`` times the counts of ``statistics``, layer by layer.

    E = e_synop · synaptic operations + e_active · active + e_inactive · inactive
    updates, J per inference.
    """
    layers = tuple(_layer_energy(layer, profile) for layer in statistics)
    zero = Energy(value=0.0, low=0.0, high=0.0)
    terms = {
        term: sum((getattr(layer, term) for layer in layers), zero)
        for term in ("synaptic_operations", "active_updates", "inactive_updates")
    }
    total = LayerEnergy(name="total", **terms, total=sum(terms.values(), zero))
    return EnergyProxy(title=TITLE, profile=profile, layers=layers, total=total)


def _layer_energy(layer: LayerStatistics, profile: DeviceProfile) -> LayerEnergy:
    synaptic = _times(profile.synaptic_operation, layer.synaptic_operations)
    active = _times(profile.active_update, layer.active_updates)
    inactive = _times(profile.inactive_update, layer.inactive_updates)
    return LayerEnergy(
        name=layer.name,
        synaptic_operations=synaptic,
        active_updates=active,
        inactive_updates=inactive,
        total=synaptic + active + inactive,
    )


def _times(constant: Constant, events: float) -> Energy:
    joules = JOULES[constant.unit] * events
    return Energy(
        value=constant.value * joules,
        low=constant.low * joules,
        high=constant.high * joules,
    )


def load_profile(name: str | Path) -> DeviceProfile:
    """The profile of this name among the package's, or the one in this TOML file.

    Raises:
        DataError: there is none, or it is not a complete profile.
    """
    shipped = {p.name.removesuffix(".toml"): p for p in _shipped().iterdir()}
    source = shipped.get(str(name), Path(name))
    if str(name) not in shipped and not source.is_file():
        raise DataError(
            f"Device profile {str(name)!r}: it is neither a file nor one of "
            f"{', '.join(sorted(shipped))}; name one of these or write a TOML file"
        )
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"Device profile {str(name)!r}: it cannot be read as TOML ({error}); "
            "repair the file"
        ) from error
    return _profile(f"Device profile {str(name)!r}", table)


def _shipped() -> Any:
    return files(__package__) / "devices"


def _profile(what: str, table: Mapping[str, Any]) -> DeviceProfile:
    _demand_keys(what, table, DeviceProfile)
    for key in ("name", "device"):
        _demand(isinstance(table[key], str), f"{what}: {key}", table[key], "a text")
    excluded = table["excluded"]
    _demand(
        isinstance(excluded, list) and all(isinstance(e, str) for e in excluded),
        f"{what}: excluded",
        excluded,
        "a list of texts",
    )
    events = {
        key: _constant(f"{what}: {key}", table[key])
        for key in ("synaptic_operation", "active_update", "inactive_update")
    }
    return DeviceProfile(
        name=table["name"], device=table["device"], excluded=tuple(excluded), **events
    )


def _constant(what: str, table: Any) -> Constant:
    _demand(isinstance(table, dict), what, table, "a table")
    _demand_keys(what, table, Constant)
    for key in ("value", "low", "high"):
        energy = table[key]
        number = isinstance(energy, (int, float)) and not isinstance(energy, bool)
        _demand(
            number and 0 <= energy <= LARGEST,
            f"{what}.{key}",
            energy,
            f"a number from 0 to {LARGEST:g}",
        )
    low, value, high = table["low"], table["value"], table["high"]
    _demand(low <= value <= high, what, f"{low}, {value}, {high}", "low ≤ value ≤ high")
    for key, allowed in (("unit", tuple(JOULES)), ("tag", TAGS), ("basis", BASES)):
        _demand(table[key] in allowed, f"{what}.{key}", table[key], ", ".join(allowed))
    source = table["source"]
    _demand(
        isinstance(source, str) and source.strip() != "",
        f"{what}.source",
        source,
        "where the numbers are published",
    )
    return Constant(**table)


def _demand_keys(what: str, table: Mapping[str, Any], kind: type) -> None:
    wanted = {field.name for field in fields(kind)}
    for problem, keys in (
        ("lacks", wanted - set(table)),
        ("has the unknown", set(table) - wanted),
    ):
        if keys:
            raise DataError(
                f"{what}: it {problem} {', '.join(sorted(keys))}; it takes exactly "
                f"{', '.join(sorted(wanted))}"
            )


def _demand(holds: bool, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise DataError(f"{what} is {value!r}; allowed is {allowed}")
