"""Numbers as people read them: three digits and a prefix."""

from __future__ import annotations

from ..energy.band import Band

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))


def three_digits(value: float) -> str:
    """About three digits.

    >>> [three_digits(x) for x in (0, 0.137, 13.75, 333.3)]
    ['0.00', '0.14', '13.8', '333']
    """
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{decimals}f}"


def shorten(value: float) -> str:
    """Three digits and a prefix.

    >>> [shorten(x) for x in (7, 0.5, 12_345, 2_000_000)]
    ['7', '0.50', '12.3k', '2.00M']
    """
    for scale, prefix in PREFIXES:
        if value >= scale:
            return f"{three_digits(value / scale)}{prefix}"
    return str(int(value)) if value == int(value) else three_digits(value)


def energy(joules: float) -> str:
    """Three digits and a unit.

    >>> [energy(x) for x in (0.0, 2.36e-11, 1.5e-6)]
    ['0 J', '23.6 pJ', '1.50 µJ']
    """
    for scale, unit in JOULES:
        if joules >= scale:
            return f"{three_digits(joules / scale)} {unit}"
    return "0 J" if joules == 0 else f"{joules:.1e} J"


def band(joules: Band) -> str:
    """A figure with its band: 1.50 µJ (1.20 µJ to 2.00 µJ).

    >>> band(Band(value=2e-6, low=1e-6, high=3e-6))
    '2.00 µJ (1.00 µJ to 3.00 µJ)'
    """
    return f"{energy(joules.value)} ({energy(joules.low)} to {energy(joules.high)})"
