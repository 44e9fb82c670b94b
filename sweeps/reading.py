"""Reading: a sweep's space from a TOML or YAML file. What is wrong is one sentence."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..toolchain.errors import DataError, TargetUnavailable
from ..toolchain.files import demand_regular
from ..toolchain.visible import shown
from .front import OBJECTIVES
from .space import DEFAULT, SEARCHES, Range, Space, Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Check = Callable[[Value], Value]
"""A value as the command line takes it; ValueError says why it does not."""
STUDY = tuple(f.name for f in fields(Space) if f.name not in ("fixed", "varied"))
WHOLE = {"points": (1, 10**6), "samples": (1, 2**31 - 1), "seed": (0, 2**32 - 1)}
MOST = 100_000  # values of an option, and points of a grid
RANGE = ("low", "high", "log", "count")
SCALAR = (bool, int, float, str)
LARGEST = 1 << 20  # bytes of a TOML file
LARGEST_YAML = 1 << 14  # of a YAML file, of which PyYAML reads some 30 kB/s at worst


def read_space(path: Path, checks: Mapping[str, Check], once: tuple[str, ...]) -> Space:
    """The space in a file.

    Args:
        path: .toml, .yaml or .yml.
        checks: option of a build, as it is typed → what its values are.
        once: options that are the same in all points, since scores would not compare.

    Raises:
        DataError: it is missing, damaged, or asks for what there is not.
        TargetUnavailable: it is YAML, which cannot be read here.
    """
    what = f"Sweep {str(path)!r}"
    try:
        return _Reader(what, checks, once).space(_table(path))
    except ValueError as error:
        raise DataError(f"{what}: {one_line(error)}") from error


class _Reader:
    """Takes a table apart; what it does not take is a ValueError."""

    def __init__(
        self, what: str, checks: Mapping[str, Check], once: tuple[str, ...]
    ) -> None:
        self.what = what
        self.checks = checks
        self.once = once

    def space(self, table: Mapping[str, Any]) -> Space:
        varied: dict[str, Any] = table.get("space") or {}
        fixed: dict[str, Value] = {}
        _demand(
            isinstance(varied, dict) and bool(varied),
            "it has no table [space]; name there what varies, such as steps = [16, 32]",
        )
        study = {name: table[name] for name in STUDY if name in table}
        for name, value in table.items():
            if name != "space" and name not in study:
                words = sorted((*self.checks, *STUDY, "space"))
                _demand(name in self.checks, _unknown(name, "the file", words))
                _demand(name not in varied, f"{name} is named twice, in [space] too")
                fixed[name] = self._value(name, _joined(value))
        swept = sorted(set(self.checks) - set(self.once))
        for name in varied:
            why = "stands once, above [space], since its scores would not compare"
            _demand(name not in self.once, f"{shown(name)} in [space]: it {why}")
            _demand(name in swept, _unknown(name, "[space]", swept))
        found = Space(
            fixed=fixed,
            varied={name: self._values(name, value) for name, value in varied.items()},
            **_study(study),
        )
        _demand_finite(found, "points" in study)
        return found

    def _values(self, name: str, raw: Any) -> tuple[Value, ...] | Range:
        """All that an option may be."""
        if isinstance(raw, dict):
            return self._range(name, raw)
        listed = raw if isinstance(raw, list) else [raw]
        _demand(bool(listed), f"{name} is an empty list; name its values")
        _demand(len(listed) <= MOST, f"{name} has more than {MOST} values; name fewer")
        values = (v if v == DEFAULT else self._value(name, v) for v in listed)
        return tuple(dict.fromkeys(values))

    def _range(self, name: str, raw: Mapping[str, Any]) -> tuple[Value, ...] | Range:
        """A range, or the numbers of one that has so many."""
        for key in raw:
            _demand(key in RANGE, _unknown(key, f"the range {name}", RANGE))
        _demand({"low", "high"} <= set(raw), f"the range {name} lacks low or high")
        low, high = (self._value(name, raw[end]) for end in ("low", "high"))
        log, count = raw.get("log", False), raw.get("count")
        for end in (low, high):
            number = isinstance(end, int | float) and not isinstance(end, bool)
            _demand(number, f"{name} takes no numbers, so it has no range; list values")
        assert isinstance(low, int | float) and isinstance(high, int | float)
        _demand(low < high, f"the range {name} goes from {low} to {high}; low < high")
        _demand(type(log) is bool, f"the range {name}: log is true or false")
        _demand(not log or low > 0, f"the range {name}: with log, low is above 0")
        _demand(
            count is None or (type(count) is int and 2 <= count <= MOST),
            f"the range {name}: count is a whole number from 2 to {MOST}",
        )
        ends = Range(low=float(low), high=float(high), log=log)
        whole = type(low) is int
        if count is None:
            if not whole:
                return ends
            _demand(not log, f"the range {name}: whole numbers with log need a count")
            _demand(high - low < MOST, f"the range {name} is long; give it a count")
            return tuple(range(int(low), int(high) + 1))
        numbers = [ends.at(i / (count - 1)) for i in range(count)]
        return tuple(dict.fromkeys(map(round, numbers) if whole else numbers))

    def _value(self, name: str, raw: Any) -> Value:
        _demand(
            isinstance(raw, SCALAR),
            f"{name} is {shown(raw)}; a number, a word, true or false is allowed",
        )
        try:
            found = self.checks[name](raw)
        except ValueError as error:
            raise ValueError(f"{name} is {shown(raw)}; {one_line(error)}") from error
        _demand(
            not isinstance(found, float) or math.isfinite(found),
            f"{name} is {shown(raw)}; a finite number is allowed",
        )
        return found


def _study(table: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the search, of the right kinds."""
    found = dict(table)
    for name, (least, most) in WHOLE.items():
        value = found.get(name, least)
        _demand(
            type(value) is int and least <= value <= most,
            f"{name} is {shown(value)}; a whole number from {least} to {most} is "
            "allowed",
        )
    search = found.get("search", SEARCHES[0])
    _demand(
        search in SEARCHES, f"search is {shown(search)}; one of {', '.join(SEARCHES)}"
    )
    if "objectives" in found:
        names = found["objectives"]
        _demand(
            isinstance(names, list)
            and bool(names)
            and all(isinstance(n, str) and n in OBJECTIVES for n in names),
            f"objectives are {shown(names)}; a list of some of "
            f"{', '.join(OBJECTIVES)} is allowed",
        )
        found["objectives"] = tuple(dict.fromkeys(names))
    return found


def _demand_finite(space: Space, counted: bool) -> None:
    """A grid has so many points, and not too many."""
    if space.search != "grid":
        return
    endless = [n for n, v in space.varied.items() if isinstance(v, Range)]
    _demand(
        not endless,
        f"a grid takes values one by one, and {', '.join(endless)} is a range; give "
        'it a count, or take search = "random" or "bayes"',
    )
    _demand(not counted, "a grid has all of its points; leave points out")
    _demand(
        space.size <= MOST,
        f"the grid has {space.size} points, {MOST} are allowed; take fewer values, or "
        'search = "random" or "bayes"',
    )


def _table(path: Path) -> Mapping[str, Any]:
    """What the file holds; ValueError where it cannot be read."""
    try:
        demand_regular(path)
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"it cannot be read ({error.strerror}); name a .toml or .yaml file"
        ) from error
    most = LARGEST if path.suffix == ".toml" else LARGEST_YAML
    _demand(len(content) <= most, f"it has more than {most} bytes; shorten it")
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise ValueError("its name ends in neither .toml nor .yaml; rename it")
    try:
        text = content.decode()
        found = tomllib.loads(text) if path.suffix == ".toml" else _yaml(text)
    except (ValueError, RecursionError) as error:
        words = one_line(error) or "it is nested too deep"
        raise ValueError(f"it cannot be read ({words}); repair it") from error
    _demand(isinstance(found, dict), "it holds no table; begin with model = …")
    return dict(found)


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise TargetUnavailable(
            "Sweep: PyYAML is not installed, which reads .yaml; write TOML, or pip "
            "install 'snn-deploy[sweep]'"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _joined(value: Any) -> Any:
    """A list as options take it, with commas."""
    if isinstance(value, list) and all(isinstance(v, SCALAR) for v in value):
        return ",".join(map(str, value))
    return value


def _unknown(name: object, where: str, known: tuple[str, ...] | list[str]) -> str:
    return f"{shown(name)} is unknown in {where}; there are: {', '.join(known)}"


def one_line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()).rstrip(".")


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
