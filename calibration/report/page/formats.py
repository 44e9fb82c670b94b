"""Formats: how a page writes a value of report.json, by the format's name.

A page notes name and JSON pointer beside every value, so that a test can write each of
them again from report.json.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ....toolchain.visible import visible
from ..beside_lines import duration
from ..numbers import energy, shorten, three_digits

MISSING = "not recorded"
LONGEST = 28  # letters of a name in a picture


def _name(value: Any) -> str:
    text = visible(str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _whole(value: Any) -> str:
    """Digits in groups of three, with narrow spaces that do not break."""
    return f"{value:,}".replace(",", "\u202f")


FORMATS: Mapping[str, Callable[[Any], str]] = {
    "text": lambda value: visible(str(value)),
    "name": _name,
    "whole": _whole,
    "short": shorten,
    "digits": three_digits,
    "score": lambda value: f"{value:.3f}",
    "loss": lambda value: f"{value:.4f}",
    "percent": lambda share: f"{100 * share:.0f} %",
    "energy": energy,
    "hertz": lambda hertz: f"{three_digits(hertz)} Hz",
    "seconds": lambda seconds: f"{three_digits(seconds)} s",
    "milliseconds": lambda seconds: f"{1e3 * seconds:.4g} ms",
    "decibels": lambda decibels: f"{decibels:.0f} dB",
    "bits": lambda bits: f"{bits:.1f} bits",
    "duration": duration,
    "signed_percent": lambda percent: f"{percent:+.0f} %",
    "digits3": lambda value: f"{value:.3g}",
    "significant": lambda value: f"{value:.6g}",
    "list": lambda values: ", ".join(map(str, values)),
}


def formatted(value: Any, name: str) -> str:
    """A value as the format of this name has it; None is not recorded."""
    return MISSING if value is None else FORMATS[name](value)
