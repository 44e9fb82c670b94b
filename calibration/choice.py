"""Choice: what calibration chose, said in a line of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A setting that calibration chose, and how."""

    name: str
    value: str
    basis: str  # from what
    instead: str  # of what; empty where nothing else was tried

    def __str__(self) -> str:
        """In a line."""
        instead = f", instead of {self.instead}" if self.instead else ""
        return f"{self.name} {self.value} ({self.basis}{instead})"
