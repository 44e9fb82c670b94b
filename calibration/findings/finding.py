"""Finding: one thing that is wrong with a built network, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found.

    Attributes:
        id: the same for the same kind of finding; docs/findings.md lists them.
        severity: "error": the answers are worth nothing; "warning".
        layer: population; empty: the whole network.
        message: what was seen.
        fix: what mends it; empty: not looked for.
    """

    id: str
    severity: Severity
    layer: str = ""
    message: str
    fix: str = ""

    def __str__(self) -> str:
        """In a line."""
        where = f"{self.layer}: " if self.layer else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{where}{self.message}{fix} [{self.id}]"


def worthless(findings: Iterable[Finding]) -> bool:
    """Whether they make the answers worth nothing."""
    return any(finding.severity == "error" for finding in findings)
